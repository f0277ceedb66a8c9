"""What the clients of a round asked for and were answered, and what that allows to be true."""
import itertools
import math
import threading
import time
from dataclasses import dataclass, field

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"


@dataclass
class Entry:
    """One change that was asked for; with an Idempotency-Key maybe several times."""
    client: int
    kind: str  # deploy, suspend, unsuspend, delete, retry, restart, user, image
    subject: str  # an instance's id; of what is to be made: its name
    facts: dict
    began: float
    ended: float = math.inf  # for ever, when there was no answer: it may be done later
    outcome: str = UNKNOWN
    attempts: list = field(default_factory=list)
    made: str = ""  # the id that a deploy answered

    def __str__(self):
        answers = ", ".join(f"{at:.3f} {what}" for at, what in self.attempts)
        return (f"client {self.client} {self.began:.3f} {self.kind} {self.subject} {self.facts} -> "
                f"{self.outcome} {self.made} [{answers}]")


class Journal:
    """Of one round. base: {id: instance} as all was agreed on when the round began."""

    def __init__(self, base=None):
        self.base = dict(base or {})
        self.entries = []
        self.lock = threading.Lock()
        self.misreadings = []  # answers to reads that no order of the changes explains

    def begin(self, client, kind, subject, **facts):
        entry = Entry(client, kind, subject, facts, time.monotonic())
        with self.lock:
            self.entries.append(entry)
        return entry

    def of_kind(self, *kinds):
        with self.lock:
            return [entry for entry in self.entries if entry.kind in kinds]

    def on(self, instance_id, *kinds):
        return [e for e in self.of_kind(*kinds) if e.subject == instance_id]

    def deploys(self):
        return self.of_kind("deploy")

    def made(self):
        """{id: the deploy that was answered with it}"""
        return {entry.made: entry for entry in self.deploys() if entry.made}

    def targets(self, client=None):
        """Ids of instances that nobody has asked to delete, in a fixed order; of one client."""
        doomed = {e.subject for e in self.of_kind("delete") if e.outcome != REFUSED}
        ids = [i for i, row in self.base.items() if client is None or owner(row["Name"]) == client]
        ids += [e.made for e in self.deploys() if e.made and client in (None, e.client)]
        return [i for i in dict.fromkeys(ids) if i not in doomed]

    # What may be true of an instance

    def must_exist(self, instance_id, at):
        """Was it acknowledged before `at`, and has nobody asked to delete it?"""
        if any(e.outcome != REFUSED for e in self.on(instance_id, "delete")):
            return False
        deploy = self.made().get(instance_id)
        return instance_id in self.base or (deploy is not None and deploy.outcome == OK and
                                            deploy.ended < at)

    def must_be_gone(self, instance_id, at):
        return any(e.outcome == OK and e.ended < at for e in self.on(instance_id, "delete"))

    def may_be_suspended(self, instance_id, began=math.inf):
        """The values that `suspended` may have for somebody who began to look at `began`."""
        changes = [e for e in self.on(instance_id, "suspend", "unsuspend") if e.outcome != REFUSED]
        sure = [e for e in changes if e.outcome == OK and e.ended < began]
        values = set()
        if not sure:
            values.add(self.base[instance_id]["suspended"] if instance_id in self.base else False)
        for entry in changes:
            # Nothing that surely came after it has undone it.
            if not any(other.began > entry.ended for other in sure):
                values.add(entry.kind == "suspend")
        return values

    # Reads, while all goes on

    def check_read(self, rows, asked, began):
        """rows: the instances that an answer showed; asked: those it should have shown."""
        shown = {row["Id"]: row for row in rows}
        for instance_id in asked:
            if instance_id not in shown and self.must_exist(instance_id, began):
                self.misread(instance_id, "it was acknowledged, and is not shown")
        for instance_id, row in shown.items():
            if self.must_be_gone(instance_id, began):
                self.misread(instance_id, "its delete was acknowledged, and it is shown")
            elif row["suspended"] not in self.may_be_suspended(instance_id, began):
                self.misread(instance_id, f"suspended is shown as {row['suspended']}")

    def misread(self, instance_id, why):
        with self.lock:
            self.misreadings.append((instance_id, why))

    def about(self, words):
        """Lines that hold one of the words."""
        return [str(e) for e in self.of_kind(*KINDS) if any(word in str(e) for word in words)]


KINDS = ("deploy", "suspend", "unsuspend", "delete", "retry", "restart", "user", "image")
_serial = itertools.count(1)


def new_name(client):
    """A name that nothing else has; owner() tells whose it is."""
    return f"c{client}x{next(_serial)}"


def owner(name):
    return int(name[1:].partition("x")[0])
