"""Crowds: connections that come and go, requests without a key, waits by the thousand, no descriptor
left. The panel serves on, and afterwards has no more of anything than before."""
import concurrent.futures
import json
import select
import socket
import struct
import threading
import time
import unittest

from lib import raw
from lib.hostile import Attack
from lib.promises import proves, ran
from lib.resources import Resources
from lib.wait import until
from lib.world import World

RST = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset


class Storm(unittest.TestCase):
    def setUp(self):
        self.world = World().start()
        self.get = raw.request("GET", "/api/users?limit=1", [("Host", "x"), ("x-api-key", self.world.panel.key)])
        for _ in range(50):
            self.world.api.users()
        self.before = Resources(self.world.panel.daemon.pid)

    def tearDown(self):
        self.world.stop()

    def now(self):
        return Resources(self.world.panel.daemon.pid)

    def as_before(self, rss_mib=20):
        until(lambda: self.now().fds <= self.before.fds + 10, 20, lambda: f"{self.now()}; before: {self.before}")
        self.now().at_most(self.before, rss_mib=rss_mib, fds=10, threads=0)

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.world.panel.port), timeout=20)
        return sock

    def good_is_served(self, times=20):
        for _ in range(times):
            self.world.api.get("/api/users").expect(200)


class Reconnects(Storm):
    @proves("I6", fault="a storm of 5,000 connections")
    def test_connect_ask_close(self):
        def some(count):
            for _ in range(count):
                with self.connect() as sock:
                    sock.sendall(self.get)
                    if not sock.recv(65536).startswith(b"HTTP/1.1 200"):
                        return False
            return True
        with concurrent.futures.ThreadPoolExecutor(50) as crowd:
            self.assertTrue(all(crowd.map(some, [100] * 50)))
        self.as_before()
        ran(5000)

    @proves("I5", "I6", fault="connections reset at any moment")
    def test_connect_and_reset(self):
        """After no byte, a part of the head, all of it, and while the answer is on its way."""
        for n in range(3000):
            sock = self.connect()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            sock.sendall(self.get[:n % (len(self.get) + 1)])
            if n % 7 == 0:
                sock.sendall(self.get * 3)
            sock.close()
        self.good_is_served()
        self.as_before()
        ran(3000)

    @proves("I6", fault="half-closed connections")
    def test_half_closed(self):
        """Answered, and not kept: the end may come in one packet with the request, or after it."""
        socks = []
        for n in range(300):
            sock = self.connect()
            sock.sendall(self.get)
            if n % 3 == 0:
                time.sleep(0.002)
            sock.shutdown(socket.SHUT_WR)
            socks.append(sock)
        for sock in socks:
            self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 200"))
        until(lambda: self.now().fds <= self.before.fds + 10, 20, "half-closed ones are ended")
        for sock in socks:
            sock.close()
        self.as_before()
        ran(300)


class Pipelines(Storm):
    def test_five_hundred_in_one_packet(self):
        answers, _ = raw.exchange("127.0.0.1", self.world.panel.port, self.get * 500, timeout=30, enough=500)
        self.assertEqual([a.status for a in answers], [200] * 500)

    @proves("I6", fault="pipelines whose answers nobody reads")
    def test_without_end_and_unread(self):
        with self.connect() as sock:
            sock.settimeout(1)
            sent = 0
            try:
                for _ in range(2000):
                    sock.sendall(self.get * 100)
                    sent += 100
            except socket.timeout:
                pass
            self.assertLess(sent, 200000, "nothing was held back")
            self.good_is_served()
            self.now().at_most(self.before, rss_mib=20, fds=10, threads=0)
        self.as_before()


class Strangers(Storm):
    """Who has no key changes nothing, and keeps nobody out."""

    def join(self, **more):
        return json.dumps({"nodeId": "x", "csr": "c" * 16000, "nonce": "n" * 64, "agentVersion": "1",
                           "mac": "m" * 64, **more}).encode()

    @proves("I7", "I6", fault="POST /join hammered without a token")
    def test_join_is_hammered(self):
        node = self.world.create_node()
        users, nodes = self.world.api.users(), self.world.api.nodes()
        self.before = self.now()

        def some(number):
            body = self.join(nodeId=node["id"] if number % 2 else "x")
            data = raw.request("POST", "/join", [("Host", "x"), ("Content-Type", "application/json"),
                                                 ("Content-Length", str(len(body)))], body)
            answers, _ = raw.exchange("127.0.0.1", self.world.panel.port, data * 50, timeout=30, enough=50)
            return [a.status for a in answers] == [401] * 50
        with concurrent.futures.ThreadPoolExecutor(8) as crowd:
            done = [crowd.submit(some, n) for n in range(40)]
            self.good_is_served(50)
            self.assertTrue(all(one.result() for one in done))
        self.assertEqual(self.world.api.users(), users)
        self.assertEqual(self.world.api.nodes(), nodes)
        self.as_before()
        ran(2000)

    @proves("I7", fault="requests with keys that are none")
    def test_keys_are_guessed(self):
        data = b"".join(raw.request("POST", "/api/auth/create-user", [
            ("Host", "x"), ("x-api-key", f"panel_{n:036d}"), ("Content-Type", "application/json")])
            for n in range(1000))
        answers, _ = raw.exchange("127.0.0.1", self.world.panel.port, data, timeout=30, enough=1000)
        self.assertEqual([a.status for a in answers], [401] * 1000)
        self.assertEqual([u["username"] for u in self.world.api.users()], ["owner"])
        self.as_before()
        ran(1000)


class Passwords(Storm):
    @proves("I6", fault="passwords by the hundred")
    def test_past_the_queue_they_are_refused_at_once(self):
        """Each costs 64 MiB and much time; one at a time is hashed, 64 wait."""
        def create(number):
            return self.world.panel.client().post("/api/auth/create-user", {
                "username": f"u{number}", "email": f"u{number}@example.test", "password": "long enough"},
                timeout=60)
        with concurrent.futures.ThreadPoolExecutor(200) as crowd:
            done = [crowd.submit(create, n) for n in range(200)]
            self.good_is_served(30)
            answers = [one.result() for one in done]
        made = [a.json["username"] for a in answers if a.status == 201]
        for answer in answers:
            if answer.status != 201:
                answer.refused(503)
        self.assertGreaterEqual(len(made), 64)
        self.assertEqual(sorted(u["username"] for u in self.world.api.users()), sorted(made + ["owner"]))
        self.as_before(rss_mib=100)
        ran(200)


class Waits(unittest.TestCase):
    """A thousand answers that wait for a Docker Engine that hangs."""

    COUNT = 1000

    def setUp(self):
        self.world = World("scripted").start()
        self.instance = self.world.deploy(image="test:httpd")["Id"]
        self.before = Resources(self.world.panel.daemon.pid)

    def tearDown(self):
        self.world.engine.stuck.set()
        self.world.stop()

    @proves("I6", fault="1,000 waiting requests")
    def test_each_ends_by_the_change_or_its_clients_end(self):
        panel = self.world.panel
        self.world.engine.stuck = threading.Event()
        ask = raw.request("POST", f"/api/instances/suspend/{self.instance}",
                          [("Host", "x"), ("x-api-key", panel.key), ("Content-Length", "0")])
        socks = []
        for _ in range(self.COUNT):
            sock = socket.create_connection(("127.0.0.1", panel.port), timeout=30)
            sock.sendall(ask)
            socks.append(sock)
        until(lambda: Resources(panel.daemon.pid).fds >= self.before.fds + self.COUNT - 10, 20, lambda: f"all are held: {Resources(panel.daemon.pid)}")
        for _ in range(20):
            self.world.api.get("/api/users").expect(200)
        self.assertEqual(select.select(socks, [], [], 0)[0], [], "one was answered before the change")
        gone = socks[::3]
        for n, sock in enumerate(gone):
            if n % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            sock.close()
        Resources(panel.daemon.pid).at_most(self.before, rss_mib=100, fds=self.COUNT + 10, threads=0)
        self.world.engine.stuck.set()
        for n, sock in enumerate(socks):
            if n % 3:
                with sock:
                    self.assertTrue(sock.recv(65536).startswith(b"HTTP/1.1 200"))
        until(lambda: Resources(panel.daemon.pid).fds <= self.before.fds + 10, 20, "all descriptors are back")
        Resources(panel.daemon.pid).at_most(self.before, rss_mib=40, fds=10, threads=0)
        ran(self.COUNT)


class Room(unittest.TestCase):
    """Where descriptors are few, half of them are for clients, and strangers make room for others."""

    DESCRIPTORS = 128

    def setUp(self):
        world = World()
        world.panel.descriptors = self.DESCRIPTORS
        self.world = world.start()

    def tearDown(self):
        self.world.stop()

    @proves("I6", "I9", fault="no descriptor left")
    def test_strangers_do_not_take_all_of_it(self):
        panel = self.world.panel
        before = Resources(panel.daemon.pid)
        for kind in ("join", "silent"):
            with self.subTest(kind=kind), Attack(panel, {kind: 300}, again=True):
                for _ in range(10):
                    self.world.api.get("/api/users").expect(200)
                    self.assertLess(Resources(panel.daemon.pid).fds, self.DESCRIPTORS)
        until(lambda: Resources(panel.daemon.pid).fds <= before.fds + 5, 35, "each is ended by its deadline")

    @proves("I6", fault="no descriptor left")
    def test_those_with_a_key_wait_for_each_other(self):
        """Past the limit new ones wait in the kernel's queue, at no cost, and are served when room is."""
        panel = self.world.panel
        idle = 200
        socks = []
        for _ in range(idle):
            sock = socket.create_connection(("127.0.0.1", panel.port))
            sock.sendall(raw.request("POST", "/api/getUser", [
                ("Host", "x"), ("x-api-key", panel.key), ("Content-Type", "application/json"),
                ("Content-Length", "100")]) + b"{")
            socks.append(sock)
        time.sleep(1)
        busy = Resources(panel.daemon.pid)
        time.sleep(2)
        now = Resources(panel.daemon.pid)
        self.assertLess(now.fds, self.DESCRIPTORS)
        self.assertLess(now.cpu_seconds - busy.cpu_seconds, 0.5, "a thread spins")
        for sock in socks:
            sock.close()
        for _ in range(20):
            self.world.api.get("/api/users").expect(200)
