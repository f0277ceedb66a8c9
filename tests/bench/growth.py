"""What the same panel costs with more and more nodes and instances. Each size adds to the one before."""
import os
import statistics
import time

from bench.figures import Figure
from bench.fleet_scale import FleetBench
from bench.measure import cpu_seconds, rss_mib
from bench.plain import Plain
from lib.wait import until

READ_SECONDS = 2
BY_WRK = 5000  # more deploys than that; it makes some more than are asked for
FLAT = 1.3  # what a flat cost may move by: the noise of the rounds


class GrowthBench(FleetBench):
    def grow(self, nodes, instances):
        """Up to so many of both, all Online and READY."""
        if nodes > self.count:
            self.fleet.grow(nodes - self.count)
            self.count = nodes
            self.fleet.await_online(600)
        if instances - len(self.rows) > BY_WRK:
            self.deploy_up_to(instances)
        self.client = Plain(self.panel.port, self.panel.key)  # the old one was silent for too long
        for number in range(len(self.rows), instances):
            self.deploy(number)
        until(self.all_ready, 60, "all are READY", interval=0.1)

    def deploy(self, number):
        """Milliseconds until it is acknowledged."""
        began = time.monotonic()
        self.client.expect(201, "POST", "/api/instances/deploy", {
            "image": "game:1", "memory": "16", "cpu": "0.1", "ports": "25565:auto", "primary": "auto",
            "nodeId": self.fleet.nodes[number % self.count].id, "name": "server", "user": self.user})
        return (time.monotonic() - began) * 1000

    def database_mb(self):
        """After a checkpoint: the log that a stop leaves is empty."""
        return sum(os.path.getsize(os.path.join(self.panel.data, name)) / 1e6
                   for name in os.listdir(self.panel.data) if name.startswith("panel.db"))

    def idle_cpu(self, seconds):
        """Percent of a core, beats and nothing else."""
        pid = self.panel.daemon.pid
        used, began = cpu_seconds(pid), time.monotonic()
        time.sleep(seconds)
        return (cpu_seconds(pid) - used) / (time.monotonic() - began) * 100

    def row(self, idle_seconds):
        rounds = sorted((self.reads(READ_SECONDS) for _ in range(3)), key=lambda figures: figures["rate"])
        read = rounds[1]
        deploy = statistics.median(self.deploy(number) for number in range(21))
        until(self.all_ready, 60, "all are READY", interval=0.1)
        cpu = self.idle_cpu(idle_seconds)
        rss = rss_mib(self.panel.daemon.pid)
        self.panel.stop()
        size = self.database_mb()
        began = time.monotonic()
        self.panel.start()
        Plain(self.panel.port, self.panel.key).expect(200, "POST", "/api/getInstance",
                                                      {"id": self.rows[0]["Id"]})
        start = (time.monotonic() - began) * 1000
        self.fleet.await_online(600)
        online = time.monotonic() - began
        self.client = Plain(self.panel.port, self.panel.key)
        return {"nodes": self.count, "instances": len(self.rows), "read_per_s": read["rate"],
                "read_p50_ms": read["p50_ms"], "read_p99_ms": read["p99_ms"], "deploy_ms": deploy,
                "idle_cpu_percent": cpu, "rss_mib": rss, "database_mb": size, "start_ms": start,
                "online_s": online}


COLUMNS = (("nodes", "nodes", ","), ("instances", "instances", ","), ("read_per_s", "reads/s", ",.0f"),
           ("read_p50_ms", "p50 ms", ".2f"), ("read_p99_ms", "p99 ms", ".2f"),
           ("deploy_ms", "a deploy ms", ".2f"), ("idle_cpu_percent", "idle CPU %", ".2f"),
           ("rss_mib", "RSS MiB", ".1f"), ("database_mb", "database MB", ".1f"),
           ("start_ms", "start ms", ".0f"), ("online_s", "all Online s", ".1f"))


def table(rows):
    """In Markdown."""
    lines = ["| " + " | ".join(title for _, title, _ in COLUMNS) + " |", "|" + "---:|" * len(COLUMNS)]
    lines += ["| " + " | ".join(format(row[key], form) for key, _, form in COLUMNS) + " |" for row in rows]
    return "\n".join(lines)


def judged(rows):
    """The last size beside the first that isn't tiny: points flat, the rest at most as the sizes grew."""
    first = next(row for row in rows if row["instances"] >= rows[-1]["instances"] / 100)
    last = rows[-1]
    grown = max(last[key] / first[key] for key in ("nodes", "instances"))
    figures = [Figure("point reads a second, largest beside smaller", last["read_per_s"], "/s",
                      floor=first["read_per_s"], goal=(">=", 1 / FLAT)),
               Figure("a deploy acknowledged, largest beside smaller", last["deploy_ms"], "ms",
                      floor=first["deploy_ms"], goal=("<=", FLAT))]
    for key, unit in (("idle_cpu_percent", "%"), ("rss_mib", "MiB"), ("database_mb", "MB"),
                      ("start_ms", "ms")):
        figures.append(Figure(f"{key}, {grown:,.0f} times the size", last[key], unit,
                              floor=max(first[key], 0.01), goal=("<=", grown)))
    return figures


def run(programs, sizes, idle_seconds, say=print):
    """(rows, figures); sizes: [(nodes, instances)], rising."""
    bench = GrowthBench(programs, sizes[0][0], 0, say).start()
    rows = []
    try:
        for nodes, instances in sizes:
            bench.grow(nodes, instances)
            rows.append(bench.row(idle_seconds))
            say(f"  {rows[-1]}")
    finally:
        bench.stop()
    return rows, judged(rows)
