"""A panel with simulated agents (fleet_sim.c): real protocol, real TLS, no Docker."""
import itertools
import os
import queue
import subprocess
import threading

from bench.plain import Plain
from lib.wait import until

FIRST_PORT = 10000  # up to there and 16384 more: below where the kernel takes ports from
NODES_PER_PROCESS = 4000  # two descriptors each


class Sim:
    """One fleet-sim process. Nodes are numbered from 0 in each."""

    def __init__(self, program, directory, panel_url, work_ms):
        os.makedirs(directory, exist_ok=True)
        self.process = subprocess.Popen([program, directory, panel_url, str(work_ms)], text=True,
                                        bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        self.nodes = 0

    def ask(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            answer = self.process.stdout.readline().split(maxsplit=1)
        if not answer or answer[0] != "ok":
            raise AssertionError(f"fleet-sim {words}: {' '.join(answer)}")
        return answer[1].strip() if len(answer) > 1 else ""

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class SimNode:
    def __init__(self, sim, number, node_id):
        self.sim = sim
        self.number = number
        self.id = node_id

    def tell(self, verb, *more):
        return self.sim.ask(verb, self.number, *more)


class SimFleet:
    """work_ms: how long each node takes for an Apply."""

    def __init__(self, program, directory, panel, work_ms=0):
        self.program = program
        self.dir = directory
        self.panel = panel
        self.work_ms = work_ms
        self.sims = []
        self.nodes = []
        self.ports = itertools.count(FIRST_PORT)

    def _sim(self):
        if not self.sims or self.sims[-1].nodes == NODES_PER_PROCESS:
            path = os.path.join(self.dir, f"sim{len(self.sims)}")
            self.sims.append(Sim(self.program, path, self.panel.url, self.work_ms))
        return self.sims[-1]

    def grow(self, count, workers=4):
        """Create nodes, join them, let them listen. Those of one call join side by side only with the
        panel: fleet-sim takes one command at a time."""
        wanted = queue.SimpleQueue()
        for _ in range(count):
            wanted.put(next(self.ports))
        made = queue.SimpleQueue()

        def create():
            client = Plain(self.panel.port, self.panel.key)
            while True:
                try:
                    port = wanted.get_nowait()
                except queue.Empty:
                    return
                answer = client.expect(201, "POST", "/api/nodes/create", {
                    "name": f"n{port}", "tags": "sim", "ram": "1024", "disk": "4096",
                    "processor": "any", "address": "127.0.0.1", "port": str(port)})
                made.put((port, answer["id"], answer["joinToken"]))

        threads = [threading.Thread(target=create, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for _ in range(count):
            port, node_id, token = made.get(timeout=60)
            sim = self._sim()
            number = int(sim.ask("join", token, f"127.0.0.1:{port}"))
            sim.nodes += 1
            node = SimNode(sim, number, node_id)
            node.tell("start")
            self.nodes.append(node)
        for thread in threads:
            thread.join()

    def statuses(self):
        """How many nodes have each status."""
        counts = {}
        for node in Plain(self.panel.port, self.panel.key).expect(200, "GET", "/api/nodes"):
            counts[node["status"]] = counts.get(node["status"], 0) + 1
        return counts

    def await_online(self, timeout=120):
        until(lambda: self.statuses() == {"Online": len(self.nodes)}, timeout,
              lambda: f"all {len(self.nodes)} nodes are Online: {self.statuses()}", interval=0.2)

    def stop(self):
        for sim in self.sims:
            sim.stop()
