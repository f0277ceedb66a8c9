"""Clients that are slow on purpose: each is cut at its deadline, and costs nobody else anything."""
import socket
import threading
import time
import unittest

from lib.world import World

HEAD_SECONDS = 15  # for the whole head, and …
BODY_SECONDS = 30  # … for the whole body, however busily bytes drip in
MARGIN = 6


class Slow(unittest.TestCase):
    def setUp(self):
        self.world = World().start()

    def tearDown(self):
        self.world.stop()

    def drip(self, name, first, seconds, ends):
        """Send `first`, then a byte each half second; note when the server hung up."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.world.panel.port)) as sock:
            sock.settimeout(0.5)
            sock.sendall(first)
            while time.monotonic() - began < seconds + MARGIN:
                try:
                    if sock.recv(4096) == b"":
                        ends[name] = time.monotonic() - began
                        return
                except socket.timeout:
                    pass
                except OSError:
                    ends[name] = time.monotonic() - began
                    return
                try:
                    sock.sendall(b"a")
                except OSError:
                    ends[name] = time.monotonic() - began
                    return

    def test_each_is_cut_at_its_deadline(self):
        key = self.world.panel.key.encode()
        body = (b"POST /api/getUser HTTP/1.1\r\nHost: x\r\nx-api-key: " + key +
                b"\r\nContent-Type: application/json\r\n")
        drips = {
            "request line": (b"GET /api/", HEAD_SECONDS),
            "head": (b"GET /api/users HTTP/1.1\r\nHost: x\r\nX-Slow: ", HEAD_SECONDS),
            "body": (body + b"Content-Length: 1000\r\n\r\n{", BODY_SECONDS),
            "chunks": (body + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n{", BODY_SECONDS),
        }
        ends = {}
        threads = [threading.Thread(target=self.drip, args=(name, first, seconds, ends))
                   for name, (first, seconds) in drips.items() for _ in range(5)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self.assertLess(self.world.api.get("/api/users").expect(200).seconds, 1)
            time.sleep(0.25)
        for name, (_, seconds) in drips.items():
            self.assertIn(name, ends, "was never cut")
            self.assertLess(ends[name], seconds + MARGIN, name)
            self.assertGreater(ends[name], seconds - MARGIN, name)
