"""kill -9 at every failpoint of deploy, suspend, restart, redeploy, reinstall, change, replacement, drain and
delete, on both sides; then: one container or none, as was wanted, and nothing for ever in between.

The list of places is read from the sources, so that a new failpoint is tested without a line here."""
import glob
import os
import re
import unittest

from lib.client import Client
from lib.file_server import FileServer
from lib.places import ROOT
from lib.promises import proves
from lib.wait import until
from lib.world import World

WORLD = None
FILES = None
CONVERGES = 25  # seconds, with sanitizers on two cores

CHANGE = {"name": "changed", "memory": 96}
REPLACED = {"replace": {"env": {"CHANGED": "yes"}}, "undo": {"image": "test:crasher"}}
TEMPLATES = {"reinstall": "with a file", "undo": "with another image"}
OPERATIONS = ("deploy", "suspend", "delete")
# Places that only one operation passes; the others pass all of them.
ONLY = {
    "panel.deploy.written": ("deploy",), "panel.suspend.written": ("suspend",),
    "panel.delete.written": ("delete",), "panel.forget.writing": ("delete",),
    "panel.forget.committed": ("delete",),
    "panel.answer.final": ("suspend", "delete"),
    "panel.result.writing": ("deploy", "suspend"), "panel.result.committed": OPERATIONS,
    "agent.container.creating": ("deploy", "replace"), "agent.container.created": ("deploy", "replace"),
    "agent.container.starting": ("deploy", "restart"),
    "agent.container.started": ("deploy", "restart"),
    "agent.container.stopping": ("suspend", "restart", "replace", "drain"),
    "agent.container.stopped": ("suspend", "restart", "replace", "drain"),
    "panel.drain.written": ("drain", "undrain"),
    "panel.edit.written": ("change",), "agent.container.resizing": ("change",),
    "agent.container.resized": ("change",),
    "agent.container.sparing": ("replace",), "agent.container.spared": ("replace", "undo"),
    "agent.container.proving": ("replace",), "agent.container.dropping": ("replace",),
    "agent.container.dropped": ("replace",), "agent.container.restoring": ("undo",),
    "agent.container.restored": ("undo",), "panel.undo.written": ("undo",),
    "panel.redeploy.written": ("redeploy",),
    "panel.reinstall.written": ("reinstall",), "agent.install.starting": ("reinstall",),
    "agent.install.file": ("reinstall",), "agent.install.ending": ("reinstall",),
    "agent.volume.wiping": ("reinstall",), "agent.volume.wiped": ("reinstall",),
    "panel.power.written": ("restart",), "panel.restart.written": ("restart",),
    "agent.container.deleting": ("delete", "undo"),
    "agent.container.deleted": ("delete", "undo", "reinstall"),
    "agent.volume.erasing": ("delete",), "agent.volume.erased": ("delete",),
    "agent.apply.received": ("deploy", "suspend"), "agent.apply.answered": ("deploy", "suspend"),
    "agent.remove.received": ("delete",), "agent.remove.answered": ("delete",),
}


def places():
    names = set()
    for side in ("panel", "agent"):
        for path in glob.glob(f"{ROOT}/{side}/**/*.c", recursive=True):
            with open(path) as source:
                names.update(re.findall(r'FAILPOINT\("((?:panel|agent)\.[^"]+)"\)', source.read()))
    return sorted(names)


def setUpModule():
    global WORLD, FILES
    FILES = FileServer().start()
    FILES.files["/file"] = b"installed"
    WORLD = World("docker", agent_options=("--install-allow-local",)).start()
    WORLD.make_images()
    WORLD.api.post("/api/images/create", {"Name": "with a file", "Image": "test:httpd", "Scripts": {
        "Install": [{"Uri": FILES.url("/file"), "Path": "file"}]}}).expect(201)
    WORLD.api.post("/api/images/create", {"Name": "with another image", "Image": "test:httpd",
                                          "AltImages": ["test:crasher"]}).expect(201)


def tearDownModule():
    WORLD.stop()
    FILES.stop()


def side_of(place):
    return WORLD.panel if place.startswith("panel.") else WORLD.agent


def arm(place):
    """Restart the side with its failpoint set; the other one stays."""
    side = side_of(place)
    side.daemon.extra_env["PANEL_FAILPOINTS"] = f"{place}=die"
    side.kill()
    side.start()


def is_online():
    try:
        return WORLD.api.node(WORLD.node_id)["status"] in ("Online", "Maintenance")
    except Exception:  # the panel died of its failpoint
        return False


def request(operation, instance_id, spec):
    """Ask, and expect anything: the daemon may die of it. A client of its own, since the
    connection may."""
    client = Client("127.0.0.1", WORLD.panel.port, WORLD.panel.key)
    try:
        if operation == "deploy":
            return client.post("/api/instances/deploy", spec, timeout=40)
        if operation == "restart":
            return client.post(f"/api/instances/{instance_id}/power", {"action": "restart"}, timeout=40)
        if operation == "change":
            return client.request("PATCH", f"/api/instances/{instance_id}", CHANGE, timeout=40)
        if operation in REPLACED:
            return client.request("PATCH", f"/api/instances/{instance_id}", REPLACED[operation], timeout=40)
        if operation in ("drain", "undrain"):
            return client.request("PATCH", f"/api/nodes/{WORLD.node_id}", {"drain": operation == "drain"},
                                  timeout=40)
        if operation == "redeploy":
            return client.post(f"/api/instances/{instance_id}/redeploy", {}, query={"wait": 1}, timeout=40)
        if operation == "reinstall":
            return client.post(f"/api/instances/{instance_id}/reinstall", {"wipe": True}, query={"wait": 1},
                               timeout=40)
        if operation == "suspend":
            return client.post(f"/api/instances/suspend/{instance_id}", timeout=40)
        return client.delete("/api/instance/delete", {"id": instance_id}, timeout=40)
    except Exception:  # the daemon died: the outcome is unknown
        return None


def volumes():
    return os.listdir(os.path.join(WORLD.agent.state, "volumes"))


class Failpoints(unittest.TestCase):
    def tearDown(self):
        for side in (WORLD.panel, WORLD.agent):
            side.daemon.extra_env.pop("PANEL_FAILPOINTS", None)
            side.kill()
            side.start()
        WORLD.api.request("PATCH", f"/api/nodes/{WORLD.node_id}", {"maintenance": False}).expect(200)
        WORLD.await_status(WORLD.node_id, "Online", timeout=30)
        WORLD.clear()

    def check_restart(self, instance_id, answer, before):
        WORLD.await_instance(instance_id, CONVERGES, State="running", InternalState="READY")
        containers = WORLD.containers_of(instance_id)
        self.assertEqual(len(containers), 1)
        after = WORLD.engine.api.inspect(containers[0])
        self.assertEqual(after["Id"], before["Id"])
        if answer is not None and answer.status == 200:
            self.assertGreater(after["State"]["StartedAt"], before["State"]["StartedAt"])

    def check_change(self, instance_id, answer, before):
        row = WORLD.await_instance(instance_id, CONVERGES, State="running", InternalState="READY")
        self.assertEqual(WORLD.containers_of(instance_id), [before["Id"]])
        if answer is not None and answer.status == 200:
            self.assertEqual(row["Name"], "changed", "an acknowledged change is kept")
        until(lambda: WORLD.container(row)["HostConfig"]["Memory"] == row["Memory"] << 20, CONVERGES,
              f"it has the {row['Memory']} MiB that the books say")
        self.assertEqual(WORLD.container(row)["State"]["StartedAt"], before["State"]["StartedAt"])

    def settled(self, instance_id):
        """The row and its only container, when nothing of a change is left to do."""
        until(lambda: (WORLD.api.instance(instance_id)["change"] or {}).get("state") != "pending", CONVERGES,
              lambda: f"the change is settled: {WORLD.api.instance(instance_id)}")
        row = WORLD.await_instance(instance_id, CONVERGES, State="running", InternalState="READY")
        until(lambda: len(WORLD.containers_of(instance_id)) == 1, CONVERGES, "one container is left")
        container = WORLD.engine.api.inspect(WORLD.containers_of(instance_id)[0])
        self.assertEqual(container["Name"], f"/panel-{instance_id}")
        self.assertEqual(container["Config"]["Image"], row["Image"])
        self.assertLessEqual(set(row["Env"]), set(container["Config"]["Env"]))
        return row, container

    def check_replace(self, instance_id, answer, before):
        row, container = self.settled(instance_id)
        if answer is not None and answer.status == 200:
            self.assertIn("CHANGED=yes", row["Env"], "an acknowledged change is kept")
        self.assertEqual(container["Id"] == before["Id"], "CHANGED=yes" not in row["Env"])

    def check_undo(self, instance_id, answer, before):
        row, container = self.settled(instance_id)
        self.assertEqual((container["Id"], row["Image"]), (before["Id"], "test:httpd"))

    def check_redeploy(self, instance_id, answer, before):
        """The test's image is in no registry: the container that was there is kept."""
        until(lambda: WORLD.api.instance(instance_id)["InternalState"] in ("READY", "FAILED"), CONVERGES,
              "it has ended")
        self.assertEqual(WORLD.containers_of(instance_id), [before["Id"]])
        self.assertTrue(WORLD.engine.api.inspect(before["Id"])["State"]["Running"])

    def check_drain(self, instance_id, answer, before):
        node = WORLD.api.node(WORLD.node_id)
        if answer is not None and answer.status == 200:
            self.assertIsNotNone(node["drain"], "an acknowledged drain is kept")
        WORLD.await_instance(instance_id, CONVERGES, State="stopped" if node["drain"] else "running",
                             InternalState="READY")
        self.assertEqual(WORLD.containers_of(instance_id), [before["Id"]])
        self.assertEqual(WORLD.engine.api.inspect(before["Id"])["State"]["Running"], not node["drain"])

    def check_undrain(self, instance_id, answer, before):
        if answer is not None and answer.status == 200:
            self.assertIsNone(WORLD.api.node(WORLD.node_id)["drain"], "what was acknowledged is kept")
        self.check_drain(instance_id, None, before)

    def check_reinstall(self, instance_id, answer, before):
        WORLD.await_instance(instance_id, CONVERGES, State="running", InternalState="READY")
        containers = WORLD.containers_of(instance_id)
        self.assertEqual(len(containers), 1)
        if answer is not None and answer.status == 200:
            self.assertNotEqual(containers[0], before["Id"])
        self.assertEqual(os.listdir(os.path.join(WORLD.agent.state, "volumes", instance_id)), ["file"])

    def check(self, operation, instance_id, answer):
        if operation == "deploy":
            instances = WORLD.api.instances()
            self.assertLessEqual(len(instances), 1)
            if answer is not None and answer.status == 201:
                self.assertEqual(len(instances), 1, "an acknowledged deploy is there")
            for instance in instances:
                WORLD.await_instance(instance["Id"], CONVERGES, State="running", InternalState="READY")
                self.assertEqual(len(WORLD.containers_of(instance["Id"])), 1)
        elif operation == "suspend":
            instance = WORLD.api.instance(instance_id)
            wanted = "suspended" if instance["suspended"] else "running"
            if answer is not None and answer.status == 200:
                self.assertEqual(wanted, "suspended", "an acknowledged suspend is kept")
            WORLD.await_instance(instance_id, CONVERGES, State=wanted)
            self.assertEqual(len(WORLD.containers_of(instance_id)), 1)
        elif [i for i in WORLD.api.instances() if i["Id"] == instance_id]:
            self.assertTrue(answer is None or answer.status != 201, "an acknowledged delete is kept")
            WORLD.await_instance(instance_id, CONVERGES, State="running")
        else:
            until(lambda: not WORLD.containers_of(instance_id) and instance_id not in volumes(),
                  CONVERGES, lambda: f"nothing is left: {WORLD.containers_of(instance_id)} {volumes()}")

    def kill_at(self, place, operation):
        template = TEMPLATES.get(operation)
        instance_id = None if operation == "deploy" else WORLD.deploy(imagename=template)["Id"]
        before = WORLD.container(WORLD.api.instance(instance_id)) if instance_id else None
        if operation == "undrain":
            request("drain", instance_id, None).expect(200)
            WORLD.await_instance(instance_id, CONVERGES, State="stopped")
        spec = WORLD.spec()
        arm(place)
        side = side_of(place)
        # Some places are passed as soon as the daemon is up; then it dies before it is asked.
        until(lambda: not side.daemon.running() or is_online(), 15, "the node answers")
        answer = request(operation, instance_id, spec) if side.daemon.running() else None
        until(lambda: not side.daemon.running(), 15, f"{place} is passed")
        side.daemon.extra_env.pop("PANEL_FAILPOINTS")
        side.kill()
        side.start()
        until(is_online, 30, "the node answers")
        check = getattr(self, f"check_{operation}", None)
        if check:
            check(instance_id, answer, before)
        else:
            self.check(operation, instance_id, answer)


def add_tests():
    for place in places():
        for operation in ONLY.get(place, OPERATIONS):
            def test(self, place=place, operation=operation):
                self.kill_at(place, operation)
            name = f"test_kill_at_{place.replace('.', '_')}_of_{operation}"
            side = "panel" if place.startswith("panel.") else "agent"
            setattr(Failpoints, name, proves("I1", "I2", "I3", "I4", "I8", fault=f"kill -9 of the {side} "
                                             f"at each step of {operation}")(test))


add_tests()
