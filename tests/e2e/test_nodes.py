"""A node's life after it has joined: maintenance, another place, another token."""
import unittest

from lib import places
from lib.agent import Agent
from lib.wait import until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


def change(**fields):
    return WORLD.api.request("PATCH", f"/api/nodes/{WORLD.node_id}", fields).expect(200).json


class Maintenance(unittest.TestCase):
    def tearDown(self):
        change(maintenance=False)
        WORLD.clear()

    def test_takes_nothing_new_and_leaves_what_runs(self):
        instance = WORLD.deploy()
        self.assertEqual(change(maintenance=True)["status"], "Maintenance")
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec()).expect(400)
        self.assertEqual((answer.json["code"], answer.json["field"]), ("node_maintenance", "nodeId"))
        self.assertEqual(WORLD.api.instance(instance["Id"])["State"], "running")
        self.assertEqual(WORLD.api.instance(instance["Id"])["Node"]["status"], "Maintenance")

    def test_what_is_there_can_be_used(self):
        instance_id = WORLD.deploy()["Id"]
        change(maintenance=True)
        for action, state in (("stop", "stopped"), ("start", "running")):
            told = WORLD.api.post(f"/api/instances/{instance_id}/power", {"action": action}, timeout=60)
            self.assertEqual(told.expect(200).json["State"], state)
        WORLD.delete(instance_id)

    def test_lasts_over_a_restart_of_the_panel_and_ends(self):
        change(maintenance=True)
        WORLD.panel.restart()
        WORLD.await_status(WORLD.node_id, "Maintenance")
        change(maintenance=False)
        WORLD.await_status(WORLD.node_id, "Online")
        WORLD.deploy()

    def test_one_that_is_away_is_said_to_be(self):
        change(maintenance=True)
        WORLD.agent.stop()
        try:
            WORLD.await_status(WORLD.node_id, "Offline")
        finally:
            WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Maintenance")


class Drain(unittest.TestCase):
    def tearDown(self):
        change(maintenance=False)
        WORLD.clear()

    def await_empty(self, stopped):
        until(lambda: WORLD.api.node(WORLD.node_id)["drain"] == {
            "running": 0, "stopping": 0, "stopped": stopped}, 30,
            lambda: f"all are stopped; it is {WORLD.api.node(WORLD.node_id)}")

    def test_all_stops_stays_down_over_a_restart_of_docker_and_runs_again(self):
        up, off = (WORLD.deploy() for _ in range(2))
        WORLD.api.post(f"/api/instances/{off['Id']}/power", {"action": "stop"}, timeout=60).expect(200)
        change(drain=True)
        self.await_empty(2)
        self.assertFalse(WORLD.container(up)["State"]["Running"])
        WORLD.engine.crash()
        until(lambda: WORLD.api.node(WORLD.node_id)["docker"]["status"] == "up", 30, "Docker is up")
        self.await_empty(2)
        self.assertFalse(WORLD.container(up)["State"]["Running"])
        change(drain=False)
        WORLD.await_instance(up["Id"], State="running", ContainerId=up["ContainerId"])
        self.assertFalse(WORLD.container(off)["State"]["Running"])


class Place(unittest.TestCase):
    def test_a_port_that_changes_is_where_the_panel_goes(self):
        old, new = WORLD.api.node(WORLD.node_id)["port"], str(places.free_port())
        change(port=new)
        until(lambda: WORLD.api.node(WORLD.node_id)["status"] != "Online", 15, "nobody is there")
        change(port=old)
        WORLD.await_status(WORLD.node_id, "Online")

    def test_another_nodes_place_is_refused(self):
        other = WORLD.create_node("other")
        taken = WORLD.api.node(WORLD.node_id)
        answer = WORLD.api.request("PATCH", f"/api/nodes/{other['id']}",
                                   {"address": taken["address"], "port": taken["port"]})
        self.assertEqual(answer.expect(409).json["code"], "node_exists")

    def test_two_that_were_made_for_one_place_do_not_both_join(self):
        port = places.free_port()
        first, second = (WORLD.create_node(name, port) for name in ("first", "second"))
        agents = [Agent(WORLD.dir, WORLD.engine.socket, name=name) for name in ("first", "second")]
        self.assertEqual(agents[0].try_join(WORLD.panel.url, first["joinToken"]).code, 0)
        done = agents[1].try_join(WORLD.panel.url, second["joinToken"])
        self.assertNotEqual(done.code, 0)
        self.assertIn("at this address and port", done.out + done.err)


class Token(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def token(self, node_id):
        return WORLD.api.post(f"/api/nodes/{node_id}/token", {}).expect(201).json["joinToken"]

    def test_the_one_before_is_worth_nothing(self):
        node = WORLD.create_node("twice")
        new = self.token(node["id"])
        agent = Agent(WORLD.dir, WORLD.engine.socket, name="twice")
        self.assertNotEqual(agent.try_join(WORLD.panel.url, node["joinToken"]).code, 0)
        self.assertEqual(agent.try_join(WORLD.panel.url, new).code, 0)

    def test_a_machine_that_was_set_up_anew_is_the_node_again(self):
        instance = WORLD.deploy()
        WORLD.agent.stop()
        again = Agent(WORLD.dir, WORLD.engine.socket, name="again")
        again.join(WORLD.panel.url, self.token(WORLD.node_id))
        again.start()
        try:
            WORLD.await_status(WORLD.node_id, "Online", timeout=20)
            WORLD.await_instance(instance["Id"], State="running", ContainerId=instance["ContainerId"])
            WORLD.delete(instance["Id"])
        finally:
            again.stop()
            WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
