"""Peers that speak the link's protocol as a test wants it: an agent, a panel, and one in between.

Below: SP over TLS, as nng speaks it. A connection begins with eight bytes each way; then a message
is its length (eight bytes, big-endian) and its payload, and of REQ and REP the payload begins with
four bytes that tell which request it is."""
import collections
import itertools
import json
import os
import random
import select
import socket
import ssl
import struct
import threading
import time

from lib import pki, wire
from lib.wait import until

REQ, REP = 0x30, 0x31
VERSION = 1


def greeting(protocol):
    return struct.pack(">4sHH", b"\0SP\0", protocol, 0)


class Connection:
    """SP on a TLS socket; one thread reads, any may send."""

    def __init__(self, sock, protocol):
        sock.setblocking(False)
        self.sock = sock
        self.lock = threading.Lock()  # OpenSSL takes one call at a time
        self.closed = False
        self.unread = b""
        self.send_bytes(greeting(protocol))
        self.greeted = self._read(8)

    def _attempt(self, call):
        """call(), as often as it takes until the socket is ready for it."""
        while not self.closed:
            with self.lock:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    wanted = ([self.sock], [])
                except ssl.SSLWantWriteError:
                    wanted = ([], [self.sock])
            select.select(*wanted, [], 0.2)
        raise ConnectionError("closed")

    def send_bytes(self, data):
        while data:
            data = data[self._attempt(lambda: self.sock.send(data)):]

    def send(self, payload):
        self.send_bytes(struct.pack(">Q", len(payload)) + payload)

    def _read(self, count):
        while len(self.unread) < count:
            data = self._attempt(lambda: self.sock.recv(65536))
            if not data:
                raise ConnectionError("closed by the peer")
            self.unread += data
        data, self.unread = self.unread[:count], self.unread[count:]
        return data

    def receive(self):
        return self._read(struct.unpack(">Q", self._read(8))[0])

    def close(self):
        self.closed = True
        with self.lock:
            self.sock.close()


def connect(port, identity, node_id, timeout=10):
    """To an agent on this machine, as a panel does."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    try:
        return Connection(identity.client().wrap_socket(sock, server_hostname=node_id), REQ)
    except BaseException:
        sock.close()
        raise


def close_listening(sock):
    """A thread in accept() holds the port until it is woken."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


class Listener:
    """Takes connections as an agent's port does; work(connection) in a thread each."""

    def __init__(self, port, identity):
        self.context = identity.server()
        self.socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.connections = []
        self.refused = []  # why handshakes failed
        self.closed = False

    def start(self, work):
        threading.Thread(target=self._accept, args=(work,), daemon=True).start()
        return self

    def _accept(self, work):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, work), daemon=True).start()

    def _serve(self, sock, work):
        sock.settimeout(10)
        connection = None
        try:
            connection = Connection(self.context.wrap_socket(sock, server_side=True), REP)
            self.connections.append(connection)
            work(connection)
        except (OSError, ValueError) as why:
            if connection is None:
                self.refused.append(str(why))
        finally:
            if connection in self.connections:
                self.connections.remove(connection)
            (connection or sock).close()

    def stop(self):
        close_listening(self.socket)
        for connection in list(self.connections):
            connection.close()


def what_is_known(agent):
    """What joining left in the agent's state folder."""
    with open(os.path.join(agent.state, "identity.json")) as file:
        return json.load(file)


class ScriptedPanel:
    """Speaks to an agent, by default with a new certificate of the panel's CA, as the start of the
    panel that the agent heard last."""

    def __init__(self, panel, agent, identity=None):
        identity = identity or pki.authority_of(panel).issue("panel", "clientAuth")
        known = what_is_known(agent)
        with open(os.path.join(agent.state, "epoch")) as file:
            epoch = int(file.read())
        self.numbers = itertools.count(0x80000001)
        self.fields = {"protocol_version": VERSION, "panel_id": known["panelId"],
                       "node_id": known["nodeId"], "epoch": epoch, "call_id": 1}
        self.link = connect(int(known["port"]), identity, known["nodeId"])

    def ask(self, **envelope):
        """The answer, as a dict."""
        return self.ask_bytes(wire.encode("Envelope", {**self.fields, **envelope}))

    def ask_bytes(self, payload):
        number = struct.pack(">I", next(self.numbers))
        self.link.send(number + payload)
        while True:
            answer = self.link.receive()
            if answer[:4] == number:
                return wire.decode("Envelope", answer[4:])

    def close(self):
        self.link.close()


def make_status(instance_id, observed, generation=1, **more):
    return {"instance_id": instance_id, "generation": generation, "observed": observed, **more}


class ScriptedAgent:
    """An honest agent without any Docker, with the state folder of a real one that has joined.

    twist(request, reply), set by a test, makes it a liar: what it returns is sent, a list of
    envelopes (dicts) or bytes; requests and replies are dicts as wire.decode() makes them."""

    def __init__(self, agent):
        known = what_is_known(agent)
        self.node_id = known["nodeId"]
        self.panel_id = known["panelId"]
        self.port = int(known["port"])
        self.identity = pki.identity_of(agent)
        self.boot_id = "scripted"
        self.statuses = {}  # id → (number of its last change, status)
        self.changes = 1  # a cursor of 0 asks for everything
        self.changed = threading.Condition()
        self.twist = None
        self.requests = collections.Counter()  # by body
        self.listener = None

    def start(self):
        self.listener = Listener(self.port, self.identity).start(self._serve)
        return self

    def stop(self):
        self.listener.stop()
        with self.changed:
            self.changed.notify_all()

    def tell(self, status):
        with self.changed:
            self.changes += 1
            self.statuses[status["instance_id"]] = (self.changes, status)
            self.changed.notify_all()

    def _serve(self, connection):
        while True:
            message = connection.receive()
            threading.Thread(target=self._answer, args=(connection, message), daemon=True).start()

    def _answer(self, connection, message):
        request = wire.decode("Envelope", message[4:])
        body = wire.body_of(request)
        self.requests[body] += 1
        reply = {"protocol_version": VERSION, "panel_id": self.panel_id, "node_id": self.node_id,
                 "call_id": request.get("call_id", 0), **getattr(self, "on_" + body)(request[body])}
        try:
            for item in self.twist(request, reply) if self.twist else [reply]:
                connection.send(message[:4] + wire.encode("Envelope", item))
        except OSError:
            pass  # the panel has gone

    def on_apply(self, apply):
        up = apply["desired"] == wire.DESIRED_RUNNING
        self.tell(make_status(apply["instance_id"], wire.RUNNING if up else wire.STOPPED,
                              apply["generation"], attempt=apply["attempt"],
                              spec_hash=apply["spec_hash"], container_id="c" * 64))
        return {"ack": {}}

    def on_remove(self, remove):
        self.tell(make_status(remove["instance_id"], wire.REMOVED, remove["generation"]))
        return {"ack": {}}

    def on_cert_request(self, _):
        return {"failure": {"code": "unwilling", "message": "no"}}

    on_cert_install = on_cert_request

    def on_sync(self, sync):
        deadline = time.monotonic() + sync.get("wait_ms", 0) / 1000
        cursor = sync.get("cursor", 0)
        full = not 0 < cursor <= self.changes or sync.get("boot_id") != self.boot_id
        cursor = 0 if full else cursor
        with self.changed:
            while not full and self.changes <= cursor and time.monotonic() < deadline:
                self.changed.wait(deadline - time.monotonic())
            news = sorted(item for item in self.statuses.values() if item[0] > cursor)
            return {"sync_reply": {
                "boot_id": self.boot_id, "cursor": self.changes, "full": full,
                "inventory_ready": True, "statuses": [status for _, status in news],
                "docker": {"up": True, "version": "29.1.0", "api_version": "1.51"},
                "capacity": {"memory_bytes": 16 << 30, "cpus": 8, "disk_bytes": 100 << 30},
                "usage": {"memory_used_bytes": 1 << 30, "cpu_permille": 10, "uptime_seconds": 60},
                "agent_version": "1.0", "cert_not_after": int(time.time()) + 80 * 86400}}


class Proxy:
    """Between a panel and an agent, with the certificates of both: sees every message, and does
    with each what fate(random, to_agent, message) says, a list of delays in seconds: [] loses it,
    [0, 0] doubles it, [0.3] sends it late, so that others overtake it."""

    def __init__(self, world, agent, node_id, port, agent_port, seed):
        self.listener = Listener(port, pki.identity_of(agent))
        self.as_panel = pki.authority_of(world.panel).issue("panel", "clientAuth")
        self.node_id = node_id
        self.agent_port = agent_port
        self.random = random.Random(seed)
        self.fate = None
        self.touched = 0  # messages that didn't just pass

    def start(self):
        self.listener.start(self._serve)
        return self

    def stop(self):
        self.listener.stop()

    def _serve(self, panel):
        agent = connect(self.agent_port, self.as_panel, self.node_id)
        back = threading.Thread(target=self._relay, args=(agent, panel, False), daemon=True)
        back.start()
        try:
            self._relay(panel, agent, True)
        finally:
            agent.close()
            back.join()

    def _relay(self, source, sink, to_agent):
        try:
            while True:
                message = source.receive()
                delays = [0] if self.fate is None else self.fate(self.random, to_agent, message)
                self.touched += delays != [0]
                for delay in delays:
                    if delay:
                        threading.Timer(delay, self._late, (sink, message)).start()
                    else:
                        sink.send(message)
        except (OSError, ValueError):
            source.close()
            sink.close()

    @staticmethod
    def _late(sink, message):
        try:
            sink.send(message)
        except (OSError, ValueError):
            pass  # the connection ended before


class SilentPeer:
    """Accepts, and never says a word."""

    def __init__(self, port=0):
        self.socket = socket.create_server(("127.0.0.1", port), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.taken = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except OSError:
                return

    def await_somebody(self, timeout=15):
        until(lambda: self.taken, timeout, "somebody connects")

    def stop(self):
        close_listening(self.socket)
        for sock in self.taken:
            sock.close()
