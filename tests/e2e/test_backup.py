"""paneld backup and restore: the original is lost, and what was in the backup is there again."""
import os
import shutil
import unittest

from lib import places
from lib.daemon import run_tool
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

    def tearDown(self):
        if not WORLD.panel.daemon.running():
            WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        WORLD.clear()

    def paneld(self, *args, code=0):
        done = run_tool([places.PANELD, *args, "--data", WORLD.panel.data], WORLD.dir)
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

    def test_what_is_no_backup_is_refused(self):
        WORLD.panel.kill()
        bad = os.path.join(WORLD.dir, "bad")
        with open(bad, "w") as out:
            out.write("this is no backup")
        kept = sorted(os.listdir(WORLD.panel.data))
        for file in (bad, os.path.join(WORLD.dir, "missing"),
                     os.path.join(WORLD.panel.data, "panel.db")):
            self.paneld("restore", "--replace", file, code=1)
            self.assertEqual([n for n in sorted(os.listdir(WORLD.panel.data)) if n in kept], kept)
