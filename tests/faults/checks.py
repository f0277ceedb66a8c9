"""The promises as functions of what was asked for (journal) and what is true (sight). Each gives a
list of Problems; test_checks.py shows that each can."""
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timezone

from faults.changes import KINDS as CHANGES, root
from faults.followers import counted
from faults.journal import OK, REFUSED, SHOWN
from lib.resources import SANITIZED

ABSENT_IMAGE = "test:absent"
# What an instance may be FAILED with when its node was cut off from where its files and its image come from.
FAR_AWAY = ("install_failed", "registry_unreachable", "registry_timeout", "install_timeout")


@dataclass(frozen=True)
class Problem:
    promise: str
    subject: str  # an instance's id or name, to find what the journal and the logs say of it
    text: str

    def __str__(self):
        return f"{self.promise}: {self.subject}: {self.text}"


def instance_of(container):
    return container["Labels"]["panel.instance"]


# I8: is all as it is wanted?

def unsettled(sight, may_be=lambda _id, _field: {True}):
    """What isn't yet as it is wanted. may_be: of the journal, for what no row shows. An instance whose image
    isn't there is never running, and must say so by its own deadline: unfailed()."""
    late = [Problem("I8", node["name"], f"the node is {node['status']}, docker "
                    f"{node['docker']['status']}") for node in sight.nodes
            if node["status"] != ("Maintenance" if node.get("maintenance") else "Online") or
            node["docker"]["status"] != "up"]
    drained = {node.get("id") for node in sight.nodes if node.get("drain")}
    rows = {row["Id"]: row for row in sight.instances}
    running = Counter(instance_of(c) for node in sight.containers for c in node
                      if c["State"] == "running")
    for instance_id, row in rows.items():
        if row["Image"] == ABSENT_IMAGE:
            continue
        wanted = _wanted(row, row["Node"]["id"] in drained, may_be(instance_id, "on"))
        seen = (row["InternalState"], row["State"], running[instance_id])
        if seen not in wanted:
            late.append(Problem("I8", instance_id, f"wanted {wanted}, is {seen}, {row['Error']}"))
    for node, containers in enumerate(sight.containers):
        late += [Problem("I3", instance_of(c), f"a container of no instance is on node {node}: "
                         f"{c['State']}") for c in containers if instance_of(c) not in rows]
    for node, volumes in enumerate(sight.volumes):
        late += [Problem("I3", v, f"a volume of no instance is on node {node}")
                 for v in volumes if v not in rows]
    return late


def _wanted(row, drained, on):
    """(InternalState, State, containers that run), each that would be right. on: of its power."""
    if row["suspended"]:
        return [("READY", "suspended", 0)]
    if drained:
        return [("READY", "stopped", 0)]
    return [("READY", "running", 1) if up else ("READY", "stopped", 0) for up in sorted(on)]


def misfits(sight):
    """Containers that run with something else than their instance's row says. Needs the details."""
    found = []
    for row in sight.instances:
        container = sight.details.get(row["Id"])
        if row["State"] != "running" or container is None:
            continue
        for name, change in CHANGES.items():
            shown = change.shown(row)
            if change.held is None or shown is None or name == "ports":
                continue
            if change.held(container) != shown:
                found.append(Problem("I8", row["Id"], f"its {name} is {shown}, and its container has "
                                     f"{change.held(container)}"))
    return found


def unfailed(sight, may_be=lambda _id, _field: {True}):
    """Instances that can't run and have not said so yet. Those that needn't run needn't say so."""
    drained = {node.get("id") for node in sight.nodes if node.get("drain")}
    return [Problem("I4", row["Id"], f"still {row['InternalState']} {row['State']}")
            for row in sight.instances if row["Image"] == ABSENT_IMAGE and not row["suspended"] and
            row["Node"]["id"] not in drained and may_be(row["Id"], "on") == {True} and
            (row["InternalState"] != "FAILED" or not row["Error"])]


def far_away(sight):
    """Rows that are FAILED for want of what comes from elsewhere."""
    return [row for row in sight.instances if row["InternalState"] == "FAILED" and
            row["Image"] != ABSENT_IMAGE and row["Error"] and row["Error"]["code"] in FAR_AWAY]


# I2

def doubled(containers_by_node, home=None, running=False, changing=()):
    """containers_by_node: what was seen on each node at about one time. home: {instance: node}. running: all
    goes on, and one that is being replaced may have a second one that doesn't run; changing: so may these,
    which were stopped in the middle of it."""
    found = []
    for node, containers in enumerate(containers_by_node):
        ids = [instance_of(c) for c in containers if c["State"] == "running" or
               not (running or instance_of(c) in changing)]
        for instance_id, count in Counter(ids).items():
            if count > 1:
                found.append(Problem("I2", instance_id, f"{count} containers on node {node}"))
            if home and home.get(instance_id, node) != node:
                found.append(Problem("I2", instance_id, f"a container on node {node}, which isn't "
                                     f"its own, {home[instance_id]}"))
    return found


# I1

def lost_or_invented(journal, sight):
    found = _instances(journal, sight)
    for kind, names in (("user", {user["username"] for user in sight.users}),
                        ("image", {image["Name"] for image in sight.images})):
        by_name = {}
        for entry in journal.of_kind(kind):
            by_name.setdefault(entry.subject, []).append(entry)
        for name, entries in by_name.items():
            outcomes = {entry.outcome for entry in entries}
            if OK in outcomes and name not in names:
                found.append(Problem("I1", name, f"the {kind} was acknowledged and is lost"))
            if outcomes == {REFUSED} and name in names:
                found.append(Problem("I1", name, f"the {kind} was refused and is there"))
            if sum(entry.outcome == OK for entry in entries) > 1:
                found.append(Problem("I1", name, f"the {kind} was made twice"))
    return found + [Problem("I1", subject, text) for subject, text in journal.misreadings]


def _instances(journal, sight):
    found = []
    rows = {row["Id"]: row for row in sight.instances}
    names = Counter(root(row["Name"]) for row in sight.instances)
    deploys = {entry.subject: entry for entry in journal.deploys()}
    for name, count in names.items():
        if count > 1:
            found.append(Problem("I1", name, f"one deploy made {count} instances"))
    for name, entry in deploys.items():
        if entry.outcome == REFUSED and name in names:
            found.append(Problem("I1", name, "the deploy was refused, and is there"))
    forever = float("inf")
    for instance_id in set(journal.base) | set(journal.made()):
        if instance_id not in rows and journal.must_exist(instance_id, forever):
            found.append(Problem("I1", instance_id, "it was acknowledged, and is lost"))
        if instance_id in rows and journal.must_be_gone(instance_id, forever):
            found.append(Problem("I1", instance_id, "its delete was acknowledged, and it is there"))
    for instance_id, row in rows.items():
        if instance_id not in journal.base and root(row["Name"]) not in deploys:
            found.append(Problem("I1", instance_id, "nobody asked for it"))
        for field, show in SHOWN.items():
            if journal.knows(instance_id, field) and \
                    show(row) not in journal.may_be(instance_id, field):
                found.append(Problem("I1", instance_id, f"{field} is {show(row)}, which no order of what "
                                     "was acknowledged explains"))
    return found + _shared_ports(sight) + _shared_access(journal, sight) + _drains(journal, sight)


def _shared_access(journal, sight):
    """Guests whose access to an instance no order of what was acknowledged explains."""
    found = []
    for user in sight.users:
        field = f"access of {user.get('userId')}"
        for row in sight.instances:
            has = row["Id"] in user.get("accessTo", ())
            if has not in journal.may_be(row["Id"], field):
                found.append(Problem("I1", row["Id"], f"{user['username']} {'has' if has else 'lacks'} access, "
                                     "which no order of what was acknowledged explains"))
    return found


def _drains(journal, sight):
    return [Problem("I1", node["id"], f"{node['name']} is {'' if node['drain'] else 'not '}drained, which no "
                    "order of what was acknowledged explains") for node in sight.nodes if "drain" in node and
            bool(node["drain"]) not in journal.may_be(node["id"], "drained")]


def _shared_ports(sight):
    holders = {}
    for row in sight.instances:
        for pair in row["Ports"].split(","):
            host, _, protocol = pair.partition(":")[2].partition("/")
            for one in (protocol,) if protocol else ("tcp", "udp"):
                holders.setdefault((row["Node"]["id"], host, one), set()).add(row["Id"])
    return [Problem("I1", ids.pop(), f"shares host port {port} with {ids}")
            for (_, port, _), ids in holders.items() if len(ids) > 1]


def differs_from_store(sight, rows, integrity):
    """rows, integrity: of look.stored(), when nothing is under way."""
    found = [] if integrity == "ok" else [Problem("I1", "panel.db", integrity)]
    shown = {row["Id"]: row for row in sight.instances}
    for instance_id in set(rows) ^ set(shown):
        where = "shown and not stored" if instance_id in shown else "stored and not shown"
        found.append(Problem("I1", instance_id, f"it is {where}"))
    for instance_id in set(rows) & set(shown):
        name, _phase, suspended = rows[instance_id]
        row = shown[instance_id]
        if (name, bool(suspended)) != (row["Name"], row["suspended"]):
            found.append(Problem("I1", instance_id, f"stored as {rows[instance_id]}"))
    return found


# I1: what is in the volumes. read(row, name): the bytes of a file, or None.

def unkept(journal, sight, kept, read):
    """kept: {instance: what our own file in its volume says}. Only a wipe takes it away, and does."""
    found = []
    for row in sight.instances:
        if row["Id"] not in kept:
            continue
        is_there = read(row, "kept") == kept[row["Id"]]
        wiped = journal.may_be(row["Id"], "wipe")
        asked = any(e.kind == "wipe" and e.outcome != REFUSED for e in journal.on(row["Id"], "wipe"))
        if not is_there and not asked:
            found.append(Problem("I1", row["Id"], "its volume has lost a file, and nobody asked for a wipe"))
        if is_there and wiped == {True} and row["State"] == "running":
            found.append(Problem("I1", row["Id"], "a wipe was acknowledged, and its volume is what it was"))
    return found


def uninstalled(sight, game, read, of_template):
    """Instances that run without the file that their template installs."""
    return [Problem("I1", row["Id"], "it runs without what its template installs") for row in sight.instances
            if of_template(row) and row["State"] == "running" and read(row, "game") != game]


def misdelivered(journal, sight, read, of_template, unsure=()):
    """Lines of POST …/command: none twice, none that is said not to be written, and none lost while the
    container ran on. unsure: ids of the nodes whose Engines were stopped. Needs the details."""
    found = []
    for row in sight.instances:
        if not of_template(row):
            continue
        lines = Counter((read(row, "lines") or b"").decode().splitlines())
        since = started_at(sight.details.get(row["Id"]))
        for line, times in lines.items():
            if times > 1:
                found.append(Problem("I1", row["Id"], f"{line!r} was delivered {times} times"))
        for entry in journal.on(row["Id"], "command"):
            line = entry.facts["line"]
            if entry.outcome == REFUSED and line in lines:
                found.append(Problem("I1", row["Id"], f"{line!r} was delivered, and said not to be"))
            if entry.outcome == OK and line not in lines and since and since < entry.facts["at"] and \
                    row["Node"]["id"] not in unsure:
                found.append(Problem("I1", row["Id"], f"{line!r} was acknowledged and is lost"))
    return found


def started_at(container):
    """Since when it runs, in seconds since 1970; None: it doesn't."""
    if not container or not container["State"]["Running"]:
        return None
    whole = container["State"]["StartedAt"].partition(".")[0].rstrip("Z")
    # A second later than the part that is cut off could make it.
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp() + 1


# I1: what followers were told

def unheard(follower, newest):
    """Of all events, once it had the time to hear the newest."""
    found = [Problem("I1", "events", text) for text in follower.problems]
    if follower.last < newest:
        found.append(Problem("I1", "events", f"event {newest} is committed, and its follower stands at "
                             f"{follower.last}"))
    return found


def untold(follower, sight):
    """Instances whose last event says something else than their rows, when nothing is under way."""
    return [Problem("I1", row["Id"], f"its last event said {follower.states.get(row['Id'])}, and it is "
                    f"{(row['InternalState'], row['State'])}") for row in sight.instances
            if follower.states.get(row["Id"]) != (row["InternalState"], row["State"])]


def unlogged(follower, lines):
    """lines: what the Engine has of the container. Those of each run that the follower began to hear have
    come to it all, once each and in order."""
    found = [Problem("I1", follower.instance_id, text) for text in follower.problems]
    printed = {}
    for run, number in filter(None, map(counted, lines)):
        printed.setdefault(run, []).append(number)
    for run, numbers in follower.runs.items():
        if len(set(numbers)) != len(numbers):
            twice = [n for n, times in Counter(numbers).items() if times > 1]
            found.append(Problem("I1", follower.instance_id, f"lines {twice[:5]} of run {run} came twice"))
        has = printed.get(run)
        if not has or follower.told_lost:
            continue
        missing = set(n for n in has if numbers[0] <= n) - set(numbers)
        if missing:
            found.append(Problem("I1", follower.instance_id, f"lines {sorted(missing)[:5]} of run {run} never "
                                 "came"))
    return found


# I3

def touched(before, after, may_restart):
    """before, after: of look.see_bystanders(). may_restart: indices of the nodes whose Engine was
    stopped meanwhile."""
    found = []
    for (node, name), (container, since) in before.items():
        if after[node, name][0] != container:
            found.append(Problem("I3", name, f"on node {node} it is another one, or gone"))
        elif after[node, name][1] is None:
            found.append(Problem("I3", name, f"on node {node} it does not run any more"))
        elif after[node, name][1] != since and node not in may_restart:
            found.append(Problem("I3", name, f"on node {node} it was started anew"))
    return found


# I6

def grown(first, now, more_descriptors=12, more_threads=2):
    """first, now: {name: Resources}, all being quiet. With sanitizers memory proves nothing: they
    keep what was freed."""
    more_mib = 512 if SANITIZED else 24
    found = []
    for name, has in now.items():
        had = first[name]
        for figure, word, more in (("fds", "descriptors", more_descriptors),
                                   ("threads", "threads", more_threads),
                                   ("rss_mib", "MiB", more_mib)):
            before, after = getattr(had, figure), getattr(has, figure)
            if after > before + more:
                found.append(Problem("I6", name, f"{before:.0f} {word}, then {after:.0f}"))
    return found


# I9

def slowed(calm, bad, least=20, factor=3.0, grace=0.25):
    """calm, bad: {kind of request: seconds of each, sorted}, with all nodes well, and on healthy
    nodes while another was bad. Kinds of which there are few say nothing."""
    found = []
    for kind in calm:
        if len(calm[kind]) < least or len(bad.get(kind, ())) < least:
            continue
        for word, share in (("median", 0.5), ("p90", 0.9)):
            before, during = at_share(calm[kind], share), at_share(bad[kind], share)
            if during > factor * before + grace:
                found.append(Problem("I9", kind, f"{word} {before * 1000:.0f} ms, and "
                                     f"{during * 1000:.0f} ms while another node was bad"))
    return found


def at_share(values, share):
    return values[min(len(values) - 1, int(share * len(values)))]
