"""Slow clients, thousands of them from one process, so that what they cost the panel is the panel's own.

    python3 -m lib.hostile PORT KEY KIND=COUNT... [again]

Says "open" when all are connected, and at each line of stdin what became of them, as JSON. Ends with
stdin. again: one that the panel has ended comes back at once.

    silent   says nothing
    head     a byte of its head each second
    body     a byte of its body each second
    chunks   the same, in chunks
    reader   asks for a big list, again and again, and never reads
    idle     one request, then nothing on a connection that is kept
    join     a byte a second of what somebody without a key may send
"""
import collections
import json
import resource
import select
import socket
import subprocess
import sys
import threading
import time

from lib.places import ROOT


class Slow:
    """One of them."""

    def __init__(self, kind, crowd):
        self.kind = kind
        self.crowd = crowd
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if kind == "reader":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", crowd.port))
        self.began = time.monotonic()
        self.begun = False

    def first_words(self):
        head = (b"POST /api/getInstance HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"x-api-key: " + self.crowd.key)
        return {"silent": b"",
                "head": head,
                "chunks": head + b"\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{",
                "join": b"POST /join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 10000\r\n\r\n{",
                "body": head + b"\r\nContent-Length: 10000\r\n\r\n{",
                "reader": b"GET /api/images HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\n\r\n" % self.crowd.key * 3,
                "idle": b"GET /api/users?limit=1 HTTP/1.1\r\nHost: x\r\nx-api-key: %s\r\n\r\n" % self.crowd.key,
                }[self.kind]

    def speak(self):
        """Connected: say what is said first."""
        self.begun = True
        self.sock.send(self.first_words())

    def drip(self):
        if self.begun and self.kind in ("head", "body", "chunks", "join"):
            self.sock.send(b"a")

    def listen(self):
        """False when the panel has hung up."""
        return self.kind == "reader" or self.sock.recv(1 << 16) != b""


class Crowd:
    def __init__(self, port, key, kinds, again):
        self.port = port
        self.key = key.encode()
        self.again = again
        self.epoll = select.epoll()
        self.live = {}
        self.counts = {kind: collections.Counter(opened=0, ended=0, failed=0) for kind in kinds}
        self.ages = {kind: [] for kind in kinds}
        for kind, count in kinds.items():
            for _ in range(count):
                self.open(kind)

    def open(self, kind):
        try:
            one = Slow(kind, self)
        except OSError:
            self.counts[kind]["failed"] += 1
            return
        self.live[one.sock.fileno()] = one
        # A reader's window is shut, so only a reset or the end of both ways is news of it.
        wants = select.EPOLLOUT if kind == "reader" else select.EPOLLOUT | select.EPOLLIN
        self.epoll.register(one.sock.fileno(), wants)

    def end(self, one):
        self.epoll.unregister(one.sock.fileno())
        del self.live[one.sock.fileno()]
        one.sock.close()
        self.counts[one.kind]["ended" if one.begun else "failed"] += 1
        self.ages[one.kind].append(time.monotonic() - one.began)
        if self.again:
            self.open(one.kind)

    def touch(self, one, event):
        if event & (select.EPOLLERR | select.EPOLLHUP):
            raise ConnectionResetError
        if event & select.EPOLLOUT and not one.begun:
            one.speak()
            self.counts[one.kind]["opened"] += 1
            self.epoll.modify(one.sock.fileno(), 0 if one.kind == "reader" else select.EPOLLIN)
        if event & select.EPOLLIN and not one.listen():
            raise ConnectionResetError

    def turn(self, seconds):
        """What comes in that time."""
        for number, event in self.epoll.poll(seconds, 256):
            one = self.live.get(number)
            if one:
                self.try_to(one, self.touch, one, event)

    def drip(self):
        for one in list(self.live.values()):
            self.try_to(one, one.drip)

    def try_to(self, one, act, *args):
        try:
            act(*args)
        except BlockingIOError:
            pass
        except OSError:
            self.end(one)

    def all_spoke(self):
        return all(one.begun for one in self.live.values())

    def sum(self):
        return {kind: {**counts, "live": sum(one.kind == kind for one in self.live.values()),
                       "first": min(self.ages[kind], default=None), "last": max(self.ages[kind], default=None)}
                for kind, counts in self.counts.items()}


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port, key = int(sys.argv[1]), sys.argv[2]
    kinds = {kind: int(count) for kind, count in (a.split("=") for a in sys.argv[3:] if "=" in a)}
    crowd = Crowd(port, key, kinds, "again" in sys.argv)
    asked, ended = threading.Event(), threading.Event()

    def listen():
        for _ in sys.stdin:
            asked.set()
        ended.set()
    threading.Thread(target=listen, daemon=True).start()
    said = False
    due = time.monotonic() + 1
    while not ended.is_set():
        crowd.turn(0.02)
        if time.monotonic() > due:
            crowd.drip()
            due += 1
        if not said and crowd.all_spoke():
            print("open", flush=True)
            said = True
        if asked.is_set():
            asked.clear()
            print(json.dumps(crowd.sum()), flush=True)


class Attack:
    """A crowd in a process of its own; with … as attack."""

    def __init__(self, panel, kinds, again=False):
        argv = [sys.executable, "-m", "lib.hostile", str(panel.port), panel.key]
        argv += [f"{kind}={count}" for kind, count in kinds.items()] + (["again"] if again else [])
        self.process = subprocess.Popen(argv, cwd=f"{ROOT}/tests", stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line == "open\n", line

    def look(self):
        """{kind: {opened, ended, failed, live, first, last}}, the last two ages in seconds."""
        self.process.stdin.write("look\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


if __name__ == "__main__":
    main()
