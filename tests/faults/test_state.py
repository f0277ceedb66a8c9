"""Old copies and strangers: an agent or a panel put back to what it was, two panels at one node, and
somebody else where a node was. Docker's labels and a person's word decide, never a guess."""
import glob
import json
import os
import shutil
import socket
import threading
import unittest

from lib import places
from lib.agent import Agent
from lib.daemon import run_tool
from lib.promises import proves
from lib.wait import hold, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


def orphans(world=None):
    world = world or WORLD
    return world.api.get(f"/api/nodes/{world.node_id}/orphans").expect(200).json


def remove_orphan(instance_id, **more):
    return WORLD.api.delete(f"/api/nodes/{WORLD.node_id}/orphans", {"instanceId": instance_id},
                            timeout=90, **more)


def volumes():
    return os.listdir(os.path.join(WORLD.agent.state, "volumes"))


class State(unittest.TestCase):
    def setUp(self):
        self.copy = os.path.join(WORLD.dir, "copy")
        shutil.rmtree(self.copy, ignore_errors=True)

    def tearDown(self):
        for side in (WORLD.panel, WORLD.agent):
            if not side.daemon.running():
                side.start()
        # heard of from now on: what the panel says may still be of a link that is gone
        before = WORLD.api.node(WORLD.node_id)["lastSeen"]
        until(lambda: WORLD.api.node(WORLD.node_id)["lastSeen"] != before, 30, "the node is heard of")
        WORLD.await_status(WORLD.node_id, "Online", timeout=30)
        for orphan in orphans():
            remove_orphan(orphan["instanceId"]).expect(201)
        WORLD.clear()

    def check_untouched(self, instance):
        """It runs, in the container that it had, which is its only one."""
        WORLD.await_instance(instance["Id"], State="running", ContainerId=instance["ContainerId"])
        self.assertEqual(WORLD.containers_of(instance["Id"]), [instance["ContainerId"]])
        self.assertTrue(WORLD.container(instance)["State"]["Running"])


class AgentsFolder(State):
    def files(self):
        return [path for path in glob.glob(WORLD.agent.state + "/*") if os.path.isfile(path)]

    @proves("I1", "I2", "I8", fault="an agent put back to an old state folder")
    def test_put_back_to_an_old_copy(self):
        before, suspended = WORLD.deploy(name="before"), WORLD.deploy(name="suspended")
        os.mkdir(self.copy)
        for path in self.files():
            shutil.copy2(path, self.copy)
        WORLD.panel.restart()  # a later epoch
        WORLD.await_status(WORLD.node_id, "Online")
        after = WORLD.deploy(name="after")
        WORLD.api.post(f"/api/instances/suspend/{suspended['Id']}", timeout=60).expect(200)
        WORLD.agent.kill()
        for path in self.files():
            os.unlink(path)
        for name in os.listdir(self.copy):
            shutil.copy2(os.path.join(self.copy, name), WORLD.agent.state)
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")
        for instance in (before, after):
            self.check_untouched(instance)
        WORLD.await_instance(suspended["Id"], State="suspended")
        self.assertEqual(WORLD.containers_of(suspended["Id"]), [suspended["ContainerId"]])
        self.assertEqual(orphans(), [])

    @proves("I1", "I2", "I8", fault="an agent's state folder lost but for identity and volumes")
    def test_lost_but_for_its_identity(self):
        instance = WORLD.deploy()
        kept = os.path.join(WORLD.agent.state, "volumes", instance["VolumeId"], "kept")
        with open(kept, "w") as out:
            out.write("kept")
        WORLD.agent.kill()
        for path in self.files():
            if os.path.basename(path) not in ("identity.json", "agent.key", "agent.crt", "ca.crt"):
                os.unlink(path)
        shutil.rmtree(os.path.join(WORLD.agent.state, "trash"), ignore_errors=True)
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")
        self.check_untouched(instance)
        WORLD.delete(instance["Id"])
        # the panel may only now learn that the link is another one: then it is done soon after
        until(lambda: not WORLD.containers_of(instance["Id"]) and instance["VolumeId"] not in volumes(),
              10, lambda: f"nothing is left: {WORLD.containers_of(instance['Id'])} {volumes()}")


class PanelsDatabase(State):
    def take_copy(self):
        WORLD.panel.stop()
        shutil.copytree(WORLD.panel.data, self.copy)
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online")

    def put_back(self):
        WORLD.panel.kill()
        for path in glob.glob(WORLD.panel.data + "/panel.db*"):
            os.unlink(path)
        shutil.copy2(self.copy + "/panel.db", WORLD.panel.data)
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)

    @proves("I1", "I2", "I3", "I4", "I8", fault="a panel database put back to an old copy")
    def test_put_back_to_an_old_copy(self):
        before = WORLD.deploy(name="before")
        asleep = WORLD.deploy(name="asleep")
        deleted = WORLD.deploy(name="deleted")
        self.take_copy()
        # All of it unknown to the copy: a new one, one that is gone, later generations.
        after = WORLD.deploy(name="after")
        WORLD.delete(deleted["Id"])
        for word in ("suspend", "unsuspend", "suspend"):
            WORLD.api.post(f"/api/instances/{word}/{asleep['Id']}", timeout=60).expect(200)
        for word in ("suspend", "unsuspend"):
            WORLD.api.post(f"/api/instances/{word}/{before['Id']}", timeout=60).expect(200)
        stranger = WORLD.engine.api.create("test:sleeper", name="stranger")
        self.put_back()
        # What the copy wants is made so, in the same containers.
        for instance in (before, asleep):
            self.check_untouched(instance)
        again = WORLD.await_instance(deleted["Id"], State="running")
        self.assertEqual(WORLD.containers_of(deleted["Id"]), [again["ContainerId"]])
        self.assertIn("later state", WORLD.panel.daemon.log())
        # And it obeys again.
        WORLD.api.post(f"/api/instances/suspend/{before['Id']}", timeout=60).expect(200)
        WORLD.await_instance(before["Id"], State="suspended")
        # What it doesn't know is told, and left alone.
        until(lambda: orphans() == [{"instanceId": after["Id"], "containerId": after["ContainerId"],
                                     "running": True}], 10, lambda: f"one orphan: {orphans()}")
        self.assertEqual(WORLD.api.node(WORLD.node_id)["orphans"], 1)
        hold(lambda: WORLD.container(after)["State"]["Running"], 3, "the orphan runs on")
        # A person's word removes it, and nothing else.
        self.assertIn(after["VolumeId"], volumes())
        self.assertEqual(remove_orphan(after["Id"]).expect(201).json["state"], "DELETED")
        self.assertEqual(WORLD.containers_of(after["Id"]), [])
        self.assertNotIn(after["VolumeId"], volumes())
        self.assertEqual(orphans(), [])
        self.assertTrue(WORLD.engine.api.exists(stranger))
        self.check_untouched(asleep)
        WORLD.engine.api.remove(stranger)

    def make_orphan(self):
        self.take_copy()
        instance = WORLD.deploy(name="orphan")
        self.put_back()
        until(orphans, 10, "it is an orphan")
        return instance

    @proves("I1", "I3", "I8", fault="kill -9 of the panel while an orphan is being removed")
    def test_the_removal_of_an_orphan_outlives_the_panel(self):
        instance = self.make_orphan()
        WORLD.agent.daemon.freeze()
        WORLD.await_status(WORLD.node_id, "Offline")
        self.assertEqual(remove_orphan(instance["Id"]).expect(201).json["state"], "DELETING")
        WORLD.panel.crash()
        WORLD.agent.daemon.thaw()
        WORLD.await_status(WORLD.node_id, "Online")
        until(lambda: not WORLD.containers_of(instance["Id"]) and
              instance["VolumeId"] not in volumes(), 10, "nothing is left of it")
        self.assertEqual(orphans(), [])

    def test_only_an_orphan_is_removed_as_one(self):
        instance = self.make_orphan()
        known = WORLD.deploy()
        for wrong in (known["Id"], "nothing", "x" * 64, "x" * 65):
            remove_orphan(wrong).refused(400, "orphan_not_found", "instanceId")
        WORLD.api.delete("/api/nodes/nowhere/orphans", {"instanceId": instance["Id"]}).refused(
            400, "node_not_found")
        self.check_untouched(known)
        first = remove_orphan(instance["Id"], headers={"Idempotency-Key": "once"}).expect(201)
        again = remove_orphan(instance["Id"], headers={"Idempotency-Key": "once"}).expect(201)
        self.assertEqual(first.json, again.json)
        remove_orphan(instance["Id"]).refused(400, "orphan_not_found")

    @proves("I1", fault="two paneld on one data folder")
    def test_a_second_daemon_on_the_folder_is_refused(self):
        done = run_tool([places.PANELD, "--data", WORLD.panel.data, "--listen", "127.0.0.1:0"],
                        WORLD.dir)
        self.assertNotEqual(done.code, 0)
        self.assertIn("already runs", done.err)
        WORLD.add_user("still-writing")


class TwoPanels(State):
    """A second panel that lays claim to what the first one has."""

    def setUp(self):
        super().setUp()
        self.other = World()
        self.other.start()

    def tearDown(self):
        self.other.stop()
        super().tearDown()

    @proves("I3", "I7", fault="two panels with agents at one Docker Engine")
    def test_at_one_engine_touch_only_their_own(self):
        instance = WORLD.deploy(name="first's")
        agent = Agent(self.other.dir, WORLD.engine.socket)
        self.other.node_id = self.other.add_node(agent)
        try:
            theirs = self.other.deploy(name="second's")
            self.assertEqual(orphans(), [])
            self.assertEqual(orphans(self.other), [])
            self.other.delete(theirs["Id"])
            self.check_untouched(instance)
            theirs = self.other.deploy(name="second's again")
            WORLD.delete(instance["Id"])
            WORLD.agent.crash()
            WORLD.await_status(WORLD.node_id, "Online")
            self.assertTrue(WORLD.container(theirs)["State"]["Running"])
            self.other.clear()
        finally:
            agent.stop()

    @proves("I7", fault="a node claimed by a second panel")
    def test_an_agent_serves_the_panel_that_it_joined(self):
        instance = WORLD.deploy()
        where = WORLD.api.node(WORLD.node_id)["port"]
        # The other panel has a certificate for this address, but not for this agent.
        node = self.other.create_node("claimed", port=where)
        decoy = Agent(self.other.dir, WORLD.engine.socket, "decoy")
        decoy.join(self.other.panel.url, node["joinToken"])
        hold(lambda: self.other.api.node(node["id"])["status"] != "Online" and
             WORLD.api.node(WORLD.node_id)["status"] == "Online", 3, "it stays the first panel's")
        # Nor can it be joined to another panel where its state is.
        WORLD.agent.stop()
        token = self.other.create_node("stolen")["joinToken"]
        kept = {name: os.stat(os.path.join(WORLD.agent.state, name)).st_mtime_ns
                for name in os.listdir(WORLD.agent.state) if name != "agent.lock"}
        done = WORLD.agent.try_join(self.other.panel.url, token)
        self.assertNotEqual(done.code, 0)
        self.assertIn("give another --state folder", done.err)
        for name, changed in kept.items():
            self.assertEqual(os.stat(os.path.join(WORLD.agent.state, name)).st_mtime_ns, changed, name)
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")
        self.check_untouched(instance)


class Address(State):
    """A node is who has its key, wherever that is; not who has its address."""

    def impostor(self, port):
        """TLS at the node's address, with a certificate of the panel's own CA for another node."""
        other = WORLD.create_node("other")
        stolen = Agent(WORLD.dir, WORLD.engine.socket, "stolen")
        shutil.rmtree(stolen.state, ignore_errors=True)
        stolen.join(WORLD.panel.url, other["joinToken"], listen=f"127.0.0.1:{port}")
        return other["id"], stolen

    @proves("I7", "I8", fault="a node's address taken by another machine")
    def test_taken_by_another_node(self):
        instance = WORLD.deploy()
        port = WORLD.api.node(WORLD.node_id)["port"]
        WORLD.agent.stop()
        other_id, stolen = self.impostor(port)
        stolen.start()
        try:
            WORLD.await_status(WORLD.node_id, "Offline")
            hold(lambda: WORLD.api.node(WORLD.node_id)["status"] == "Offline", 2,
                 "a node of another name is not taken for it")
            WORLD.await_instance(instance["Id"], State="unknown")
        finally:
            stolen.stop()
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")
        self.check_untouched(instance)
        WORLD.api.delete("/api/nodes/delete", {"nodeId": other_id}).expect(201)

    @proves("I8", fault="a node whose address changed")
    def test_moved_the_agent_listens_elsewhere(self):
        """It is Offline where the panel looks for it, what it runs runs on, and it is Online as soon
        as it can be reached there again, by whatever forwards the old address."""
        instance = WORLD.deploy()
        identity = os.path.join(WORLD.agent.state, "identity.json")
        with open(identity) as file:
            before = file.read()
        new_port = places.free_port()
        WORLD.agent.stop()
        with open(identity, "w") as file:
            json.dump({**json.loads(before), "listen": f"127.0.0.1:{new_port}"}, file)
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Offline")
        self.assertTrue(WORLD.container(instance)["State"]["Running"])
        old_port = int(WORLD.api.node(WORLD.node_id)["port"])
        with socket.create_server(("127.0.0.1", old_port)) as listener:
            forward(listener, new_port)
            WORLD.await_status(WORLD.node_id, "Online")
            self.check_untouched(instance)
            WORLD.agent.stop()
            until(lambda: WORLD.api.node(WORLD.node_id)["status"] != "Online", 10,
                  "the panel sees that link end")
        with open(identity, "w") as file:
            file.write(before)
        WORLD.agent.start()


def forward(listener, port):
    """Every connection of the listener to that port, until the listener is closed."""
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def accept():
        while True:
            try:
                one, _ = listener.accept()
                other = socket.create_connection(("127.0.0.1", port))
            except OSError:
                return
            for pair in ((one, other), (other, one)):
                threading.Thread(target=pump, args=pair, daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
