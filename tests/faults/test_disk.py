"""Disks that are full, and disks that fail: of the panel, of the agent, of Docker."""
import contextlib
import os
import sqlite3
import subprocess
import unittest

from lib import places
from lib.faulty import READ, SYNC, WRITE, Faulty
from lib.promises import proves, ran
from lib.wait import until
from lib.world import World


def mount_small(path, options):
    os.makedirs(path, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", path], check=True)


def unmount(path):
    subprocess.run(["umount", "-l", path], check=True)


class Journal:
    """What the panel has acknowledged."""

    def __init__(self, world):
        self.world = world
        self.kept = []
        self.count = 0

    def write(self, size=100):
        name = f"image {self.count}"
        self.count += 1
        answer = self.world.panel.client().post("/api/images/create", {
            "Name": name, "Image": "x", "Description": "a word " * (size // 7)})
        if answer.status == 201:
            self.kept.append(name)
        return answer

    def write_some(self, count=20):
        for _ in range(count):
            self.write().expect(201)

    def missing(self):
        stored = {image["Name"] for image in self.world.api.images()}
        return [name for name in self.kept if name not in stored]


class FullDisk(unittest.TestCase):
    @proves("I1", "I5", "I8", fault="full disk of the panel")
    def test_of_the_panel(self):
        world = World()
        mount_small(world.panel.data, "size=6m")
        try:
            world.start()
            journal = Journal(world)
            journal.write_some()
            filler = os.path.join(world.panel.data, "filler")
            for _ in range(3):
                fill(filler)
                answer = None
                for _ in range(200):  # what is in the database already leaves some room
                    answer = journal.write(20000)
                    if answer.status != 201:
                        break
                answer.refused(503, "disk_full", says="full")
                self.assertTrue(answer.headers["Retry-After"])
                journal.write(20000).refused(503, "disk_full")
                self.assertEqual(journal.missing(), [])  # reads go on
                world.panel.daemon.expect_running()
                os.unlink(filler)
                journal.write_some(3)
            fill(filler)
            world.panel.kill()
            os.unlink(filler)
            world.panel.start()
            self.assertEqual(journal.missing(), [])
            ran(4)
            world.stop()
        finally:
            unmount(world.panel.data)
            places.drop_dir(world.dir)

    @proves("I4", "I5", "I8", fault="full disk of the agent")
    def test_of_the_agent(self):
        world = World("scripted")
        state = os.path.join(world.dir, "agent.state")
        mount_small(state, "size=1m,nr_inodes=64")
        try:
            world.start()
            before = world.deploy()
            fill(os.path.join(state, "filler"))
            fillers = fill_inodes(state)
            world.api.post("/api/instances/deploy", world.spec(), query={"wait": 30}).refused(
                500, says="No space left")
            failed = [i for i in world.api.instances() if i["InternalState"] == "FAILED"]
            self.assertEqual(len(failed), 1)
            world.panel.restart()  # a new epoch that can't be stored
            world.await_status(world.node_id, "Online")
            world.await_instance(before["Id"], State="running")
            for path in (*fillers, os.path.join(state, "filler")):
                os.unlink(path)
            retried = world.api.post(f"/api/instances/{failed[0]['Id']}/retry", query={"wait": 30})
            self.assertEqual(retried.expect(200).json["State"], "running")
            world.delete(before["Id"])
            world.stop()
        finally:
            unmount(state)
            places.drop_dir(world.dir)

    @proves("I4", "I8", fault="full disk of Docker")
    def test_of_docker(self):
        world = World("scripted").start()
        world.engine.start_error = "failed to create shim task: mkdir /run/x: no space left on device"
        world.api.post("/api/instances/deploy", world.spec(), query={"wait": 30}).refused(
            500, "disk_full", says="disk is full")
        failed = world.api.instances()[0]
        self.assertEqual(failed["InternalState"], "FAILED")
        self.assertIn("disk is full", failed["Error"]["message"])
        world.engine.start_error = None
        retried = world.api.post(f"/api/instances/{failed['Id']}/retry", query={"wait": 30})
        self.assertEqual(retried.expect(200).json["State"], "running")
        self.assertEqual(len(world.engine.containers), 1)
        world.stop()


def fill(path):
    """To the last byte."""
    with open(path, "ab", buffering=0) as out:
        for size in (65536, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                pass


def fill_inodes(folder):
    made = []
    try:
        while True:
            path = os.path.join(folder, f"filler-{len(made)}")
            open(path, "x").close()
            made.append(path)
    except OSError:
        return made


class FailingDiskOfThePanel(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.world.start()
        self.faulty = Faulty(self.world.dir, "paneld")
        self.world.panel.daemon.extra_env.update(self.faulty.env)
        self.world.panel.restart()
        self.journal = Journal(self.world)
        self.journal.write_some()

    def tearDown(self):
        self.world.stop()

    def stops(self, calls, skip=0):
        """A COMMIT whose outcome is unknown ends the daemon; what it had acknowledged is there."""
        self.faulty.fail(calls, "panel.db-wal", skip=skip)
        for _ in range(skip + 2):
            try:
                if self.journal.write().status != 201:
                    break
            except OSError:
                break
        self.assertGreater(self.faulty.hits, 0)
        self.assertEqual(self.world.panel.daemon.wait_exit(15), 1)
        self.assertIn("the store failed; stopping", self.world.panel.daemon.log())
        self.faulty.heal()
        self.world.panel.start()
        self.assertEqual(self.journal.missing(), [])
        self.journal.write_some(3)

    @proves("I1", "I5", fault="EIO on fsync for the panel")
    def test_fsync(self):
        for skip in (0, 1, 3):
            with self.subTest(skip=skip):
                self.stops(SYNC, skip)
        ran(3)

    @proves("I1", "I5", fault="EIO on write for the panel")
    def test_write(self):
        for skip in (0, 2, 7):
            with self.subTest(skip=skip):
                self.stops(WRITE, skip)
        ran(3)

    @proves("I1", "I5", fault="EIO on read for the panel")
    def test_read(self):
        self.journal.write_some(300)
        self.world.panel.restart()  # nothing is in its memory
        self.faulty.fail(READ, "panel.db")
        answer = self.world.panel.client().get("/api/images")
        answer.refused(500)
        self.assertGreater(self.faulty.hits, 0)
        self.faulty.heal()
        if not self.world.panel.daemon.running():
            self.world.panel.start()
        self.assertEqual(self.journal.missing(), [])
        self.journal.write_some(3)

    def test_a_disk_that_fails_at_the_start_is_said(self):
        for calls in (READ, SYNC):
            self.world.panel.stop()
            self.faulty.fail(calls, "panel.db")
            with self.assertRaises(AssertionError):
                self.world.panel.start()
            self.assertRegex(self.world.panel.daemon.log(), "paneld: .*(I/O|Input/output) error")
            self.faulty.heal()
            self.world.panel.kill()
            self.world.panel.start()
        self.assertEqual(self.journal.missing(), [])


def stored_epoch(agent):
    with open(os.path.join(agent.state, "epoch")) as epoch:
        return int(epoch.read())


def epoch_of(panel):
    with contextlib.closing(sqlite3.connect(panel.data + "/panel.db")) as db:
        return int(db.execute("SELECT value FROM meta WHERE key='epoch'").fetchone()[0])


class PowerCut(unittest.TestCase):
    @proves("I1", fault="power loss of the panel: writes not yet synced are gone")
    def test_what_was_answered_had_been_synced(self):
        world = World().start()
        faulty = Faulty(world.dir, "paneld")
        world.panel.daemon.extra_env.update(faulty.env)
        journal = Journal(world)
        cuts = 8
        world.panel.restart()
        faulty.record(world.dir)
        for cut in range(cuts):
            # Right before a sync, of the journal or, more rarely, of a checkpoint.
            faulty.fail(SYNC, "panel.db", error=0, skip=cut * 5)
            with contextlib.suppress(OSError):
                while True:
                    journal.write(30000)
            world.panel.daemon.wait_exit(10)
            faulty.heal()
            self.assertGreater(faulty.lose_power(world.panel.data), 0)
            world.panel.start()
            self.assertEqual(journal.missing(), [])
        self.assertGreater(len(journal.kept), cuts)
        ran(cuts)
        world.stop()


class FailingDiskOfTheAgent(unittest.TestCase):
    @proves("I2", "I5", "I8", fault="EIO on fsync, write and read for the agent")
    def test_everything_of_its_state_fails(self):
        world = World("scripted").start()
        faulty = Faulty(world.dir, "agent")
        world.agent.daemon.extra_env.update(faulty.env)
        world.agent.restart()
        world.await_status(world.node_id, "Online")
        instance = world.deploy()
        for calls in (SYNC, WRITE, READ):
            with self.subTest(calls=calls):
                faulty.fail(calls, "agent.state/")
                world.panel.restart()  # an epoch to be stored
                world.await_status(world.node_id, "Online")
                world.await_instance(instance["Id"], State="running")
                world.api.post(f"/api/instances/suspend/{instance['Id']}").expect(200)
                world.api.post(f"/api/instances/unsuspend/{instance['Id']}").expect(200)
                self.assertEqual(len(world.engine.containers), 1)
                if calls != READ:
                    self.assertGreater(faulty.hits, 0)
                faulty.heal()
                until(lambda: stored_epoch(world.agent) == epoch_of(world.panel), 10,
                      "the epoch is stored as soon as it can be")
        # What can't be read at the start is said, and mended by a disk that works.
        world.agent.stop()
        faulty.fail(READ, "agent.state/")
        world.agent.start()
        self.assertEqual(world.agent.daemon.wait_exit(10), 1)
        self.assertIn("can't read", world.agent.daemon.log())
        faulty.heal()
        world.agent.start()
        world.await_status(world.node_id, "Online")
        until(lambda: world.api.instance(instance["Id"])["State"] == "running", 10, "it runs")
        ran(4)
        world.stop()
