"""The faults that a run injects: how each begins and ends, in the words of docs/reliability.md's table."""
import os
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass

DAEMON = ("I1", "I2", "I3", "I4", "I8")


@dataclass(frozen=True)
class Kind:
    """begin(cluster, node, fault) and end(cluster, node); node is None for the panel's."""
    begin: object
    end: object
    lasts: tuple = (0.5, 5.0)
    of_panel: bool = False
    live_restore: object = None  # only for nodes whose Engine has it on, or off
    stops_engine: bool = False  # containers that aren't ours may be restarted by it
    hangs_node: bool = False  # the node falls silent or hangs: the others must not notice (I9)

    @property
    def promises(self):
        return DAEMON + (("I9",) if self.hangs_node else ())


def _kill(daemon):
    daemon.expect_running()  # it must not have died by itself before
    daemon.kill()


def _start(part):
    if not part.daemon.running():
        part.start()


# Of a daemon: `of` picks it.

def _killed(of):
    return (lambda cluster, node, fault: _kill(of(cluster, node).daemon),
            lambda cluster, node: _start(of(cluster, node)))


def _frozen(of):
    return (lambda cluster, node, fault: of(cluster, node).daemon.freeze(),
            lambda cluster, node: of(cluster, node).daemon.thaw())


def _restarted(of):
    return (lambda cluster, node, fault: of(cluster, node).stop(),
            lambda cluster, node: _start(of(cluster, node)))


def panel(cluster, _node):
    return cluster.panel


def agent(_cluster, node):
    return node.agent


def engine(_cluster, node):
    return node.engine


# Of the network.

def _cut(how):
    return (lambda cluster, node, fault: node.cut(how), lambda cluster, node: node.mend())


class _Flapping:
    """Cut and mended, again and again, quicker than anybody gives up."""
    EVERY = 0.3

    def __init__(self):
        self.running = {}

    def begin(self, _cluster, node, _fault):
        over = threading.Event()
        thread = threading.Thread(target=self._flap, args=(node, over))
        self.running[node] = (over, thread)
        thread.start()

    def _flap(self, node, over):
        while not over.wait(self.EVERY):
            node.cut("both ways")
            over.wait(self.EVERY)
            node.mend()

    def end(self, _cluster, node):
        over, thread = self.running.pop(node)
        over.set()
        thread.join()


# Of a whole node: everything on it dies at once, as when its power is cut.

def _processes_of(node):
    """Pids of the node's Engine, of what it has started, and of the containers."""
    parents, ours = {}, set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as cmdline:
                command = cmdline.read()
            with open(f"/proc/{entry}/stat") as stat:
                parents[int(entry)] = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it ended
        if (node.dir + "/run/").encode() in command:
            ours.add(int(entry))
    return ours | {pid for pid, parent in parents.items() if parent in ours}


def _cut_power(_cluster, node, _fault):
    _kill(node.agent.daemon)
    _kill(node.engine.daemon)
    for pid in _processes_of(node):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _give_power(_cluster, node):
    if not node.engine.daemon.running():
        # What a machine keeps in /run is gone after a start.
        for mount in _mounts_under(node.dir + "/run"):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(node.dir + "/run", ignore_errors=True)
        node.engine.start()
    _start(node.agent)


def _mounts_under(folder):
    with open("/proc/mounts") as mounts:
        return sorted((line.split()[1] for line in mounts if line.split()[1].startswith(folder)),
                      reverse=True)


# Behind the panel's back.

def _meddle(what, wanted):
    def begin(_cluster, node, fault):
        ours = [row["Id"] for row in node.engine.api.containers("panel.instance")
                if row["State"] == wanted and not row["Labels"]["panel.id"].startswith("0000")]
        if ours:
            what(node.engine.api, sorted(ours)[int(fault.pick * len(ours))])
    return begin, lambda cluster, node: None


def _quietly(call):
    """The workload may have deleted it a moment ago."""
    def tried(api, container):
        try:
            call(api, container)
        except AssertionError:
            pass
    return tried


_flapping = _Flapping()

KINDS = {
    "kill -9 of the panel": Kind(*_killed(panel), of_panel=True),
    "SIGSTOP of the panel": Kind(*_frozen(panel), of_panel=True),
    "restart of the panel": Kind(*_restarted(panel), lasts=(0.0, 1.0), of_panel=True),
    "kill -9 of the agent": Kind(*_killed(agent), hangs_node=True),
    "SIGSTOP of the agent": Kind(*_frozen(agent), hangs_node=True),
    "restart of the agent": Kind(*_restarted(agent), lasts=(0.0, 1.0)),
    "kill -9 of dockerd, live-restore off": Kind(*_killed(engine), live_restore=False,
                                                 stops_engine=True),
    "kill -9 of dockerd, live-restore on": Kind(*_killed(engine), live_restore=True,
                                                stops_engine=True),
    "restart of dockerd, live-restore off": Kind(*_restarted(engine), live_restore=False,
                                                 stops_engine=True),
    "restart of dockerd, live-restore on": Kind(*_restarted(engine), live_restore=True,
                                                stops_engine=True),
    "SIGSTOP of dockerd": Kind(*_frozen(engine), hangs_node=True),
    "power cut of a node": Kind(_cut_power, _give_power, stops_engine=True, hangs_node=True),
    "partition: no packets either way": Kind(*_cut("both ways"), hangs_node=True),
    "partition: no packets from panel to agent": Kind(*_cut("to the node"), hangs_node=True),
    "partition: no packets from agent to panel": Kind(*_cut("from the node"), hangs_node=True),
    "partition: RST": Kind(*_cut("by RST"), hangs_node=True),
    "partition: flapping": Kind(_flapping.begin, _flapping.end, hangs_node=True),
    "container killed behind the panel's back": Kind(
        *_meddle(_quietly(lambda api, container: api.kill(container)), "running"), lasts=(0, 0)),
    "container removed behind the panel's back": Kind(
        *_meddle(_quietly(lambda api, container: api.remove(container)), "running"), lasts=(0, 0)),
    "suspended container started behind the panel's back": Kind(
        *_meddle(_quietly(lambda api, container: api.start(container)), "exited"), lasts=(0, 0)),
}
