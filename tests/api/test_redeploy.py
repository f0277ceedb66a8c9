"""POST /api/instances/{id}/redeploy: the image pulled again. On a scripted Engine."""
import unittest

from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner
WORLD = None
IMAGE = "test:again"


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Redeploy(unittest.TestCase):
    def setUp(self):
        WORLD.engine.pullable.add(IMAGE)
        self.instance = WORLD.deploy(image=IMAGE)
        self.path = f"/api/instances/{self.instance['Id']}"

    def tearDown(self):
        WORLD.engine.registry_down = False
        WORLD.engine.pull_pause = 0.0
        WORLD.engine.pullable.discard(IMAGE)
        WORLD.engine.images.discard(IMAGE)
        WORLD.clear()

    def redeploy(self, wait=30, **headers):
        return WORLD.api.post(f"{self.path}/redeploy", {}, query={"wait": wait}, headers=headers)

    def power(self, action):
        return WORLD.api.post(f"{self.path}/power", {"action": action})

    def row(self):
        return WORLD.api.instance(self.instance["Id"])

    def pulls(self):
        return [r for r in WORLD.engine.requests if "/images/create" in r.path]

    def container(self):
        containers = WORLD.containers_of(self.instance["Id"])
        self.assertEqual(len(containers), 1)
        return containers[0]

    def check_kept(self, before):
        self.assertEqual(self.container(), before)
        self.assertTrue(WORLD.engine.find(before).running)

    def test_it_is_pulled_though_it_is_there_and_made_anew(self):
        before, pulls = self.container(), len(self.pulls())
        after = self.redeploy().expect(200).json
        self.assertEqual((after["State"], after["InternalState"]), ("running", "READY"))
        self.assertNotEqual(self.container(), before)
        self.assertEqual(len(self.pulls()), pulls + 1)

    def test_it_runs_on_while_it_is_pulled(self):
        before = self.container()
        WORLD.engine.pull_pause = 0.3
        self.redeploy(wait=0).expect(200)
        WORLD.await_instance(self.instance["Id"], State="pulling")
        self.check_kept(before)
        WORLD.engine.pull_pause = 0.0
        WORLD.await_instance(self.instance["Id"], timeout=20, State="running", InternalState="READY")
        self.assertNotEqual(self.container(), before)

    def check_undone(self, reason):
        row = WORLD.await_instance(self.instance["Id"], InternalState="READY", State="running")
        self.assertEqual((row["change"]["state"], row["change"]["reason"]["code"]), ("undone", reason))

    def test_what_cannot_be_pulled_leaves_the_old_one_running_and_says_why(self):
        before = self.container()
        started = WORLD.engine.find(before).started_at
        WORLD.engine.registry_down = True
        self.redeploy().refused(500, code="change_undone", says="connection refused")
        self.check_undone("registry_unreachable")
        self.check_kept(before)
        self.assertEqual(WORLD.engine.find(before).started_at, started, "it was not stopped for that")
        WORLD.engine.registry_down = False
        self.redeploy().expect(200)
        self.assertNotEqual(self.container(), before)
        self.assertIsNone(self.row()["change"])

    def test_what_cannot_be_pulled_when_it_is_started_is_started_as_it_was(self):
        before = self.container()
        self.power("stop").expect(200)
        self.redeploy().expect(200)
        WORLD.engine.registry_down = True
        self.power("start")
        until(lambda: WORLD.engine.find(before).running, 20, "the old one is started")
        self.check_undone("registry_unreachable")
        self.assertEqual(self.container(), before)

    def test_what_does_not_start_is_put_back(self):
        before = self.container()
        WORLD.engine.start_error = lambda container: None if container.id == before else "no such command"
        try:
            self.redeploy().refused(500, code="change_undone", says="no such command")
        finally:
            WORLD.engine.start_error = None
        self.check_undone("start_failed")
        self.check_kept(before)

    def test_a_stopped_one_gets_it_when_it_is_started(self):
        before, pulls = self.container(), len(self.pulls())
        self.power("stop").expect(200)
        row = self.redeploy().expect(200).json
        self.assertEqual((row["State"], row["InternalState"]), ("stopped", "READY"))
        self.assertEqual(self.container(), before)
        self.power("start").expect(200)
        WORLD.await_instance(self.instance["Id"], State="running", InternalState="READY")
        self.assertNotEqual(self.container(), before)
        self.assertEqual(len(self.pulls()), pulls + 1)

    def test_after_it_nothing_is_pulled_again(self):
        self.redeploy().expect(200)
        container, pulls = self.container(), len(self.pulls())
        self.power("restart").expect(200)
        WORLD.api.request("PATCH", self.path, {"memory": 96}).expect(200)
        WORLD.await_instance(self.instance["Id"], State="running", InternalState="READY")
        WORLD.agent.stop()
        until(lambda: WORLD.api.node(WORLD.node_id)["status"] != "Online", 10, "the agent is missed")
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")
        WORLD.await_instance(self.instance["Id"], State="running", InternalState="READY")
        self.assertEqual((self.container(), len(self.pulls())), (container, pulls))

    def test_what_was_asked_for_twice_is_done_once(self):
        pulls = len(self.pulls())
        for _ in range(2):
            self.redeploy(**{"Idempotency-Key": f"redeploy {self.instance['Id']}"}).expect(200)
        self.assertEqual(len(self.pulls()), pulls + 1)

    def test_bad_requests(self):
        WORLD.api.post(f"{self.path}/redeploy", {"id": "another"}).refused(400)
        WORLD.api.post("/api/instances/nosuchinstance/redeploy", {}).refused(400, code="instance_not_found")


if __name__ == "__main__":
    unittest.main()
