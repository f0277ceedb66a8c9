"""What following logs costs: the delay of a line, many followers, and a container that prints without end.

The clients that are counted only read and throw away: an epoll loop in this process."""
import json
import selectors
import socket
import statistics
import threading
import time

from bench import floors, load
from bench.figures import Figure
from bench.measure import cpu_seconds, rss_mib
from bench.plain import Plain
from lib import images
from lib.world import World

ECHO = "while read -r line; do echo \"$line\"; done"
RATE = "i=0; while true; do i=$((i+1)); echo \"$i a line of about one hundred characters, as a game server " \
       "prints them when somebody comes\"; sleep 0.005; done"
FLOOD = "yes 'a line of about one hundred characters, as a game server prints them, but without any end at all, so'"


class Clients:
    """Many that follow. The first one's pieces are noted: (monotonic, bytes)."""

    def __init__(self, port, request, count):
        self.pieces = []
        self.bytes = 0
        self.over = False
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(request)
            sock.setblocking(False)
            self.sockets.append(sock)
            self.selector.register(sock, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.over:
            for key, _ in self.selector.select(0.2):
                try:
                    data = key.fileobj.recv(65536)
                except BlockingIOError:
                    continue
                if not data:
                    self.selector.unregister(key.fileobj)
                    continue
                self.bytes += len(data)
                if key.fileobj is self.sockets[0]:
                    self.pieces.append((time.monotonic(), len(data)))

    def close(self):
        self.over = True
        self.thread.join()
        for sock in self.sockets:
            sock.close()


class Follower(threading.Thread):
    """One that reads lines; when each came."""

    def __init__(self, port, key, path):
        super().__init__(daemon=True)
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: panel\r\nx-api-key: {key}\r\n\r\n".encode())
        self.heard = {}
        self.news = threading.Condition()
        self.start()

    def run(self):
        for line in self.sock.makefile("rb"):
            if line.startswith(b"data: "):
                now = time.monotonic()
                with self.news:
                    self.heard[self.name(json.loads(line[6:]))] = now
                    self.news.notify_all()

    def name(self, told):
        """What it is asked for by."""
        return told.get("line")

    def of(self, text):
        with self.news:
            if not self.news.wait_for(lambda: text in self.heard, timeout=10):
                raise AssertionError(f"{text!r} didn't come")
            return self.heard[text]


class StreamBench:
    def __init__(self, programs, say):
        self.programs = programs
        self.say = say
        self.figures = []
        self.world = World("docker", config={}).start()
        images.sleeper(self.world.engine.api)
        self.number = 0

    def add(self, *args, **more):
        self.figures.append(Figure(*args, **more))
        figure = self.figures[-1]
        self.say(f"  {figure.name}: {figure.value:.2f} {figure.unit} {figure.note}")

    def deploy(self, script):
        self.number += 1
        name = f"stream {self.number}"
        self.world.api.post("/api/images/create", {
            "Name": name, "Image": "test:sleeper", "Cmd": [images.BUSYBOX, "sh", "-c", script]}).expect(201)
        return self.world.deploy(image="test:sleeper", imagename=name)["Id"]

    def request(self, instance_id):
        return (f"GET /api/instances/{instance_id}/logs?follow=1&tail=0 HTTP/1.1\r\nHost: panel\r\n"
                f"x-api-key: {self.world.panel.key}\r\n\r\n").encode()

    def delay(self, count):
        """From the container's printing (Docker's own time of the line) to the client."""
        instance_id = self.deploy(ECHO)
        panel = self.world.panel
        client = Plain(panel.port, panel.key)
        docker = Follower(panel.port, panel.key, f"/api/instances/{instance_id}/logs?follow=1&tail=0")
        time.sleep(0.5)
        told, floor = [], []
        for number in range(count):
            began = time.monotonic()
            client.expect(200, "POST", f"/api/instances/{instance_id}/command", {"line": f"n{number}"})
            floor.append((time.monotonic() - began) * 1000)
            told.append((docker.of(f"n{number}") - began) * 1000)
            time.sleep(0.02)
        told.sort()
        self.add("from POST command until its echo is in the stream: p99", told[int(len(told) * 0.99) - 1], "ms",
                 goal=("<=", 20), note=f"median {statistics.median(told):.1f} ms of {count}; the answer to the"
                                       f" command alone takes {statistics.median(floor):.1f} ms")
        self.world.delete(instance_id)

    def many(self, count, seconds):
        """CPU of so many followers of one instance, beside libmicrohttpd copying the same bytes."""
        instance_id = self.deploy(RATE)
        pid = self.world.panel.daemon.pid
        clients = Clients(self.world.panel.port, self.request(instance_id), count)
        time.sleep(2)
        before, first, at = cpu_seconds(pid), len(clients.pieces), clients.bytes
        time.sleep(seconds)
        used, pieces, sent = cpu_seconds(pid) - before, clients.pieces[first:], clients.bytes - at
        clients.close()
        self.world.delete(instance_id)
        with floors.StreamFloor(self.programs) as floor:
            copies = Clients(floor.port, b"GET / HTTP/1.1\r\nHost: floor\r\n\r\n", count)
            time.sleep(1)
            before, began = cpu_seconds(floor.pid), time.monotonic()
            for when, length in pieces:
                time.sleep(max(0.0, when - pieces[0][0] - (time.monotonic() - began)))
                floor.add(length)
            time.sleep(0.2)
            alone = cpu_seconds(floor.pid) - before
            copies.close()
        self.add(f"{count} followers of one instance: CPU", used * 1000 / len(pieces), "ms/piece",
                 floor=alone * 1000 / len(pieces), goal=("<=", 1.5),
                 note=f"{len(pieces) / seconds:.0f} pieces/s, {sent / seconds / 1e6:.1f} MB/s to all; floor: bare"
                      " libmicrohttpd copying them")

    def flood(self, seconds):
        """One container prints without end, and is followed: what others feel of it."""
        panel, agent = self.world.panel, self.world.agent
        quiet = self.deploy("sleep 100000")
        reads = load.write_requests(f"{self.world.dir}/reads", [("POST", "/api/getInstance", {"id": quiet})])

        def p99():
            return statistics.median(load.run(panel.port, reads, panel.key, 2, 2)["p99_ms"] for _ in range(3))
        loud = self.deploy(FLOOD)
        time.sleep(1)
        before = p99()  # it prints already: Docker's own cost is in both
        rss = [rss_mib(part.daemon.pid) for part in (panel, agent)]
        clients = Clients(panel.port, self.request(loud), 3)
        time.sleep(1)
        meanwhile = p99()
        time.sleep(seconds)
        grown = [rss_mib(part.daemon.pid) - was for part, was in zip((panel, agent), rss)]
        rate = clients.bytes / 3 / (time.monotonic() - clients.pieces[0][0]) / 1e6
        clients.close()
        self.add("point reads beside it: p99 rises by", meanwhile - before, "ms", goal=("<=", 10),
                 note=f"{before:.2f} → {meanwhile:.2f} ms; each of 3 followers gets {rate:.1f} MB/s")
        self.add("paneld's memory rises by", grown[0], "MiB", goal=("<=", 8), note="a container prints without end")
        self.add("panel-agent's memory rises by", grown[1], "MiB", goal=("<=", 8), note="likewise")
        for instance_id in (loud, quiet):
            self.world.delete(instance_id)


def run(programs, lines=300, followers=200, seconds=10, say=print):
    bench = StreamBench(programs, say)
    try:
        bench.delay(lines)
        bench.many(followers, seconds)
        bench.flood(seconds)
    except BaseException:
        bench.world.abandon()
        raise
    bench.world.stop()
    return bench.figures
