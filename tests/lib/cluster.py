"""A world of several nodes: one panel, and for each node a network namespace of its own with a real
Docker Engine and a real agent, on a bridge in the sandbox's network.

The panel listens on loopback for its clients, and reaches node i of the n-th
cluster at 10.77.n.(10 + i)."""
import itertools
import os
import subprocess
import threading

from lib import images, places
from lib.agent import Agent
from lib.dockerd import DockerEngine
from lib.wait import until
from lib.world import World

AGENT_PORT = 7400
_numbers = itertools.count(1)

# What is lost on a node's way to and from everybody: rules for INPUT and OUTPUT of its interface.
# With RST each side's packets are answered by a reset, as a firewall that rejects does.
_REJECT = ["-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"]
CUTS = {
    "both ways": (["-j", "DROP"], ["-j", "DROP"]),
    "to the node": (["-j", "DROP"], None),
    "from the node": (None, ["-j", "DROP"]),
    "by RST": (_REJECT, _REJECT),
}


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stdout}")


class Node:
    """A network namespace, kept by a file; everything in it runs through `enter`."""

    def __init__(self, directory, index, bridge, prefix, live_restore):
        self.index = index
        self.name = f"n{index}"
        self.dir = os.path.join(directory, self.name)
        os.makedirs(self.dir)
        self.namespace = os.path.join(self.dir, "net")
        self.address = f"{prefix}.{10 + index}"
        self.link = f"{bridge}n{index}"
        self.enter = ("nsenter", f"--net={self.namespace}")
        self.id = None
        self._wire(bridge)
        self.engine = DockerEngine(self.dir, f"dockerd-{self.name}", self.enter, live_restore,
                                   ("--insecure-registry", f"{prefix}.1/32"))
        self.agent = Agent(self.dir, self.engine.socket, f"agent-{self.name}", self.enter)

    def _wire(self, bridge):
        with open(self.namespace, "w"):
            pass
        run("unshare", f"--net={self.namespace}", "true")
        # `ip netns exec` would hide the control groups, so the namespace has a file, not a name.
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns",
            self.namespace)
        run("ip", "link", "set", self.link, "master", bridge, "up")
        run(*self.enter, "ip", "link", "set", "lo", "up")
        run(*self.enter, "ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        run(*self.enter, "ip", "link", "set", "eth0", "up")
        for chain, interface in (("INPUT", "-i"), ("OUTPUT", "-o")):
            run(*self.enter, "iptables", "-w", "-N", f"CUT-{chain}")
            run(*self.enter, "iptables", "-w", "-A", chain, interface, "eth0", "-j", f"CUT-{chain}")

    def cut(self, how):
        """Part the node from everybody, as CUTS says."""
        for chain, rule in zip(("CUT-INPUT", "CUT-OUTPUT"), CUTS[how]):
            if rule:
                run(*self.enter, "iptables", "-w", "-A", chain, *rule)

    def mend(self):
        for chain in ("CUT-INPUT", "CUT-OUTPUT"):
            run(*self.enter, "iptables", "-w", "-F", chain)

    def volumes(self):
        """Ids of the volumes that are there, or half removed."""
        found = []
        for folder in ("volumes", "trash"):
            path = os.path.join(self.agent.state, folder)
            found += os.listdir(path) if os.path.isdir(path) else []
        return found

    def drop(self):
        subprocess.run(["ip", "link", "delete", self.link], capture_output=True)
        subprocess.run(["umount", "-l", self.namespace], capture_output=True)


class Cluster(World):
    """live_restore: of which nodes (by index) the Engine keeps its containers up while it is away."""

    def __init__(self, nodes=3, config=None, live_restore=()):
        super().__init__(config=config)
        number = next(_numbers)
        self.bridge = f"pt{number}"
        prefix = f"10.77.{number % 250}"
        self.address = f"{prefix}.1"  # where nodes reach what the tests serve
        self.nodes = []
        try:
            run("ip", "link", "add", self.bridge, "type", "bridge")
            run("ip", "address", "add", f"{prefix}.1/24", "dev", self.bridge)
            run("ip", "link", "set", self.bridge, "up")
            for i in range(nodes):
                self.nodes.append(Node(self.dir, i, self.bridge, prefix, i in live_restore))
        except BaseException:
            self._drop_network()
            raise

    def start(self, make=(images.httpd, images.sleeper)):
        """make: the images that each Engine gets."""
        try:
            self._each(lambda node: self._start_engine(node, make))
            self.panel.start()
            self.api = self.panel.client()
            self.user_id = self.add_user("owner")
            for node in self.nodes:
                node.id = self.add_node(node.agent, node.name, port=AGENT_PORT,
                                        address=node.address)
            self.node_id = self.nodes[0].id
        except BaseException:
            self.abandon()
            raise
        return self

    def _start_engine(self, node, make):
        node.engine.start()
        for image in make:
            image(node.engine.api)

    def _each(self, work):
        """work(node) for all nodes at once; the first thing that went wrong is raised."""
        problems = []

        def guarded(node):
            try:
                work(node)
            except BaseException as problem:
                problems.append(problem)
        threads = [threading.Thread(target=guarded, args=(node,)) for node in self.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    def spec(self, node=None, **more):
        """A body for deploy, by default to the first node."""
        return super().spec(nodeId=(node or self.nodes[0]).id, **more)

    def await_all_online(self, timeout=30):
        until(lambda: all(node["status"] == "Online" for node in self.api.nodes()), timeout,
              lambda: f"all are Online: {[(n['name'], n['status']) for n in self.api.nodes()]}")

    def containers_of(self, instance_id):
        """(node's name, id) of all containers, on any node, whose labels name the instance."""
        return [(node.name, row["Id"]) for node in self.nodes for row in node.engine.api.containers()
                if instance_id in (row.get("Labels") or {}).values()]

    def container(self, instance):
        for node in self.nodes:
            if node.id == instance["Node"]["id"]:
                return node.engine.api.inspect(instance["ContainerId"])
        raise AssertionError(f"no such node: {instance['Node']}")

    def stop(self):
        problems = []

        def take_down(part):
            try:
                part()
            except AssertionError as problem:
                problems.append(problem)
        for node in self.nodes:
            take_down(node.agent.stop)
        take_down(self.panel.stop)
        self._each(lambda node: take_down(node.engine.destroy))
        self._drop_network()
        places.drop_dir(self.dir)
        if problems:
            raise problems[0]

    def abandon(self):
        super().abandon()
        for node in self.nodes:
            node.agent.kill()
            node.engine.kill()
        self._drop_network()

    def _drop_network(self):
        for node in self.nodes:
            node.drop()
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True)
