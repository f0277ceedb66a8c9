"""What a route of the scripted Engine can do wrong, by name.

A fault is called with the handler of one request and respond(), which does what was asked and
answers as usual. Those made of the usual answer have done what was asked, but nobody can tell."""
import io
import json
import time


def _capture(handler, respond):
    """(head, body) of the usual answer, with the body in one piece."""
    real, handler.wfile, handler.captured = handler.wfile, io.BytesIO(), True
    try:
        respond()
        head, _, body = handler.wfile.getvalue().partition(b"\r\n\r\n")
    finally:
        handler.wfile = real
    if b"chunked" in head:
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            whole += body[:int(size, 16)]
            body = body[int(size, 16) + 2:]
        body = whole
    return head.split(b"\r\n")[0], body


def _send(handler, status, body, length=None):
    handler.wfile.write(status + b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                        % (len(body) if length is None else length) + body)


def _ok(handler, body):
    _send(handler, b"HTTP/1.1 200 OK", body)


def _hangs(handler, _respond):
    """Until the Engine is well again; then the connection is cut."""
    while handler.engine.broken:
        time.sleep(0.05)


def _answers_slowly(_handler, respond):
    time.sleep(0.4)
    respond()


def _trickles(handler, respond):
    """A few bytes at a time, over half a second."""
    status, body = _capture(handler, respond)
    handler.wfile.write(status + b"\r\nContent-Length: %d\r\n\r\n" % len(body))
    step = max(1, len(body) // 50)
    for at in range(0, len(body), step):
        handler.wfile.write(body[at:at + step])
        time.sleep(0.01)


def _answers_500(handler, _respond):
    _send(handler, b"HTTP/1.1 500 Internal Server Error", b'{"message":"the scripted Engine is broken"}')


def _answers_500_without_words(handler, _respond):
    _send(handler, b"HTTP/1.1 500 Internal Server Error", b"\xff\xfe\x00 <h1>")


def _loses_the_answer(handler, respond):
    _capture(handler, respond)


def _cuts_the_body(handler, respond):
    status, body = _capture(handler, respond)
    _send(handler, status, body[:len(body) // 2], length=len(body) + 1)


def _cuts_a_chunk(handler, respond):
    status, body = _capture(handler, respond)
    handler.wfile.write(status + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % (len(body) + 1)
                        + body[:len(body) // 2])


def _is_empty(handler, _respond):
    _ok(handler, b"")


def _is_html(handler, _respond):
    _ok(handler, b"<html>It works!</html>\n")


def _is_null(handler, _respond):
    _ok(handler, b"null\n")


def _is_deep(handler, _respond):
    _ok(handler, b"[" * 100000 + b"\n")


def _twist(value):
    if isinstance(value, dict):
        return {key: _twist(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_twist(item) for item in value]
    return 7 if isinstance(value, str) else "seven" if isinstance(value, int) else {"seven": [None]}


def _changed(change):
    """Each line of JSON changed; what isn't JSON stays."""
    def fault(handler, respond):
        status, body = _capture(handler, respond)
        lines = [change(json.loads(line)) for line in body.splitlines() if line.strip().startswith(
            (b"{", b"["))]
        _send(handler, status, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return fault


def _is_not_utf8(handler, respond):
    status, body = _capture(handler, respond)
    _send(handler, status, body.replace(b": \"", b": \"\xff\xc0"))


def _never_ends(handler, _respond):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b"[" + b"x" * 65535)


def _headers_never_end(handler, _respond):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-More: %s\r\n" % (b"y" * 1000) * 50)


def _is_not_http(handler, _respond):
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


# Harmless: all that was asked works nevertheless.
HARMLESS = {
    "answers slowly": _answers_slowly,
    "trickles its answer": _trickles,
}

FAULTS = {
    **HARMLESS,
    "hangs": _hangs,
    "answers 500": _answers_500,
    "answers 500 without words": _answers_500_without_words,
    "closes at once": lambda handler, respond: None,
    "loses the answer": _loses_the_answer,
    "cuts the body": _cuts_the_body,
    "cuts a chunk": _cuts_a_chunk,
    "answers nothing": _is_empty,
    "answers HTML": _is_html,
    "answers null": _is_null,
    "answers a deep nest": _is_deep,
    "has wrong types in its JSON": _changed(_twist),
    "answers an array for an object": _changed(lambda v: {"0": v} if isinstance(v, list) else [v]),
    "is not UTF-8": _is_not_utf8,
    "never ends its answer": _never_ends,
    "never ends its headers": _headers_never_end,
    "is no HTTP": _is_not_http,
}
