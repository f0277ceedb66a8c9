"""panel-agent doctor: each thing that can be wrong is found, with what to do about it and an exit code."""
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer

from lib import places
from lib.agent import Agent
from lib.daemon import run_tool
from lib.fake_panel import FakePanel
from lib.faulty import Faulty
from lib.paneld import QUICK, Paneld
from lib.pki import Authority
from lib.scripted_engine import ScriptedEngine
from lib.wait import until
from lib.world import World

WELL, BROKEN, WARNINGS = 0, 1, 3
NOBODY = 65534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Findings:
    def __init__(self, done):
        self.code = done.code
        self.text = done.out + done.err
        self.rows = {}
        what = None
        for line in done.out.splitlines():
            found = re.fullmatch(r"(ok|WARNING|BROKEN) +(\w+) +(\S.*)", line)
            advice = re.fullmatch(r" +-> (\S.*)", line)
            if found:
                what = found.group(2)
                self.rows[what] = (found.group(1), found.group(3), [])
            elif advice and what:
                self.rows[what][2].append(advice.group(1))


def doctor(state, *args, docker=None, enter=(), env=None):
    """state None: that of the settings, and Docker's socket likewise."""
    typed = ["--state", state, "--docker", "unix://" + (docker or WORLD.engine.path)] if state else []
    done = run_tool([*enter, places.AGENT, "doctor", *typed, *args], WORLD.dir, env=env)
    return Findings(done)


def in_mounts(*commands):
    """The beginning of a command that runs where these mounts are."""
    return ("unshare", "--mount", "sh", "-c", " && ".join((*commands, 'exec "$@"')), "sh")


def server_tls(identity):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.cert, identity.key)
    return context


@contextlib.contextmanager
def one_who_answers(status, body, date=None):
    """The URL of an HTTP server that is no panel, or not ours."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp=None):
            return super().date_time_string(time.time() if date is None else date)

        def log_message(self, *args):
            pass
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


PANEL = b'{"protocolVersion":1}'


class Case(unittest.TestCase):
    def find(self, findings, what, finding, *words, advice=()):
        self.assertIn(what, findings.rows, findings.text)
        got, sentence, advised = findings.rows[what]
        self.assertEqual(got, finding, findings.text)
        for word in words:
            self.assertIn(word, sentence)
        for word in advice:
            self.assertIn(word, " ".join(advised))
        if finding != "ok":
            self.assertTrue(advised, f"it doesn't say what to do: {findings.text}")
        if finding == "BROKEN":
            self.assertEqual(findings.code, BROKEN)
        elif finding == "WARNING":
            self.assertIn(findings.code, (BROKEN, WARNINGS))

    def joined(self, name, directory=None, **more):
        """An agent that has joined and doesn't run; its node."""
        agent = Agent(directory or WORLD.dir, WORLD.engine.path, name)
        node = WORLD.create_node(name, **more)
        agent.join(WORLD.panel.url, node["joinToken"])
        return agent, node

    def joined_as_nobody(self, name):
        """The same of a user who isn't root, in a folder that he can come to."""
        directory = tempfile.mkdtemp(prefix="doctor-", dir="/tmp")
        os.chmod(directory, 0o755)
        self.addCleanup(shutil.rmtree, directory)
        state = os.path.join(directory, name + ".state")
        os.mkdir(state, 0o700)
        os.chown(state, NOBODY, NOBODY)
        return self.joined(name, directory)

    def set_identity(self, agent, **members):
        path = os.path.join(agent.state, "identity.json")
        with open(path) as file:
            identity = json.load(file)
        identity.update(members)
        with open(path, "w") as file:
            json.dump({key: value for key, value in identity.items() if value is not None}, file)


class Well(Case):
    def test_a_node_that_is_online(self):
        found = doctor(WORLD.agent.state)
        self.assertEqual(found.code, WELL, found.text)
        self.assertEqual(set(found.rows), {"state", "joined", "certificate", "docker", "port", "address",
                                           "panel", "clock", "disk", "cgroups"})
        self.find(found, "joined", "ok", WORLD.node_id)
        self.find(found, "docker", "ok", "29.1.0")
        self.find(found, "port", "ok", "the panel is connected, from 127.0.0.1")
        self.find(found, "address", "ok", "joined as 127.0.0.1")
        self.assertIn("all is well", found.text)
        self.assertEqual(WORLD.api.node(WORLD.node_id)["status"], "Online")

    def test_options_that_are_not_its_own_are_refused(self):
        for args in (("--token", "pj1.x.y"), ("--output", "json"), ("join",)):
            self.assertEqual(doctor(WORLD.agent.state, *args).code, 2)

    def test_the_address_of_the_settings_is_looked_at(self):
        found = doctor(WORLD.agent.state, "--listen", "127.0.0.1:1")
        self.find(found, "port", "BROKEN", "not on 127.0.0.1:1:")


class Service(Case):
    """Typed without a word, it looks at the agent that the package's unit starts."""

    def etc(self, settings=None, defaults=None):
        """The beginning of a command that finds these files in /etc."""
        upper = places.fresh_dir("etc") + "/up"
        for name, text in (("panel/panel-agent.json", settings), ("default/panel-agent", defaults)):
            os.makedirs(os.path.dirname(f"{upper}/{name}"), exist_ok=True)
            if text is not None:
                with open(f"{upper}/{name}", "w") as file:
                    file.write(text)
        return in_mounts("mount -t tmpfs tmpfs /run", f"cp -r {upper} /run/up", "mkdir /run/work",
                         "mount -t overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/work x /etc")

    def look(self, *args, **files):
        return doctor(None, *args, enter=self.etc(**files))

    def test_the_file_of_settings(self):
        text = json.dumps({"state": WORLD.agent.state, "docker": "unix://" + WORLD.engine.path})
        found = self.look(settings=text)
        self.assertEqual(found.code, WELL, found.text)
        self.find(found, "settings", "ok", "/etc/panel/panel-agent.json")
        self.find(found, "joined", "ok", WORLD.node_id)

    def test_its_options_and_its_environment(self):
        found = self.look(settings="{}", defaults=f"""PANEL_AGENT_STATE={WORLD.agent.state}
PANEL_AGENT_OPTIONS="--docker unix://{WORLD.engine.path}"
""")
        self.assertEqual(found.code, WELL, found.text)
        self.find(found, "docker", "ok", WORLD.engine.path)

    def test_what_is_typed_wins_and_another_agent_is_another(self):
        defaults = f'PANEL_AGENT_OPTIONS="--docker unix:///the/services --state {WORLD.agent.state}"'
        self.find(self.look(defaults=defaults), "docker", "BROKEN", "/the/services")
        found = self.look("--docker", "unix://" + WORLD.engine.path, defaults=defaults)
        self.find(found, "docker", "ok", WORLD.engine.path)
        found = self.look("--state", WORLD.agent.state, defaults=defaults)
        self.assertNotIn("settings", found.rows)
        self.assertNotIn("/the/services", found.text)

    def test_a_fault_in_them_is_told(self):
        found = self.look(settings='{"dokcer": 1}')
        self.assertEqual(found.code, 1)
        self.assertIn('/etc/panel/panel-agent.json: there is no setting "dokcer"', found.text)
        found = self.look(defaults="PANEL_AGENT_OPTIONS=--nonsense")
        self.assertEqual(found.code, 2)
        self.assertIn("/etc/default/panel-agent: there is no option --nonsense", found.text)


class State(Case):
    def test_no_folder(self):
        self.find(doctor(WORLD.dir + "/none"), "state", "BROKEN", "No such file",
                  advice=("panelctl node create", "as root"))

    def test_no_folder_but_a_file(self):
        path = os.path.join(WORLD.dir, "a-file")
        with open(path, "w"):
            pass
        self.find(doctor(path), "state", "BROKEN", "not a folder")

    def test_a_folder_that_others_can_look_into(self):
        agent, _ = self.joined("open")
        os.chmod(agent.state, 0o755)
        self.find(doctor(agent.state), "state", "WARNING", "755", advice=("chmod 700",))

    def test_a_folder_that_is_somebody_elses(self):
        agent, _ = self.joined_as_nobody("others")
        os.chown(agent.state, 0, 0)
        self.find(doctor(agent.state, enter=AS_NOBODY), "state", "BROKEN", "root", "700",
                  advice=("sudo",))

    def test_files_that_the_folders_owner_can_not_read(self):
        agent, _ = self.joined_as_nobody("rootly")
        os.chown(agent.state + "/identity.json", 0, 0)
        self.find(doctor(agent.state), "joined", "BROKEN", "Permission denied", advice=("chown",))


class Joined(Case):
    def test_not_joined(self):
        path = os.path.join(WORLD.dir, "unjoined")
        os.mkdir(path, 0o700)
        found = doctor(path, "--panel", WORLD.panel.url)
        self.find(found, "joined", "BROKEN", "not yet", advice=("panelctl node token",))
        self.find(found, "panel", "ok")

    def test_a_join_that_was_begun(self):
        agent = Agent(WORLD.dir, WORLD.engine.path, "begun")
        node = WORLD.create_node("begun")
        with one_who_answers(501, b"") as url:
            self.assertNotEqual(agent.try_join(url, node["joinToken"]).code, 0)
        self.find(doctor(agent.state), "joined", "BROKEN", "begun",
                  advice=("same command again", "panelctl node token"))

    def test_an_identity_that_is_broken(self):
        agent, _ = self.joined("halved")
        path = os.path.join(agent.state, "agent.crt")
        os.truncate(path, os.path.getsize(path) // 2)
        self.find(doctor(agent.state), "joined", "BROKEN", advice=("join anew",))

    def test_join_says_that_a_token_is_used_up(self):
        agent, node = self.joined("spent")
        shutil.rmtree(agent.state)
        done = agent.try_join(WORLD.panel.url, node["joinToken"])
        self.assertEqual(done.code, 1)
        self.assertIn("already used", done.err)
        self.assertIn("/token", done.err)

    def test_join_says_that_it_needs_root(self):
        agent, node = self.joined_as_nobody("rooted")
        os.chown(agent.state, 0, 0)
        done = run_tool([*AS_NOBODY, places.AGENT, "join", "--panel", WORLD.panel.url, "--token",
                         node["joinToken"], "--state", agent.state], WORLD.dir)
        self.assertEqual(done.code, 1)
        self.assertIn("sudo", done.err)

    def test_who_has_no_key_is_told_the_protocol_alone(self):
        said = WORLD.api.get("/join", key=None).expect(200).json
        self.assertEqual(said, {"protocolVersion": 1})

    def test_join_says_that_versions_do_not_match(self):
        node = WORLD.create_node("future")
        body = {"nodeId": node["id"], "csr": "x", "nonce": "x", "agentVersion": "9", "mac": "x",
                "protocolVersion": 9}
        WORLD.api.post("/join", body, key=None).refused(409, code="protocol_mismatch",
                                                        says=("version 9", "still good"))
        Agent(WORLD.dir, WORLD.engine.path, "future").join(WORLD.panel.url, node["joinToken"])


class Certificate(Case):
    """The clock of the doctor is moved."""

    def look(self, agent, days):
        faulty = Faulty(WORLD.dir, f"in-{days}-days")
        faulty.move_clock(days * 86400)
        return doctor(agent.state, env=faulty.env)

    def test_near_its_end_and_past_it(self):
        agent, node = self.joined("aging")
        self.find(self.look(agent, 60), "certificate", "ok")
        soon = self.look(agent, 80)
        self.find(soon, "certificate", "WARNING", "days", advice=("renews",))
        self.find(soon, "clock", "BROKEN", "ahead of", advice=("timedatectl",))
        self.find(self.look(agent, 91), "certificate", "BROKEN", "ended", advice=("panelctl node token " + node["id"],))


class Docker(Case):
    def look(self, path, **more):
        return doctor(WORLD.agent.state, docker=path, **more)

    def test_no_socket(self):
        found = self.look(WORLD.dir + "/no.sock")
        self.find(found, "docker", "BROKEN", "no.sock", "No such file", advice=("systemctl start docker",))

    def test_not_installed(self):
        hidden = in_mounts("mount -t tmpfs tmpfs /usr/sbin")
        self.find(self.look(WORLD.dir + "/no.sock", enter=hidden), "docker", "BROKEN",
                  advice=("apt install docker.io",))

    def test_nobody_listens(self):
        path = os.path.join(WORLD.dir, "dead.sock")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.find(self.look(path), "docker", "BROKEN", "refused", advice=("systemctl start docker",))

    def test_a_socket_that_the_services_user_may_not_use(self):
        agent, _ = self.joined_as_nobody("unprivileged")
        engine = ScriptedEngine(os.path.join(os.path.dirname(agent.state), "docker.sock")).start()
        os.chmod(engine.path, 0o600)
        try:  # it is asked as root, and looks as the folder's owner
            self.find(doctor(agent.state, docker=engine.path), "docker", "BROKEN", "Permission denied",
                      advice=("adduser panel-agent docker",))
        finally:
            engine.stop()

    def test_versions_that_are_too_old_or_too_new(self):
        for versions, word in (({"min_api": "1.12", "max_api": "1.20"}, "1.20"),
                               ({"min_api": "1.60", "max_api": "1.61"}, "1.60")):
            with self.subTest(versions=versions):
                engine = ScriptedEngine(os.path.join(WORLD.dir, "v.sock"), **versions).start()
                try:
                    self.find(self.look(engine.path), "docker", "BROKEN", word, advice=("1.24",))
                finally:
                    engine.stop()

    def test_one_that_never_answers(self):
        path = os.path.join(WORLD.dir, "silent.sock")
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(path)
            silent.listen()
            self.find(self.look(path), "docker", "BROKEN", "doesn't answer", advice=("restart docker",))


class Port(Case):
    def test_the_agent_does_not_run(self):
        agent, _ = self.joined("asleep")
        self.find(doctor(agent.state), "port", "BROKEN", "does not run",
                  advice=("systemctl start panel-agent",))

    def test_somebody_else_has_it(self):
        agent, node = self.joined("taken")
        with socket.create_server(("127.0.0.1", int(node["port"]))):
            self.find(doctor(agent.state), "port", "BROKEN", node["port"], "in use", advice=("ss -ltnp",))

    def test_an_address_that_is_not_here(self):
        agent, _ = self.joined("elsewhere")
        self.set_identity(agent, listen="192.0.2.1:7400")
        self.find(doctor(agent.state), "port", "BROKEN", "192.0.2.1", advice=("--listen",))

    def test_a_port_that_is_roots(self):
        agent, _ = self.joined_as_nobody("low")
        self.set_identity(agent, listen="0.0.0.0:80")
        self.find(doctor(agent.state), "port", "BROKEN", ":80", advice=("1024",))

    def test_an_agent_that_runs_and_does_not_listen(self):
        self.addCleanup(self.set_identity, WORLD.agent, listen=json.load(
            open(os.path.join(WORLD.agent.state, "identity.json")))["listen"])
        self.set_identity(WORLD.agent, listen=f"[::1]:{places.free_port()}")
        self.find(doctor(WORLD.agent.state), "port", "BROKEN", "runs, but not on",
                  advice=("journalctl -u panel-agent",))

    def test_a_panel_that_never_came_and_the_firewalls_that_are_on(self):
        agent, node = self.joined("unvisited")
        WORLD.api.delete("/api/nodes/delete", {"nodeId": node["id"]}).expect(201)
        agent.start()
        until(lambda: "listening" in agent.daemon.output(), 10, "the agent listens")
        found = doctor(agent.state)
        self.find(found, "port", "WARNING", "never", advice=(node["port"], "127.0.0.1"))
        self.assertNotIn("ufw", found.text)
        walls = in_mounts("mount -t tmpfs tmpfs /run", "mkdir /run/firewalld /run/up /run/work",
                          "mkdir -p /run/up/ufw", "echo '# on\nENABLED=yes' >/run/up/ufw/ufw.conf",
                          "mount -t overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/work x /etc")
        found = doctor(agent.state, enter=walls)
        self.find(found, "port", "WARNING", advice=("ufw allow", f"port {node['port']}",
                                                    f"--add-port={node['port']}/tcp"))
        agent.stop()


    def test_a_panel_that_comes_by_ipv6(self):
        agent, node = self.joined("six", address="::1")
        agent.start()
        WORLD.await_status(node["id"], "Online")
        self.find(doctor(agent.state), "port", "ok", f"[::1]:{node['port']}; the panel is connected, from ::1")
        agent.stop()
        WORLD.api.delete("/api/nodes/delete", {"nodeId": node["id"]}).expect(201)

    def test_a_panel_that_has_forgotten_the_node(self):
        agent, node = self.joined("forgotten")
        agent.start()
        WORLD.await_status(node["id"], "Online")
        self.find(doctor(agent.state), "port", "ok", "is connected")
        WORLD.api.delete("/api/nodes/delete", {"nodeId": node["id"]}).expect(201)
        found = until(lambda: (f := doctor(agent.state)).rows["port"][0] == "WARNING" and f, 20,
                      "it is seen that nobody is connected")
        self.find(found, "port", "WARNING", "not connected now",
                  advice=("panelctl node get " + node["id"], "paneld run", node["port"],
                          "panelctl node token " + node["id"]))
        agent.stop()

    def test_a_node_that_joined_by_an_address_of_its_own_alone(self):
        agent, node = self.joined("inward")
        found = doctor(agent.state, "--panel", "https://[::1]:9/")
        self.find(found, "address", "ok", "joined as 127.0.0.1")
        found = doctor(agent.state, "--panel", "https://panel.example.test")
        self.find(found, "address", "WARNING", "joined as 127.0.0.1",
                  advice=(f"panelctl node update {node['id']} --address", "join anew"))
        self.set_identity(agent, address="192.0.2.1")
        self.find(doctor(agent.state, "--panel", "https://panel.example.test"), "address", "ok", "192.0.2.1")


class Panel(Case):
    def look(self, url, state=None):
        return doctor(state or WORLD.agent.state, "--panel", url)

    def unjoined(self):
        path = os.path.join(WORLD.dir, "never-joined")
        os.makedirs(path, 0o700, exist_ok=True)
        return path

    def test_nobody_there(self):
        url = f"http://127.0.0.1:{places.free_port()}"
        self.find(self.look(url), "panel", "WARNING", url, advice=("systemctl status paneld", "listen"))
        self.find(self.look(url, self.unjoined()), "panel", "BROKEN", url)

    def test_somebody_else(self):
        for status, body in ((200, b"<html>"), (404, b"{}"), (200, b'{"protocolVersion":"x"}')):
            with self.subTest(body=body), one_who_answers(status, body) as url:
                self.find(self.look(url), "panel", "WARNING", "not as a panel", str(status),
                          advice=("--panel",))
                self.find(self.look(url, self.unjoined()), "panel", "BROKEN")

    def test_one_whose_certificate_comes_from_a_ca_of_its_own(self):
        identity = Authority().issue("localhost", "serverAuth")
        with open(identity.ca) as file:
            ca = file.read()
        panel = FakePanel(server_tls(identity)).on("GET", "/join", (200, {"protocolVersion": 1})).start()
        self.addCleanup(panel.stop)
        url = panel.url.replace("127.0.0.1", "localhost")
        self.find(self.look(url), "panel", "WARNING", "--ca-cert FILE", advice=("--ca-cert FILE",))
        trusted = doctor(WORLD.agent.state, "--panel", url, "--ca-cert", identity.ca)
        self.find(trusted, "panel", "ok", "version 1")
        agent, _ = self.joined("trusting")
        self.set_identity(agent, panelUrl=url, panelCa=ca)
        self.find(doctor(agent.state), "panel", "ok", "version 1")
        for wrong, word in (("/nowhere.pem", "/nowhere.pem"), (__file__, "no certificate")):
            told = doctor(WORLD.agent.state, "--panel", url, "--ca-cert", wrong)
            self.assertEqual(told.rows["panel"][0] == "ok", False, told.text)
            self.assertIn(word, told.rows["panel"][1])
        self.assertEqual(run_tool([places.AGENT, "--ca-cert", identity.ca], WORLD.dir).code, 2)

    def test_one_that_speaks_https_now(self):
        panel = FakePanel(server_tls(Authority().issue("localhost", "serverAuth"))).start()
        self.addCleanup(panel.stop)
        https = panel.url.replace("127.0.0.1", "localhost")
        found = self.look(https.replace("https:", "http:"))
        self.find(found, "panel", "WARNING", "speaks HTTPS now", https, advice=("--panel " + https, "--ca-cert"))

    def test_an_older_panel(self):
        body = b'{"error":"no","code":"method_not_allowed","requestId":"x"}'
        with one_who_answers(405, body) as url:
            self.find(self.look(url), "panel", "WARNING", "older", advice=("same release",))

    def test_another_protocol(self):
        with one_who_answers(200, b'{"protocolVersion":7}') as url:
            self.find(self.look(url + "/"), "panel", "BROKEN", "version 7", advice=("same release",))

    def test_an_address_that_is_not_known(self):
        agent, _ = self.joined("forgetful")
        self.set_identity(agent, panelUrl=None)
        self.find(doctor(agent.state), "panel", "WARNING", "isn't known", advice=("--panel URL",))

    def test_clocks(self):
        for off, finding, word in ((5, "ok", ""), (600, "WARNING", "behind"), (-600, "WARNING", "ahead of"),
                                   (2 * 86400, "BROKEN", "behind"), (-2 * 86400, "BROKEN", "ahead of")):
            with self.subTest(off=off), one_who_answers(200, PANEL, time.time() + off) as url:
                found = self.look(url)
                self.find(found, "clock", finding, word, advice=("timedatectl",) if word else ())


class OwnCa(Case):
    """A panel that serves HTTPS by a certificate which no CA of the system's has signed."""

    def test_join(self):
        identity = Authority().issue("localhost", "serverAuth")
        trust = ssl.create_default_context(cafile=identity.ca)
        trust.check_hostname = False
        directory = places.fresh_dir("own-ca")
        panel = Paneld(directory, config={**QUICK, "tlsCert": identity.cert, "tlsKey": identity.key},
                       tls=trust).start()
        self.addCleanup(panel.kill)
        url = panel.url.replace("127.0.0.1", "localhost")
        node = panel.client().post("/api/nodes/create", {
            "name": "own", "tags": "test", "ram": "8 GB", "disk": "100 GB", "processor": "any",
            "address": "127.0.0.1", "port": str(places.free_port())}).expect(201).json
        agent = Agent(directory, WORLD.engine.path, "own")
        refused = agent.try_join(url, node["joinToken"])
        self.assertEqual(refused.code, 1)
        self.assertIn("--ca-cert FILE", refused.err)
        other = agent.try_join(url, node["joinToken"], more=("--ca-cert", Authority().cert))
        self.assertEqual(other.code, 1)
        self.assertIn("the CA that --ca-cert names", other.err)
        done = agent.try_join(url, node["joinToken"], more=("--ca-cert", identity.ca))
        self.assertEqual(done.code, 0, done.err)
        self.find(doctor(agent.state), "panel", "ok", url)


class Machine(Case):
    def test_a_disk_that_is_low_and_one_that_is_full(self):
        for size, finding in (("900m", "WARNING"), ("20m", "BROKEN")):
            with self.subTest(size=size):
                path = os.path.join(WORLD.dir, "small-" + size)
                os.mkdir(path)
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", path],
                               check=True)
                try:
                    self.find(doctor(path), "disk", finding, path, advice=("image prune",))
                finally:
                    subprocess.run(["umount", path], check=True)

    def test_a_disk_without_room_for_files(self):
        path = os.path.join(WORLD.dir, "no-inodes")
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=2,mode=700", "tmpfs", path], check=True)
        try:
            with open(path + "/one", "w"):
                pass
            self.find(doctor(path), "disk", "BROKEN", "no more files")
        finally:
            subprocess.run(["umount", path], check=True)

    def test_control_groups_that_are_not_there(self):
        found = doctor(WORLD.agent.state, enter=in_mounts("mount -t tmpfs tmpfs /sys/fs/cgroup"))
        self.find(found, "cgroups", "WARNING", "no stats", advice=("mount",))
        self.assertEqual(found.code, WARNINGS)

    def test_processes_that_are_hidden(self):
        agent, _ = self.joined_as_nobody("blind")
        hidden = in_mounts("mount -t proc -o hidepid=invisible proc /proc")
        self.find(doctor(agent.state, enter=hidden), "cgroups", "WARNING", "hidden", advice=("hidepid",))

    def test_a_join_by_root_leaves_nothing_of_roots(self):
        agent, _ = self.joined_as_nobody("given")
        for name in [".", *os.listdir(agent.state)]:
            self.assertEqual(os.stat(os.path.join(agent.state, name)).st_uid, NOBODY, name)
        agent.start()  # as root, it would
        self.assertEqual(agent.daemon.wait_exit(10), 1)
        self.assertIn("systemctl start panel-agent", agent.daemon.log())

    def test_it_leaves_nothing_behind(self):
        before = sorted(os.listdir(WORLD.agent.state))
        mode = stat.S_IMODE(os.stat(WORLD.agent.state).st_mode)
        doctor(WORLD.agent.state)
        self.assertEqual(sorted(os.listdir(WORLD.agent.state)), before)
        self.assertEqual(stat.S_IMODE(os.stat(WORLD.agent.state).st_mode), mode)
