"""Reads, lists, durable writes and deploys of one panel with a given number of instances."""
import json
import os
import re
import sqlite3
import subprocess
import threading
import time

from bench import floors, load
from bench.figures import Figure, compare, number
from bench.measure import cpu_seconds, rss_mib
from bench.plain import Plain
from bench.simfleet import SimFleet
from lib import places
from lib.paneld import Paneld
from lib.wait import until

NODES = 20


class Bench:
    """A panel with users and instances on simulated nodes."""

    def __init__(self, programs, instances, rounds, seconds, say):
        self.programs = programs
        self.instances = instances
        self.rounds = rounds
        self.seconds = seconds
        self.say = say
        self.dir = places.fresh_dir("b")
        self.panel = Paneld(self.dir, config={})
        self.figures = []
        self.made = 0

    def add(self, figure):
        """With what the panel has of memory, and has used of the CPU, by now."""
        pid = self.panel.daemon.pid
        figure.rss_mib, figure.cpu_s = rss_mib(pid), cpu_seconds(pid)
        self.figures.append(figure)
        self.say(f"  {figure.name}: {number(figure.value)} {figure.unit} {figure.note}")

    def start(self):
        self.panel.start()
        self.client = Plain(self.panel.port, self.panel.key)
        self.user = self.client.expect(201, "POST", "/api/auth/create-user", {
            "username": "bench", "email": "bench@example.test", "password": "correct horse"})["userId"]
        self.panel.stop()
        self.users = self.add_users()
        self.panel.start()
        self.client = Plain(self.panel.port, self.panel.key)
        self.fleet = SimFleet(os.path.join(self.programs, "fleet-sim"), os.path.join(self.dir, "sim"),
                              self.panel)
        self.fleet.grow(NODES)
        self.fleet.await_online()
        return self

    def add_users(self):
        """As many users as instances, straight into the table: each made by the API costs an argon2."""
        database = sqlite3.connect(os.path.join(self.panel.data, "panel.db"))
        with database:
            database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO users(id, username, email, password_hash, admin, created_at)"
                " SELECT 'user-' || i, 'user' || i, 'user' || i || '@example.test', password_hash, 0,"
                " created_at FROM n, users", (self.instances,))
        ids = [row[0] for row in database.execute("SELECT id FROM users")]
        database.close()
        return ids

    def stop(self):
        self.fleet.stop()
        self.panel.stop()

    def file(self, name, requests):
        return load.write_requests(os.path.join(self.dir, name), requests)

    def run(self, requests_file, connections, port=None, headers=()):
        figures = load.run(port or self.panel.port, requests_file, self.panel.key, connections,
                           self.seconds, headers)
        if figures["bad"] or not figures["requests"]:
            raise AssertionError(f"{requests_file}: {figures}")
        return figures

    # Deploys fill it.

    def deploys(self):
        rates, worst = self.fill(self.instances)
        rate = sorted(rates)[len(rates) // 2]
        self.add(Figure("deploys accepted, 64 in flight", rate, "/s", goal=(">=", 1000),
                        note=f"p99 {max(worst):.0f} ms, {self.made} made"))

    def fill(self, count):
        """Deploy until there are so many; the rates and p99s of the rounds."""
        bodies = [("POST", "/api/instances/deploy", {
            "image": "game:1", "memory": "16", "cpu": "0.1", "ports": "25565:auto", "primary": "auto",
            "nodeId": node.id, "name": "server", "user": self.user}) for node in self.fleet.nodes]
        requests = self.file("deploys", bodies)
        rates, worst = [], []
        while self.made < count:
            figures = self.run(requests, 64)
            rates.append(figures["rate"])
            worst.append(figures["p99_ms"])
            self.made += figures["requests"]
        self.client = Plain(self.panel.port, self.panel.key)  # the other one was silent for too long
        until(lambda: {row["InternalState"] for row in self.rows()} == {"READY"}, 300, "all are READY",
              interval=0.5)
        return rates, worst

    def rows(self):
        return self.client.expect(200, "GET", "/api/instances")

    # Reads

    def reads(self):
        ids = [row["Id"] for row in self.rows()]
        for name, path, bodies in (
                ("getInstance", "/api/getInstance", [{"id": i} for i in ids]),
                ("getUser", "/api/getUser", [{"type": "id", "value": i} for i in self.users])):
            requests = self.file(name, [("POST", path, body) for body in bodies])
            _, answer = self.client.fetch("POST", path, bodies[len(bodies) // 2])
            for connections in (1, 32):
                with floors.HttpFloor(self.programs, answer) as floor:
                    latest = {}

                    def measured():
                        latest.update(self.run(requests, connections))
                        return latest["rate"]
                    figure = compare(f"{name}, {connections} connections", "/s", measured,
                                     lambda: self.run(requests, connections, floor.port)["rate"],
                                     self.rounds, (">=", 0.75))
                figure.note = "p50 {p50_ms:.2f}, p99 {p99_ms:.2f}, p99.9 {p999_ms:.2f} ms".format(**latest)
                self.add(figure)

    def lists(self):
        requests = self.file("list", [("GET", "/api/instances", None)])
        status, body = self.client.fetch("GET", "/api/instances")
        assert status == 200
        count = len(json.loads(body))
        self.client.connection.request("GET", "/api/instances", headers=self.client.headers)
        answer = self.client.connection.getresponse()
        tag = answer.headers["ETag"]
        answer.read()
        with floors.HttpFloor(self.programs, body) as floor:
            figure = compare(f"GET /api/instances, {count:,} of them", "/s",
                             lambda: self.run(requests, 4)["rate"],
                             lambda: self.run(requests, 4, floor.port)["rate"], self.rounds,
                             (">=", 0.5))
        figure.note = f"{len(body) / 1e6:.1f} MB each; RSS after {rss_mib(self.panel.daemon.pid):.0f} MiB"
        self.add(figure)
        with floors.HttpFloor(self.programs, b"") as floor:
            header = (f"If-None-Match: {tag}",)
            self.add(compare(
                "the same, If-None-Match: 304", "/s",
                lambda: load.run(self.panel.port, requests, self.panel.key, 32, self.seconds,
                                 header)["rate"],
                lambda: self.run(requests, 32, floor.port)["rate"], self.rounds, (">=", 0.75)))

    # A long list

    def list_costs(self):
        """(seconds, MB) of a list that nobody has asked for since a change; the best of some."""
        took = []
        for _ in range(5):
            self.change_something()
            began = time.monotonic()
            _, body = self.client.fetch("GET", "/api/instances")
            took.append(time.monotonic() - began)
        return min(took), len(body) / 1e6

    def change_something(self):
        """A new node that nobody joins is in the ETag of every list of instances."""
        answer = self.client.expect(201, "POST", "/api/nodes/create", {
            "name": "spare", "tags": "x", "ram": "1", "disk": "1", "processor": "any",
            "address": "127.0.0.3", "port": "7400"})
        self.client.expect(201, "DELETE", "/api/nodes/delete", {"nodeId": answer["id"]})

    def long_list(self, factor):
        """factor times as many instances: the list, and what its making does to others."""
        pid = self.panel.daemon.pid
        self.client = Plain(self.panel.port, self.panel.key)  # the old one was silent for too long
        short_s, short_mb = self.list_costs()
        self.fill(self.made * factor)
        _ = self.list_costs()
        before = rss_mib(pid)
        seconds, size = self.list_costs()
        rows = self.rows()
        self.add(Figure(f"GET /api/instances, {len(rows):,} of them: ms a MB", seconds * 1000 / size, "ms",
                        floor=short_s * 1000 / short_mb, goal=("<=", 1.15),
                        note=f"{seconds:.2f} s, {size:.1f} MB; floor: {short_s * 1000:.0f} ms,"
                             f" {short_mb:.1f} MB"))
        ids = [("POST", "/api/getInstance", {"id": row["Id"]}) for row in rows[::10]]
        reads = self.file("beside", ids)
        del rows
        alone = self.run(reads, 8)
        with Lister(self) as lister:
            beside = [self.run(reads, 8) for _ in range(3)]
        worst = max(beside, key=lambda figures: figures["p99_ms"])
        self.add(Figure("getInstance beside such lists: p99", worst["p99_ms"], "ms", goal=("<=", 20),
                        note=f"{worst['rate']:,.0f}/s, p50 {worst['p50_ms']:.2f}; {lister.count} lists,"
                             f" each new; alone p99 {alone['p99_ms']:.2f} ms, {alone['rate']:,.0f}/s"))
        peak = lister.peak
        patience = time.monotonic() + 10
        while rss_mib(pid) > before * 1.05 and time.monotonic() < patience:
            time.sleep(0.1)
        self.add(Figure("memory after the lists", rss_mib(pid), "MiB", floor=before, goal=("<=", 1.1),
                        note=f"{peak:.0f} MiB meanwhile; floor: before them"))

    # Durable writes

    def batch_size(self, make_requests):
        """Changes in one commit with 64 in flight: requests ÷ fdatasync calls, counted by strace."""
        trace = os.path.join(self.dir, "trace")
        tracer = subprocess.Popen(["strace", "-f", "-c", "-e", "trace=fdatasync", "-o", trace, "-p",
                                   str(self.panel.daemon.pid)], stderr=subprocess.DEVNULL)
        until(lambda: b"TracerPid:\t0\n" not in open(
            f"/proc/{self.panel.daemon.pid}/status", "rb").read(), 10, "strace is there")
        figures = self.run(make_requests(), 64)
        tracer.terminate()
        tracer.wait()
        with open(trace) as text:
            calls = int(re.search(r"(\d+)\s+(?:\d+\s+)?fdatasync", text.read()).group(1))
        return max(1, round(figures["requests"] / calls))

    def writes(self):
        numbers = iter(range(1 << 30))

        def make_requests():
            some = [("POST", "/api/images/create", {
                "Name": f"bench {next(numbers)}", "Image": "game:1", "Env": ["TZ=UTC"]})
                for _ in range(int(50000 * self.seconds))]
            return self.file("writes", some)
        batch = self.batch_size(make_requests)
        copy = os.path.join(self.dir, "floor.db")
        with sqlite3.connect(os.path.join(self.panel.data, "panel.db")) as database:
            database.execute("VACUUM INTO ?", (copy,))
        figure = compare("image create, 64 in flight", "/s",
                         lambda: self.run(make_requests(), 64)["rate"],
                         lambda: floors.store(self.programs, copy, batch, self.seconds)[1],
                         self.rounds, (">=", 0.7))
        figure.note = f"floor: SQLite alone, {batch} rows a commit"
        self.add(figure)
        figure = compare("image create alone: latency", "ms",
                         lambda: 1000 / self.run(make_requests(), 1)["rate"],
                         lambda: 1000 / floors.store(self.programs, copy, 1, self.seconds)[0],
                         self.rounds, ("<=", 1.5))
        figure.note = "floor: one commit"
        self.add(figure)


class Lister(threading.Thread):
    """Another client, which gets one long list after another, each after a change."""

    def __init__(self, bench):
        super().__init__(daemon=True)
        self.client = Plain(bench.panel.port, bench.panel.key)
        self.bench = bench
        self.count = 0
        self.peak = 0
        self.over = False

    def run(self):
        while not self.over:
            self.bench.change_something()
            self.client.fetch("GET", "/api/instances")
            self.count += 1
            self.peak = max(self.peak, rss_mib(self.bench.panel.daemon.pid))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.over = True
        self.join()


def run(programs, instances, rounds, seconds, factor=10, say=print):
    """factor: how many times longer the long list is."""
    bench = Bench(programs, instances, rounds, seconds, say).start()
    try:
        bench.deploys()
        bench.reads()
        bench.lists()
        bench.writes()
        bench.long_list(factor)
    finally:
        bench.stop()
    return bench.figures
