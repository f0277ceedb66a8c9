"""paneld backup and restore: the original is lost, and what was in the backup is there again."""
import os
import shutil
import signal
import sqlite3
import unittest

from lib import places
from lib.daemon import run_tool
from lib.promises import proves, ran
from lib.wait import hold, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


class Backup(unittest.TestCase):
    def setUp(self):
        self.file = os.path.join(WORLD.dir, "backup.db")
        if os.path.exists(self.file):
            os.unlink(self.file)

    def tearDown(self):
        if not WORLD.panel.daemon.running():
            WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        WORLD.clear()

    def paneld(self, *args, code=0, failpoints=""):
        done = run_tool([places.PANELD, *args, "--data", WORLD.panel.data], WORLD.dir,
                        env={"PANEL_FAILPOINTS": failpoints})
        self.assertEqual(done.code, code, done.out + done.err)
        return done

    def test_the_lost_panel_comes_back(self):
        before = WORLD.deploy(name="before")
        deleted = WORLD.deploy(name="deleted")
        self.paneld("backup", self.file)  # the daemon runs
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        after = WORLD.deploy(name="after")
        # Changes that the agent knows of and the backup doesn't.
        WORLD.delete(deleted["Id"])
        for word in ("suspend", "unsuspend", "suspend"):
            WORLD.api.post(f"/api/instances/{word}/{before['Id']}", timeout=60).expect(200)
        WORLD.panel.kill()
        shutil.rmtree(WORLD.panel.data)
        self.paneld("restore", self.file)
        WORLD.panel.start()
        # The key still opens, the agent needn't join again, and what ran runs.
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        WORLD.await_instance(before["Id"], State="running", ContainerId=before["ContainerId"])
        WORLD.await_instance(deleted["Id"], State="running")
        self.assertEqual([i["Id"] for i in WORLD.api.instances()], [before["Id"], deleted["Id"]])
        # What came after the backup is told, and left alone.
        until(lambda: WORLD.api.node(WORLD.node_id)["orphans"] == 1, 10, "the orphan is counted")
        hold(lambda: WORLD.container(after)["State"]["Running"], 3, "the orphan runs on")
        WORLD.engine.api.remove(after["ContainerId"])

    def test_a_restore_takes_no_running_panel_and_overwrites_nothing(self):
        self.paneld("backup", self.file)
        self.assertIn("stop the paneld", self.paneld("restore", self.file, code=1).err)
        WORLD.panel.kill()
        self.assertIn("--replace", self.paneld("restore", self.file, code=1).err)
        self.paneld("restore", "--replace", self.file)
        aside = [name for name in os.listdir(WORLD.panel.data) if name.startswith("replaced-")]
        self.assertEqual(len(aside), 1)
        self.assertIn("panel.db", os.listdir(os.path.join(WORLD.panel.data, aside[0])))

    def test_a_backup_overwrites_nothing_unasked(self):
        self.paneld("backup", self.file)
        with open(self.file, "rb") as file:
            before = file.read()
        self.assertIn("--replace", self.paneld("backup", self.file, code=1).err)
        with open(self.file, "rb") as file:
            self.assertEqual(file.read(), before)
        self.paneld("backup", "--replace", self.file)

    def test_what_is_no_backup_is_refused(self):
        self.paneld("backup", self.file)
        with open(self.file, "rb") as file:
            whole = file.read()
        bad = {"foreign": b"this is no backup" * 1000, "empty": b"",
               "cut short": whole[:len(whole) // 2], "a page lost": whole[:4096] + whole[8192:]}
        for name, content in bad.items():
            with open(os.path.join(WORLD.dir, name), "wb") as out:
                out.write(content)
        WORLD.panel.kill()
        kept = sorted(os.listdir(WORLD.panel.data))
        for file in (*(os.path.join(WORLD.dir, name) for name in bad),
                     os.path.join(WORLD.dir, "missing"),
                     os.path.join(WORLD.panel.data, "panel.db")):
            with self.subTest(file=file):
                done = self.paneld("restore", "--replace", file, code=1)
                self.assertIn(file, done.err)
                self.assertNotIn("statement", done.err)
                self.assertRegex(done.err, "damaged|no backup|not made by|not a panel's|No such file")
                self.assertEqual([n for n in sorted(os.listdir(WORLD.panel.data)) if n in kept], kept)

    @proves("I1", "I5", fault="kill -9 of a restore at each step")
    def test_a_restore_that_is_killed_leaves_the_old_panel_or_the_new_one(self):
        self.paneld("backup", self.file)
        pki = os.path.join(WORLD.panel.data, "pki", "ca.key")
        with open(pki) as key:
            right_key = key.read()
        places_of_a_restore = ("copied", "kept", "folded", "committed", "unpacked")
        for place in places_of_a_restore:
            with self.subTest(place=place):
                WORLD.panel.client().post("/api/images/create", {
                    "Name": f"after {place}", "Image": "x"}).expect(201)
                WORLD.panel.kill()  # what is newest is in the journal alone
                self.paneld("restore", "--replace", self.file, code=-signal.SIGKILL,
                            failpoints=f"restore.{place}=die")
                WORLD.panel.start()
                WORLD.await_status(WORLD.node_id, "Online", timeout=20)
                there = f"after {place}" in [image["Name"] for image in WORLD.api.images()]
                self.assertEqual(there, place in ("copied", "kept", "folded"))
                with open(pki) as key:
                    self.assertEqual(key.read(), right_key)
        ran(len(places_of_a_restore))

    @proves("I1", fault="a restore whose last rename fails")
    def test_a_restore_whose_rename_fails_leaves_the_old_panel(self):
        self.paneld("backup", self.file)
        WORLD.add_user("after-backup")
        WORLD.panel.kill()
        self.assertIn("can't put", self.paneld("restore", "--replace", self.file, code=1,
                                               failpoints="restore.renaming=fail").err)
        WORLD.panel.start()
        self.assertIn("after-backup", [user["username"] for user in WORLD.api.users()])

    @proves("I1", fault="a restore over a damaged database")
    def test_a_restore_takes_the_place_of_a_damaged_panel(self):
        self.paneld("backup", self.file)
        before = [user["username"] for user in WORLD.api.users()]
        WORLD.panel.kill()
        for name in ("panel.db", "panel.db-wal"):
            with open(os.path.join(WORLD.panel.data, name), "wb") as out:
                out.write(os.urandom(10000))
        self.paneld("restore", "--replace", self.file)
        WORLD.panel.start()
        self.assertEqual([user["username"] for user in WORLD.api.users()], before)
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)

    @proves("I1", "I8", fault="a restore after the clock was ahead")
    def test_agents_follow_a_restored_panel_whose_clock_was_once_ahead(self):
        self.paneld("backup", self.file)
        WORLD.panel.stop()
        with sqlite3.connect(os.path.join(WORLD.panel.data, "panel.db")) as db:
            db.execute("UPDATE meta SET value = CAST(value + 86400000 AS TEXT) WHERE key = 'epoch'")
        db.close()
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)  # the agent knows that epoch now
        WORLD.panel.stop()
        self.paneld("restore", "--replace", self.file)
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
