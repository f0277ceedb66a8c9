"""A change that needs a new container: the old one is kept until that runs. On a scripted Engine."""
import threading
import unittest

from lib import places, shapes
from lib.engine_faults import FAULTS
from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner
WORLD = None
OTHER = "test:other"
TEMPLATE = {"Name": "changeable", "Image": "test:httpd", "AltImages": [OTHER], "Env": ["MODE={{MODE}}"],
            "Variables": {"MODE": {"type": "text", "default": "calm", "required": True}}}


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()
    WORLD.engine.images.add(OTHER)
    WORLD.api.post("/api/images/create", TEMPLATE).expect(201)


def tearDownModule():
    WORLD.stop()


class Replacing(unittest.TestCase):
    def setUp(self):
        self.port = places.free_port()
        self.instance_id = WORLD.deploy(imagename="changeable", host_port=self.port)["Id"]
        self.first = self.container()

    def tearDown(self):
        WORLD.engine.start_error = None
        WORLD.engine.crash_on_start = None
        WORLD.engine.update_error = None
        WORLD.clear()
        self.assertEqual(WORLD.engine.containers, {}, "nothing is left")

    def patch(self, **fields):
        return WORLD.api.request("PATCH", f"/api/instances/{self.instance_id}", fields, timeout=80)

    def change(self, **fields):
        row = self.patch(**fields).expect(200).json
        shapes.check_instance(row)
        self.assertEqual((row["InternalState"], row["State"], row["change"]), ("READY", "running", None))
        return row

    def power(self, action):
        return WORLD.api.post(f"/api/instances/{self.instance_id}/power", {"action": action})

    def row(self):
        return WORLD.api.instance(self.instance_id)

    def containers(self):
        return [WORLD.engine.find(one) for one in WORLD.containers_of(self.instance_id)]

    def container(self):
        found = self.containers()
        self.assertEqual(len(found), 1, [one.name for one in found])
        self.assertEqual(found[0].name, f"panel-{self.instance_id}")
        return found[0]

    def check_replaced(self):
        now = self.container()
        self.assertNotEqual(now.id, self.first.id)
        self.assertTrue(now.running)
        self.assertEqual(now.body["HostConfig"]["Mounts"], self.first.body["HostConfig"]["Mounts"])
        self.assertEqual(self.row()["ContainerId"], now.id)
        return now

    def check_put_back(self, before):
        """The old container runs, and the row is what it was, but for the reason."""
        now = self.container()
        self.assertEqual((now.id, now.status), (self.first.id, "running"))
        row = WORLD.await_instance(self.instance_id, InternalState="READY", State="running")
        self.assertEqual(row["change"]["state"], "undone")
        for key in set(row) - {"change", "updatedAt", "exits"}:
            self.assertEqual(row[key], before[key], key)
        return row["change"]["reason"]

    def start_fails_for_new_ones(self):
        WORLD.engine.start_error = lambda container: (
            None if container.id == self.first.id else "scripted: no such command")


class Changed(Replacing):
    def test_environment(self):
        row = self.change(env={"TZ": "Europe/Paris", "MODE": "wild"})
        self.assertIn("TZ=Europe/Paris", row["Env"])
        self.assertIn("MODE=wild", row["Env"])
        self.assertEqual(self.check_replaced().body["Env"], row["Env"])
        row = self.change(env={"MODE": None, "MORE": 1})
        self.assertEqual([one for one in row["Env"] if one.split("=")[0] in ("TZ", "MODE", "MORE")],
                         ["MODE=calm", "TZ=Europe/Paris", "MORE=1"])
        self.patch(env={"PRIMARY_PORT": "1"}).refused(400, field="env", says="PRIMARY_PORT")

    def test_variables(self):
        row = self.change(variables={"MODE": "busy", "FREE": True})
        self.assertEqual(row["variables"], {"MODE": "busy", "FREE": "true"})
        self.assertIn("MODE=busy", self.check_replaced().body["Env"])
        row = self.change(variables={"MODE": None})
        self.assertEqual(row["variables"], {"FREE": "true", "MODE": "calm"}, "the default is back")

    def test_image(self):
        row = self.change(image=OTHER)
        self.assertEqual((row["Image"], row["AltImages"]), (OTHER, [OTHER, "test:httpd"]))
        self.assertEqual(self.check_replaced().body["Image"], OTHER)
        self.assertEqual(self.change(image="test:httpd")["Image"], "test:httpd", "there is a way back")
        before = self.row()
        self.patch(image="test:sleeper").refused(400, code="image_not_allowed", field="image", says=OTHER)
        self.patch(image="test:sleeper", force="perhaps").refused(400, field="force")
        self.assertEqual(self.row(), before)
        WORLD.engine.images.add("test:sleeper")
        row = self.change(image="test:sleeper", force=True)
        self.assertEqual((row["Image"], self.check_replaced().body["Image"]), ("test:sleeper", "test:sleeper"))
        self.assertIn("test:httpd", row["AltImages"], "there is a way back")

    def test_a_mistyped_image_is_mended(self):
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(image="test:htppd")).expect(201).json
        WORLD.await_instance(answer["Id"], InternalState="FAILED")
        row = WORLD.api.request("PATCH", f"/api/instances/{answer['Id']}", {"image": "test:httpd", "force": True},
                                timeout=80).expect(200).json
        self.assertEqual((row["Image"], row["State"], row["InternalState"]), ("test:httpd", "running", "READY"))

    def test_ports(self):
        other = places.free_port()
        row = self.change(ports=f"8080:{self.port},9000:{other}/udp", primary=str(other))
        self.assertEqual((row["Ports"], row["Primary"]), (f"8080:{self.port},9000:{other}/udp", str(other)))
        bound = self.check_replaced().body["HostConfig"]["PortBindings"]
        self.assertEqual(sorted(bound), ["8080/tcp", "8080/udp", "9000/udp"])
        row = self.change(ports="8080:auto")
        self.assertEqual((row["Ports"], row["Primary"]), (f"8080:{self.port}", str(self.port)), "it keeps what it has")
        WORLD.deploy(host_port=other)  # it is free again
        self.patch(ports=f"8080:{other}").refused(400, code="port_taken", field="ports")
        self.patch(primary=str(other)).refused(400, field="primary")

    def test_all_at_once(self):
        other = places.free_port()
        row = self.change(name="hall", memory=128, cpu=0.5, image=OTHER, ports=f"80:{other}", env={"A": "1"})
        host = self.check_replaced().body["HostConfig"]
        self.assertEqual((host["Memory"] >> 20, host["NanoCpus"]), (128, 500000000))
        for one in (f"PRIMARY_PORT={other}", "MEMORY_MIB=128", "INSTANCE_NAME=hall", "A=1"):
            self.assertIn(one, row["Env"])

    def test_the_same_is_no_change(self):
        row = self.row()
        self.change(image=row["Image"], ports=row["Ports"], primary=row["Primary"], variables=row["variables"], env={})
        self.assertEqual(self.container().id, self.first.id)

    def test_the_old_one_never_runs_beside_the_new_one(self):
        seen = set()

        def look(container):
            states = {one.id: one.running for one in self.containers()}
            seen.add((len(states), sum(states.values())))

        WORLD.engine.start_error = look
        self.change(env={"A": "1"})
        self.assertEqual(seen, {(2, 0)}, "kept and stopped while the new one is started")

    def test_one_that_is_stopped_gets_it_when_it_is_started(self):
        self.power("stop").expect(200)
        row = self.patch(env={"A": "1"}).expect(200).json
        self.assertEqual((row["State"], row["change"]), ("stopped", {"state": "pending"}))
        self.assertEqual(self.container().id, self.first.id)
        self.power("start").expect(200)
        WORLD.await_instance(self.instance_id, State="running", change=None)
        self.assertIn("A=1", self.check_replaced().body["Env"])

    def test_one_that_failed_is_installed_again(self):
        WORLD.engine.start_error = "scripted failure"
        failed = WORLD.api.post("/api/instances/deploy", WORLD.spec(imagename="changeable"), query={"wait": 30})
        self.instance_id = failed.expect(500).json["details"]["instanceId"]
        WORLD.engine.start_error = lambda c: None if "A=1" in c.body["Env"] else "scripted failure"
        row = self.patch(env={"A": "1"}).expect(200).json
        self.assertEqual((row["InternalState"], row["State"]), ("READY", "running"))

    def test_restarted_in_the_middle(self):
        """Of the agent, while the new one has to prove itself."""
        made = len(WORLD.engine.asked("POST", "/containers/create"))
        answer = []
        thread = threading.Thread(target=lambda: answer.append(self.patch(env={"A": "1"})))
        thread.start()
        until(lambda: len(WORLD.engine.asked("POST", "/containers/create")) > made, 10, "the new one is made")
        WORLD.agent.kill()
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=30)
        WORLD.await_instance(self.instance_id, timeout=20, State="running", InternalState="READY", change=None)
        thread.join()
        answer[0].expect(200)
        self.assertIn("A=1", self.check_replaced().body["Env"])


class Undone(Replacing):
    def test_it_does_not_start(self):
        before = self.row()
        self.start_fails_for_new_ones()
        error = self.patch(env={"A": "1"}).refused(500, code="change_undone", says="no such command").json
        self.assertEqual(error["details"], {"instanceId": self.instance_id, "reason": "start_failed"})
        reason = self.check_put_back(before)
        self.assertEqual(reason["code"], "start_failed")
        WORLD.engine.start_error = None
        self.change(env={"A": "1"})
        self.check_replaced()

    def test_it_crashes_at_once(self):
        before = self.row()
        WORLD.engine.start_error = lambda c: setattr(WORLD.engine, "crash_on_start", None if c.id == self.first.id else 3)
        self.patch(image=OTHER).refused(500, code="change_undone", says="code 3")
        self.assertEqual(self.check_put_back(before)["code"], "container_exited")

    def test_the_image_is_not_there(self):
        WORLD.engine.images.discard(OTHER)
        try:
            before = self.row()
            started = self.first.started_at
            self.patch(image=OTHER).refused(500, code="change_undone", says=OTHER)
            self.assertEqual(self.check_put_back(before)["code"], "image_not_found")
            self.assertEqual(self.first.started_at, started, "it was not stopped for that")
        finally:
            WORLD.engine.images.add(OTHER)

    def test_its_ports_are_held_meanwhile_and_given_back(self):
        before = self.row()
        other = places.free_port()
        held = []

        def look(container):
            if container.id == self.first.id:
                return None
            for port in (self.port, other):
                held.append(WORLD.api.post("/api/instances/deploy", WORLD.spec(host_port=port)).status)
            return "scripted: port is already allocated"

        WORLD.engine.start_error = look
        self.patch(ports=f"8080:{other}").refused(500, code="change_undone")
        WORLD.engine.start_error = None
        self.check_put_back(before)
        self.assertEqual(held, [400, 400])
        WORLD.deploy(host_port=other)

    def test_limits_that_need_a_new_container(self):
        before = self.row()
        WORLD.engine.update_error = "scripted: device or resource busy"
        self.start_fails_for_new_ones()
        self.patch(memory=128).refused(500, code="change_undone")
        WORLD.engine.update_error = None
        self.check_put_back(before)
        self.assertEqual(self.container().body["HostConfig"]["Memory"] >> 20, 64)

    def test_the_panel_is_away(self):
        """The agent puts the old one back by itself."""
        before = self.row()
        self.start_fails_for_new_ones()
        refuse = WORLD.engine.start_error

        def die_first(container):
            if container.id != self.first.id:
                WORLD.panel.kill()
            return refuse(container)

        WORLD.engine.start_error = die_first
        with self.assertRaises(OSError):
            self.patch(env={"A": "1"})
        until(lambda: len(self.containers()) == 1 and self.first.running, 10, "the old one runs again")
        WORLD.engine.start_error = refuse
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=30)
        WORLD.await_instance(self.instance_id, timeout=20, State="running", InternalState="READY")
        until(lambda: (self.row()["change"] or {}).get("state") == "undone", 20, lambda: f"it is undone: {self.row()}")
        self.check_put_back(before)

    def test_a_second_change_in_the_middle(self):
        """What is wanted in the end is there in the end."""
        before = self.row()
        self.start_fails_for_new_ones()
        self.patch(env={"A": "1"}).refused(500, code="change_undone")
        self.check_put_back(before)
        self.power("stop").expect(200)
        self.patch(env={"A": "2"}).expect(200)
        self.patch(env={"B": "3"}).expect(200)
        WORLD.engine.start_error = lambda c: None if "B=3" in c.body["Env"] else "only B"
        self.power("start").expect(200)
        row = WORLD.await_instance(self.instance_id, State="running", change=None)
        self.assertLessEqual({"A=2", "B=3"}, set(row["Env"]))
        self.check_replaced()

    def test_a_stopped_one_whose_change_fails_runs_as_before(self):
        before = self.row()
        self.power("stop").expect(200)
        self.patch(env={"A": "1"}).expect(200)
        self.start_fails_for_new_ones()
        self.power("start")
        until(lambda: (self.row()["change"] or {}).get("state") == "undone", 20, lambda: f"it is undone: {self.row()}")
        self.check_put_back(before)


class Interrupted(Replacing):
    def test_the_older_one_can_not_be_deleted(self):
        """What has proved itself stays; the other one goes when it can."""
        WORLD.engine.broken["remove"] = FAULTS["answers 500"]
        try:
            row = self.patch(env={"A": "1"}).expect(200).json
            now = WORLD.engine.find(row["ContainerId"])
            self.assertTrue(now.running)
            self.assertIn("A=1", now.body["Env"])
            self.assertEqual((row["change"], len(self.containers())), (None, 2))
        finally:
            WORLD.engine.broken.clear()
        WORLD.engine.hang_up()  # the agent lists anew
        until(lambda: len(self.containers()) == 1, 20, "the older one is gone")
        self.assertEqual(self.container().id, now.id)
        WORLD.await_instance(self.instance_id, State="running", InternalState="READY")

    def test_a_reinstall_ends_what_could_be_undone(self):
        self.power("stop").expect(200)
        self.assertEqual(self.patch(env={"A": "1"}).expect(200).json["change"], {"state": "pending"})
        row = WORLD.api.post(f"/api/instances/{self.instance_id}/reinstall", {}).expect(200).json
        self.assertIsNone(row["change"])

    def test_deleted_in_the_middle(self):
        thread = threading.Thread(target=lambda: self.patch(env={"A": "1"}))
        thread.start()
        until(lambda: len(self.containers()) == 2, 10, "both are there")
        WORLD.delete(self.instance_id)
        thread.join()
        self.assertEqual(self.containers(), [])

    def test_stopped_in_the_middle_and_started(self):
        thread = threading.Thread(target=lambda: self.patch(env={"A": "1"}))
        thread.start()
        until(lambda: len(self.containers()) == 2, 10, "both are there")
        self.power("stop").expect(200)
        thread.join()
        self.assertEqual([one.running for one in self.containers()], [False] * len(self.containers()))
        self.power("start").expect(200)
        WORLD.await_instance(self.instance_id, State="running", change=None)
        self.assertIn("A=1", self.check_replaced().body["Env"])


if __name__ == "__main__":
    unittest.main()
