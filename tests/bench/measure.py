"""What a deploy costs beside the same work done by hand against the Docker API, in the same run."""
import copy
import json
import os
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from bench.figures import Figure
from bench.plain import Plain
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


# Many at once

FIRST_PORT = 15000
MEMORY = {"paneld": 20, "panel-agent": 10}  # MiB


def all_at_once(work, count):
    """work(number) on a thread each; what they returned, in order."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def many_by_hand(world, starts, body, count):
    """ms until the last of them ran."""
    def make(number):
        own = copy.deepcopy(body)
        for bindings in own["HostConfig"]["PortBindings"].values():
            for binding in bindings:
                binding["HostPort"] = str(FIRST_PORT + number)
        container = world.engine.api.call("POST", "/containers/create", body=own)["Id"]
        world.engine.api.start(container)
        return container
    began = time.monotonic()
    containers = all_at_once(make, count)
    last = max(starts.of(container) for container in containers)
    for container in containers:
        world.engine.api.remove(container)
    return (last - began) * 1000


def many_by_panel(world, starts, count):
    """(ms until the last of them ran, ms from its start until each was told READY, the instances)"""
    bodies = [world.spec(host_port=FIRST_PORT + number) for number in range(count)]

    def deploy(number):
        client = Plain(world.panel.port, world.panel.key)
        answer = client.expect(201, "POST", "/api/instances/deploy?wait=120", bodies[number])
        return answer["instance"], time.monotonic()
    began = time.monotonic()
    told = all_at_once(deploy, count)
    started = [starts.of(instance["ContainerId"]) for instance, _ in told]
    ready = [max(0.0, at - start) * 1000 for (_, at), start in zip(told, started)]
    return (max(started) - began) * 1000, ready, [instance for instance, _ in told]


def crowd(world, starts, body, count, containers, idle_seconds):
    """count deploys at once beside the same by hand; then that many containers, and nothing to do."""
    hand, panel, ready = [], [], []
    for _ in range(3):
        hand.append(many_by_hand(world, starts, body, count))
        took, told, instances = many_by_panel(world, starts, count)
        panel.append(took)
        ready += told
        for instance in instances:
            world.delete(instance["Id"])
    for number in range(containers):
        world.deploy(host_port=FIRST_PORT + number)
    before = idle(world, 5)["panel-agent"][0]
    rss, cpu = idle(world, idle_seconds)["panel-agent"]
    return [
        Figure(f"{count} deploys at once, until all run", statistics.median(panel), "ms",
               floor=statistics.median(hand), goal=("<=", 1.2), note="floor: by hand, as many at once"),
        Figure("  READY told after the start, median", statistics.median(ready), "ms",
               note=f"worst {max(ready):.0f} ms"),
        Figure(f"panel-agent, {containers} containers: memory", rss, "MiB", goal=("<=", 10),
               note=f"{before:.1f} MiB {idle_seconds} s earlier"),
        Figure(f"panel-agent, {containers} containers: CPU", cpu, "%", goal=("<=", 0.5))]


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


def run(pairs, idle_seconds, at_once=50, containers=100):
    """All measurements, in a world of their own; a list of figures."""
    world = World("docker", config={}).start()
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
        found = [
            Figure("POST deploy until it runs, one after another", statistics.median(panel), "ms",
                   floor=statistics.median(hand), goal=("<=", 1.10),
                   note=f"floor: create and start by hand; medians of {pairs} interleaved pairs"),
            Figure("  READY told after the start", statistics.median(ready), "ms", goal=("<=", 50),
                   note=f"worst {max(ready):.0f} ms")]
        for name, (rss, cpu) in idle(world, idle_seconds).items():
            found.append(Figure(f"{name}, idle: memory", rss, "MiB", goal=("<=", MEMORY[name])))
            found.append(Figure(f"{name}, idle: CPU", cpu, "%", goal=("<=", 0.2)))
        found += crowd(world, starts, body, at_once, containers, idle_seconds)
    except BaseException:
        world.abandon()
        raise
    world.stop()
    return found
