"""An instance that is changed: what becomes of its container, and of what is in its volume."""
import os
import unittest

from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


class Changes(unittest.TestCase):
    def setUp(self):
        self.instance = WORLD.deploy(memory=64, cpu=1)
        self.instance_id = self.instance["Id"]

    def tearDown(self):
        WORLD.clear()

    def change(self, **fields):
        return WORLD.api.request("PATCH", f"/api/instances/{self.instance_id}", fields,
                                 timeout=90).expect(200).json

    def container(self):
        return WORLD.container(WORLD.api.instance(self.instance_id))

    def limits(self):
        host = self.container()["HostConfig"]
        self.assertEqual(host["Memory"], host["MemorySwap"])
        return host["Memory"] >> 20, host["NanoCpus"] / 1e9

    def kernel_memory(self):
        """What the kernel holds the container's first process to, in MiB."""
        with open(f"/proc/{self.container()['State']['Pid']}/cgroup") as file:
            groups = [line.rstrip("\n").split(":", 2)[1:] for line in file]
        for controllers, path in groups:
            if "memory" in controllers.split(","):
                limit = f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"
                break
        else:
            limit = f"/sys/fs/cgroup{dict(groups)['']}/memory.max"
        if not os.path.exists(limit):
            return None
        with open(limit) as file:
            return int(file.read()) >> 20

    def test_limits_of_one_that_runs(self):
        before = self.container()
        for memory, cpu in ((128, 0.5), (32, 0.25), (64, 1)):
            row = self.change(memory=memory, cpu=cpu)
            self.assertEqual((row["State"], row["Error"], row["Memory"], row["Cpu"]),
                             ("running", None, memory, cpu))
            self.assertEqual(self.limits(), (memory, cpu))
            self.assertIn(self.kernel_memory(), (memory, None))
        after = self.container()
        for key in ("Pid", "StartedAt"):
            self.assertEqual(after["State"][key], before["State"][key])

    def test_they_last(self):
        self.change(memory=96)
        for word in ("suspend", "unsuspend"):
            WORLD.api.post(f"/api/instances/{word}/{self.instance_id}", timeout=60).expect(200)
        WORLD.await_instance(self.instance_id, State="running")
        self.assertEqual(self.limits(), (96, 1))
        self.assertIn(self.kernel_memory(), (96, None))
        self.assertEqual(WORLD.containers_of(self.instance_id), [self.instance["ContainerId"]])
