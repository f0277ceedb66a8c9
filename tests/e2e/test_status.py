"""Node status is real: Online, Suspect, Offline, Online, within a second of the change."""
import time
import unittest

from lib.wait import hold, patient, until
from lib.world import World

BEAT = 0.5  # heartbeatMs of the worlds here, in seconds
WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


def status():
    return WORLD.api.node(WORLD.node_id)["status"]


def watch(until_status, seconds):
    """The statuses seen on the way, each with when it was first seen."""
    began = time.monotonic()
    seen = [(status(), 0.0)]
    while seen[-1][0] != until_status:
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not {until_status} within {seconds} s: {seen}")
        now = status()
        if now != seen[-1][0]:
            seen.append((now, time.monotonic() - began))
        time.sleep(0.02)
    return seen


class Status(unittest.TestCase):
    def setUp(self):
        if not WORLD.agent.daemon.running():
            WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")

    def come_and_go(self, leave, come_back):
        leave()
        try:
            seen = watch("Offline", 15 * BEAT)
            # Online may be over before the first look: a link that breaks is noticed at once.
            self.assertEqual([name for name, _ in seen if name != "Online"], ["Suspect", "Offline"])
            suspect, offline = seen[-2][1], seen[-1][1]
            # A beat may have been answered just before; each status shows within a second.
            self.assertLess(suspect, 2 * BEAT + 1)
            self.assertLess(offline, 4 * BEAT + 1)
            hold(lambda: status() == "Offline", 4 * BEAT, "it stays Offline")
        finally:
            come_back()
        began = time.monotonic()
        WORLD.await_status(WORLD.node_id, "Online")
        return time.monotonic() - began

    def test_an_agent_that_is_killed(self):
        self.assertLess(self.come_and_go(WORLD.agent.kill, WORLD.agent.start), 5)

    def test_an_agent_that_hangs(self):
        self.assertLess(self.come_and_go(WORLD.agent.daemon.freeze, WORLD.agent.daemon.thaw), 5)

    def test_an_agent_that_is_stopped_in_order(self):
        WORLD.agent.stop()
        watch("Offline", 15 * BEAT)
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online")

    def test_a_healthy_one_stays_online(self):
        hold(lambda: status() == "Online", 5, "it stays Online", interval=0.02)

    def test_instances_of_an_offline_node_are_unknown(self):
        instance = WORLD.deploy()["Id"]
        WORLD.agent.kill()
        WORLD.await_status(WORLD.node_id, "Offline")
        seen = WORLD.api.instance(instance)
        self.assertEqual(seen["State"], "unknown")
        self.assertEqual(seen["Node"]["status"], "Offline")
        WORLD.agent.start()
        WORLD.await_instance(instance, State="running")
        WORLD.delete(instance)

    def test_last_seen_moves_with_each_beat(self):
        first = WORLD.api.node(WORLD.node_id)["lastSeen"]
        until(lambda: WORLD.api.node(WORLD.node_id)["lastSeen"] > first, 4 * BEAT + 1, "it moves")

    def test_a_dead_node_slows_nobody(self):
        WORLD.agent.daemon.freeze()
        try:
            for _ in range(30):
                self.assertLess(WORLD.api.get("/api/nodes").expect(200).seconds, patient(0.5))
                self.assertLess(WORLD.api.get("/api/instances").expect(200).seconds, patient(0.5))
                time.sleep(0.1)
        finally:
            WORLD.agent.daemon.thaw()

    def test_deploy_to_an_offline_node_creates_nothing(self):
        WORLD.agent.kill()
        WORLD.await_status(WORLD.node_id, "Offline")
        before = WORLD.api.instances()
        WORLD.api.post("/api/instances/deploy", WORLD.spec()).refused(500, code="node_offline")
        self.assertEqual(WORLD.api.instances(), before)

    def test_deploy_to_a_hung_node_does_not_wait_for_ever(self):
        WORLD.agent.daemon.freeze()
        try:
            began = time.monotonic()
            answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(), timeout=30)
            self.assertLess(time.monotonic() - began, patient(2))
            self.assertIn(answer.status, (201, 500))
        finally:
            WORLD.agent.daemon.thaw()
        WORLD.await_status(WORLD.node_id, "Online")
        if answer.status == 201:
            WORLD.await_instance(answer.json["Id"], timeout=30, InternalState="READY")
        WORLD.clear()


class QuickRestart(unittest.TestCase):
    """Beats so slow that a restart is quick on any machine, and in any build."""

    def setUp(self):
        self.world = World("scripted", config={"heartbeatMs": 3000}).start()

    def tearDown(self):
        self.world.stop()

    def test_of_an_agent_is_never_offline(self):
        self.world.agent.restart()
        hold(lambda: self.world.api.node(self.world.node_id)["status"] != "Offline", 3,
             "it is not said to be Offline")
        self.world.await_status(self.world.node_id, "Online")
