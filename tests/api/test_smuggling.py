"""Heads that two parsers could read differently, and other bytes no client should send.

The matrix has the usual ones for each endpoint; here is the long tail, against one."""
import unittest

from lib import raw
from lib.promises import proves, ran
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def send(data, **more):
    answers, closed = raw.exchange("127.0.0.1", WORLD.panel.port, data, **more)
    raw.check_all(answers, repr(data[:80]))
    return answers, closed


def head(*lines, target="/api/getUser", method="POST", version="HTTP/1.1"):
    text = [f"{method} {target} {version}".encode(), b"Host: x",
            b"x-api-key: " + WORLD.panel.key.encode(), b"Content-Type: application/json"]
    return b"\r\n".join(text + list(lines)) + b"\r\n\r\n"


BODY = b'{"type":"id","value":"x"}'
LENGTH = b"Content-Length: %d" % len(BODY)


class Heads(unittest.TestCase):
    """Each is refused, and the connection closed, so that nothing behind it is taken for a request."""

    def refused(self, data, statuses=(400,)):
        answers, closed = send(data)
        self.assertTrue(closed, "the connection was kept")
        self.assertLessEqual(len(answers), 1, answers)
        # Some bytes are so far from HTTP that hanging up is answer enough.
        if answers:
            self.assertIn(answers[0].status, statuses)
        return answers

    def test_lengths(self):
        for lines in ([LENGTH, LENGTH], [LENGTH, b"Content-Length: 0"], [b"Content-Length: 0", LENGTH],
                      [b"Content-Length: 25, 25"], [b"Content-Length: 2 5"], [b"Content-Length: "],
                      [b"Content-Length: abc"], [b"Content-Length: 25abc"], [b"Content-Length: 1e2"],
                      [b"Content-Length: -1"], [b"Content-Length: +25"], [b"Content-Length: 0x19"],
                      [b"Content-Length: 99999999999999999999999"],
                      [b"Content-Length: 18446744073709551616"], [b"content-length : 25"],
                      [b"Content-Length\t: 25"], [b" Content-Length: 25"], [b"Content-Length: 25\x00"],
                      [b"content-length: 25", b"CONTENT-LENGTH: 26"]):
            with self.subTest(lines=lines):
                self.refused(head(*lines) + BODY, statuses=(400, 413))

    def test_transfer_encodings(self):
        chunks = b"19\r\n" + BODY + b"\r\n0\r\n\r\n"
        for lines in ([b"Transfer-Encoding: gzip"], [b"Transfer-Encoding: chunked, gzip"],
                      [b"Transfer-Encoding: gzip, chunked"], [b"Transfer-Encoding: identity"],
                      [b"Transfer-Encoding: xchunked"], [b"Transfer-Encoding: \x0bchunked"],
                      [b"Transfer-Encoding: chunked\x00"], [b"Transfer-Encoding : chunked"],
                      [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
                      [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
                      [b"Transfer-Encoding: \"chunked\""], [b"Transfer-Encoding: chunked;x=y"],
                      [b"Transfer-Encoding:\r\n chunked"], [b"Transfer-Encoding: chunked, chunked"],
                      [LENGTH, b"Transfer-Encoding: chunked"], [b"Transfer-Encoding: chunked", LENGTH],
                      [b"Transfer-Encoding: chunked, identity"], [b"Transfer-Encoding: ,chunked"],
                      [b"Transfer-Encoding: chunked,"], [b"Transfer-Encoding: chunked\x0b"],
                      [b"Transfer-Encoding: 'chunked'"], [b"Transfer-Encoding: \xc2\xa0chunked"],
                      [b"Transfer-Encoding\x00: chunked"], [b"X-A: b\rTransfer-Encoding: chunked"],
                      [b"Transfer-Encoding: chunked", b"Content-Length: 0"],
                      [b"Transfer-Encoding: "], [LENGTH, b"Transfer-Encoding: identity"]):
            with self.subTest(lines=lines):
                self.refused(head(*lines) + chunks, statuses=(400, 501))

    def test_chunked_in_http_1_0(self):
        self.refused(head(b"Transfer-Encoding: chunked", version="HTTP/1.0") + b"0\r\n\r\n")

    def test_folded_and_malformed_lines(self):
        for lines in ([b"X-A: b\r\n c"], [b"X-A: b\r\n\tc"], [b"no colon here"], [b": no name"],
                      [b"X A: b"], [b"X-A : b"], [b"X\x00A: b"], [b"X-A: b\x00c"], [b"X-A: b\rc"],
                      [b"X(A): b"]):
            with self.subTest(lines=lines):
                self.refused(head(LENGTH, *lines) + BODY)

    def test_bare_line_feeds(self):
        self.refused(head(LENGTH).replace(b"\r\n", b"\n") + BODY)
        self.refused(head(LENGTH + b"\nX-Smuggled: 1") + BODY)
        self.refused(head(LENGTH)[:-2] + b"\n" + BODY)

    def test_hosts(self):
        for hosts in ([], ["a", "b"], ["a", "a"], ["a,b"], ["a b"], ["u@a"], ["a/b"], ["a\x00"], ["a#b"]):
            with self.subTest(hosts=hosts):
                self.refused(raw.request("GET", "/api/users", [("Host", host) for host in hosts] +
                                         [("x-api-key", WORLD.panel.key)]))
        self.refused(raw.request("GET", "/api/users", [("x-api-key", WORLD.panel.key), ("Host", "a"),
                                                       ("Host", "b")], version="HTTP/1.0"))

    def test_chunk_sizes(self):
        for chunks in (b"-1\r\n", b"zz\r\n", b"+19\r\n" + BODY, b"0x19\r\n" + BODY,
                       b"fffffffffffffffff\r\n", b"10000000000000000\r\n", b"\r\n0\r\n\r\n",
                       b"19 \r\n" + BODY, b" 19\r\n" + BODY, b"19,0\r\n" + BODY, b"19;a\nb\r\n" + BODY,
                       b"19\r\n" + BODY + b"0\r\n\r\n", b"19\r\n" + BODY + b"xx0\r\n\r\n",
                       b"19\r\n" + BODY + b"\r\n0\r\nno colon\r\n\r\n"):
            with self.subTest(chunks=chunks):
                self.refused(head(b"Transfer-Encoding: chunked") + chunks, statuses=(400, 413))

    def test_request_lines(self):
        key = b"x-api-key: " + WORLD.panel.key.encode()
        rest = b"Host: x\r\n" + key + b"\r\n\r\n"
        for line in (b"GET /api/users HTTP/9.9", b"GET /api/users HTTX/1.1", b"GET /api/users",
                     b"GET  /api/users HTTP/1.1", b"GET /api/users  HTTP/1.1", b"GET /api/us ers HTTP/1.1",
                     b"\x00\x01\x02", b"PRI * HTTP/2.0", b" GET /api/users HTTP/1.1",
                     b"GET\t/api/users HTTP/1.1", b"GET api/users HTTP/1.1", b"GET /api/users http/1.1",
                     b"GET /api/users HTTP/1.10", b"GET /api/users HTTP/01.1", b"GET /api/users HTTP/1.",
                     b"GET /api/users HTTP/0.9", b"GET * HTTP/1.1", b"OPTIONS * HTTP/1.1",
                     b"CONNECT x:80 HTTP/1.1", b"GET ftp://x/api/users HTTP/1.1",
                     b"GET http://x?/api/users HTTP/1.1"):
            with self.subTest(line=line):
                self.refused(line + b"\r\n" + rest, statuses=(400, 404, 405, 501, 505))

    def test_targets(self):
        for target in ("/api/users%00", "/api/%00/../users", "/api/users%", "/api/users%4", "/api/users%zz",
                       "/api/users%ff", "/api/users?limit=%zz", "/api/users?limit=1%00"):
            with self.subTest(target=target):
                answers, _ = send(head(target=target, method="GET"), enough=1)
                self.assertEqual([a.status for a in answers], [400])

    def test_a_path_can_not_climb(self):
        for target in ("/api/nothing/../users", "/x/../api/users", "/api/%2e%2e/api/users",
                       "/api//users", "//api/users", "/./api/users"):
            with self.subTest(target=target):
                answers, _ = send(head(target=target, method="GET"), enough=1)
                self.assertIn(answers[0].status, (400, 404))

    def test_an_absolute_target_is_no_way_around_the_key(self):
        data = b"GET http://x/api/users HTTP/1.1\r\nHost: x\r\n\r\n"
        answers, _ = send(data, enough=1)
        self.assertIn(answers[0].status, (400, 401, 404))

    def test_a_head_without_end_is_cut(self):
        data = head(LENGTH)[:-2] + b"X-A: " + b"a" * (1 << 20) + b"\r\n\r\n"
        self.refused(data, statuses=(400, 413, 414, 431))

    def test_a_target_without_end_is_cut(self):
        data = head(method="GET", target="/api/users?x=" + "a" * (1 << 20))
        self.refused(data, statuses=(400, 413, 414, 431))

    def test_thousands_of_headers_are_refused(self):
        data = head(LENGTH, *[b"X-%d: y" % n for n in range(5000)]) + BODY
        self.refused(data, statuses=(400, 413, 431))

    def test_tls_bytes_on_the_plain_port(self):
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200
        self.refused(hello + b"\r\n\r\n")

    def test_nothing_of_it_was_carried_out(self):
        self.assertEqual([u["username"] for u in WORLD.api.users()], ["owner"])


HIDDEN_BODY = b'{"username":"hidden","email":"hidden@example.test","password":"long enough"}'


def hidden():
    """A request that nobody sent, when a proxy and the panel agree."""
    return head(b"Content-Length: %d" % len(HIDDEN_BODY), target="/api/auth/create-user") + HIDDEN_BODY


class Behind(unittest.TestCase):
    """Bytes behind a request whose end can be read in two ways are never taken for another."""

    def tearDown(self):
        self.assertNotIn("hidden", [u["username"] for u in WORLD.api.users()])

    @proves("I7", fault="requests smuggled past a proxy")
    def test_a_request_behind_a_refused_length(self):
        forms = ([LENGTH, b"Content-Length: 0"], [b"Content-Length: 0", b"Transfer-Encoding: chunked"],
                 [b"Transfer-Encoding: chunked", LENGTH], [b"Transfer-Encoding: chunked\r\n x"],
                 [b"Transfer-Encoding: x"], [b"Transfer-Encoding: chunked, identity"],
                 [b"Transfer-Encoding : chunked"], [b"Transfer-Encoding: xchunked"])
        for lines in forms:
            with self.subTest(lines=lines):
                answers, closed = send(head(*lines) + b"0\r\n\r\n" + hidden())
                self.assertEqual([a.status for a in answers], [400])
                self.assertTrue(closed)
        ran(len(forms))

    @proves("I7", fault="requests smuggled past a proxy")
    def test_a_request_behind_odd_chunks(self):
        """The library takes these for chunks; a proxy may see their end elsewhere."""
        forms = (b"19\n%b\r\n0\r\n\r\n", b"19;a\rb\r\n%b\r\n0\r\n\r\n", b"19;a\0b\r\n%b\r\n0\r\n\r\n",
                 b"19\r\n%b\n0\r\n\r\n", b"19\r\n%b\r\n0\n\r\n", b"19\r\n%b\r\n0\r\n\n",
                 b"19;a=b\r\n%b\r\n0\r\n\r\n", b"19\r\n%b\r\n00;\r\n\r\n",
                 b"19\r\n%b\r\n0\r\nContent-Length: 4\r\n\r\n", b"19\r\n%b\r\n0\r\nX: y\nZ: \0\r\n\r\n",
                 b"19\r\n%b\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunks in forms:
            with self.subTest(chunks=chunks):
                answers, closed = send(head(b"Transfer-Encoding: chunked") + chunks % BODY + hidden())
                self.assertLessEqual(len(answers), 1, answers)
                self.assertTrue(closed)
        ran(len(forms))

    def test_a_body_where_none_belongs(self):
        """Read over, and what is behind it is the next request."""
        answers, _ = send(head(b"Content-Length: %d" % len(hidden()), method="GET", target="/api/users") +
                          hidden() + head(method="GET", target="/api/nodes"), enough=2)
        self.assertEqual([a.status for a in answers], [200, 200])

    def test_a_body_that_is_refused_is_nobodys_request(self):
        for start in (head(b"Content-Length: %d" % len(hidden()), target="/api/nothing"),
                      head(b"Content-Length: %d" % len(hidden()), b"x-api-key: other").replace(
                          WORLD.panel.key.encode(), b"wrong"),
                      head(b"Content-Length: %d" % len(hidden())).replace(b"/json", b"/xml")):
            answers, closed = send(start + hidden())
            self.assertIn([a.status for a in answers], ([401], [404], [415]))
            self.assertTrue(closed)

    def test_words_for_one_hop_change_nothing(self):
        for lines in ([b"Connection: Content-Length"], [b"Connection: x-api-key"],
                      [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"],
                      [b"TE: trailers"], [b"Transfer_Encoding: chunked"], [b"Expect: something"]):
            with self.subTest(lines=lines):
                answers, _ = send(head(LENGTH, *lines) + BODY + head(method="GET", target="/api/users"),
                                  enough=2)
                self.assertEqual([a.status for a in answers], [400, 200])


class Early(unittest.TestCase):
    """What is too large is refused before it is there."""

    @proves("I6", fault="heads and bodies without end")
    def test_a_body_too_large_is_refused_by_its_length(self):
        data = head(b"Content-Length: 99999999", b"Expect: 100-continue")
        answers, closed = send(data)
        self.assertEqual([a.status for a in answers], [413])
        self.assertTrue(closed)

    def test_nobody_without_a_key_is_asked_for_a_body(self):
        data = head(b"Content-Length: 100", b"Expect: 100-continue").replace(
            WORLD.panel.key.encode(), b"wrong")
        self.assertEqual([a.status for a in send(data)[0]], [401])

    @proves("I6", fault="heads and bodies without end")
    def test_chunks_without_end_are_cut(self):
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        answers, closed = send(head(b"Transfer-Encoding: chunked") + piece * 1000, timeout=20)
        self.assertTrue(closed)
        self.assertLessEqual(len(answers), 1)

    @proves("I6", fault="heads and bodies without end")
    def test_chunk_lines_without_end_are_cut(self):
        for chunks in (b"0" * (1 << 20), b"1;" + b"a" * (1 << 20), b"0\r\n" + b"X: y\r\n" * 100000,
                       b"0\r\nX: " + b"y" * (1 << 20)):
            self.assertTrue(send(head(b"Transfer-Encoding: chunked") + chunks)[1], chunks[:9])
