"""Rounds of requests and faults against a cluster: do what the plan says, heal, wait until all is
as it is wanted, and hold journal, store and Engines against the promises."""
import os
import threading
import time
from collections import Counter

from faults import checks, look, plan
from faults.clients import ClientThread
from faults.followers import EventFollower, LogFollower
from faults.journal import REFUSED, Journal
from faults.kinds import KINDS
from faults.workload import GAME, Workload, is_of_template
from lib import images, promises
from lib.cluster import Cluster
from lib.daemon import tail
from lib.resources import Resources, open_files
from lib.wait import until

SETTLES = 10  # seconds, and Docker's own time
GIVES_UP = 60  # seconds after which we look no longer
INSTALL_MS = 25000
CONFIG = {"heartbeatMs": 500, "installTimeoutMs": INSTALL_MS, "stopTimeoutMs": 15000,
          "memoryOvercommit": 16}
LOG_FOLLOWERS = 3
NOTICES = 18  # seconds; a stream whose client has hung up is seen to be one by a comment, after 15 s of silence
HEARS = 10  # seconds, for a follower to have heard all


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
            self.problems += [p for p in checks.doubled(alone, self.home, running=True)
                              if p not in self.problems]


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
        self.faulty = set()  # indices of the nodes that had a fault, this round; -1 is the panel
        self.retried = set()  # (instance, when it had FAILED)
        self.restarted = set()  # indices of the nodes whose Engine was, this round
        self.workload = Workload(self.cluster)
        self.events = None
        self.logs = {}  # {instance: its follower}
        self.counts = Counter()  # what only the whole run can show to have happened
        self.base = {}
        self.before = {}  # of the journal
        self.weights = None
        self.journal = None

    def __enter__(self):
        try:
            self.cluster.start(make=(images.sleeper,))
            self.workload.start()
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
        self.events = EventFollower(self.cluster, self.seed)
        self.events.start()
        return self

    def __exit__(self, kind, _value, _trace):
        for sampler in self.samplers:
            sampler.over.set()
        for thread in (self.events, *self.logs.values()):
            thread.over.set()
        for thread in (*self.samplers, self.events, *self.logs.values()):
            thread.join()
        self.workload.stop()
        if kind is not None:
            self.cluster.abandon()
        else:
            self.cluster.stop()  # I5: exit codes, sanitizer reports and leaks

    # One round

    def round(self):
        """The next one of the plan. Raises Broken, having told all that is known of it."""
        todo = plan.make_round(self.seed, self.rounds, len(self.cluster.nodes))
        self.rounds += 1
        self.journal = Journal(self.base, self.before)
        for fault in todo.faults:
            self.injected[fault.kind] += 1
        began = time.monotonic() + 0.2
        clients = [ClientThread(i, ops, self.cluster, self.workload, self.journal, self.timings, began,
                                began + plan.ROUND_SECONDS) for i, ops in enumerate(todo.clients)]
        for follower in (self.events, *self.logs.values()):
            follower.restless = True
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
        for follower in (self.events, *self.logs.values()):
            follower.restless = False  # connections that were left are seen to be so after a while
        self.faulty = {f.node for f in todo.faults}
        took, sight = self._settle(max(healed, time.monotonic()))
        self._check(sight)
        if not self.problems and any(node["maintenance"] for node in sight.nodes):
            sight = self._undrain(sight)
        if not self.problems:
            self._agree(sight)
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
                late = checks.unsettled(sight, self.journal.may_be)
                if not late:
                    late = checks.misfits(look.inspect(self.cluster, sight))
                if self._give_ports_back(sight) or self._retry_far_away(sight):
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
                return took, look.inspect(self.cluster, sight or look.look(self.cluster))
            time.sleep(0.1)
        self.settled_in.append(took)
        allowed = SETTLES + self._docker_time(since)
        if took > allowed:
            self._found(checks.Problem("I8", "all", f"settled {took:.1f} s after the fault had ended"
                                       f"; {allowed:.1f} s are allowed"))
        while checks.unfailed(sight, self.journal.may_be):
            if time.monotonic() - healed > INSTALL_MS / 1000 + 5:
                self.problems += checks.unfailed(sight, self.journal.may_be)
                break
            time.sleep(0.1)
            sight = look.inspect(self.cluster, look.look(self.cluster))
        return took, sight

    def _undrain(self, sight):
        """Nodes that are drained when all is settled are what was promised of them. Then they run again."""
        self.counts["nodes drained at the end of a round"] += \
            sum(bool(node["drain"]) for node in sight.nodes)
        for node in sight.nodes:
            if node["maintenance"]:
                self.cluster.api.request("PATCH", f"/api/nodes/{node['id']}", {"maintenance": False},
                                         timeout=60).expect(200)
        return self._settle(time.monotonic())[1]

    def _retry_far_away(self, sight):
        """A node that was cut off from registry and files has FAILED what needed them, as it should: that
        is retried. Was there any?"""
        ids = [node.id for node in self.cluster.nodes]
        retried = False
        for row in checks.far_away(sight):
            attempt = (row["Id"], row["updatedAt"])
            if ids.index(row["Node"]["id"]) not in self.faulty or attempt in self.retried:
                continue
            self.retried.add(attempt)
            answer = self.cluster.api.post(f"/api/instances/{row['Id']}/retry", {}).expect((200, 409))
            self.counts["retries of what was cut off"] += answer.status == 200
            retried = retried or answer.status == 200
        return retried

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
            failed = [r for r in sight.instances if r["Node"]["id"] == node.id and r["Error"] and
                      r["Error"]["code"] == "port_in_use" and r["InternalState"] == "FAILED"]
            if failed:
                until(lambda: all(n["status"] in ("Online", "Maintenance") for n in
                                  self.cluster.api.nodes()), 30, "all nodes are back")
            for one in failed:  # it may have lost several
                self.cluster.api.post(f"/api/instances/{one['Id']}/retry", {}).expect((200, 409))
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
        # One that was stopped in the middle of it keeps both, neither running, until it is started: also
        # when a reinstall has ended the change since (seed 2479676009).
        self.problems += checks.doubled(sight.containers, home, changing={
            row["Id"] for row in sight.instances if row["change"] or row["State"] in ("stopped", "suspended")})
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
        self._check_content(sight)
        self._check_followers(sight)
        self._check_weights()
        for sampler in self.samplers:
            sampler.home = home

    def _check_content(self, sight):
        """Volumes, and what came into them."""
        work = self.workload
        unsure = {node.id for node in self.cluster.nodes if node.index in self.restarted}
        self.problems += checks.unkept(self.journal, sight, work.kept, work.read)
        self.problems += checks.uninstalled(sight, GAME, work.read, is_of_template)
        deadline = time.monotonic() + HEARS  # a program reads when it gets to it
        while True:
            found = checks.misdelivered(self.journal, sight, work.read, is_of_template, unsure)
            if not found or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        self.problems += found
        for entry in self.journal.of_kind("command"):
            self.counts[f"commands {entry.outcome}"] += 1
        self.counts["lines in volumes"] += sum(
            (work.read(row, "lines") or b"").count(e.facts["line"].encode() + b"\n")
            for row in sight.instances for e in self.journal.on(row["Id"], "command"))

    def _check_followers(self, sight):
        """Who follows is told all of it in a moment."""
        deadline = time.monotonic() + HEARS
        newest = look.last_event(self.cluster)
        while True:
            found = checks.unheard(self.events, newest) or checks.untold(self.events, sight)
            for follower in self.logs.values():
                found += self._check_log(follower, sight)
            if not found or time.monotonic() > deadline:
                break
            time.sleep(0.2)
            sight = look.look(self.cluster)
        self.problems += found

    def _check_log(self, follower, sight):
        row = next((r for r in sight.instances if r["Id"] == follower.instance_id), None)
        if row is None or not row["ContainerId"]:
            return [checks.Problem("I1", follower.instance_id, text) for text in follower.problems]
        node = next(n for n in self.cluster.nodes if n.id == row["Node"]["id"])
        return checks.unlogged(follower, look.printed(node, row["ContainerId"]))

    def _agree(self, sight):
        """All that the next round goes out from; and what is put in place for it."""
        for instance_id in {e.subject for e in self.journal.of_kind("wipe") if e.outcome != REFUSED}:
            self.workload.kept.pop(instance_id, None)
        self.before = {}
        for row in sight.instances:
            seen = (row["InternalState"], row["suspended"]) == ("READY", False)
            self.before[row["Id"], "on"] = \
                {row["State"] == "running"} if seen else self.journal.may_be(row["Id"], "on")
            for user in sight.users:
                self.before[row["Id"], f"access of {user['userId']}"] = {row["Id"] in user["accessTo"]}
            if row["State"] == "running":
                self.workload.keep(row)
                if is_of_template(row) and row["Id"] not in self.logs and \
                        len(self.logs) < LOG_FOLLOWERS:
                    self.logs[row["Id"]] = LogFollower(self.cluster, row["Id"], self.seed)
                    self.logs[row["Id"]].start()
        self.base = {row["Id"]: row for row in sight.instances}
        self.workload.kept = {i: text for i, text in self.workload.kept.items() if i in self.base}
        for instance_id in set(self.logs) - set(self.base):
            self.logs.pop(instance_id).stop()

    def _check_weights(self):
        """What a fault has opened may take its time to close, as what is promised after one."""
        deadline = time.monotonic() + NOTICES
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
        self.say(f"{self.events.last} events, one after the other over {self.events.resumed} resumptions")
        for what, count in sorted(self.counts.items()):
            self.say(f"{what}: {count}")
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

