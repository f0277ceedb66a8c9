"""What instances use, measured while somebody looks."""
import itertools
import statistics
import time
import unittest
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from lib import images
from lib.events import EventStream
from lib.wait import hold, patient, until
from lib.world import World

WORLD = None
BUSY = None
QUIET = None
_NUMBERS = itertools.count(1)
MEMORY_MIB = 64


def deploy(script, **more):
    name = f"stats {next(_NUMBERS)}"
    WORLD.api.post("/api/images/create", {
        "Name": name, "Image": "test:sleeper", "Cmd": [images.BUSYBOX, "sh", "-c", script]}).expect(201)
    return WORLD.deploy(image="test:sleeper", imagename=name, memory=MEMORY_MIB, **more)["Id"]


def setUpModule():
    global WORLD, BUSY, QUIET
    WORLD = World("docker").start()
    WORLD.make_images()
    images.sleeper(WORLD.engine.api)
    BUSY = deploy("dd if=/dev/zero of=/app/data/eight bs=1M count=8 && echo written; while :; do :; done",
                  cpu="0.5")
    until(lambda: b"written" in WORLD.api.get(f"/api/instances/{BUSY}/logs").body, 10, "it has written")
    QUIET = deploy("sleep 1000000")


def tearDownModule():
    WORLD.stop()


def stats(instance):
    return WORLD.api.get(f"/api/instances/{instance}/stats").expect(200).json


def calls_of(daemon):
    """How many reads it has made."""
    with open(f"/proc/{daemon.pid}/io") as text:
        return int(next(line for line in text if line.startswith("syscr")).split()[1])


class One(unittest.TestCase):
    def test_processor_is_of_one_core_and_within_its_limit(self):
        found = [stats(BUSY)["cpu"]]
        time.sleep(1.2)
        found.append(stats(BUSY)["cpu"])
        self.assertGreater(found[1]["seconds"], found[0]["seconds"])
        for cpu in found:
            self.assertGreater(cpu["percent"], 10)
            self.assertLess(cpu["percent"], 75)
        self.assertLess(stats(QUIET)["cpu"]["percent"], 5)

    def test_memory_has_its_limit(self):
        memory = stats(QUIET)["memory"]
        self.assertEqual(memory["limitBytes"], MEMORY_MIB << 20)
        self.assertGreater(memory["bytes"], 10_000)
        self.assertLess(memory["bytes"], MEMORY_MIB << 20)

    def test_the_rest(self):
        row = stats(QUIET)
        self.assertTrue(row["running"])
        self.assertEqual(row["Id"], QUIET)
        self.assertGreaterEqual(row["pids"], 1)
        self.assertGreater(row["uptimeSeconds"], 0.1)
        self.assertLess(row["uptimeSeconds"], 600)

    def test_the_volumes_size(self):
        self.assertGreaterEqual(
            until(lambda: stats(BUSY)["volumeBytes"], 5, "the volume was measured"), 8 << 20)

    def test_network(self):
        served = WORLD.deploy()
        try:
            before = stats(served["Id"])["network"]
            url = f"http://127.0.0.1:{served['Primary']}/"
            for _ in range(50):
                urllib.request.urlopen(url, timeout=5).read()
            until(lambda: stats(served["Id"])["network"]["sentBytes"] > before["sentBytes"] + 50 * 100, 5,
                  lambda: f"{before}; now {stats(served['Id'])['network']}")
            self.assertGreater(stats(served["Id"])["network"]["receivedBytes"], before["receivedBytes"])
        finally:
            WORLD.delete(served["Id"])

    def test_unknown(self):
        WORLD.api.get("/api/instances/nobody/stats").refused(400, code="instance_not_found")

    def test_over_stop_and_start(self):
        instance = deploy("sleep 1000000")
        try:
            self.assertTrue(stats(instance)["running"])
            WORLD.api.post(f"/api/instances/{instance}/power", {"action": "kill"}).expect(200)
            row = until(lambda: [row for row in [stats(instance)] if not row["running"]], 5, "it is down")[0]
            self.assertEqual((row["cpu"], row["memory"], row["pids"]), (None, None, None))
            WORLD.api.post(f"/api/instances/{instance}/power", {"action": "start"}).expect(200)
            until(lambda: stats(instance)["running"], 5, "it is up")
        finally:
            WORLD.delete(instance)


class Followed(unittest.TestCase):
    def test_once_a_second_and_all_see_the_same(self):
        path = f"/api/instances/{QUIET}/stats?follow=1"
        with EventStream(WORLD.api, path) as one, EventStream(WORLD.api, path) as other:
            until(lambda: len(one.events) >= 5 and len(other.events) >= 5, 10, "five of each")
            times = [event.at for event in one.events[:5]]
            self.assertAlmostEqual(statistics.median(b - a for a, b in zip(times, times[1:])), 1, delta=0.4)
            seen = [{event.json["at"] for event in stream.events[:5]} for stream in (one, other)]
            self.assertGreaterEqual(len(seen[0] & seen[1]), 4)
            self.assertTrue(all(event.name == "stats" for event in one.events))

    def test_over_a_restart_of_the_agent(self):
        with EventStream(WORLD.api, f"/api/instances/{QUIET}/stats?follow=1") as stream:
            until(lambda: stream.events, 5, "the first")
            WORLD.agent.restart()
            count = len(stream.events)
            until(lambda: len(stream.events) > count + 1, 15, "it goes on")

    def test_ends_with_the_panel_at_once(self):
        with EventStream(WORLD.api, f"/api/instances/{QUIET}/stats?follow=1") as stream, \
                EventStream(WORLD.api, "/api/events?after=0") as events:
            until(lambda: stream.events and events.events, 5, "the first")
            WORLD.panel.stop()
            until(lambda: stream.ended and events.ended, 5, "their ends")
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online")

    def test_ends_with_the_instance(self):
        instance = deploy("sleep 1000000")
        with EventStream(WORLD.api, f"/api/instances/{instance}/stats?follow=1") as stream:
            until(lambda: stream.events, 5, "the first")
            WORLD.delete(instance)
            until(lambda: stream.ended, 5, "its end")


class All(unittest.TestCase):
    def rows(self):
        return {row["Id"]: row for row in WORLD.api.get("/api/stats").expect(200).json}

    def test_all_in_one_answer_and_quick_from_the_second_on(self):
        self.rows()
        rows = until(lambda: [rows for rows in [self.rows()] if {BUSY, QUIET} <= rows.keys()], 5, "both")[0]
        self.assertTrue(rows[BUSY]["running"] and rows[QUIET]["running"])
        self.assertGreater(rows[BUSY]["cpu"]["percent"], 10)
        began = time.monotonic()
        for _ in range(20):
            self.rows()
        self.assertLess(time.monotonic() - began, patient(10))  # each that waits takes a second

    def test_one_who_comes_a_moment_later_gets_no_half_of_it(self):
        WORLD.panel.restart()  # nobody looks
        WORLD.await_status(WORLD.node_id, "Online")
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(self.rows)
            time.sleep(0.1)
            second = pool.submit(self.rows)
            for rows in (first.result(), second.result()):
                self.assertLessEqual({BUSY, QUIET}, rows.keys())

    def test_nothing_is_measured_when_nobody_looks(self):
        """A second of measuring two containers is twenty reads and more."""
        for _ in range(3):
            self.rows()
            time.sleep(0.7)
        before = calls_of(WORLD.agent.daemon)
        time.sleep(2)
        looked_at = calls_of(WORLD.agent.daemon) - before

        def calls_in_two_seconds():
            start = calls_of(WORLD.agent.daemon)
            time.sleep(2)
            return calls_of(WORLD.agent.daemon) - start
        until(lambda: calls_in_two_seconds() < looked_at / 2, 20, lambda: f"{looked_at} before, and still")
        self.assertGreaterEqual(stats(BUSY)["volumeBytes"], 8 << 20)  # who asks now and then is told at once


class Away(unittest.TestCase):
    def test_a_node_that_does_not_answer(self):
        WORLD.agent.stop()
        try:
            WORLD.await_status(WORLD.node_id, "Offline", timeout=40)
            WORLD.api.get(f"/api/instances/{QUIET}/stats").refused(503, "node_unreachable")
        finally:
            WORLD.agent.start()
            WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        hold(lambda: stats(QUIET)["running"], 1, "it is measured again")
