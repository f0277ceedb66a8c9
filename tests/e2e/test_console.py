"""What a container prints, followed and read; what it is told."""
import itertools
import os
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import images
from lib.events import EventStream
from lib.wait import hold, patient, until
from lib.world import World

WORLD = None
_NUMBERS = itertools.count(1)
ECHO = "while read -r line; do echo \"got $line\"; done"
COUNT = "i=0; while true; do i=$((i+1)); echo $i; {}; done"


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


def template(script, **more):
    """A template whose containers run that shell script; its name."""
    name = f"console {next(_NUMBERS)}"
    WORLD.api.post("/api/images/create", {
        "Name": name, "Image": "test:sleeper", "Cmd": [images.BUSYBOX, "sh", "-c", script],
        **more}).expect(201)
    return name


class Case(unittest.TestCase):
    def deploy(self, script, **more):
        images.sleeper(WORLD.engine.api)
        self.instance_id = WORLD.deploy(image="test:sleeper", imagename=template(script, **more))["Id"]

    def tearDown(self):
        for part in (WORLD.engine, WORLD.panel, WORLD.agent):
            if not part.daemon.running():
                part.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        WORLD.clear()

    def path(self, what):
        return f"/api/instances/{self.instance_id}/{what}"

    def logs(self, query=""):
        return WORLD.api.get(self.path("logs") + query).expect(200).body

    def follow(self, query="", **more):
        return EventStream(WORLD.api, self.path("logs?follow=1" + query), **more)

    def power(self, action):
        return WORLD.api.post(self.path("power"), {"action": action}, timeout=90).expect(200).json

    def await_logs(self, wanted):
        return until(lambda: self.logs() == wanted, 10, lambda: f"{wanted}; it is {self.logs()}")

    def assert_consecutive(self, stream):
        """Numbers from its first to its last line, and what is missing has been told."""
        expected = None
        for event in list(stream.events):
            if event.name == "lost":
                expected += event.json["lines"]
                continue
            number = int(event.line)
            self.assertEqual(expected if expected is not None else number, number)
            expected = number + 1


class Logs(Case):
    def test_are_what_was_printed(self):
        self.deploy("echo one; sleep 0.2; echo two >&2; sleep 0.2; printf 'th\\tree\\n'; sleep 1000")
        self.await_logs(b"one\ntwo\nth\tree\n")

    def test_of_nothing_are_empty(self):
        self.deploy("sleep 1000")
        self.assertEqual(self.logs(), b"")

    def test_tail(self):
        self.deploy("for i in 1 2 3 4 5; do echo $i; done; sleep 1000")
        self.await_logs(b"1\n2\n3\n4\n5\n")
        self.assertEqual(self.logs("?tail=2"), b"4\n5\n")
        self.assertEqual(self.logs("?tail=0"), b"")
        self.assertEqual(self.logs("?tail=all"), b"1\n2\n3\n4\n5\n")

    def test_since(self):
        self.deploy("echo old; sleep 2; echo new; sleep 1000")
        self.await_logs(b"old\nnew\n")
        with self.follow("&tail=all") as stream:
            stream.await_line("new")
            when = [event.json["time"] for event in stream.events if event.line == b"new"][0]
        self.assertEqual(self.logs(f"?since={when}"), b"new\n")
        self.assertEqual(self.logs(f"?since={int(time.time()) + 1000}"), b"")

    def test_binary_comes_through_intact(self):
        self.deploy("printf 'a\\377\\000\\033[1mb\\n'; sleep 1000")
        self.await_logs(b"a\xff\x00\x1b[1mb\n")
        with self.follow() as stream:
            stream.wait(lambda me: me.events)
            self.assertEqual(stream.events[0].line, b"a\xff\x00\x1b[1mb")

    def test_a_long_line_comes_in_parts(self):
        self.deploy("head -c 40000 /dev/zero | tr '\\0' x; echo; echo end; sleep 1000")
        until(lambda: self.logs().endswith(b"end\n"), 10, "all is there")
        self.assertEqual(self.logs(), b"x" * 40000 + b"\nend\n")
        with self.follow() as stream:
            stream.await_line("end")
            parts = stream.events[:-1]
        self.assertEqual([part.json.get("cut", False) for part in parts],
                         [True] * (len(parts) - 1) + [False])
        self.assertEqual(b"".join(part.line for part in parts), b"x" * 40000)

    def test_more_than_an_answer_holds_are_the_newest(self):
        self.deploy("yes 'a line of some forty characters, or more' | head -n 30000; echo end; sleep 1000")
        until(lambda: self.logs().endswith(b"end\n"), 20, "all is there")
        answer = WORLD.api.get(self.path("logs?tail=all")).expect(200)
        left_out = int(answer.headers["X-Lines-Left-Out"])
        self.assertTrue(answer.body.endswith(b"end\n"))
        self.assertEqual(left_out + answer.body.count(b"\n"), 30001)

    def test_of_a_stopped_instance(self):
        self.deploy("echo before; sleep 1000")
        self.await_logs(b"before\n")
        self.power("stop")
        self.assertEqual(self.logs(), b"before\n")

    def test_while_the_node_is_away(self):
        self.deploy("sleep 1000")
        WORLD.agent.stop()
        WORLD.await_status(WORLD.node_id, "Offline")
        WORLD.api.get(self.path("logs")).refused(503, "node_unreachable")

    def test_of_no_instance(self):
        WORLD.api.get("/api/instances/nothing/logs").refused(400, "instance_not_found")
        WORLD.api.get("/api/instances/nothing/logs?follow=1").refused(400, "instance_not_found")

    def test_parameters_that_make_no_sense(self):
        self.deploy("sleep 1000")
        for query, field in (("tail=-1", "tail"), ("tail=x", "tail"), ("tail=10001", "tail"),
                             ("since=yesterday", "since"), ("follow=perhaps", "follow")):
            WORLD.api.get(self.path("logs?" + query)).refused(400, "invalid_field", field)
        WORLD.api.get(self.path("logs?follow=1"), headers={"Last-Event-ID": "7"}).refused(
            400, "invalid_field", "Last-Event-ID")


class Followed(Case):
    def test_begins_with_what_was_printed_last(self):
        self.deploy("for i in 1 2 3; do echo $i; done; " + ECHO)
        self.await_logs(b"1\n2\n3\n")
        with self.follow("&tail=2") as stream, self.follow("&tail=0") as fresh:
            stream.await_line("3")
            self.say("now")
            stream.await_line("got now")
            fresh.await_line("got now")
            self.assertEqual(stream.lines(), ["2", "3", "got now"])
            self.assertEqual(fresh.lines(), ["got now"])

    def say(self, line):
        WORLD.api.post(self.path("command"), {"line": line}).expect(200)

    def test_a_line_comes_at_once(self):
        self.deploy(ECHO)
        with self.follow() as stream:
            for number in range(20):
                began = time.monotonic()
                self.say(str(number))
                stream.await_line(f"got {number}", timeout=5)
                self.assertLess(time.monotonic() - began, patient(5))
            self.assertEqual(stream.lines(), [f"got {n}" for n in range(20)])

    def test_many_from_different_moments_miss_nothing(self):
        self.deploy(COUNT.format("sleep 0.001"))
        streams = []
        try:
            for _ in range(8):
                streams.append(self.follow("&tail=5"))
                time.sleep(0.1)
            for stream in streams:
                stream.wait(lambda me: len(me.events) > 500, 60)
                self.assert_consecutive(stream)
                self.assertFalse([event for event in stream.events if event.name == "lost"])
        finally:
            for stream in streams:
                stream.close()

    def test_says_which_output(self):
        self.deploy("echo out; echo err >&2; sleep 1000")
        with self.follow("&tail=all") as stream:
            stream.wait(lambda me: len(me.events) == 2)
            self.assertEqual({event.json["stream"]: event.line for event in stream.events},
                             {"stdout": b"out", "stderr": b"err"})

    def test_goes_on_behind_the_last_event(self):
        self.deploy(COUNT.format("sleep 0.01"))
        with self.follow("&tail=1") as first:
            first.wait(lambda me: len(me.events) > 20)
            last, lines = first.last_id, first.lines()
        time.sleep(0.5)
        with self.follow("&tail=1", last_id=last) as second:
            second.wait(lambda me: len(me.events) > 100)
            told = second.lines()
        position = lines.index(next(line for line in lines if int(line) == int(told[0]) - 1))
        self.assertEqual(position, len(lines) - 1)
        self.assertEqual(told, [str(int(told[0]) + i) for i in range(len(told))])

    def survives(self, disturb):
        """A client that comes back by itself, as browsers do, misses nothing."""
        self.deploy(COUNT.format("sleep 0.01"))
        stream = self.follow("&tail=1")
        lines = []
        try:
            stream.wait(lambda me: len(me.events) > 20)
            disturb()
            end = time.monotonic() + 20
            while len(lines) < 1000 and time.monotonic() < end:
                if stream.ended:
                    lines += stream.lines()
                    last = stream.last_id
                    stream.close()
                    stream = self.follow(last_id=last)
                    self.assertEqual(stream.status, 200)
                    stream.wait(lambda me: me.events or me.ended)
                if len(lines) + len(stream.lines()) > 400:
                    break
                time.sleep(0.1)
        finally:
            stream.close()
        lines += stream.lines()
        self.assertGreater(len(lines), 400)
        self.assertEqual(lines, [str(int(lines[0]) + i) for i in range(len(lines))])

    def test_who_asks_for_the_future_keeps_nothing_from_others(self):
        self.deploy("echo begun; " + ECHO)
        self.await_logs(b"begun\n")
        later = f"&since={int(time.time()) + 3600}"
        with self.follow(later) as early, self.follow("&tail=1") as other:
            other.await_line("begun")
            self.say("now")
            other.await_line("got now")
            early.await_line("got now")
        self.assertEqual(self.logs("?since=2600-01-01T00:00:00Z"), b"")

    def test_survives_a_restart_of_the_agent(self):
        self.survives(WORLD.agent.restart)

    def test_survives_a_crash_of_the_agent(self):
        self.survives(WORLD.agent.crash)

    def test_survives_a_restart_of_the_panel(self):
        self.survives(WORLD.panel.restart)

    def test_goes_on_when_the_container_starts_again(self):
        self.deploy("echo begun; " + ECHO)
        with self.follow() as stream:
            stream.await_line("begun")
            self.power("restart")
            stream.wait(lambda me: me.lines().count("begun") == 2)
            self.say("again")
            stream.await_line("got again")
            self.power("stop")
            self.power("start")
            stream.wait(lambda me: me.lines().count("begun") == 3)

    def test_waits_for_a_node_that_is_away(self):
        self.deploy("echo begun; " + ECHO)
        WORLD.agent.stop()
        WORLD.await_status(WORLD.node_id, "Offline")
        with self.follow() as stream:
            hold(lambda: not stream.events, 0.5, "nothing comes")
            WORLD.agent.start()
            stream.await_line("begun")

    def test_who_comes_when_the_last_one_has_just_gone_loses_nothing(self):
        """The node still follows for the one before."""
        self.deploy(COUNT.format("sleep 0.005"))
        for _ in range(3):
            with self.follow("&tail=1") as stream:
                stream.wait(lambda me: len(me.events) > 100)
                self.assert_consecutive(stream)
                self.assertFalse([event for event in stream.events if event.name == "lost"])
            time.sleep(1)  # the panel has seen that it has gone, and the node watches for some seconds more

    def test_ends_with_the_instance(self):
        self.deploy("echo begun; sleep 1000")
        with self.follow() as stream:
            stream.await_line("begun")
            WORLD.delete(self.instance_id)
            stream.await_end()

    def test_ends_with_the_panel_at_once(self):
        self.deploy("echo begun; sleep 1000")
        with self.follow() as stream:
            stream.await_line("begun")
            WORLD.panel.stop()
            stream.await_end(timeout=5)
        WORLD.panel.start()

    def test_everybody_is_told_how_much_of_too_much_he_missed(self):
        """What it costs is measured by tests/bench/run stream."""
        self.deploy("i=0; while true; do seq $i $((i+9999)); i=$((i+10000)); done")
        stuck = [self.follow("&tail=1", paused=True) for _ in range(5)]
        with self.follow("&tail=1") as reader:
            reader.wait(lambda me: len(me.events) > 2000)
            count = len(reader.events)
            reader.wait(lambda me: len(me.events) > count + 100000, 60)
            self.assertTrue([event for event in reader.events if event.name == "lost"])
            self.assert_consecutive(reader)
        stuck[0].reading.set()
        stuck[0].wait(lambda me: any(event.name == "lost" for event in me.events))
        stuck[0].wait(lambda me: me.events[-1].name == "message")
        self.assert_consecutive(stuck[0])
        for stream in stuck:
            stream.close()


class Command(Case):
    def command(self, line, **more):
        return WORLD.api.post(self.path("command"), {"line": line}, **more)

    def test_is_written(self):
        self.deploy(ECHO)
        self.command("hello  \"world\" ÄÖ").expect(200)
        self.await_logs("got hello  \"world\" ÄÖ\n".encode())
        WORLD.api.post(self.path("console"), {"line": "too"}).expect(200)
        self.await_logs("got hello  \"world\" ÄÖ\ngot too\n".encode())

    def test_an_empty_one_is_a_newline(self):
        self.deploy(ECHO)
        self.command("").expect(200)
        self.await_logs(b"got \n")

    def test_many_at_once_come_each_once(self):
        self.deploy(ECHO)

        def say(number):
            while True:
                answer = self.command(f"n{number}")
                if answer.status != 503:
                    return answer.expect(200)
                time.sleep(0.05)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(say, range(40)))
        until(lambda: self.logs().count(b"\n") == 40, 10, lambda: self.logs())
        self.assertEqual(sorted(self.logs().split()[1::2]), sorted(b"n%d" % n for n in range(40)))

    def test_is_written_once_whatever_is_repeated(self):
        self.deploy(ECHO)
        key = {"Idempotency-Key": "console-1"}
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.command("once", headers=key), range(8)))
        self.assertIn(200, [answer.status for answer in answers])
        for answer in answers:
            self.assertIn((answer.status, answer.json.get("code")),
                          ((200, None), (409, "outcome_unknown")))
        again = self.command("once", headers=key).expect(200)
        self.assertEqual(again.headers["Idempotent-Replayed"], "true")
        self.command("last").expect(200)
        self.await_logs(b"got once\ngot last\n")

    def test_to_one_that_does_not_run(self):
        self.deploy(ECHO)
        self.power("stop")
        self.command("x").refused(409, "not_running")

    def test_while_the_node_is_away(self):
        self.deploy(ECHO)
        WORLD.agent.stop()
        WORLD.await_status(WORLD.node_id, "Offline")
        key = {"Idempotency-Key": "console-2"}
        self.command("x", headers=key).refused(503, "node_unreachable")
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")
        for _ in range(2):
            self.command("x", headers=key).expect(200)
        self.await_logs(b"got x\n")

    def test_lines_that_are_none(self):
        self.deploy(ECHO)
        self.command("a\nb").refused(400, "invalid_field", "line")
        self.command("x" * 5000).refused(400, "invalid_field", "line")
        WORLD.api.post(self.path("command"), {}).refused(400, "missing_field", "line")
        WORLD.api.post("/api/instances/nothing/command", {"line": "x"}).refused(
            400, "instance_not_found")


class Terminal(Case):
    def test_lines_end_as_a_terminals_do(self):
        self.deploy("tty >/dev/null && echo has one; sleep 0.2; echo two >&2; " + ECHO, Tty=True)
        with self.follow("&tail=all") as stream:
            stream.await_line("two\r")
            self.assertEqual(stream.lines(), ["has one\r", "two\r"])
            WORLD.api.post(self.path("command"), {"line": "hello"}).expect(200)
            stream.await_line("got hello\r")
        self.assertTrue(self.logs().startswith(b"has one\r\ntwo\r\n"))

    def test_a_long_line_comes_in_parts(self):
        self.deploy("head -c 40000 /dev/zero | tr '\\0' x; echo; echo end; sleep 1000", Tty=True)
        until(lambda: self.logs().endswith(b"end\r\n"), 10, "all is there")
        self.assertEqual(self.logs(), b"x" * 40000 + b"\r\nend\r\n")

    def test_without_one_there_is_none(self):
        self.deploy("tty >/dev/null || echo none; sleep 1000")
        self.await_logs(b"none\n")


class Console(Case):
    def test_is_both(self):
        self.deploy(ECHO)
        with EventStream(WORLD.api, self.path("console")) as stream:
            WORLD.api.post(self.path("console"), {"line": "hello"}).expect(200)
            stream.await_line("got hello")


if __name__ == "__main__":
    unittest.main()
