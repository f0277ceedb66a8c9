"""panelctl against a panel that is busy, forgets, lies, or sends what no terminal should show."""
import email.utils
import json
import signal
import socket
import ssl
import threading
import time
import unittest

from lib import openapi, places
from lib.fake_panel import FakePanel
from lib.panelctl import Panelctl
from lib.pki import Authority
from lib.wait import until

BESIDE = True  # it mostly waits; see lib/runner

USER = {"userId": "u-1", "username": "alex", "email": "a@example.test", "accessTo": [], "admin": False,
        "createdAt": "2026-01-01T00:00:00.000Z"}
KEY = {"id": "k3y1d0000000000a", "name": "shop", "scopes": ["read"], "userId": None, "rateLimit": None,
       "createdAt": "2026-01-01T00:00:00.000Z", "lastUsedAt": None, "expiresAt": None, "rotatedAt": None,
       "revokedAt": None}


def error(code, sentence="A sentence."):
    return {"error": sentence, "code": code, "requestId": "r-1"}


class Odd(unittest.TestCase):
    def setUp(self):
        self.dir = places.fresh_dir("odd")
        self.panel = FakePanel().start()
        self.ctl = Panelctl(self.dir, self.panel.url, "panel_" + "k" * 36)

    def tearDown(self):
        self.panel.stop()
        places.drop_dir(self.dir)


class Again(Odd):
    def test_retry_after_is_waited_for(self):
        for status in (429, 503):
            with self.subTest(status=status):
                self.panel.on("GET", "/api/users", (status, error("busy"), {"Retry-After": "1"}),
                              (200, [USER]))
                began = time.monotonic()
                self.assertEqual(self.ctl.json("users"), [USER])
                self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_not_for_ever(self):
        self.panel.on("GET", "/api/users", (429, error("rate_limited"), {"Retry-After": "3600"}))
        self.assertIn("A sentence.", self.ctl.run("users", code=7))
        self.assertEqual(len(self.panel.of("GET", "/api/users")), 1)

    def test_a_node_that_does_not_answer_is_told_at_once(self):
        self.panel.on("GET", "/api/users", (503, error("node_unreachable"), {"Retry-After": "1"}))
        self.ctl.run("users", code=7)
        self.assertEqual(len(self.panel.of("GET", "/api/users")), 1)

    def test_a_lost_answer_is_asked_for_by_the_same_key(self):
        self.panel.on("GET", "/api/users/u-1", (200, USER))
        self.panel.on("PATCH", "/api/users/u-1", "lost", "lost", (200, USER))
        self.ctl.run("user", "update", "u-1", "--email", "x@example.test")
        sent = self.panel.of("PATCH", "/api/users/u-1")
        self.assertEqual(len(sent), 3)
        self.assertEqual(len({one.headers["Idempotency-Key"] for one in sent}), 1)
        self.assertEqual({one.body for one in sent}, {b'{"email":"x@example.test"}'})
        self.ctl.run("user", "update", "u-1", "--email", "x@example.test")
        again = self.panel.of("PATCH", "/api/users/u-1")[-1]
        self.assertNotEqual(again.headers["Idempotency-Key"], sent[0].headers["Idempotency-Key"])

    def test_an_answer_that_stays_lost(self):
        self.panel.on("GET", "/api/users", "lost")
        self.assertIn("broke", self.ctl.run("users", code=7))

    def test_of_a_change_nobody_has_answered_to_it_is_not_known_whether_it_was_done(self):
        """Though the last try wasn't even taken."""
        self.panel.on("GET", "/api/users/u-1", (200, USER))

        def fall(asked):
            threading.Thread(target=self.panel.stop).start()
            return "lost"
        self.panel.on("PATCH", "/api/users/u-1", fall)
        told = self.ctl.run("user", "update", "u-1", "--email", "x@example.test", code=7)
        self.assertIn("whether it was done", told)
        self.panel = FakePanel().start()

    def test_an_answer_that_does_not_come(self):
        self.panel.on("GET", "/api/users", lambda asked: time.sleep(1.5) or (200, []))
        self.assertIn("in time", self.ctl.run("users", "--timeout", "1", code=7))


class Lies(Odd):
    def test_what_is_no_panel(self):
        for answer in ((200, b"<html>hello"), (404, b"<html>gone"), (200, {"a": 1}), (500, b"")):
            with self.subTest(answer=answer):
                self.panel.on("GET", "/api/users", answer)
                done = self.ctl.try_run("users")
                self.assertIn(done.code, (1, 5))
                self.assertIn("panel", done.err)

    def test_a_redirect_is_not_followed_with_the_key(self):
        self.panel.on("GET", "/api/users", (302, b"", {"Location": self.panel.url + "/elsewhere"}))
        self.assertIn("elsewhere", self.ctl.run("users", code=1))
        self.assertEqual(self.panel.of("GET", "/elsewhere"), [])

    def test_another_protocol(self):
        identity = Authority().issue("localhost", "serverAuth")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(identity.cert, identity.key)
        https = FakePanel(tls).start()
        told = self.ctl.run("users", "--url", https.url.replace("127.0.0.1", "localhost"), code=5)
        self.assertIn("--ca-cert", told)
        self.assertIn("/nowhere.pem", self.ctl.run("users", "--url", https.url, "--ca-cert", "/nowhere.pem", code=2))
        https.stop()
        told = self.ctl.run("users", "--url", self.panel.url.replace("http:", "https:"), code=5)
        self.assertIn("http://", told)
        with socket.create_server(("127.0.0.1", 0)) as server:
            def babble():
                while True:
                    try:
                        one = server.accept()[0]
                    except OSError:
                        return
                    one.recv(4096)
                    one.sendall(b"\x15\x03\x03\x00\x02\x02\x0a")
                    one.close()
            threading.Thread(target=babble, daemon=True).start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            self.assertIn("https://", self.ctl.run("users", "--url", url, code=5))
            self.assertIn("https://", self.ctl.try_run("doctor", "--url", url).out)
            server.shutdown(socket.SHUT_RDWR)

    def test_exit_codes(self):
        for status, code, exit_code in ((400, "user_not_found", 3), (401, "unauthorized", 4),
                                        (403, "forbidden", 4), (409, "user_exists", 6), (400, "invalid", 1),
                                        (500, "internal_error", 1), (504, "outcome_unknown", 7)):
            with self.subTest(code=code):
                self.panel.on("GET", "/api/users", (status, error(code)))
                self.assertIn("A sentence.", self.ctl.run("users", code=exit_code))

    def test_names_that_would_steer_a_terminal(self):
        name = "a\x1b[2Jb\x07\u009b\u202e\nc"
        self.panel.on("GET", "/api/users", (200, [{**USER, "username": name}]))
        for text in (self.ctl.run("users"), self.ctl.terminal("users", columns=200).end(),
                     self.ctl.terminal("users", "-o", "json").end(),
                     self.ctl.terminal("users", "-o", "yaml").end()):
            for bad in ("\x1b[2J", "\x07", "\u009b", "\u202e"):
                self.assertNotIn(bad, text)
        self.assertIn(r"a\u001b[2Jb\u0007\u009b\u202e\nc", self.ctl.run("users"))
        self.assertEqual(self.ctl.json("users")[0]["username"], name)
        self.panel.on("GET", "/api/users", (400, error("invalid", "\x1b[31mboo")))
        self.assertNotIn("\x1b", self.ctl.run("users", code=1))

    def test_pages_are_put_together(self):
        users = [{**USER, "userId": f"u-{i}"} for i in range(3)]
        self.panel.on("GET", "/api/users",
                      lambda asked: (200, users[2:]) if "cursor=x" in asked.path else
                      (200, users[:2], {"Link": '</api/users?cursor=x&limit=2>; rel="next"'}))
        self.assertEqual(self.ctl.json("users"), users)


class Keys(Odd):
    def test_a_secret_whose_answer_was_lost_is_asked_for_again(self):
        """By the same Idempotency-Key, which is what has the panel tell it again."""
        self.panel.on("GET", f"/api/keys/{KEY['id']}", (200, KEY))
        self.panel.on("POST", "/api/keys", "lost", (201, {**KEY, "key": "panel_first"}))
        self.panel.on("POST", f"/api/keys/{KEY['id']}/rotate", "lost", (200, {**KEY, "key": "panel_other"}))
        self.assertEqual(self.ctl.run("key", "create", "shop"), "panel_first\n")
        self.assertEqual(self.ctl.run("key", "rotate", KEY["id"], "--yes"), "panel_other\n")
        for path in ("/api/keys", f"/api/keys/{KEY['id']}/rotate"):
            sent = self.panel.of("POST", path)
            self.assertEqual(len(sent), 2)
            self.assertEqual(len({one.headers["Idempotency-Key"] for one in sent}), 1)


class Events(Odd):
    EVENT = {"time": "2026-01-01T00:00:00.000Z", "type": "instance.created", "instanceId": "abcdefgh", "nodeId": "n-1",
             "userId": "u-1", "InternalState": "INSTALLING", "State": "creating", "Error": None}

    def serve(self, *texts):
        self.panel.on("GET", "/api/events", *((200, text.encode(), {"Content-Type": "text/event-stream"})
                                              for text in texts), (401, error("unauthorized")))

    def test_one_that_told_nothing_yet_goes_on_from_where_it_began(self):
        self.serve("retry: 1000\n\nid: 41\n\n", f"id: 42\ndata: {json.dumps(self.EVENT)}\n\n")
        told = self.ctl.try_run("events", "-f", "-o", "name")
        self.assertEqual((told.code, told.out), (4, "42\n"))
        asked = self.panel.of("GET", "/api/events")
        self.assertEqual([one.headers["Last-Event-ID"] for one in asked], [None, "41", "42"])

    def test_names_and_those_that_nobody_knows(self):
        self.panel.on("GET", "/api/users", (200, [USER]))
        self.panel.on("GET", "/api/nodes", (403, error("forbidden")))
        self.panel.on("GET", "/api/instances", (200, []))
        self.panel.on("GET", "/api/instances/abcdefgh", (200, {"Id": "abcdefgh", "Name": "late\x1b[2J"}))
        event = f"id: 1\ndata: {json.dumps(self.EVENT)}\n\n"
        self.serve(event, event)
        told = self.ctl.run("events")
        self.assertIn("instance=abcdefgh node=n-1 user=alex state=creating", told)
        told = self.ctl.try_run("events", "-f").out  # it is new, so it is asked for
        self.assertIn(r"instance=late\u001b[2J node=n-1 user=alex state=creating", told)


    def test_what_would_steer_a_terminal(self):
        bad = "a\u009b2J\u202eb"
        event = {**self.EVENT, "type": "node.created", "name": bad}
        for args in (["-o", "json"], ["-o", "name"], []):
            self.serve(f"id: 1\x1b[2J\ndata: {json.dumps(event, ensure_ascii=False)}\n\n")
            text = self.ctl.terminal("events", *args).end()
            for one in ("\u009b", "\u202e", "\x1b[2J"):
                self.assertNotIn(one, text)
        self.serve(f"id: 1\ndata: {json.dumps(event, ensure_ascii=False)}\n\n")
        self.assertIn(bad, self.ctl.run("events", "-o", "json"))  # into a pipe as it came
        state = {"Id": "abcdefgh", "Name": "web", "InternalState": "INSTALLING", "State": "pull\x1b[2Jing"}
        self.panel.on("GET", "/api/instances/abcdefgh", (200, state), (200, {
            **state, "InternalState": "READY", "State": "running"}))
        self.panel.on("POST", "/api/instances/abcdefgh/redeploy", (200, state))
        self.assertNotIn("\x1b[2J", self.ctl.terminal("instance", "redeploy", "abcdefgh").end())


class Waiting(Odd):
    NODE = {"id": "n-1", "name": "n1", "status": "Maintenance"}

    @staticmethod
    def drain(running):
        return {"running": running, "stopping": 0, "stopped": 1 - running}

    def test_a_drain_at_a_terminal(self):
        self.panel.on("GET", "/api/nodes/n-1", (200, {**self.NODE, "drain": self.drain(1)}),
                      (200, {**self.NODE, "drain": self.drain(1)}), (200, {**self.NODE, "drain": self.drain(1)}),
                      (504, error("outcome_unknown")), (200, {**self.NODE, "drain": self.drain(0)}))
        self.panel.on("PATCH", "/api/nodes/n-1", (200, {**self.NODE, "drain": self.drain(1)}))
        drain = self.ctl.terminal("node", "drain", "n-1")
        drain.expect("n1  draining  \\[")
        self.assertIn("n1 is empty", drain.end(0))


class Doctor(Odd):
    NODE = {"id": "n-1", "name": "n1", "status": "Online", "address": "192.0.2.1", "port": "7400",
            "maintenance": False, "drain": None, "lastSeen": None, "agentVersion": "0.0.1",
            "docker": {"status": "down", "version": None, "error": "no socket"}, "orphans": 2,
            "capacity": {"memoryMiB": 1000, "cpus": 2, "diskMiB": 1000},
            "usage": {"memoryMiB": 1, "diskMiB": 950, "cpuPercent": 1}}
    INSTANCE = {"Id": "abcdefghij", "Name": "web", "State": "crashed",
                "Error": {"code": "exited", "message": "It exits with 1."}}

    def findings(self, ctl=None, *args):
        done = (ctl or self.ctl).try_run("doctor", "-o", "json", *args)
        return done.code, {row["check"]: row for row in json.loads(done.out)}

    def serve(self, panel, headers=None):
        panel.on("GET", "/api/nodes", (200, [self.NODE], headers or {}))
        panel.on("GET", "/api/instances", (200, [self.INSTANCE]))
        panel.on("GET", "/api/openapi.json", (200, {"info": {"version": "9.9.9"}}))

    def test_all_that_can_be_wrong_with_nodes_and_instances(self):
        self.serve(self.panel)
        told = self.ctl.run("doctor", code=1)
        self.assertIn("FAIL", self.ctl.try_run("doctor").out)
        found = self.findings()[1]
        self.assertIn("no socket", found["docker"]["message"])
        self.assertIn("95 %", found["disk"]["message"])
        self.assertIn("2 containers", found["orphans"]["message"])
        self.assertIn("It exits with 1.", found["instance"]["message"])
        self.assertEqual(found["version"]["status"], "warn")
        self.assertEqual(told, "")

    def test_a_panel_that_can_not_write(self):
        self.serve(self.panel)
        self.assertEqual(self.findings()[1]["ready"]["status"], "ok")  # 404: a proxy keeps it for itself
        said = "The panel is not ready: store: the disk is full."
        for status, value, grade, word in (
                (200, {"status": "ready", "checks": {"store": "ok"}}, "ok", "can write"),
                (503, {"error": said, "code": "not_ready", "requestId": "r"}, "FAIL", "disk is full")):
            self.panel.on("GET", "/readyz", (status, value))
            found = self.findings()[1]["ready"]
            self.assertEqual(found["status"], grade)
            self.assertIn(word, found["message"])
        self.assertIn("df", found["fix"])

    def test_clocks_that_differ(self):
        for skew, status in ((0, "ok"), (-20, "warn"), (600, "FAIL")):
            with self.subTest(skew=skew):
                self.serve(self.panel, {"Date": email.utils.formatdate(time.time() + skew, usegmt=True)})
                self.assertEqual(self.findings()[1]["clock"]["status"], status)

    def test_the_panels_certificate_near_its_end(self):
        authority = Authority()
        for days, status in ((200, "ok"), (5, "warn")):
            with self.subTest(days=days):
                identity = authority.issue("localhost", "serverAuth", days=days)
                tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                tls.load_cert_chain(identity.cert, identity.key)
                panel = FakePanel(tls).start()
                self.serve(panel)
                url = panel.url.replace("127.0.0.1", "localhost")
                ctl = Panelctl(self.dir, url, self.ctl.key)
                found = self.findings(ctl, "--ca-cert", authority.cert)[1]
                self.assertEqual(found["tls"]["status"], status, found["tls"])
                if status == "warn":
                    code, found = self.findings(ctl)
                    self.assertEqual((code, found["panel"]["status"]), (1, "FAIL"))
                    self.assertIn("--ca-cert", found["panel"]["fix"])
                    self.assertIn("certificate", ctl.run("nodes", code=5))
                panel.stop()


class Hindered(Odd):
    """A node that can't do it now is told of, whatever it was asked for."""

    CHANGES = (["start", "web"], ["stop", "web"], ["restart", "web"], ["kill", "web"], ["suspend", "web"],
               ["unsuspend", "web"], ["update", "web", "--name", "web"], ["delete", "web", "--yes"])
    ID = "abcdefghijabcdefghij"

    def serve(self, node_status="Online", docker="up", state="stopping", **more):
        instance = {"Id": self.ID, "Name": "web", "State": state, "InternalState": "READY", "Error": None,
                    "Node": {"id": "n-1", "name": "n1", "status": node_status}, **more}
        node = dict(Doctor.NODE, docker={"status": docker, "version": None, "error": "no socket"})
        at = f"/api/instances/{self.ID}"
        self.panel.on("GET", "/api/instances", (200, [instance]))
        for method, path in (("GET", at), ("PATCH", at), ("POST", f"{at}/power"),
                             ("POST", f"/api/instances/suspend/{self.ID}"),
                             ("POST", f"/api/instances/unsuspend/{self.ID}")):
            self.panel.on(method, path, (200, instance))
        self.panel.on("DELETE", at, (200, {"Id": self.ID, "state": "DELETING"}))
        self.panel.on("GET", "/api/nodes", (200, [node]))
        self.panel.on("GET", "/api/nodes/n-1", (200, node))
        return instance

    def test_every_change_says_so(self):
        for given, words in (({"node_status": "Offline"}, "its node is offline"),
                             ({"node_status": "Suspect"}, "its node does not answer"),
                             ({"docker": "down"}, "Docker of its node does not answer (no socket)")):
            self.serve(**given)
            for args in self.CHANGES:
                with self.subTest(args=args, given=given):
                    told = self.ctl.run("instance", *args)
                    self.assertIn(words, told)
                    self.assertIn("back", told)
                    self.ctl.json("instance", *args)

    def test_nothing_is_said_of_a_node_that_is_well_or_unseen(self):
        for answer in ((200, dict(Doctor.NODE, docker={"status": "up"})), (403, error("forbidden"))):
            self.serve()
            self.panel.on("GET", "/api/nodes/n-1", answer)
            self.assertEqual(self.ctl.run("instance", "stop", "web"), f"web ({self.ID}) is stopping\n")

    def test_who_waits_is_told_what_for(self):
        away = self.serve("Offline", InternalState="INSTALLING")
        there = dict(away, InternalState="READY", State="running", Node=dict(away["Node"], status="Online"))
        self.panel.on("GET", f"/api/instances/{self.ID}", (200, away), (200, away), (200, away), (200, there))
        done = self.ctl.try_run("instance", "update", "web", "--name", "web")
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(done.err.count("its node is offline"), 1)
        self.assertNotIn("offline", done.out)

    def test_stats_without_figures_say_why(self):
        empty = dict(Stats.stats(self.ID, 0, 0), running=False, cpu=None, memory=None, network=None, pids=None)
        for given, words in (({"state": "stopped"}, "it is stopped"), ({"node_status": "Offline"}, "node is Offline"),
                             ({"state": "running", "docker": "down"}, "no socket")):
            with self.subTest(given=given):
                self.serve(**given)
                self.panel.on("GET", f"/api/instances/{self.ID}/stats", (200, empty))
                self.panel.on("GET", "/api/stats", (200, []))
                for args in (["web"], []):
                    done = self.ctl.try_run("instance", "stats", *args)
                    self.assertEqual(done.code, 0, done.err)
                    self.assertIn(f"no figures of web ({self.ID})", done.err)
                    self.assertIn(words, done.err)
        self.panel.on("GET", f"/api/instances/{self.ID}/stats", (200, Stats.stats(self.ID, 1, 1)))
        self.assertEqual(self.ctl.try_run("instance", "stats", "web").err, "")

    def test_the_table_of_nodes_shows_a_docker_that_is_down(self):
        self.serve(docker="down")
        self.assertRegex(self.ctl.run("nodes"), r"(?m)^n-1 +n1 +Online, no Docker ")
        self.assertEqual(self.ctl.json("nodes")[0]["status"], "Online")
        self.serve()
        self.assertRegex(self.ctl.run("nodes"), r"(?m)^n-1 +n1 +Online  ")


class Routes(Odd):
    """Whatever the API can, panelctl can."""

    # Those that others do as well or better, and what is for programs alone.
    LEFT_OUT = {
        ("POST", "/api/getUser"), ("POST", "/api/getInstance"), ("DELETE", "/api/images/delete"),
        ("DELETE", "/api/instance/delete"), ("POST", "/api/instances/{id}/console"),
    }
    FOR_PROGRAMS = ("/api/openapi.json",)

    LINES = """
        user list|user create x --email e|user update abc --admin no|user delete abc --yes
        node list|node create x --address h|node update abc --tags t|node token abc|node orphans abc
        node remove-orphan abc abcdefgh --yes|node delete abc --yes
        image list|image import -|image update abc --name x|image delete abc --yes
        instance list|instance list --user abc|instance deploy x -i x:y -u abc -p 80
        instance update abc --name x|instance start abc|instance suspend abc|instance unsuspend abc
        instance delete abc --yes|instance retry abc|instance redeploy abc|instance reinstall abc
        instance logs abc|instance console abc|instance command abc x|instance stats abc
        instance users abc|instance share abc abc|instance unshare abc abc
        key list|key get abc|key create x|key update abc --name x|key revoke abc --yes|key rotate abc --yes
        key whoami|user login x|user logout
        event list|audit list|top"""

    def answer(self, asked):
        """One thing that is a bit of everything, and lists of it; no stream."""
        thing = {name: "abc" for name in ("id", "Id", "userId", "name", "Name", "username", "Image", "key")}
        path = asked.path.split("?")[0]
        if path.endswith(("/events", "/console")):
            return 400, error("nothing_to_follow")
        if path.count("/") == 2 and path != "/api/getUserInstance" or path.endswith(("/orphans", "/users")):
            return 200, [thing] if asked.method == "GET" else thing
        return 200, [] if path == "/api/getUserInstance" else thing

    def test_each_is_reached_by_some_command(self):
        self.panel.default = self.answer
        for line in (line.strip() for row in self.LINES.split("\n") for line in row.split("|")):
            if line:
                done = self.ctl.try_run(*line.split(), said='{"Name":"x"}')
                self.assertIn(done.code, (0, 1), f"{line}: {done.err}")
        asked = {(one.method, openapi.load().find(one.path)[0]) for one in self.panel.asked}
        routes = {(method.upper(), path) for path, item in openapi.load().document["paths"].items()
                  for method in item if method in ("get", "post", "patch", "put", "delete")
                  and path.startswith("/api/") and path not in self.FOR_PROGRAMS}
        self.assertEqual(routes - asked - self.LEFT_OUT, set())


class Stats(Odd):
    @staticmethod
    def stats(identity, cpu, mib):
        return {"Id": identity, "at": "2026-01-01T00:00:00Z", "running": True, "uptimeSeconds": 5,
                "cpu": {"percent": cpu, "seconds": 1}, "memory": {"bytes": mib << 20, "limitBytes": 1 << 30},
                "network": {"receivedBytes": 2048, "sentBytes": 0}, "pids": 3, "volumeBytes": None,
                "blockIo": {"readBytes": 0, "writtenBytes": 0}}

    def setUp(self):
        super().setUp()
        self.panel.on("GET", "/api/instances", (200, [{"Id": "aaa", "Name": "zebra", "State": "running"},
                                                      {"Id": "bbb", "Name": "ant", "State": "running"}]))
        self.panel.on("GET", "/api/stats", (200, [self.stats("aaa", 3.25, 100), self.stats("bbb", 50, 2)]))

    def test_top_in_its_orders(self):
        for order, ids in (([], ["bbb", "aaa"]), (["--sort", "memory"], ["aaa", "bbb"]),
                           (["--sort", "name"], ["bbb", "aaa"])):
            self.assertEqual(self.ctl.run("top", "-o", "name", *order).split(), ids)
        self.assertRegex(self.ctl.run("top"), r"(?m)^aaa  zebra +3\.2 % +100 MiB +1 GiB +2 KiB +0 B +3$")
        self.assertEqual(self.ctl.json("instance", "stats")[0]["Name"], "ant")

    def test_top_waits_for_a_panel_that_is_away(self):
        good = (200, [self.stats("aaa", 1, 100)])
        self.panel.on("GET", "/api/stats", good, (504, error("outcome_unknown")),
                      (200, [self.stats("aaa", 2, 100), self.stats("bbb", 1, 1)]))
        top = self.ctl.terminal("top")
        top.expect("1 instances, 1 running")
        top.expect("waiting for it")
        top.expect("2 instances, 2 running")
        top.type("q").end(0)

    def test_top_stopped_leaves_the_terminal_as_it_was(self):
        top = self.ctl.terminal("top")
        top.expect("2 instances")
        until(lambda: top.modes() == (False, False), 10, "it takes keys")
        top.signal(signal.SIGTSTP)
        until(lambda: top.modes() == (True, True), 10, "others have the terminal")
        top.signal(signal.SIGCONT)
        until(lambda: top.modes() == (False, False), 10, "it takes keys again")
        top.type("q").end(0)

    def test_top_on_a_screen_sums_up(self):
        top = self.ctl.terminal("top")
        top.expect(r"2 instances, 2 running; 53\.2 % of a core, 102 MiB")
        top.type("q").end(0)

    def test_one_followed_has_its_head_once(self):
        events = "".join(f"event: stats\ndata: {json.dumps(self.stats('aaa', n, n))}\n\n" for n in (1, 2))
        self.panel.on("GET", "/api/instances/aaa", (200, {"Id": "aaa", "Name": "zebra"}))
        self.panel.on("GET", "/api/instances/aaa/stats",
                      (200, events.encode(), {"Content-Type": "text/event-stream"}),
                      (400, error("instance_not_found")))
        head, *rows = self.ctl.run("instance", "stats", "aaa", "-f").splitlines()
        self.assertIn("MEMORY", head)
        self.assertEqual([row.split()[2] for row in rows], ["1.0", "2.0"])

    def test_lines_that_were_lost_are_told(self):
        log = ('id: 1\ndata: {"time":"2026-01-01T00:00:00Z","stream":"stdout","line":"first"}\n\n'
               'event: lost\ndata: {"lines": 7}\n\n'
               'id: 2\ndata: {"time":"2026-01-01T00:00:01Z","stream":"stdout","base64":"/wBi","cut":true}\n\n'
               'id: 3\ndata: {"time":"2026-01-01T00:00:01Z","stream":"stdout","line":"rest"}\n\n')
        self.panel.on("GET", "/api/instances/aaa", (200, {"Id": "aaa", "Name": "zebra"}))
        self.panel.on("GET", "/api/instances/aaa/logs",
                      (200, log.encode(), {"Content-Type": "text/event-stream"}),
                      (400, error("instance_not_found")))
        with self.ctl.piped("instance", "logs", "aaa", "-f") as logs:
            out, said = logs.communicate(timeout=30)
        self.assertEqual(out, b"first\n\xff\x00brest\n")
        self.assertIn(b"7 lines are missing", said)
        again = self.panel.of("GET", "/api/instances/aaa/logs")[1]
        self.assertEqual(again.headers["Last-Event-ID"], "3")
