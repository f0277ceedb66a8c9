"""2,000 clients that are slow on purpose, all at once: each is ended at its deadline, the others are
served, and afterwards the panel has no more of anything than before. Times: tests/bench/hostile.
Also those that leave without a word."""
import os
import time
import unittest

from lib.events import EventStream
from lib.hostile import Attack
from lib.promises import proves, ran
from lib.resources import Resources
from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner

EACH = 400
# Seconds after which each kind is ended: 15 for the whole head, 30 for the whole body, however busily
# bytes drip in, 60 for saying nothing more. What can't be sent has 30, and a second for 16 KB.
ENDS = {"silent": 15, "head": 15, "body": 30, "chunks": 30, "idle": 60}
MARGIN = 6


class Slow(unittest.TestCase):
    def setUp(self):
        self.world = World().start()
        self.world.api.post("/api/images/create", {
            "Name": "big", "Image": "x:y", "Description": "words " * 50000}).expect(201)

    def tearDown(self):
        self.world.stop()

    @proves("I6", "I9", fault="2,000 slow clients")
    def test_each_is_cut_at_its_deadline(self):
        for _ in range(50):
            self.world.api.users()
        before = Resources(self.world.panel.daemon.pid)
        kinds = {**{kind: EACH for kind in ENDS if kind != "chunks"}, "chunks": 50, "reader": EACH - 50}
        with Attack(self.world.panel, kinds) as attack:
            began = time.monotonic()
            served = 0
            while time.monotonic() - began < max(ENDS.values()) + MARGIN:
                self.world.api.get("/api/users").expect(200)
                served += 1
                Resources(self.world.panel.daemon.pid).at_most(before, rss_mib=400, fds=2100, threads=0)
                time.sleep(0.05)
            self.assertGreater(served, 100)
            became = attack.look()
            for kind, seconds in ENDS.items():
                with self.subTest(kind=kind):
                    one = became[kind]
                    self.assertEqual((one["opened"], one["failed"], one["live"]), (kinds[kind], 0, 0))
                    self.assertGreater(one["first"], seconds - MARGIN)
                    self.assertLess(one["last"], seconds + MARGIN)
            self.assertEqual(became["reader"]["opened"], kinds["reader"])
            # A reader can't see its end, for its window is shut; the panel's descriptors tell.
            until(lambda: Resources(self.world.panel.daemon.pid).fds < before.fds + 10, 20,
                  lambda: f"readers are cut: {Resources(self.world.panel.daemon.pid)}")
        Resources(self.world.panel.daemon.pid).at_most(before, rss_mib=40, fds=10, threads=0)
        ran(sum(kinds.values()))


class Gone(unittest.TestCase):
    def setUp(self):
        self.world = World("scripted").start()

    def tearDown(self):
        self.world.stop()

    def test_a_follower_that_goes_leaves_nothing(self):
        instance = self.world.deploy()["Id"]
        self.world.engine.say(self.world.containers_of(instance)[0], "begun")
        fds = f"/proc/{self.world.panel.daemon.pid}/fd"
        before = len(os.listdir(fds))
        for _ in range(20):
            with EventStream(self.world.api, f"/api/instances/{instance}/logs?follow=1") as stream:
                stream.await_line("begun")
        self.assertGreater(len(os.listdir(fds)), before + 15)
        until(lambda: len(os.listdir(fds)) <= before + 2, 40,
              lambda: f"{before} descriptors; it has {len(os.listdir(fds))}")
