"""Port ranges and overcommit ratios of a node."""
import unittest

from lib import shapes
from lib.world import World

WORLD = None
NONE = {"memory": None, "cpu": None}


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def change(**fields):
    return WORLD.api.request("PATCH", f"/api/nodes/{WORLD.node_id}", fields).expect(200).json


def deploy(**more):
    body = {"memory": "16", "cpu": "0.1", "ports": "8080:auto", "primary": "auto", **more}
    return WORLD.api.post("/api/instances/deploy", WORLD.spec(**body), query={"wait": 30}, timeout=60)


class Shares(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()
        change(portRange=None, overcommit=None)

    def port_of(self, answer):
        return int(answer.expect(201).json["instance"]["Primary"])

    # Ports

    def test_auto_ports_come_from_the_nodes_own_range(self):
        self.assertEqual(change(portRange=" 25000 - 25001 ")["portRange"], "25000-25001")
        self.assertEqual([self.port_of(deploy()) for _ in range(2)], [25000, 25001])
        deploy().refused(400, "no_free_port", "ports", says="25000-25001")
        deploy(nodeId="auto").refused(400, "no_node")
        self.assertEqual(self.port_of(deploy(ports="8080:24000", primary="24000")), 24000)
        self.assertIsNone(change(portRange=None)["portRange"])
        self.assertEqual(self.port_of(deploy()), 20000)

    def test_another_choice_is_from_there_too(self):
        def taken_once(container):
            ports = container.body["HostConfig"]["PortBindings"]
            used = {binding["HostPort"] for bindings in ports.values() for binding in bindings}
            return "listen tcp4 127.0.0.1:25500: bind: address already in use" if "25500" in used else None
        change(portRange="25500-25509")
        WORLD.engine.start_error = taken_once
        try:
            self.assertEqual(self.port_of(deploy()), 25501)
        finally:
            WORLD.engine.start_error = None

    def test_last_over_a_restart(self):
        change(portRange="25100-25199", overcommit={"memory": 1.25, "cpu": 3})
        WORLD.panel.restart()
        WORLD.await_status(WORLD.node_id, "Online")
        node = WORLD.api.node(WORLD.node_id)
        self.assertEqual((node["portRange"], node["overcommit"]),
                         ("25100-25199", {"memory": 1.25, "cpu": 3}))

    # Ratios

    def test_memory_may_be_promised_more_often_or_less(self):
        has = WORLD.api.node(WORLD.node_id)["capacity"]["memoryMiB"]
        deploy(memory=str(has + 1)).refused(400, "insufficient_memory", "memory", says=f"{has} MiB")
        self.assertEqual(change(overcommit={"memory": 2})["overcommit"], {"memory": 2, "cpu": None})
        deploy(memory=str(has + 1)).expect(201)
        change(overcommit={"memory": "0.5"})
        deploy().refused(400, "insufficient_memory", "memory", says=f"0 MiB left of {has // 2} MiB")

    def test_cores_are_counted_once_there_is_a_ratio(self):
        cpus = WORLD.api.node(WORLD.node_id)["capacity"]["cpus"]
        for _ in range(2):
            deploy(cpu=str(cpus)).expect(201)
        change(overcommit={"cpu": 2.5})
        says = (f"{cpus * 0.5:g} cores left of {cpus * 2.5:g}", f"{cpus} were asked for")
        deploy(cpu=str(cpus)).refused(400, "insufficient_cpu", "cpu", says=says)
        reasons = deploy(cpu=str(cpus), nodeId="auto").refused(400, "no_node").json["details"]
        self.assertIn(says[0], reasons[0]["reason"])
        deploy(cpu=str(cpus / 2), nodeId="auto").expect(201)
        deploy(cpu="0.01").refused(400, "insufficient_cpu", "cpu", says=f"0 cores left of {cpus * 2.5:g}")

    def test_one_ratio_leaves_the_other(self):
        change(overcommit={"memory": 1.5, "cpu": 4})
        self.assertEqual(change(overcommit={"cpu": None})["overcommit"], {"memory": 1.5, "cpu": None})
        self.assertEqual(change(overcommit={})["overcommit"], {"memory": 1.5, "cpu": None})
        self.assertEqual(change(name="node")["overcommit"], {"memory": 1.5, "cpu": None})
        self.assertEqual(change(overcommit=None)["overcommit"], NONE)

    # The create

    def test_a_new_node_may_have_them_at_once(self):
        body = {"name": "n", "tags": "x", "ram": "1", "disk": "1", "processor": "1",
                "address": "192.0.2.1", "port": "7400"}
        bare = WORLD.api.post("/api/nodes/create", body).expect(201).json
        self.assertEqual((bare["portRange"], bare["overcommit"]), (None, NONE))
        more = {"portRange": "30000-30010", "overcommit": {"cpu": "1.5"}}
        made = WORLD.api.post("/api/nodes/create", {**body, **more}).expect(201).json
        shown = WORLD.api.node(made["id"])
        shapes.check_node(shown)
        self.assertEqual((shown["portRange"], shown["overcommit"]),
                         ("30000-30010", {"memory": None, "cpu": 1.5}))
        for node in (bare, made):
            WORLD.api.delete("/api/nodes/delete", {"nodeId": node["id"]}).expect(201)


if __name__ == "__main__":
    unittest.main()
