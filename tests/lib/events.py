"""A client of an event stream (HTML Living Standard, 9.2), on a thread of its own."""
import base64
import http.client
import json
import threading
import time

from lib.wait import patient


class Event:
    def __init__(self, name, event_id, data, at):
        self.name = name
        self.id = event_id
        self.data = data
        self.at = at  # monotonic

    @property
    def json(self):
        return json.loads(self.data)

    @property
    def line(self):
        """The bytes of a log's line."""
        value = self.json
        return base64.b64decode(value["base64"]) if "base64" in value else value["line"].encode()

    def __repr__(self):
        return f"<{self.name} {self.id} {self.data[:200]}>"


class EventStream:
    """Reads from its start until closed. paused: it doesn't read, so that buffers fill."""

    def __init__(self, client, path, last_id=None, paused=False):
        self.events = []
        self.comments = 0
        self.ended = False
        self.filled = threading.Condition()
        self.reading = threading.Event()
        if not paused:
            self.reading.set()
        self.connection = http.client.HTTPConnection(client.host, client.port, timeout=60)
        headers = {"x-api-key": client.key, "Accept": "text/event-stream"}
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.sock = self.connection.sock
        self.status = self.answer.status
        if self.status != 200:
            self.body = self.answer.read()
            return
        if self.answer.headers["Content-Type"] != "text/event-stream":
            raise AssertionError(f"no event stream: {self.answer.headers}")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        name, event_id, data = "message", None, []
        try:
            self.reading.wait()
            for raw in self.answer:
                self.reading.wait()
                text = raw.decode("utf-8").rstrip("\n")
                key, _, value = text.partition(":")
                value = value.removeprefix(" ")
                if text == "":
                    if data:
                        self._add(Event(name, event_id, "\n".join(data), time.monotonic()))
                    name, data = "message", []
                elif text.startswith(":"):
                    self.comments += 1
                elif key == "event":
                    name = value
                elif key == "id":
                    event_id = value
                elif key == "data":
                    data.append(value)
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass
        with self.filled:
            self.ended = True
            self.filled.notify_all()

    def _add(self, event):
        with self.filled:
            self.events.append(event)
            self.filled.notify_all()

    def lines(self):
        """The texts of the lines so far."""
        with self.filled:
            return [event.line.decode() for event in self.events if event.name == "message"]

    @property
    def last_id(self):
        with self.filled:
            return [event.id for event in self.events if event.id][-1]

    def wait(self, condition, timeout=20, what="the events"):
        """Until condition(self) is true."""
        end = time.monotonic() + patient(timeout)
        with self.filled:
            while not condition(self):
                if not self.filled.wait(end - time.monotonic()) and time.monotonic() > end:
                    raise AssertionError(f"not within {patient(timeout):g} s: {what}; have {len(self.events)}:"
                                         f" {self.events[:3]} … {self.events[-5:]}")
        return self

    def await_line(self, text, timeout=20):
        return self.wait(lambda me: any(event.name == "message" and event.line.decode() == text
                                        for event in me.events), timeout, f"the line {text!r}")

    def await_end(self, timeout=20):
        return self.wait(lambda me: me.ended, timeout, "the stream's end")

    def close(self):
        self.reading.set()
        try:
            self.sock.shutdown(2)
        except OSError:
            pass
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
