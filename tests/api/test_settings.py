"""Settings of both daemons: where they come from, what is told of them, what SIGHUP takes.

What each value may be is tested in tests/unit/test_settings.c; here are the programs around it."""
import json
import os
import re
import signal
import unittest

from lib import places
from lib.agent import Agent
from lib.daemon import run_tool
from lib.paneld import QUICK, UNLIMITED, Paneld
from lib.pki import Authority
from lib.wait import hold, until
from lib.world import World

PROGRAMS = ((places.PANELD, "PANELD_"), (places.AGENT, "PANEL_AGENT_"))


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = places.fresh_dir("settings")

    def tearDown(self):
        places.drop_dir(self.dir)

    def file(self, value):
        path = os.path.join(self.dir, "settings.json")
        with open(path, "w") as out:
            json.dump(value, out)
        return path

    def settings(self, program, *args, **env):
        """By name, of a daemon that would be started like this."""
        done = run_tool([program, "config", "-o", "json", *args], self.dir, env=env)
        self.assertEqual((done.code, done.err), (0, ""))
        return {row["name"]: row for row in json.loads(done.out)["settings"]}


class Sources(Case):
    def test_the_later_wins(self):
        for program, prefix in PROGRAMS:
            with self.subTest(program=program):
                path = self.file({"logLevel": "warn"})
                level = self.settings(program)["logLevel"]
                self.assertEqual((level["value"], level["from"]), ("info", "default"))
                level = self.settings(program, "--config", path)["logLevel"]
                self.assertEqual((level["value"], level["from"]), ("warn", "file"))
                self.assertEqual(level["place"], f"{path}: logLevel")
                env = {prefix + "LOG_LEVEL": "error"}
                level = self.settings(program, "--config", path, **env)["logLevel"]
                self.assertEqual((level["value"], level["place"]), ("error", prefix + "LOG_LEVEL"))
                level = self.settings(program, "--log-level=debug", "--config", path, **env)["logLevel"]
                self.assertEqual((level["value"], level["place"]), ("debug", "--log-level"))

    def test_the_environment_names_the_file(self):
        for program, prefix in PROGRAMS:
            level = self.settings(program, **{prefix + "CONFIG": self.file({"logLevel": "warn"})})
            self.assertEqual(level["logLevel"]["from"], "file")

    def test_each_setting_can_be_given_in_each_way(self):
        other = {"text": "unix:///x/y", "switch": True}
        special = {"listen": "127.0.0.2:9", "publicUrl": "https://x.example.test",
                   "trustedProxies": "127.0.0.1, ::1"}
        for program, prefix in PROGRAMS:
            rows = self.settings(program)
            lasts = {name: row["choices"][-1] if "choices" in row else row.get("most")
                     for name, row in rows.items()}
            values = {name: special.get(name, other.get(row["kind"], lasts[name]))
                      for name, row in rows.items()}
            for name, row in rows.items():
                flag = re.sub("[A-Z]", lambda c: "-" + c.group().lower(), name)
                variable = prefix + re.sub("([A-Z])", r"_\1", name).upper()
                self.assertEqual((row["flag"], row["environment"]), ("--" + flag, variable))
            texts = {name: str(value).lower() if value is True else str(value)
                     for name, value in values.items()}
            flags = [f"{rows[name]['flag']}={text}" for name, text in texts.items()]
            variables = {rows[name]["environment"]: text for name, text in texts.items()}
            for way, args, env in (("file", ["--config", self.file(values)], {}), ("flag", flags, {}),
                                   ("environment", [], variables)):
                with self.subTest(program=program, way=way):
                    now = self.settings(program, *args, **env)
                    self.assertEqual({name: row["value"] for name, row in now.items()}, values)
                    self.assertEqual({row["from"] for row in now.values()}, {way})

    def test_a_variable_that_is_no_setting_is_told(self):
        for program, prefix in PROGRAMS:
            for name, meant in (("LOGLEVEL", prefix + "LOG_LEVEL"), ("LOG_LEVL", prefix + "LOG_LEVEL"),
                                ("SERVICE_HOST", "-"), ("CONFIG", None), ("OPTIONS", None), ("LOG_LEVEL", None)):
                with self.subTest(program=program, name=name):
                    env = {prefix + name: "" if name == "CONFIG" else "info" if name == "LOG_LEVEL" else "--log-level=warn"}
                    done = run_tool([program, "--check-config"], self.dir, env=env)
                    self.assertEqual((done.code, done.out), (0, "the settings are right\n"))
                    if meant:
                        self.assertRegex(done.err, rf"level=warn .*name={prefix}{name} did_you_mean={meant}\n")
                    else:
                        self.assertEqual(done.err, "")

    def test_all_faults_are_told_at_once(self):
        one = Authority().issue("one", "serverAuth")
        path = self.file({"logLevel": "loud", "autoPortFirst": 30000, "autoPortLast": 20000, "tlsCert": one.cert,
                          "tlsKey": Authority().issue("other", "serverAuth").key})
        told = run_tool([places.PANELD, "--check-config", "--config", path], self.dir)
        self.assertEqual(told.code, 1)
        for name in ("logLevel", "autoPortFirst", "tlsKey"):
            self.assertIn(name, told.err)
        # of one that doesn't fit, nothing is said that only holds of its default
        told = run_tool([places.PANELD, "--check-config", "--auto-port-first=x", "--auto-port-last=1000"], self.dir)
        self.assertEqual(len(told.err.splitlines()), 1, told.err)

    def test_the_table_for_a_person(self):
        for program, _ in PROGRAMS:
            done = run_tool([program, "config", "--log-level", "warn"], self.dir)
            self.assertEqual(done.code, 0)
            self.assertRegex(done.out, r"(?m)^logLevel +warn +flag \(--log-level\)$")
            self.assertIn("SETTING", done.out)
        self.assertRegex(done.out, r"(?m)^listen +as joined +default$")

    def test_faults_come_all_at_once_and_name_their_place(self):
        for program, prefix in PROGRAMS:
            with self.subTest(program=program):
                path = self.file({"nonsense": 1, "logLevel": 5})
                done = run_tool([program, "--config", path, "--check-config", "--listen", "here"],
                                self.dir, env={prefix + "LOG_LEVEL": "loud"})
                self.assertEqual((done.code, done.out), (1, ""))
                for words in (f'{path}: there is no setting "nonsense"', f"{path}: logLevel must be debug, "
                              "info, warn or error, not 5", f'{prefix}LOG_LEVEL must be debug, info, warn '
                              'or error, not "loud"', "--listen must be an IP address and a port", "here"):
                    self.assertIn(words, done.err)
                self.assertEqual(len(done.err.splitlines()), 4)

    def test_help_tells_each_setting_and_fits_the_terminal(self):
        for program, _ in PROGRAMS:
            done = run_tool([program, "--help"], self.dir)
            text = " ".join(done.out.split())
            for row in self.settings(program).values():
                self.assertIn(row["flag"] + " ", text)
                self.assertIn(row["help"], text)
            self.assertEqual([line for line in done.out.splitlines() if len(line) > 100], [])

    def test_output_belongs_to_config(self):
        for program, _ in PROGRAMS:
            for args in (["-o", "json"], ["config", "-o", "xml"]):
                done = run_tool([program, *args], self.dir)
                self.assertEqual((done.code, done.out), (2, ""))
                self.assertIn("--output", done.err)


class Document(Case):
    """The tables of docs/settings.md are the programs' own."""

    def rows(self, heading):
        with open(os.path.join(places.ROOT, "docs", "settings.md"), encoding="utf-8") as text:
            part = text.read().split(f"\n## {heading}\n", 1)[1].split("\n#", 1)[0]
        return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
                for line in part.splitlines() if line.startswith("| `")]

    def test_is_what_the_binary_says(self):
        for (program, _), heading in zip(PROGRAMS, ("paneld", "panel-agent")):
            said = []
            for row in self.settings(program).values():
                default = row["default"] if row["default"] is not None else row.get("withoutOne")
                default = "false" if row["kind"] == "switch" else default
                unit = f" {row['unit']}" if "unit" in row else ""
                bounds = f"{row['least']:g} to {row['most']:.10g}" if "most" in row else ""
                bounds = ", ".join(row["choices"]) if "choices" in row else bounds
                said.append([row["name"], f"{default}{unit}", bounds, "yes" if row["reloads"] else "",
                             row["help"]])
            self.assertEqual(self.rows(heading), said)


class Hangup(Case):
    def panel(self, **config):
        panel = Paneld(self.dir, config={**QUICK, **config}).start()
        self.addCleanup(panel.kill)
        return panel

    def write(self, panel, **config):
        with open(os.path.join(self.dir, panel.name + ".json"), "w") as out:
            json.dump({**UNLIMITED, **config}, out)

    def hang_up(self, daemon, says):
        """SIGHUP; the lines of the log that it led to, once one says that."""
        before = len(daemon.log())
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: says in daemon.log()[before:], 10, f"the log says {says}")
        return daemon.log()[before:]

    def in_force(self, panel):
        done = run_tool([places.PANELD, "config", "--data", panel.data, "-o", "json"], self.dir)
        self.assertEqual(done.code, 0, done.err)
        answer = json.loads(done.out)
        self.assertTrue(answer["running"])
        return {row["name"]: row for row in answer["settings"]}

    def test_takes_what_can_be_taken_and_tells_what_waits(self):
        panel = self.panel()
        port = panel.port
        self.write(panel, heartbeatMs=700, logLevel="debug", auditDays=7, autoPortFirst=25000)
        told = self.hang_up(panel.daemon, "settings wait for a restart")
        self.assertIn('"settings read again" taken="logLevel heartbeatMs auditDays"', told)
        self.assertIn("names=autoPortFirst\n", told)
        now = self.in_force(panel)
        self.assertEqual([now[name]["value"] for name in ("logLevel", "heartbeatMs", "auditDays")],
                         ["debug", 700, 7])
        self.assertEqual(now["auditDays"]["from"], "file")
        first = now["autoPortFirst"]
        self.assertEqual((first["value"], first["afterRestart"]), (20000, 25000))
        panel.client().get("/api/nodes").expect(200)
        until(lambda: 'op="GET /api/nodes"' in panel.daemon.log(), 5, "reads are logged now")
        self.write(panel, heartbeatMs=700)  # and back
        told = self.hang_up(panel.daemon, "settings read again")
        self.assertIn('taken="logLevel auditDays"', told)
        now = self.in_force(panel)
        self.assertNotIn("afterRestart", now["autoPortFirst"])
        self.assertEqual((now["logLevel"]["value"], now["logLevel"]["from"]), ("info", "default"))
        self.assertEqual(panel.port, port)
        panel.stop()

    def test_the_form_of_the_log_changes(self):
        panel = self.panel()
        world = World("scripted").start()
        self.addCleanup(world.stop)
        world.agent.stop()
        world.agent.daemon.argv += ["--config", self.file({"logFormat": "logfmt"})]
        world.agent.start()
        until(lambda: "listening on" in world.agent.daemon.output(), 10, "the agent listens")
        for daemon, write in ((panel.daemon, lambda form: self.write(panel, **QUICK, logFormat=form)),
                              (world.agent.daemon, lambda form: self.file({"logFormat": form}))):
            for form, line in (("json", '"msg":"settings read again"'), ("logfmt", 'msg="settings read again"')):
                write(form)
                self.hang_up(daemon, "settings read again")
                self.hang_up(daemon, line)
        panel.stop()

    def test_a_restart_takes_the_rest(self):
        panel = self.panel()
        panel.config["memoryOvercommit"] = 2.5
        self.write(panel, **panel.config)
        self.hang_up(panel.daemon, "settings wait for a restart")
        self.assertEqual(self.in_force(panel)["memoryOvercommit"]["value"], 1)
        panel.restart()
        self.assertEqual(self.in_force(panel)["memoryOvercommit"]["value"], 2.5)
        panel.stop()

    def test_limits_of_keys_and_sessions_change(self):
        panel = self.panel()
        client = panel.client()
        self.assertEqual(client.get("/api/nodes").headers["RateLimit-Policy"], '"minute";q=1000000000;w=60')
        self.write(panel, **QUICK, rateLimit=7000, sessionHours=3)
        told = self.hang_up(panel.daemon, "settings read again")
        self.assertIn('taken="rateLimit sessionHours"', told)
        self.assertEqual(client.get("/api/nodes").headers["RateLimit-Policy"], '"minute";q=7000;w=60')
        user = {"username": "somebody", "email": "s@example.com", "password": "a long password"}
        client.post("/api/auth/create-user", user).expect(201)
        session = client.post("/api/auth/login", {"username": "somebody", "password": "a long password"}, key=None)
        self.assertIn("Max-Age=10800;", session.expect(201).headers["Set-Cookie"])
        panel.stop()

    def test_at_a_fault_all_stays(self):
        panel = self.panel()
        self.write(panel, logLevel="debug", heartbeatMs=5)
        told = self.hang_up(panel.daemon, "the old ones stay")
        self.assertIn("heartbeatMs must be a whole number from 100 to 60000 (ms), not 5", told)
        self.assertEqual(self.in_force(panel)["logLevel"]["value"], "info")
        os.unlink(os.path.join(self.dir, panel.name + ".json"))
        self.assertIn("is not there", self.hang_up(panel.daemon, "the old ones stay"))
        self.write(panel, logLevel="warn")
        panel.daemon.process.send_signal(signal.SIGHUP)  # nothing of "info" is told by then
        until(lambda: self.in_force(panel)["logLevel"]["value"] == "warn", 5, "it is taken")
        panel.client().get("/api/nodes").expect(200)
        panel.stop()

    def test_a_storm_of_them_costs_no_request(self):
        panel = self.panel()
        for number in range(40):
            self.write(panel, logLevel=("info", "debug")[number % 2], heartbeatMs=500 + number)
            panel.daemon.process.send_signal(signal.SIGHUP)
            panel.client().get("/api/nodes").expect(200)
            self.in_force(panel)
        panel.stop()

    def test_a_quicker_beat_harms_no_node(self):
        world = World("scripted", config={"heartbeatMs": 20000}).start()
        try:
            panel = world.panel
            with open(os.path.join(world.dir, panel.name + ".json"), "w") as out:
                json.dump({"heartbeatMs": 100}, out)
            self.hang_up(panel.daemon, "settings read again")
            hold(lambda: world.api.node(world.node_id)["status"] == "Online", 1.5, "the node stays Online")
            world.deploy()  # whose news ends the slow beat
            world.agent.daemon.freeze()
            world.await_status(world.node_id, "Suspect", timeout=5)
            world.agent.daemon.thaw()
            world.await_status(world.node_id, "Online", timeout=10)
        finally:
            world.stop()

    def test_the_agent_takes_its_own(self):
        world = World("scripted").start()
        try:
            path = self.file({"logLevel": "info"})
            world.agent.stop()
            world.agent.daemon.argv += ["--config", path]
            world.agent.start()
            daemon = world.agent.daemon
            until(lambda: "listening on" in daemon.output(), 10, "the agent listens")
            self.file({"logLevel": "debug", "installMaxMib": 1, "docker": "unix:///elsewhere"})
            told = self.hang_up(daemon, "settings read again")
            self.assertIn('taken="logLevel installMaxMib"', told)
            self.file({"installMaxMib": 0})
            self.assertIn("installMaxMib must be a whole number", self.hang_up(daemon, "old ones stay"))
            world.await_status(world.node_id, "Online")
            world.deploy()
        finally:
            world.stop()

    def test_the_agent_listens_where_its_settings_say(self):
        world = World("scripted").start()
        try:
            port = places.free_port()
            world.agent.stop()
            world.agent.daemon.argv += ["--listen", f"127.0.0.1:{port}"]
            world.agent.start()
            until(lambda: f"listening on 127.0.0.1:{port}\n" in world.agent.daemon.output(), 10, "it says so")
            world.api.request("PATCH", f"/api/nodes/{world.node_id}", {"port": str(port)}).expect(200)
            world.await_status(world.node_id, "Online")
        finally:
            world.stop()
