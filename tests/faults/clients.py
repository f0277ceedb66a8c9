"""The clients of a round: each makes the requests of its plan, one after the other, and keeps the
journal. No answer, and 5xx, mean unknown: then one with an Idempotency-Key asks again."""
import http.client
import secrets
import threading
import time

from faults import changes, workload
from faults.journal import OK, REFUSED, UNKNOWN, new_name

TIMEOUT = 6  # seconds for one answer
PATIENCE = 20  # seconds for repeats, counted from the end of the round
MOST_INSTANCES = 4  # of one client; past it a deploy becomes a delete
# With these a deploy says that nothing was created.
NOTHING_CREATED = ("node_offline", "docker_unavailable")
POWER = {"start": True, "stop": False, "restart": True, "kill": False}  # does it run afterwards?
NO_ANSWER = (OSError, http.client.HTTPException)


class ClientThread(threading.Thread):
    def __init__(self, number, ops, cluster, work, journal, timings, start_at, ends_at):
        super().__init__(daemon=True)
        self.number = number
        self.ops = ops
        self.cluster = cluster
        self.workload = work
        self.api = cluster.panel.client()
        self.journal = journal
        self.timings = timings
        self.start_at = start_at
        self.ends_at = ends_at
        self.problem = None

    def run(self):
        try:
            for op in self.ops:
                time.sleep(max(0.0, self.start_at + op.at - time.monotonic()))
                self.do(op)
        except BaseException as problem:  # a broken rule, or a fault of this program
            self.problem = problem

    def do(self, op):
        kind = op.kind
        if kind.startswith("deploy") and len(self.journal.targets(self.number)) >= MOST_INSTANCES:
            kind = "delete"
        if kind.startswith("deploy"):
            self.deploy(op, kind)
        elif kind.startswith("user"):
            self.user(op, again=kind == "user again")
        elif kind == "image":
            name = new_name(self.number)
            self.change(op, self.journal.begin(self.number, "image", name), "POST",
                        "/api/images/create", {"Name": name, "Image": "test:sleeper"})
        elif kind in ("drain", "undrain"):
            self.drain(op, kind)
        elif kind == "list":
            self.list(op)
        else:
            targets = self.journal.targets(None if op.strange else self.number)
            if kind == "command":  # where somebody listens, if there is one
                targets = [i for i in targets if self.journal.is_made_of(i, "talker")] or targets
            if targets:
                self.on_instance(op, kind, targets[int(op.pick * len(targets))])

    # Changes

    def deploy(self, op, kind):
        name = new_name(self.number)
        port = str(op.port) if kind == "deploy fixed" else "auto"
        image = self.workload.image("talker" if kind == "deploy template" else "sleeper")
        body = {"image": image, "memory": "16", "cpu": "0.1", "ports": f"8080:{port}",
                "nodeId": self.cluster.nodes[op.node].id, "name": name,
                "user": self.cluster.user_id, "primary": port}
        if kind == "deploy template":
            body["imagename"] = workload.TEMPLATE
        if kind == "deploy absent":
            body["image"] = "test:absent"
        if kind == "deploy wrong":
            body["memory"] = "much"
        entry = self.journal.begin(self.number, "deploy", name, node=op.node, port=port, asked={
            "name": name, "memory": 16, "cpu": 0.1, "image": body["image"]})
        waits = kind == "deploy wait"
        answer = self.change(op, entry, "POST", "/api/instances/deploy", body,
                             query={"wait": 3} if waits else None)
        if answer is not None and answer.status == 201:
            entry.made = answer.json["Id"] if "Id" in answer.json else answer.json["instance"]["Id"]
        elif entry.outcome == OK:
            entry.made = failed_instance(answer)

    def user(self, op, again):
        users = [e for e in self.journal.of_kind("user") if e.outcome == OK]
        name = users[int(op.pick * len(users))].subject if again and users else new_name(self.number)
        self.change(op, self.journal.begin(self.number, "user", name), "POST",
                    "/api/auth/create-user", {"username": name, "email": f"{name}@example.test",
                                              "password": "correct horse"})

    def on_instance(self, op, kind, instance_id):
        if kind == "get":
            self.get(op, instance_id)
            return
        path = f"/api/instances/{instance_id}"
        if kind == "delete":
            self.ask(op, kind, instance_id, {}, "DELETE", "/api/instance/delete", {"id": instance_id})
        elif kind in ("suspend", "unsuspend"):
            self.ask(op, kind, instance_id, {"suspended": kind == "suspend"}, "POST",
                     f"/api/instances/{kind}/{instance_id}", {})
        elif kind in POWER:
            self.ask(op, kind, instance_id, {"on": POWER[kind]}, "POST", f"{path}/power", {"action": kind})
        elif kind == "change":
            value, body = self.new_value(op, instance_id)
            self.ask(op, kind, instance_id, {op.what: value}, "PATCH", path, body)
        elif kind in ("reinstall", "wipe"):
            self.ask(op, kind, instance_id, {"wipe": kind == "wipe"}, "POST", f"{path}/reinstall",
                     {"wipe": kind == "wipe"})
        elif kind == "command":
            line = self.workload.new_line()
            self.ask(op, kind, instance_id, {}, "POST", f"{path}/command", {"line": line}, line=line,
                     at=time.time())
        elif kind in ("give", "take"):
            guest = self.workload.guests[op.number % len(self.workload.guests)]
            self.ask(op, kind, instance_id, {f"access of {guest}": kind == "give"},
                     "POST" if kind == "give" else "DELETE", f"{path}/users", {"userId": guest})
        else:
            self.ask(op, kind, instance_id, {}, "POST", f"{path}/{kind}", {})

    def new_value(self, op, instance_id):
        """(the value that the instance has then, the body that asks for it)"""
        change = changes.KINDS[op.what]
        value = change.value(self.journal.name_of(instance_id), op.number, self.workload.registry.host)
        return value, change.body(value)

    def drain(self, op, kind):
        node_id = self.cluster.nodes[op.node].id
        self.ask(op, kind, node_id, {"drained": kind == "drain"}, "PATCH", f"/api/nodes/{node_id}",
                 {"drain": True} if kind == "drain" else {"maintenance": False})

    def ask(self, op, kind, subject, sets, method, path, body, **facts):
        """sets: what is so once it is done."""
        entry = self.journal.begin(self.number, kind, subject, sets=sets, **facts)
        return self.change(op, entry, method, path, body)

    def change(self, op, entry, method, path, body, query=None):
        """Ask until there is a definite answer; without a key, once. The answer or None."""
        key = {"Idempotency-Key": secrets.token_hex(8)} if op.keyed else {}
        while True:
            began = time.monotonic()
            try:
                answer = self.api.request(method, path, body, headers=key, query=query,
                                          timeout=TIMEOUT)
                said = f"{answer.status} {answer.json.get('code', answer.json.get('state', ''))}"
            except NO_ANSWER as problem:
                answer, said = None, type(problem).__name__
            entry.attempts.append((time.monotonic(), said))
            outcome = UNKNOWN if answer is None else judge(entry.kind, answer)
            if answer is not None and may_be_undone(answer):
                return answer
            if outcome == REFUSED and len(entry.attempts) > 1:
                return answer  # this one was; one before it may still be under way
            if outcome != UNKNOWN:
                entry.ended, entry.outcome = time.monotonic(), outcome
                if len(entry.attempts) == 1 and outcome == OK and not query:
                    self.timings.add(entry.kind, self.node_of(op, entry), began, entry.ended)
                return answer
            if not op.keyed or time.monotonic() > self.ends_at + PATIENCE:
                return answer
            time.sleep(0.3)

    def node_of(self, op, entry):
        """Which node the change concerns, -1 for none."""
        if entry.kind in ("deploy", "drain", "undrain"):
            return op.node
        deploy = self.journal.made().get(entry.subject)
        if deploy:
            return deploy.facts["node"]
        row = self.journal.base.get(entry.subject)
        if row:
            return [node.id for node in self.cluster.nodes].index(row["Node"]["id"])
        return -1

    # Reads

    def read(self, kind, ask):
        began = time.monotonic()
        try:
            answer = ask()
        except NO_ANSWER:
            return None, began
        if answer.status < 500:
            self.timings.add(kind, -1, began, time.monotonic())
        return answer, began

    def list(self, _op):
        asked = self.journal.targets()
        answer, began = self.read("list", lambda: self.api.get("/api/instances", timeout=TIMEOUT))
        if answer is not None and answer.status == 200:
            self.journal.check_read(answer.json, asked, began)

    def get(self, _op, instance_id):
        answer, began = self.read("get", lambda: self.api.post(
            "/api/getInstance", {"id": instance_id}, timeout=TIMEOUT))
        if answer is not None and answer.status < 500:
            self.journal.check_read([answer.json] if answer.status == 200 else [], [instance_id],
                                    began)


def failed_instance(answer):
    """A deploy that was waited for and FAILED has made its instance all the same: its id, or ""."""
    return (answer.json.get("details") or {}).get("instanceId", "")


def may_be_undone(answer):
    """It was, or it waits for its node, or to prove itself: what it comes to is not said yet."""
    return answer.json.get("code") == "change_undone" or bool(answer.json.get("change"))


def judge(kind, answer):
    """What the answer says of the change."""
    if answer.status in (200, 201):
        return OK
    if kind == "command":  # says whether the line was written; 504: that nobody knows
        unwritten = answer.status < 500 or answer.status == 503
        return REFUSED if unwritten and answer.json.get("code") != "outcome_unknown" else UNKNOWN
    if 400 <= answer.status < 500:
        return REFUSED
    if kind == "deploy" and failed_instance(answer):
        return OK
    if kind == "deploy" and answer.json.get("code") in NOTHING_CREATED:
        return REFUSED
    return UNKNOWN
