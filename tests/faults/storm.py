"""Rounds of requests and faults against a cluster: do what the plan says, heal, wait until all is
as it is wanted, and hold journal, store and Engines against the promises."""
import os
import threading
import time
from collections import Counter

from faults import checks, look, plan
from faults.clients import ClientThread
from faults.journal import Journal
from faults.kinds import KINDS
from lib import images, promises
from lib.cluster import Cluster
from lib.daemon import tail
from lib.resources import Resources, open_files

SETTLES = 10  # seconds, and Docker's own time
GIVES_UP = 60  # seconds after which we look no longer
INSTALL_MS = 25000
CONFIG = {"heartbeatMs": 500, "installTimeoutMs": INSTALL_MS, "stopTimeoutMs": 15000,
          "memoryOvercommit": 16}


class Broken(AssertionError):
    """A promise was."""


class Timings:
    """How long requests took that were answered at the first try, and when what was bad."""

    def __init__(self):
        self.requests = []  # (kind, node or -1, began, ended)
        self.faults = []  # (node or -1 for the panel, from, to, does it make the node hang)
        self.lock = threading.Lock()

    def add(self, kind, node, began, ended):
        with self.lock:
            self.requests.append((kind, node, began, ended))

    def split(self):
        """(calm, bad): {kind: sorted seconds}; calm while there was no fault anywhere, bad on
        healthy nodes (or of none) while only other nodes were bad."""
        calm, bad = {}, {}
        for kind, node, began, ended in self.requests:
            near = [f for f in self.faults if f[1] < ended and began < f[2]]
            if not near:
                calm.setdefault(kind, []).append(ended - began)
            elif all(f[3] and f[0] != node for f in near):
                bad.setdefault(kind, []).append(ended - began)
        for values in (*calm.values(), *bad.values()):
            values.sort()
        return calm, bad


class Sampler(threading.Thread):
    """Looks at one Engine all the time, for a second container of one instance."""

    def __init__(self, index, node, problems):
        super().__init__(daemon=True)
        self.index = index
        self.node = node
        self.problems = problems
        self.home = {}  # {instance: index of its node}
        self.over = threading.Event()
        self.looks = 0

    def run(self):
        while not self.over.wait(0.2):
            try:
                rows = self.node.engine.api.call("GET", "/containers/json", timeout=2, query={
                    "all": "1", "filters": '{"label":["panel.instance"]}'})
            except (OSError, AssertionError, ValueError):
                continue  # it is down or hung, as it should be now
            seen = [row for row in rows if row["Labels"]["panel.id"] != look.OTHER_PANEL]
            self.looks += 1
            alone = [[]] * self.index + [seen]
            self.problems += [p for p in checks.doubled(alone, self.home) if p not in self.problems]


class Storm:
    def __init__(self, seed, nodes=3, say=print):
        self.seed = seed
        self.say = say
        self.cluster = Cluster(nodes, config=CONFIG, live_restore=plan.live_restore(seed, nodes))
        self.timings = Timings()
        self.problems = []
        self.injected = Counter()
        self.rounds = 0
        self.settled_in = []
        self.lost_ports = 0  # by Engines, see look.has_lost_port()
        self.port_refusals = {}  # {instance: those that were looked into}
        self.restarted = set()  # indices of the nodes whose Engine was, this round
        self.base = {}
        self.weights = None
        self.journal = None

    def __enter__(self):
        try:
            self.cluster.start(make=(images.sleeper,))
            self.docker_seconds = max(_container_seconds(node) for node in self.cluster.nodes)
            self.placed = look.place_bystanders(self.cluster)
            self.bystanders = look.see_bystanders(self.cluster, self.placed)
        except BaseException:
            self.cluster.abandon()
            raise
        self.samplers = [Sampler(i, node, self.problems)
                         for i, node in enumerate(self.cluster.nodes)]
        for sampler in self.samplers:
            sampler.start()
        return self

    def __exit__(self, kind, _value, _trace):
        for sampler in self.samplers:
            sampler.over.set()
        for sampler in self.samplers:
            sampler.join()
        if kind is not None:
            self.cluster.abandon()
        else:
            self.cluster.stop()  # I5: exit codes, sanitizer reports and leaks

    # One round

    def round(self):
        """The next one of the plan. Raises Broken, having told all that is known of it."""
        todo = plan.make_round(self.seed, self.rounds, len(self.cluster.nodes))
        self.rounds += 1
        self.journal = Journal(self.base)
        for fault in todo.faults:
            self.injected[fault.kind] += 1
        began = time.monotonic() + 0.2
        clients = [ClientThread(i, ops, self.cluster, self.journal, self.timings, began,
                                began + plan.ROUND_SECONDS) for i, ops in enumerate(todo.clients)]
        for client in clients:
            client.start()
        try:
            self._inject(todo.faults, began)
        except AssertionError as problem:
            self._found(checks.Problem("I5", "daemon", str(problem)))
        healed = time.monotonic()
        for client in clients:
            client.join()
            if client.problem:
                self._found(checks.Problem("I5", f"client {client.number}", repr(client.problem)))
        self.restarted = {f.node for f in todo.faults if KINDS[f.kind].stops_engine}
        took, sight = self._settle(max(healed, time.monotonic()))
        self._check(sight)
        outcomes = Counter(entry.outcome for entry in self.journal.entries)
        self.say(f"round {todo.number}: " + "; ".join(
            f"{f.kind}" + ("" if f.node < 0 else f" (n{f.node})") for f in todo.faults) +
            f": {outcomes['ok']} ok, {outcomes['refused']} refused, {outcomes['unknown']} unknown, "
            f"{len(sight.instances)} instances, settled in {took:.1f} s")
        if self.problems:
            self._tell(todo)
            raise Broken(f"{len(self.problems)} problems in round {todo.number} of seed "
                         f"{self.seed}: " + "\n".join(str(p) for p in self.problems[:10]))

    def _found(self, problem):
        self.problems.append(problem)

    def _inject(self, faults, began):
        """Each begins and ends at its time; whatever happens, all have ended afterwards."""
        steps = []
        for fault in faults:
            steps.append((fault.at, 0, fault))
            steps.append((fault.at + fault.lasts, 1, fault))
        open_faults = []
        try:
            for at, ends, fault in sorted(steps, key=lambda step: step[:2]):
                time.sleep(max(0.0, began + at - time.monotonic()))
                node = self.cluster.nodes[fault.node] if fault.node >= 0 else None
                if not ends:
                    open_faults.append((fault, time.monotonic()))
                    KINDS[fault.kind].begin(self.cluster, node, fault)
                else:
                    self._end(open_faults, fault)
        finally:
            for fault, _since in list(open_faults):
                self._end(open_faults, fault)

    def _end(self, open_faults, fault):
        since = next(s for f, s in open_faults if f is fault)
        open_faults[:] = [pair for pair in open_faults if pair[0] is not fault]
        kind = KINDS[fault.kind]
        kind.end(self.cluster, self.cluster.nodes[fault.node] if fault.node >= 0 else None)
        # A second more, for what has to catch up.
        self.timings.faults.append((fault.node, since, time.monotonic() + 1, kind.hangs_node))

    # What is true afterwards

    def _settle(self, healed):
        """(seconds until all was as it is wanted, what was seen then)"""
        since = time.time()
        while True:
            try:
                sight = look.look(self.cluster)
                late = checks.unsettled(sight)
                if self._give_ports_back(sight):
                    since, healed = time.time(), time.monotonic()
                    continue
            except (OSError, AssertionError) as problem:
                late = [checks.Problem("I8", "panel", repr(problem))]
                sight = None
            took = time.monotonic() - healed
            if sight and not late:
                break
            if took > GIVES_UP:
                self.problems += late
                return took, sight or look.look(self.cluster)
            time.sleep(0.1)
        self.settled_in.append(took)
        allowed = SETTLES + self._docker_time(since)
        if took > allowed:
            self._found(checks.Problem("I8", "all", f"settled {took:.1f} s after the fault had ended"
                                       f"; {allowed:.1f} s are allowed"))
        while checks.unfailed(sight):
            if time.monotonic() - healed > INSTALL_MS / 1000 + 5:
                self.problems += checks.unfailed(sight)
                break
            time.sleep(0.1)
            sight = look.look(self.cluster)
        return took, sight

    def _give_ports_back(self, sight):
        """An Engine that has lost a port is a fault that hasn't ended: only its next start ends it.
        Who was FAILED by it is retried, as its reason says. Was there one?"""
        for row in sight.instances:
            if not row["Error"] or row["Error"]["code"] != "port_in_use":
                continue
            node = next(n for n in self.cluster.nodes if n.id == row["Node"]["id"])
            # Once for each refusal, just after it: else it is we who have the port at the next try.
            refusals = look.port_refusals(node, row)
            if self.port_refusals.get(row["Id"]) == refusals:
                continue
            self.port_refusals[row["Id"]] = refusals
            if not look.has_lost_port(node, row):
                continue
            self.lost_ports += 1
            self.restarted.add(node.index)
            node.engine.restart()
            if row["InternalState"] == "FAILED":
                self.cluster.await_all_online()
                self.cluster.api.post(f"/api/instances/{row['Id']}/retry", {}).expect((200, 409))
            return True
        return False

    def _docker_time(self, since):
        """What the Engines themselves took for what they did since then: by count, at the speed
        measured in the beginning; they work side by side."""
        counts = [0]
        for node in self.cluster.nodes:
            status, body = node.engine.api.request("GET", "/events", query={
                "since": f"{since:.3f}", "until": f"{time.time():.3f}",
                "filters": '{"event":["create","start","die","destroy"]}'})
            counts.append(len(body.splitlines()) if status == 200 else 0)
        return max(counts) * self.docker_seconds

    def _check(self, sight):
        journal = self.journal
        self.problems += checks.lost_or_invented(journal, sight)
        home = {row["Id"]: [n.id for n in self.cluster.nodes].index(row["Node"]["id"])
                for row in sight.instances}
        self.problems += checks.doubled(sight.containers, home)
        self.problems += checks.differs_from_store(sight, *look.stored(self.cluster))
        seen = look.see_bystanders(self.cluster, self.placed)
        self.problems += checks.touched(self.bystanders, seen, self.restarted)
        self.bystanders = seen
        for daemon in self._daemons():
            try:
                daemon.expect_running()
                daemon.expect_clean()
            except AssertionError as problem:
                self._found(checks.Problem("I5", daemon.name, str(problem)))
                return
        self._check_weights()
        self.base = {row["Id"]: row for row in sight.instances}
        for sampler in self.samplers:
            sampler.home = home

    def _check_weights(self):
        """What a fault has opened may take its time to close, as what is promised after one."""
        deadline = time.monotonic() + SETTLES
        while True:
            weights = {daemon.name: Resources(daemon.pid) for daemon in self._daemons()}
            grown = checks.grown(self.weights, weights) if self.weights else []
            if not grown or time.monotonic() > deadline:
                break
            time.sleep(0.5)
        for daemon in self._daemons():
            if any(problem.subject == daemon.name for problem in grown):
                self.say(f"open in {daemon.name}:\n{open_files(daemon.pid)}")
        self.problems += grown
        if self.rounds == 2:
            self.weights = weights
        self.last_weights = weights

    def _daemons(self):
        return [self.cluster.panel.daemon] + [node.agent.daemon for node in self.cluster.nodes]

    # For a person

    def _tell(self, todo):
        self.say(f"seed {self.seed}, round {todo.number}: this is broken:")
        for problem in self.problems:
            self.say(f"  {problem}")
        self.say("the round's plan:")
        for fault in todo.faults:
            self.say(f"  {fault}")
        subjects = list(dict.fromkeys(problem.subject for problem in self.problems))[:5]
        for subject in subjects:
            words = {subject}
            words.update(e.subject for e in self.journal.deploys() if e.made == subject)
            self.say(f"what was asked of {subject}:")
            for line in self.journal.about(words):
                self.say(f"  {line}")
        for daemon in self._daemons():
            lines = [line for line in daemon.log().splitlines()
                     if any(subject in line for subject in subjects)]
            self.say(f"what {daemon.name} logged of them, and at the end:")
            for line in lines[-25:] + ["..."] + tail(daemon.log_path, 8).splitlines():
                self.say(f"  {line[:240]}")

    def finish(self):
        """The run as a whole: what only many requests show; what was measured, as lines."""
        calm, bad = self.timings.split()
        found = checks.slowed(calm, bad)
        self.problems += found
        for kind in sorted(calm):
            other = bad.get(kind, [])
            self.say(f"{kind:10} median {checks.at_share(calm[kind], .5) * 1000:6.1f} ms, p90 "
                     f"{checks.at_share(calm[kind], .9) * 1000:6.1f} ms of {len(calm[kind])}" + (
                         f"; another node bad: {checks.at_share(other, .5) * 1000:6.1f} ms, p90 "
                         f"{checks.at_share(other, .9) * 1000:6.1f} ms of {len(other)}"
                         if other else ""))
        if self.settled_in:
            times = sorted(self.settled_in)
            self.say(f"settled after a round: median {times[len(times) // 2]:.1f} s, at most "
                     f"{times[-1]:.1f} s")
        for name, has in getattr(self, "last_weights", {}).items():
            self.say(f"{name}: {self.weights[name] if self.weights else ''} at first, then {has}")
        if self.lost_ports:
            self.say(f"{self.lost_ports} ports that an Engine had lost, and got back by a restart")
        self.say(f"{sum(s.looks for s in self.samplers)} looks at the Engines meanwhile")
        if found:
            raise Broken("\n".join(str(problem) for problem in found))

    def record(self, source):
        """Evidence: each kind of fault, and the run."""
        broken = {problem.promise for problem in self.problems}
        for kind, times in sorted(self.injected.items()):
            shows = KINDS[kind].promises
            promises.record(shows, kind, times, not broken & set(shows), source)
        promises.record(("I5", "I6"), "random faults under load, rounds", self.rounds,
                        not broken & {"I5", "I6"}, source)


def _container_seconds(node):
    """What the Engine takes for one of create, start, die and destroy, with nobody else about."""
    api = node.engine.api
    began = time.monotonic()
    for _ in range(2):
        container = api.create("test:sleeper")
        api.start(container)
        api.remove(container)
    return (time.monotonic() - began) / 8


def new_seed():
    return int.from_bytes(os.urandom(4), "big")

