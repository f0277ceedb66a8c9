"""Join: a token, once, for one node; and what an agent needs to begin."""
import contextlib
import json
import os
import signal
import socket
import sqlite3
import threading
import unittest
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

from lib import places
from lib.agent import Agent
from lib.daemon import Daemon
from lib.promises import proves
from lib.wait import hold, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start(join=False)


def tearDownModule():
    WORLD.stop()


def agent(name):
    return Agent(WORLD.dir, WORLD.engine.socket, name)


@contextlib.contextmanager
def impostor(change):
    """The URL of one who asks the panel what he is asked, and answers change(status, JSON)."""
    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = urllib.request.Request(WORLD.panel.url + self.path, data=body,
                                             headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request) as answer:
                    status, text = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, text = error.code, error.read()
            status, value = change(status, json.loads(text))
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass
    server = HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Join(unittest.TestCase):
    def test_makes_a_node_online(self):
        joining = agent("good")
        node = WORLD.create_node("good")
        self.assertEqual(WORLD.api.node(node["id"])["status"], "Unconfigured")
        joining.join(WORLD.panel.url, node["joinToken"])
        joining.start()
        WORLD.await_status(node["id"], "Online")
        seen = WORLD.api.node(node["id"])
        self.assertTrue(seen["agentVersion"])
        self.assertTrue(seen["lastSeen"])
        self.assertIn("20.", seen["docker"]["version"])
        self.assertTrue(seen["capacity"])
        joining.stop()

    def test_a_token_is_good_once(self):
        node = WORLD.create_node("once")
        agent("first").join(WORLD.panel.url, node["joinToken"])
        done = agent("second").try_join(WORLD.panel.url, node["joinToken"])
        self.assertNotEqual(done.code, 0)
        self.assertTrue(done.err.strip())

    def test_a_machine_that_has_joined_is_told_where(self):
        node = WORLD.create_node("settled")
        settled = agent("settled").join(WORLD.panel.url, node["joinToken"])
        with open(settled.state + "/identity.json") as identity:
            panel_id = json.load(identity)["panelId"]
        again = settled.try_join(WORLD.panel.url, node["joinToken"])
        other = settled.try_join(WORLD.panel.url, WORLD.create_node("unsettled")["joinToken"])
        for done in (again, other):
            self.assertNotEqual(done.code, 0)
            for word in (node["id"], panel_id, settled.state):
                self.assertIn(word, done.err)
        self.assertIn("panel-agent --state", again.err)
        self.assertIn("another --state", other.err)
        # Whoever does what it says has lost nothing.
        self.assertNotIn("empty", other.err)
        for word in ("identity.json, agent.key, agent.crt, ca.crt and epoch", "nothing else", "volumes/"):
            self.assertIn(word, other.err)
        self.assertTrue(other.err.endswith("files)\n"), "it isn't cut off")
        settled.start()
        WORLD.await_status(node["id"], "Online")
        settled.stop()

    def test_a_node_is_given_up_as_it_is_told(self):
        moved = agent("moved").join(WORLD.panel.url, WORLD.create_node("left")["joinToken"])
        os.makedirs(moved.state + "/volumes/v")
        for name in ("identity.json", "agent.key", "agent.crt", "ca.crt", "epoch"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{moved.state}/{name}", f"{WORLD.dir}/moved.{name}")
        node = WORLD.create_node("found")
        moved.join(WORLD.panel.url, node["joinToken"])
        moved.start()
        WORLD.await_status(node["id"], "Online")
        moved.stop()
        self.assertTrue(os.path.isdir(moved.state + "/volumes/v"))

    def test_a_place_is_for_one_node(self):
        place = places.free_port()
        first = WORLD.create_node("first here", place)
        WORLD.create_node("not joined yet", place)
        agent("placed").join(WORLD.panel.url, first["joinToken"])
        body = {"name": "second here", "tags": "t", "ram": "1", "disk": "1", "processor": "1",
                "address": "127.0.0.1", "port": place}
        WORLD.api.post("/api/nodes/create", body).refused(
            409, code="node_exists", field="address", says=("first here", first["id"]))
        WORLD.api.delete("/api/nodes/delete", {"nodeId": first["id"]}).expect(201)
        WORLD.api.post("/api/nodes/create", body).expect(201)

    def test_wrong_tokens_are_refused(self):
        node = WORLD.create_node("wrong")
        good = node["joinToken"]
        flipped = good[:-1] + ("a" if good[-1] != "a" else "b")
        for token in ("", "x", flipped, good[:-1], good.replace(node["id"], "no-such-node")):
            with self.subTest(token=token):
                done = agent("wrong").try_join(WORLD.panel.url, token)
                self.assertNotEqual(done.code, 0)
                self.assertTrue(done.err.strip())
        # None of these has used it up.
        agent("right").join(WORLD.panel.url, good)

    def test_an_expired_token_is_refused(self):
        node = WORLD.create_node("late")
        WORLD.panel.stop()
        with sqlite3.connect(WORLD.panel.data + "/panel.db") as db:
            db.execute("UPDATE node_joins SET expires_at=1 WHERE node_id=?", (node["id"],))
        db.close()
        WORLD.panel.start()
        done = agent("late").try_join(WORLD.panel.url, node["joinToken"])
        self.assertNotEqual(done.code, 0)
        self.assertIn("expired", done.err)

    def test_a_token_of_a_deleted_node_is_refused(self):
        node = WORLD.create_node("deleted")
        WORLD.api.delete("/api/nodes/delete", {"nodeId": node["id"]}).expect(201)
        self.assertNotEqual(agent("deleted").try_join(WORLD.panel.url, node["joinToken"]).code, 0)

    def test_a_panel_that_is_not_there_is_said(self):
        node = WORLD.create_node("nobody")
        done = agent("nobody").try_join(f"http://127.0.0.1:{places.free_port()}", node["joinToken"])
        self.assertNotEqual(done.code, 0)
        self.assertTrue(done.err.strip())

    def test_a_signal_ends_it_at_once(self):
        node = WORLD.create_node("hasty")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            joining = Daemon("hasty", [places.AGENT, "join", "--panel", url, "--token",
                                       node["joinToken"], "--state", os.path.join(WORLD.dir, "hasty")],
                             WORLD.dir).start()
            silent.settimeout(10)
            with silent.accept()[0]:
                # Not SIGINT, which is ignored by all that is started from a background job.
                joining.process.send_signal(signal.SIGTERM)
                self.assertEqual(joining.wait_exit(3), -signal.SIGTERM)

    def test_a_node_that_says_nothing_has_a_docker_unknown(self):
        node = WORLD.create_node("silent")
        agent("silent").join(WORLD.panel.url, node["joinToken"])
        hold(lambda: WORLD.api.node(node["id"])["docker"]["status"] == "unknown", 1, "it is unknown")

    @proves("I7", fault="a join that somebody listens to")
    def test_the_secret_never_crosses_the_wire(self):
        node = WORLD.create_node("sniffed")
        seen = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            import threading

            def relay():
                client, _ = listener.accept()
                with client, socket.create_connection(("127.0.0.1", WORLD.panel.port)) as panel:
                    def pump(source, sink):
                        while data := source.recv(65536):
                            seen.append(data)
                            sink.sendall(data)
                        sink.shutdown(socket.SHUT_WR)
                    back = threading.Thread(target=pump, args=(panel, client))
                    back.start()
                    try:
                        pump(client, panel)
                    except OSError:
                        pass
                    back.join(5)
            thread = threading.Thread(target=relay, daemon=True)
            thread.start()
            agent("sniffed").join(f"http://127.0.0.1:{port}", node["joinToken"])
            thread.join(5)
        wire = b"".join(seen)
        self.assertIn(node["id"].encode(), wire)
        self.assertNotIn(node["joinToken"].split(".")[-1].encode(), wire)
        self.assertNotIn(b"PRIVATE KEY", wire)

    @proves("I7", fault="a join answer changed on its way")
    def test_an_answer_that_was_tampered_with_is_refused(self):
        node = WORLD.create_node("tampered")

        def tamper(status, value):
            return status, {key: item + "\n" if "CERTIFICATE" in str(item) else item
                            for key, item in value.items()}
        joining = agent("tampered")
        with impostor(tamper) as url:
            done = joining.try_join(url, node["joinToken"])
        self.assertNotEqual(done.code, 0)
        for name in ("identity.json", "agent.crt", "ca.crt"):
            self.assertFalse(os.path.exists(os.path.join(joining.state, name)), name)

    @proves("I7", fault="a join that an impostor answers")
    def test_an_impostor_can_not_spoil_a_join(self):
        """The panel has used up the token for a request whose answer never arrived. Whoever says
        "refused" then without knowing the secret must not make the agent forget that request."""
        node = WORLD.create_node("spoiled")
        joining = agent("spoiled")
        with impostor(lambda status, value: (401, {"error": "no", "code": "unauthorized"})) as url:
            self.assertNotEqual(joining.try_join(url, node["joinToken"]).code, 0)
            self.assertNotEqual(joining.try_join(url, node["joinToken"]).code, 0)
        joining.join(WORLD.panel.url, node["joinToken"])


class Begin(unittest.TestCase):
    def test_without_a_join_it_says_what_to_do(self):
        alone = agent("unjoined")
        alone.start()
        self.assertNotEqual(alone.daemon.wait_exit(10), 0)
        self.assertIn("join", alone.daemon.log())

    def test_its_key_and_state_are_for_the_owner_only(self):
        joining = agent("modes")
        joining.join(WORLD.panel.url, WORLD.create_node("modes")["joinToken"])
        for folder, _, names in os.walk(joining.state):
            for name in names:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                self.assertEqual(mode & 0o077, 0, f"{name} has mode {mode & 0o7777:o}")

    def test_with_the_panel_unreachable_it_waits(self):
        joining = agent("patient")
        node = WORLD.create_node("patient")
        joining.join(WORLD.panel.url, node["joinToken"])
        WORLD.panel.stop()
        joining.start()
        until(lambda: "listening" in joining.daemon.output(), 10, "the agent listens")
        WORLD.panel.start()
        WORLD.await_status(node["id"], "Online")
        joining.stop()

    def test_with_docker_down_it_waits_and_says_so(self):
        joining = Agent(WORLD.dir, os.path.join(WORLD.dir, "nothing.sock"), "dockerless")
        node = WORLD.create_node("dockerless")
        joining.join(WORLD.panel.url, node["joinToken"])
        joining.start()
        WORLD.await_status(node["id"], "Online")
        until(lambda: WORLD.api.node(node["id"])["docker"]["status"] in ("down", "error"), 5,
              "the node tells that docker is down")
        joining.stop()

    def test_two_on_one_state_folder_are_refused(self):
        joining = agent("single")
        node = WORLD.create_node("single")
        joining.join(WORLD.panel.url, node["joinToken"])
        joining.start()
        WORLD.await_status(node["id"], "Online")
        twin = Agent(WORLD.dir, WORLD.engine.socket, "twin")
        twin.daemon.argv = joining.daemon.argv
        twin.start()
        self.assertNotEqual(twin.daemon.wait_exit(10), 0)
        self.assertIn(f"(pid {joining.daemon.pid})", twin.daemon.log())
        self.assertEqual(WORLD.api.node(node["id"])["status"], "Online")
        joining.stop()

    def test_truncated_files_beside_its_identity_are_no_end(self):
        joining = agent("hurt")
        node = WORLD.create_node("hurt")
        joining.join(WORLD.panel.url, node["joinToken"])
        joining.start()
        WORLD.await_status(node["id"], "Online")
        joining.kill()
        # What a crash in the middle of writing leaves: a temporary name, half full.
        for name in os.listdir(joining.state):
            path = os.path.join(joining.state, name)
            if os.path.isfile(path):
                with open(path + ".tmp", "w") as out:
                    out.write("{half")
        joining.start()
        until(lambda: "listening" in joining.daemon.output(), 10, "the agent listens")
        WORLD.await_status(node["id"], "Online")
        joining.stop()

    def test_a_broken_identity_is_said(self):
        joining = agent("broken")
        joining.join(WORLD.panel.url, WORLD.create_node("broken")["joinToken"])
        for name in os.listdir(joining.state):
            path = os.path.join(joining.state, name)
            if os.path.isfile(path) and not name.endswith(".lock"):
                os.truncate(path, os.path.getsize(path) // 2)
        joining.start()
        self.assertNotEqual(joining.daemon.wait_exit(10), 0)
        self.assertTrue(joining.daemon.log().strip())


class Link(unittest.TestCase):
    """The agent's port talks to its panel alone."""

    @classmethod
    def setUpClass(cls):
        cls.agent = agent("link")
        cls.port = places.free_port()
        cls.node = WORLD.create_node("link", cls.port)
        cls.agent.join(WORLD.panel.url, cls.node["joinToken"])
        cls.agent.start()
        WORLD.await_status(cls.node["id"], "Online")

    @classmethod
    def tearDownClass(cls):
        cls.agent.stop()

    def test_strangers_without_tls_are_cut_and_harm_nobody(self):
        for data in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 1000, os.urandom(5000),
                     b"\x00SP\x00\x00\x30\x00\x00"):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(data)
        self.assertEqual(WORLD.api.node(self.node["id"])["status"], "Online")
        self.agent.daemon.expect_running()

    def test_silent_strangers_do_not_keep_the_panel_out(self):
        idle = [socket.create_connection(("127.0.0.1", self.port), timeout=5) for _ in range(50)]
        WORLD.panel.restart()
        WORLD.await_status(self.node["id"], "Online", timeout=30)
        for sock in idle:
            sock.close()

    def test_a_client_without_a_certificate_gets_nothing(self):
        import ssl
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with self.assertRaises((ssl.SSLError, ConnectionError, OSError)):
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.settimeout(5)
                with context.wrap_socket(sock) as tls:
                    tls.sendall(b"\x00SP\x00\x00\x30\x00\x00")
                    if not tls.recv(8):
                        raise ConnectionError("closed")
        self.assertEqual(WORLD.api.node(self.node["id"])["status"], "Online")
