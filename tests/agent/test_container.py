"""What the agent asks the Engine for, word by word."""
import unittest

from lib import places
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Container(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = places.free_port()
        cls.instance = WORLD.deploy(ports=f"8080:{cls.port}", primary=cls.port, memory="64", cpu="0.5")
        cls.body = WORLD.engine.find(cls.instance["ContainerId"]).body
        cls.host = cls.body["HostConfig"]

    def test_memory_and_swap_are_equal(self):
        self.assertEqual(self.host["Memory"], 64 << 20)
        self.assertEqual(self.host["MemorySwap"], 64 << 20)

    def test_cpu_is_limited(self):
        self.assertEqual(self.host["NanoCpus"], 500_000_000)

    def test_processes_are_limited(self):
        self.assertGreater(self.host["PidsLimit"], 0)

    def test_ports_are_published_on_the_nodes_address(self):
        for protocol in ("tcp", "udp"):
            self.assertEqual(self.host["PortBindings"][f"8080/{protocol}"],
                             [{"HostIp": "127.0.0.1", "HostPort": str(self.port)}])
            self.assertIn(f"8080/{protocol}", self.body["ExposedPorts"])

    def test_the_network_is_never_the_hosts(self):
        self.assertNotEqual(self.host.get("NetworkMode"), "host")

    def test_privileges_are_dropped(self):
        self.assertEqual(self.host["CapDrop"], ["ALL"])
        self.assertIn("no-new-privileges", " ".join(self.host["SecurityOpt"]))
        self.assertFalse(self.host.get("Privileged"))
        for dangerous in ("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "MKNOD", "ALL"):
            self.assertNotIn(dangerous, self.host.get("CapAdd") or [])

    def test_logs_are_bounded(self):
        self.assertIn("max-size", self.host["LogConfig"]["Config"])
        self.assertIn("max-file", self.host["LogConfig"]["Config"])

    def test_the_volume_is_its_own_below_the_state_folder(self):
        binds = [(m["Source"], m["Target"]) for m in self.host.get("Mounts") or []]
        self.assertEqual(len(binds), 1)
        source, target = binds[0]
        self.assertEqual(target, "/app/data")
        self.assertTrue(source.startswith(WORLD.agent.state + "/"), source)
        self.assertIn(self.instance["VolumeId"], source)

    def test_labels_name_panel_and_instance(self):
        values = self.body["Labels"].values()
        self.assertIn(self.instance["Id"], values)
        self.assertGreaterEqual(len(self.body["Labels"]), 4)

    def test_it_was_created_and_started_once(self):
        name = WORLD.engine.find(self.instance["ContainerId"]).name
        creates = [r for r in WORLD.engine.asked("POST", "/containers/create")
                   if r.query.get("name") == name]
        self.assertEqual(len(creates), 1)
