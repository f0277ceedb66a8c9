"""HTTP as bytes, for input that no decent client would send."""
import socket
import time

from lib.rules import check_answer


class RawAnswer:
    def __init__(self, status, headers, body, version):
        self.status = status
        self.headers = headers
        self.body = body
        self.version = version

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class _Headers:
    def __init__(self):
        self.pairs = []

    def get(self, name, default=None):
        for key, value in self.pairs:
            if key.lower() == name.lower():
                return value
        return default

    def count(self, name):
        return sum(1 for key, _ in self.pairs if key.lower() == name.lower())


class Broken(AssertionError):
    """The server's own bytes are not HTTP."""


def parse(stream):
    """All complete answers in the bytes, in order."""
    answers = []
    while stream:
        head, mark, rest = stream.partition(b"\r\n\r\n")
        if not mark:
            break
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
            raise Broken(f"no status line: {lines[0]!r}")
        headers = _Headers()
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.pairs.append((name, value.strip()))
        status = int(parts[1])
        if status == 100:
            stream = rest
            continue
        length = headers.get("Content-Length")
        if length is None and status != 304 and status != 204:
            raise Broken(f"an answer without Content-Length: {head!r}")
        size = int(length or 0)
        if len(rest) < size:
            break
        answers.append(RawAnswer(status, headers, rest[:size], parts[0]))
        stream = rest[size:]
    return answers


def exchange(host, port, data, timeout=5.0, enough=None, shut=False):
    """Send bytes; read until the server closes, `enough` answers are there, or timeout seconds.

    Returns (answers, closed). shut: half-close after sending."""
    deadline = time.monotonic() + timeout
    received = b""
    closed = False
    with socket.create_connection((host, port), timeout=timeout) as sock:
        try:
            sock.sendall(data)
            if shut:
                sock.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it answered, or hung up, before it had read all: both are its right
        while time.monotonic() < deadline:
            if enough is not None and len(parse(received)) >= enough:
                break
            sock.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                chunk = sock.recv(65536)
            except socket.timeout:
                break
            except ConnectionResetError:
                closed = True
                break
            if not chunk:
                closed = True
                break
            received += chunk
    return parse(received), closed


def is_librarys(answer):
    """libmicrohttpd refuses some bytes itself, before there is a request, with a page of its own
    that 0.9.75 lets nobody change. All that can be asked of it is to say no and to hang up."""
    return answer.status >= 400 and any(b"<html><head><title>" + title in answer.body
                                        for title in (b"Request", b"Internal server error"))


def check_all(answers, what):
    for answer in answers:
        if not is_librarys(answer):
            check_answer(answer.status, answer.headers, answer.body, what)


def request(method, target, headers=(), body=b"", version="HTTP/1.1"):
    """The bytes of a request; headers are (name, value) pairs, written as they are."""
    head = f"{method} {target} {version}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
    return head.encode("latin-1") + body
