"""The promises as functions of what was asked for (journal) and what is true (sight). Each gives a
list of Problems; test_checks.py shows that each can."""
from collections import Counter
from dataclasses import dataclass

from faults.journal import OK, REFUSED
from lib.resources import SANITIZED

ABSENT_IMAGE = "test:absent"


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

def unsettled(sight):
    """What isn't yet as it is wanted. An instance whose image isn't there is never running, and
    must say so by its own deadline: unfailed()."""
    late = [Problem("I8", node["name"], f"the node is {node['status']}, docker "
                    f"{node['docker']['status']}") for node in sight.nodes
            if node["status"] != "Online" or node["docker"]["status"] != "up"]
    rows = {row["Id"]: row for row in sight.instances}
    running = Counter(instance_of(c) for node in sight.containers for c in node
                      if c["State"] == "running")
    for instance_id, row in rows.items():
        if row["Image"] == ABSENT_IMAGE:
            continue
        wanted = ("READY", "suspended", 0) if row["suspended"] else ("READY", "running", 1)
        seen = (row["InternalState"], row["State"], running[instance_id])
        if seen != wanted:
            late.append(Problem("I8", instance_id, f"wanted {wanted}, is {seen}, {row['Error']}"))
    for node, containers in enumerate(sight.containers):
        late += [Problem("I3", instance_of(c), f"a container of no instance is on node {node}: "
                         f"{c['State']}") for c in containers if instance_of(c) not in rows]
    for node, volumes in enumerate(sight.volumes):
        late += [Problem("I3", v, f"a volume of no instance is on node {node}")
                 for v in volumes if v not in rows]
    return late


def unfailed(sight):
    """Instances that can't run and have not said so yet."""
    return [Problem("I4", row["Id"], f"still {row['InternalState']} {row['State']}")
            for row in sight.instances if row["Image"] == ABSENT_IMAGE and not row["suspended"] and
            (row["InternalState"] != "FAILED" or not row["Error"])]


# I2

def doubled(containers_by_node, home=None):
    """containers_by_node: what was seen on each node at about one time. home: {instance: node}."""
    found = []
    for node, containers in enumerate(containers_by_node):
        for instance_id, count in Counter(instance_of(c) for c in containers).items():
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
    names = Counter(row["Name"] for row in sight.instances)
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
        if instance_id not in journal.base and row["Name"] not in deploys:
            found.append(Problem("I1", instance_id, "nobody asked for it"))
        if row["suspended"] not in journal.may_be_suspended(instance_id):
            found.append(Problem("I1", instance_id, f"suspended is {row['suspended']}, which no "
                                 "order of what was acknowledged explains"))
    return found + _shared_ports(sight)


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
