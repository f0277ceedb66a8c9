"""What a fleet of simulated nodes costs the panel, and how fast news of it get through."""
import os
import random
import statistics
import time

from bench.figures import Figure
from bench.measure import cpu_seconds, rss_mib
from bench.plain import Plain
from bench.simfleet import SimFleet
from bench import floors, load
from lib import places
from lib.paneld import Paneld
from lib.wait import until

DEPLOYS_PER_S = 4000  # about; so that not many more are made than are wanted


class FleetBench:
    def __init__(self, programs, nodes, instances_each, say=print, config=None):
        self.programs = programs
        self.count = nodes
        self.each = instances_each
        self.say = say
        self.dir = places.fresh_dir("f")
        self.panel = Paneld(self.dir, config=config or {})
        self.figures = []
        self.rows = []

    def add(self, *args, **more):
        figure = Figure(*args, **more)
        self.figures.append(figure)
        self.say(f"  {figure.name}: {figure.value:.2f} {figure.unit} {figure.note}")
        return figure

    def start(self):
        self.panel.start()
        self.client = Plain(self.panel.port, self.panel.key)
        self.user = self.client.expect(201, "POST", "/api/auth/create-user", {
            "username": "bench", "email": "bench@example.test", "password": "correct horse"})["userId"]
        self.fleet = SimFleet(os.path.join(self.programs, "fleet-sim"), os.path.join(self.dir, "sim"),
                              self.panel)
        began = time.monotonic()
        self.fleet.grow(self.count)
        self.fleet.await_online(300)
        self.say(f"  {self.count} nodes joined and Online after {time.monotonic() - began:.0f} s")
        return self

    def stop(self):
        self.fleet.stop()
        self.panel.stop()

    def fill(self):
        """Deploy as many instances as are wanted."""
        began = time.monotonic()
        rate = self.deploy_up_to(self.count * self.each)
        self.add("deploys accepted, 64 in flight", rate, "/s", goal=(">=", 1000),
                 note=f"{len(self.rows):,}, all READY after {time.monotonic() - began:.0f} s")

    def deploy_up_to(self, count):
        """Over all nodes, by API, until there are so many and all are READY; the rate."""
        bodies = [("POST", "/api/instances/deploy", {
            "image": "game:1", "memory": "16", "cpu": "0.1", "ports": "25565:auto", "primary": "auto",
            "nodeId": node.id, "name": "server", "user": self.user}) for node in self.fleet.nodes]
        requests = load.write_requests(os.path.join(self.dir, "deploys"), bodies)
        rates = []
        while len(self.rows) + sum(rate["requests"] for rate in rates) < count:
            left = count - len(self.rows) - sum(rate["requests"] for rate in rates)
            seconds = max(1, min(5, left // DEPLOYS_PER_S))
            figures = load.run(self.panel.port, requests, self.panel.key, 64, seconds)
            if figures["bad"]:
                raise AssertionError(f"deploys: {figures}")
            rates.append(figures)
        # Some more than were counted: wrk lets go of what is under way at its end.
        until(self.all_ready, 300, lambda: f"all are READY: {self.running()} of {len(self.rows)} run",
              interval=2 if count >= 10000 else 0.1)
        return statistics.median(rate["rate"] for rate in rates) if rates else 0.0

    def running(self):
        return sum(int(sim.ask("count")) for sim in self.fleet.sims)

    def all_ready(self):
        self.rows = Plain(self.panel.port, self.panel.key).expect(200, "GET", "/api/instances")
        return len(self.rows) == self.running() and all(
            row["InternalState"] == "READY" for row in self.rows)

    # Figures

    def panel_log_count(self, words):
        """Lines of the panel's log with these words."""
        return self.panel.daemon.log().count(words)

    def steady(self, seconds, cpu_goal=None):
        """CPU and memory while nothing happens but beats."""
        pid = self.panel.daemon.pid
        before, began = cpu_seconds(pid), time.monotonic()
        time.sleep(seconds)
        percent = (cpu_seconds(pid) - before) / (time.monotonic() - began) * 100
        statuses = self.fleet.statuses()
        assert statuses == {"Online": self.count}, statuses
        self.add(f"paneld, {self.count:,} nodes: CPU", percent, "%",
                 goal=("<=", cpu_goal) if cpu_goal else None)
        self.add(f"paneld, {self.count:,} nodes: memory", rss_mib(pid), "MiB",
                 goal=("<=", 64 + self.count / 16), note=f"{len(self.rows):,} instances")

    def news(self, count=100):
        """From a container's end at its node until the API tells it."""
        by_id = {node.id: node for node in self.fleet.nodes}
        client, took = Plain(self.panel.port, self.panel.key), []
        for row in random.Random(1).sample(self.rows, min(count, len(self.rows))):
            at = int(by_id[row["Node"]["id"]].tell("crash", row["Id"])) / 1e9
            while True:
                now = client.expect(200, "POST", "/api/getInstance", {"id": row["Id"]})
                heard = time.monotonic()
                if now["State"] != "running":
                    break
                if heard - at > 10:
                    raise AssertionError(f"not told within 10 s: {now}")
            took.append((heard - at) * 1000)
        took.sort()
        self.add("a change at a node until the API tells it: p99", took[int(len(took) * 0.99) - 1], "ms",
                 goal=("<=", 100), note=f"median {statistics.median(took):.1f} ms of {len(took)}")

    def reads(self, seconds=3):
        ids = [("POST", "/api/getInstance", {"id": row["Id"]})
               for row in random.Random(2).sample(self.rows, min(5000, len(self.rows)))]
        requests = load.write_requests(os.path.join(self.dir, "reads"), ids)
        return load.run(self.panel.port, requests, self.panel.key, 8, seconds)

    def one_hung(self):
        """Point reads and news of the others, before and while one node hangs."""
        before = [self.reads()["p99_ms"] for _ in range(3)]
        self.fleet.nodes[0].tell("hang")
        until(lambda: self.fleet.statuses().get("Offline") == 1, 60, "the hung node is Offline",
              interval=0.5)
        meanwhile = [self.reads()["p99_ms"] for _ in range(3)]
        self.fleet.nodes[0].tell("wake")
        self.fleet.await_online(60)
        self.add("point reads while a node hangs: p99", statistics.median(meanwhile), "ms",
                 floor=statistics.median(before), goal=("<=", 1.25), note="floor: the same before")

    def dead_found(self, beat_s):
        began = time.monotonic()
        node = self.fleet.nodes[-1]
        node.tell("hang")
        client = Plain(self.panel.port, self.panel.key)
        until(lambda: any(row["id"] == node.id and row["status"] == "Offline"
                          for row in client.expect(200, "GET", "/api/nodes")), beat_s * 10,
              "the dead node is Offline", interval=0.2)
        took = time.monotonic() - began
        node.tell("wake")
        self.fleet.await_online(beat_s * 10)
        self.add("a dead node is Offline after", took, "s", goal=("<=", beat_s * 4.5),
                 note=f"a beat is {beat_s:g} s")

    def restart(self):
        """Until the API answers, and until all nodes are Online again."""
        self.panel.stop()
        floor = floors.links(self.programs, self.count)
        began = time.monotonic()
        self.panel.start()
        Plain(self.panel.port, self.panel.key).expect(200, "POST", "/api/getInstance",
                                                      {"id": self.rows[0]["Id"]})
        up = time.monotonic() - began
        self.fleet.await_online(300)
        self.add("restart: the API answers after", up, "s", goal=("<=", 1))
        self.add(f"restart: all {self.count:,} nodes are Online after", time.monotonic() - began, "s",
                 floor=floor, goal=("<=", 2), note="floor: nng alone, as many links and echoes")
        self.client = Plain(self.panel.port, self.panel.key)


def run_steady(programs, nodes, instances_each, seconds, say=print):
    """The same for long, and nothing but it: is nobody falsely Offline, and a dead node found?"""
    bench = FleetBench(programs, nodes, instances_each, say, {}).start()
    try:
        bench.fill()
        before = bench.panel_log_count("to=Offline")
        bench.steady(seconds)
        bench.add(f"{nodes:,} nodes: false Offline in {seconds} s", bench.panel_log_count("to=Offline") - before, "",
                  goal=("<=", 0))
        figures = bench.reads()
        bench.add(f"{nodes:,} nodes: point reads: p99", figures["p99_ms"], "ms", goal=("<=", 20),
                  note=f"{figures['rate']:,.0f}/s, {len(bench.rows):,} instances")
        bench.dead_found(max(5, nodes / 500))
    finally:
        bench.stop()
    return bench.figures


def run(programs, nodes, instances_each, idle_seconds=20, say=print, heartbeat_ms=5000):
    bench = FleetBench(programs, nodes, instances_each, say, {"heartbeatMs": heartbeat_ms}).start()
    beat = max(heartbeat_ms / 1000, nodes / 500)
    try:
        bench.fill()
        bench.steady(idle_seconds, 5 if nodes <= 1000 else None)
        bench.news()
        figures = bench.reads()
        bench.add("point reads: p99", figures["p99_ms"], "ms", goal=("<=", 20),
                  note=f"{figures['rate']:,.0f}/s")
        bench.one_hung()
        bench.dead_found(beat)
        bench.restart()
    finally:
        bench.stop()
    return bench.figures
