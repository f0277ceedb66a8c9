"""What the clients of a round asked for and were answered, and what that allows to be true."""
import itertools
import math
import threading
import time
from dataclasses import dataclass, field

from faults.changes import KINDS as CHANGES, root

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"


@dataclass
class Entry:
    """One change that was asked for; with an Idempotency-Key maybe several times."""
    client: int
    kind: str  # one of KINDS
    subject: str  # an instance's or a node's id; of what is to be made: its name
    facts: dict  # "sets": {field: the value that it has once this is done}
    began: float
    ended: float = math.inf  # for ever, when there was no answer: it may be done later
    outcome: str = UNKNOWN
    attempts: list = field(default_factory=list)
    made: str = ""  # the id that a deploy answered

    def __str__(self):
        answers = ", ".join(f"{at:.3f} {what}" for at, what in self.attempts)
        return (f"client {self.client} {self.began:.3f} {self.kind} {self.subject} {self.facts} -> "
                f"{self.outcome} {self.made} [{answers}]")


# What nobody has asked for yet.
DEFAULTS = {"suspended": False, "on": True, "wipe": False, "drained": False}


class Journal:
    """Of one round. base: {id: instance} as all was agreed on when the round began; before: {(subject,
    field): values} that no row shows, e.g. whether one that is suspended is to run when it no longer is."""

    def __init__(self, base=None, before=None):
        self.base = dict(base or {})
        self.before = dict(before or {})
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

    def is_made_of(self, instance_id, image):
        """Is the image's name in what it was deployed from?"""
        row = self.base.get(instance_id)
        return image in (row["Image"] if row else self.made()[instance_id].facts["asked"]["image"])

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

    def may_be(self, subject, field, began=math.inf):
        """The values that the field may have for somebody who began to look at `began`: those that some
        order of the changes explains."""
        changes = [e for e in self.of_kind(*KINDS) if e.subject == subject and e.outcome != REFUSED
                   and field in e.facts.get("sets", ())]
        sure = [e for e in changes if e.outcome == OK and e.ended < began]
        values = set() if sure else set(self.first(subject, field))
        for entry in changes:
            # Nothing that surely came after it has undone it.
            if not any(other.began > entry.ended for other in sure):
                values.add(entry.facts["sets"][field])
        return values

    def first(self, subject, field):
        """The values that it may have had before anybody asked for a change in this round."""
        if (subject, field) in self.before:
            return self.before[subject, field]
        if subject in self.base and field in SHOWN:
            return {SHOWN[field](self.base[subject])}
        deploy = self.made().get(subject)
        if deploy is not None and field in deploy.facts.get("asked", ()):
            return {deploy.facts["asked"][field]}
        return {DEFAULTS.get(field, False)}

    def name_of(self, instance_id):
        """As it was deployed."""
        row = self.base.get(instance_id)
        return root(row["Name"]) if row else self.made()[instance_id].subject

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
            else:
                self.check_fields(instance_id, row, began)

    def check_fields(self, instance_id, row, began):
        for field, show in SHOWN.items():
            if self.knows(instance_id, field) and \
                    show(row) not in self.may_be(instance_id, field, began):
                self.misread(instance_id, f"{field} is shown as {show(row)}")

    def knows(self, instance_id, field):
        """Not what a deploy of no answer has asked for, whose instance a list may show; nor a port that the
        panel has chosen, which it may choose anew."""
        if field == "ports":
            return any(field in e.facts.get("sets", ()) and e.outcome == OK
                       for e in self.on(instance_id, "change"))
        deploy = self.made().get(instance_id)
        return instance_id in self.base or field in DEFAULTS or (
            deploy is not None and field in deploy.facts.get("asked", ()))

    def misread(self, instance_id, why):
        with self.lock:
            self.misreadings.append((instance_id, why))

    def about(self, words):
        """Lines that hold one of the words."""
        return [str(e) for e in self.of_kind(*KINDS) if any(word in str(e) for word in words)]


# Fields that an instance's row shows, of those that changes set.
SHOWN = {"suspended": lambda row: row["suspended"], **{name: CHANGES[name].shown for name in CHANGES}}

KINDS = ("deploy", "suspend", "unsuspend", "delete", "retry", "start", "stop", "restart", "kill",
         "change", "redeploy", "reinstall", "wipe", "command", "give", "take", "drain", "undrain", "user",
         "image")
_serial = itertools.count(1)


def new_name(client):
    """A name that nothing else has; owner() tells whose it is."""
    return f"c{client}x{next(_serial)}"


def owner(name):
    return int(root(name)[1:].partition("x")[0])
