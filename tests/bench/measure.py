"""What a deploy costs beside the same work done by hand against the Docker API, in the same run."""
import json
import os
import statistics
import threading
import time

from lib import images
from lib.docker_api import UnixConnection
from lib.wait import until
from lib.world import World


class Starts(threading.Thread):
    """Listens to the Engine's events; notes when each container was heard to have started."""

    def __init__(self, socket_path):
        super().__init__(daemon=True)
        self.times = {}
        self.heard = threading.Condition()
        self.connection = UnixConnection(socket_path, None)
        self.connection.request("GET", '/events?filters={"event":["start"]}')
        self.answer = self.connection.getresponse()
        self.start()

    def run(self):
        try:
            for line in self.answer:
                now = time.monotonic()
                event = json.loads(line)
                with self.heard:
                    self.times[event["Actor"]["ID"]] = now
                    self.heard.notify_all()
        except (OSError, ValueError, AttributeError):
            pass  # the Engine went away

    def of(self, container):
        with self.heard:
            self.heard.wait_for(lambda: container in self.times, timeout=30)
            return self.times[container]


def twin_of(container, volume):
    """A create body that asks for the same as that container has, with that folder as volume."""
    config, host = container["Config"], container["HostConfig"]
    os.makedirs(volume)
    for mount in host["Mounts"]:
        mount["Source"] = volume
    return {"Image": config["Image"], "Env": config["Env"], "Labels": {"made": "by hand"},
            "ExposedPorts": config["ExposedPorts"], "OpenStdin": config["OpenStdin"],
            "HostConfig": {key: host[key] for key in (
                "Memory", "MemorySwap", "NanoCpus", "PidsLimit", "NetworkMode", "RestartPolicy",
                "SecurityOpt", "CapDrop", "CapAdd", "LogConfig", "Mounts", "PortBindings")}}


def by_hand(world, starts, body, port):
    for bindings in body["HostConfig"]["PortBindings"].values():
        for binding in bindings:
            binding["HostPort"] = str(port)
    began = time.monotonic()
    container = world.engine.api.call("POST", "/containers/create", body=body)["Id"]
    world.engine.api.start(container)
    started = starts.of(container)
    world.engine.api.remove(container)
    return (started - began) * 1000


def by_panel(world, starts, port):
    """(ms until it ran, ms from there until READY was told)."""
    body = world.spec(host_port=port)
    began = time.monotonic()
    answer = world.api.post("/api/instances/deploy", body, query={"wait": 60}, timeout=90).expect(201)
    told = time.monotonic()
    instance = answer.json["instance"]
    assert instance["InternalState"] == "READY", instance
    started = starts.of(instance["ContainerId"])
    world.delete(instance["Id"])
    return (started - began) * 1000, max(0.0, (told - started) * 1000)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def idle(world, seconds):
    """{name: (RSS in MiB, CPU in percent of a core)} over that time, nobody asking for anything."""
    pids = {"paneld": world.panel.daemon.pid, "panel-agent": world.agent.daemon.pid}
    time.sleep(min(seconds, 6))  # what the deploys have left to do
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {name: (rss_mib(pid), (cpu_seconds(pid) - before[name]) / took * 100)
            for name, pid in pids.items()}


def run(pairs, idle_seconds, config=None):
    """All measurements, in a world of their own."""
    world = World("docker", config=config if config is not None else {}).start()
    try:
        images.httpd(world.engine.api)
        starts = Starts(world.engine.socket)
        # One of each unmeasured: what the Engine does only the first time is nobody's cost.
        first = world.deploy()
        body = twin_of(world.container(first), os.path.join(world.dir, "volume"))
        world.delete(first["Id"])
        port = int(first["Primary"])
        by_hand(world, starts, body, port)
        hand, panel, ready = [], [], []
        for _ in range(pairs):
            hand.append(by_hand(world, starts, body, port))
            took, told = by_panel(world, starts, port)
            panel.append(took)
            ready.append(told)
        until(lambda: not world.engine.api.containers(), 20, "nothing is left")
        result = {"by_hand_ms": statistics.median(hand), "by_panel_ms": statistics.median(panel),
                  "ratio": statistics.median(panel) / statistics.median(hand),
                  "ready_ms": statistics.median(ready), "ready_worst_ms": max(ready),
                  "pairs": pairs, "idle": idle(world, idle_seconds)}
    except BaseException:
        world.abandon()
        raise
    world.stop()
    return result


def table(result):
    def row(name, value, unit, goal, good):
        return f"{name:44} {value:9.2f} {unit:6} {goal:>10}  {'' if good is None else 'yes' if good else 'NO'}"
    lines = [f"{'medians of ' + str(result['pairs']) + ' interleaved pairs':44} {'':9} {'':6} {'goal':>10}",
             row("create and start by hand", result["by_hand_ms"], "ms", "", None),
             row("POST deploy until it runs", result["by_panel_ms"], "ms", "", None),
             row("  ratio", result["ratio"], "", "<= 1.15", result["ratio"] <= 1.15),
             row("READY told after the start", result["ready_ms"], "ms", "<= 100", result["ready_ms"] <= 100),
             row("  the worst of them", result["ready_worst_ms"], "ms", "", None)]
    for name, limit in (("paneld", 20), ("panel-agent", 10)):
        rss, cpu = result["idle"][name]
        lines.append(row(f"{name}, idle: memory", rss, "MiB", f"< {limit}", rss < limit))
        lines.append(row(f"{name}, idle: CPU", cpu, "%", "< 0.2", cpu < 0.2))
    return "\n".join(lines)
