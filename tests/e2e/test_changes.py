"""An instance that is changed: what becomes of its container, and of what is in its volume."""
import os
import socket
import threading
import unittest
import urllib.request

from lib import images, places
from lib.wait import until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()
    images.httpd(WORLD.engine.api, "httpd2", marker="2")
    WORLD.api.post("/api/images/create", {
        "Name": "changeable", "Image": "test:httpd", "AltImages": ["test:httpd2", "test:crasher"]}).expect(201)


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


class Replaced(unittest.TestCase):
    """By a new container, with the same volume."""

    def setUp(self):
        self.port = places.free_port()
        self.first = WORLD.deploy(imagename="changeable", host_port=self.port)
        self.path = f"/api/instances/{self.first['Id']}"
        with open(self.kept(), "w") as file:
            file.write("kept")

    def tearDown(self):
        WORLD.clear()

    def kept(self):
        return os.path.join(WORLD.agent.state, "volumes", self.first["Id"], "kept")

    def patch(self, **fields):
        return WORLD.api.request("PATCH", self.path, fields, timeout=90)

    def page(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return answer.read().decode()

    def only_container(self):
        found = WORLD.containers_of(self.first["Id"])
        self.assertEqual(len(found), 1)
        with open(self.kept()) as file:
            self.assertEqual(file.read(), "kept", "the volume is the same")
        return WORLD.engine.api.inspect(found[0])

    def test_ports_environment_and_image(self):
        other = places.free_port()
        row = self.patch(ports=f"8080:{other}", env={"TZ": "UTC"}, image="test:httpd2").expect(200).json
        self.assertEqual((row["State"], row["Image"], row["Ports"], row["Primary"], row["change"]),
                         ("running", "test:httpd2", f"8080:{other}", str(other), None))
        container = self.only_container()
        self.assertEqual((container["Id"], container["Name"]), (row["ContainerId"], f"/panel-{row['Id']}"))
        self.assertNotEqual(container["Id"], self.first["ContainerId"])
        self.assertLessEqual({"TZ=UTC", f"PRIMARY_PORT={other}"}, set(container["Config"]["Env"]))
        self.assertEqual(self.page(other), images.PAGE)
        with self.assertRaises(OSError):
            self.page(self.port)

    def test_one_that_crashes_is_undone(self):
        error = self.patch(image="test:crasher").refused(500, code="change_undone", says="exited with code 3").json
        self.assertEqual(error["details"]["reason"], "container_exited")
        container = self.only_container()
        self.assertEqual((container["Id"], container["State"]["Running"]), (self.first["ContainerId"], True))
        self.assertEqual(self.page(self.port), images.PAGE)
        row = WORLD.await_instance(self.first["Id"], State="running", InternalState="READY")
        self.assertEqual((row["Image"], row["change"]["state"]), ("test:httpd", "undone"))

    def test_a_port_that_something_else_holds_is_undone(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            self.patch(ports=f"8080:{taken}/tcp").refused(500, code="change_undone", says=str(taken))
        self.assertEqual(self.only_container()["Id"], self.first["ContainerId"])
        self.assertEqual(self.page(self.port), images.PAGE)

    def test_an_engine_that_is_killed_on_the_way(self):
        thread = threading.Thread(target=lambda: self.patch(env={"A": "1"}))
        thread.start()
        until(lambda: len(WORLD.containers_of(self.first["Id"])) == 2, 20, "both are there")
        WORLD.engine.kill()
        WORLD.engine.start()
        row = WORLD.await_instance(self.first["Id"], timeout=40, State="running", InternalState="READY", change=None)
        thread.join()
        self.assertIn("A=1", row["Env"])
        self.assertIn("A=1", self.only_container()["Config"]["Env"])


if __name__ == "__main__":
    unittest.main()
