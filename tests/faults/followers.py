"""Clients that follow, lose their connection at any moment, and come back with the last id they had: each
notes all that it was told, and what it should not have been."""
import http.client
import random
import re
import threading
import time

from lib.events import EventStream

NO_ANSWER = (OSError, AssertionError, http.client.HTTPException)


def counted(line):
    """(run, number) of a line of workload.TALK; None of what an Engine has cut when it was killed."""
    found = re.fullmatch(r"([0-9a-f-]{36}) ([0-9]+)", line)
    return (found[1], int(found[2])) if found else None


class Follower(threading.Thread):
    """path: of the stream. While it is restless it hangs up by itself every few seconds, by the seed. It ends
    with stop(), or when what it follows is no more."""

    def __init__(self, cluster, path, seed):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.path = path
        self.chance = random.Random(f"{seed} follower of {path}")
        self.last_id = None
        self.over = threading.Event()
        self.restless = True
        self.problems = []
        self.resumed = 0

    def run(self):
        while not self.over.is_set():
            try:
                stream = EventStream(self.cluster.panel.client(), self.path, last_id=self.last_id)
            except NO_ANSWER:
                self.over.wait(0.1)
                continue
            if stream.status == 200:
                self.resumed += self.last_id is not None
                self._read(stream)
            stream.close()
            if stream.status == 400:
                return  # what it follows was deleted
            self.over.wait(0.05)

    def _read(self, stream):
        hang_up = time.monotonic() + self.chance.uniform(1, 6)
        taken = 0
        while not self.over.is_set() and not (self.restless and time.monotonic() > hang_up):
            with stream.filled:
                if len(stream.events) == taken and not stream.ended:
                    stream.filled.wait(0.2)
                new, ended = stream.events[taken:], stream.ended
            for event in new:
                if event.id:
                    self.last_id = event.id
                self.take(event)
            taken += len(new)
            if ended and not new:
                return

    def stop(self):
        self.over.set()
        self.join()


class EventFollower(Follower):
    """Of GET /api/events, from the first event there ever was: each id is the one before and one."""

    def __init__(self, cluster, seed):
        super().__init__(cluster, "/api/events?after=0", seed)
        self.last = 0
        self.states = {}  # {instance: (InternalState, State) as last told}

    def take(self, event):
        if event.name == "lost":
            self.problems.append(f"told after {self.last} that {event.data} are lost")
            return
        if int(event.id) != self.last + 1:
            self.problems.append(f"event {event.id} came after {self.last}")
        self.last = int(event.id)
        about = event.json
        if about["type"] == "instance.deleted":
            self.states.pop(about["instanceId"], None)
        elif "State" in about:
            self.states[about["instanceId"]] = (about["InternalState"], about["State"])


class LogFollower(Follower):
    """Of the logs of one instance that runs workload.TALK."""

    def __init__(self, cluster, instance_id, seed):
        super().__init__(cluster, f"/api/instances/{instance_id}/logs?follow=1&tail=all", seed)
        self.instance_id = instance_id
        self.ids = set()
        self.runs = {}  # {run: the numbers it has counted, as they came}
        self.told_lost = 0

    def take(self, event):
        if event.name == "lost":
            self.told_lost += event.json["lines"]
            return
        if event.name != "message":
            return
        if event.id in self.ids:
            self.problems.append(f"event {event.id} came twice: {event.line}")
        self.ids.add(event.id)
        line = counted(event.line.decode(errors="replace"))
        if line:
            self.runs.setdefault(line[0], []).append(line[1])

    def last_of(self, run):
        return self.runs.get(run, [0])[-1]
