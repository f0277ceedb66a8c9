"""Suspend, unsuspend, delete; and what happens behind the panel's back."""
import os
import time
import unittest

from lib import images
from lib.wait import hold, patient, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()
    images.stubborn(WORLD.engine.api)


def tearDownModule():
    WORLD.stop()


def running(instance_id):
    """How many containers of the instance run."""
    return sum(row["State"] == "running" for row in WORLD.engine.api.containers()
               if instance_id in (row.get("Labels") or {}).values())


def settle():
    """Everything runs again, after a test has shot at it."""
    for part in (WORLD.engine.daemon, WORLD.panel.daemon, WORLD.agent.daemon):
        if not part.running():
            {WORLD.engine.daemon: WORLD.engine, WORLD.panel.daemon: WORLD.panel,
             WORLD.agent.daemon: WORLD.agent}[part].start()
    WORLD.await_status(WORLD.node_id, "Online", timeout=20)


class Case(unittest.TestCase):
    def setUp(self):
        self.instance = WORLD.deploy()
        self.instance_id = self.instance["Id"]

    def tearDown(self):
        settle()
        WORLD.clear()

    def suspend(self, word="suspend"):
        return WORLD.api.post(f"/api/instances/{word}/{self.instance_id}", timeout=60).expect(200).json


class Suspend(Case):
    def test_really_stops(self):
        self.suspend()
        WORLD.await_instance(self.instance_id, State="suspended")
        self.assertEqual(running(self.instance_id), 0)

    def test_and_unsuspend_really_starts(self):
        self.suspend()
        WORLD.await_instance(self.instance_id, State="suspended")
        self.suspend("unsuspend")
        WORLD.await_instance(self.instance_id, State="running")
        self.assertEqual(running(self.instance_id), 1)

    def test_stays_over_a_restart_of_each(self):
        self.suspend()
        WORLD.await_instance(self.instance_id, State="suspended")
        for part in (WORLD.agent, WORLD.panel, WORLD.engine):
            with self.subTest(part=type(part).__name__):
                part.restart()
                settle()
                WORLD.await_instance(self.instance_id, State="suspended")
                hold(lambda: running(self.instance_id) == 0, 2, "it stays stopped")
        self.suspend("unsuspend")
        WORLD.await_instance(self.instance_id, State="running")

    def test_stays_when_somebody_starts_the_container(self):
        self.suspend()
        WORLD.await_instance(self.instance_id, State="suspended")
        WORLD.engine.api.start(WORLD.containers_of(self.instance_id)[0])
        until(lambda: running(self.instance_id) == 0, 10, "it is stopped again")

    def test_with_the_agent_away_is_done_when_it_is_back(self):
        WORLD.agent.kill()
        self.suspend()
        self.assertEqual(running(self.instance_id), 1)
        WORLD.agent.start()
        until(lambda: running(self.instance_id) == 0, 15, "it is stopped")
        WORLD.await_instance(self.instance_id, State="suspended")


class Delete(Case):
    def volume(self):
        return WORLD.container(self.instance)["Mounts"][0]["Source"]

    def test_leaves_no_container_and_no_volume(self):
        volume = self.volume()
        with open(volume + "/file", "w") as out:
            out.write("x")
        os.makedirs(volume + "/deep/er")
        WORLD.delete(self.instance_id)
        self.assertEqual(WORLD.containers_of(self.instance_id), [])
        self.assertFalse(os.path.exists(volume))

    def test_does_not_follow_links_out_of_the_volume(self):
        outside = os.path.join(WORLD.dir, "precious")
        os.makedirs(outside)
        with open(outside + "/file", "w") as out:
            out.write("x")
        os.symlink(outside, self.volume() + "/link")
        WORLD.delete(self.instance_id)
        self.assertTrue(os.path.exists(outside + "/file"))

    def test_with_the_agent_away(self):
        volume = self.volume()
        WORLD.agent.kill()
        WORLD.await_status(WORLD.node_id, "Offline")
        began = time.monotonic()
        answer = WORLD.delete(self.instance_id)
        self.assertLess(time.monotonic() - began, patient(2))
        self.assertEqual(answer.json["state"], "DELETING")
        self.assertEqual(WORLD.api.instances(), [])
        WORLD.api.post("/api/getInstance", {"id": self.instance_id}).refused(400)
        self.assertEqual(WORLD.api.post("/api/getUserInstance", {"userId": WORLD.user_id}).json, [])
        self.assertEqual(running(self.instance_id), 1)
        WORLD.agent.start()
        until(lambda: not WORLD.containers_of(self.instance_id), 20, "the container is removed")
        until(lambda: not os.path.exists(volume), 5, "the volume is removed")

    def test_with_the_agent_away_and_the_panel_restarted(self):
        WORLD.agent.kill()
        WORLD.await_status(WORLD.node_id, "Offline")
        WORLD.delete(self.instance_id)
        WORLD.panel.crash()
        self.assertEqual(WORLD.api.instances(), [])
        WORLD.agent.start()
        until(lambda: not WORLD.containers_of(self.instance_id), 20, "the container is removed")

    def test_of_one_that_ignores_its_stop_signal(self):
        stubborn = WORLD.deploy(image="test:stubborn")["Id"]
        began = time.monotonic()
        WORLD.delete(stubborn)
        self.assertEqual(WORLD.containers_of(stubborn), [])
        self.assertLess(time.monotonic() - began, patient(30))

    def test_of_a_suspended_one(self):
        self.suspend()
        WORLD.delete(self.instance_id)
        self.assertEqual(WORLD.containers_of(self.instance_id), [])

    def test_before_it_was_ready(self):
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec()).expect(201)
        WORLD.delete(answer.json["Id"])
        self.assertEqual(WORLD.containers_of(answer.json["Id"]), [])

    def test_of_one_whose_container_is_gone(self):
        WORLD.engine.api.remove(self.instance["ContainerId"])
        WORLD.delete(self.instance_id)
        self.assertEqual(WORLD.containers_of(self.instance_id), [])


class BehindTheBack(Case):
    """Seen in the API within 2 s, and brought back."""

    def seen_and_back(self, shoot):
        before = self.instance["ContainerId"]
        started = WORLD.engine.api.inspect(before)["State"]["StartedAt"]
        watched = []
        shoot(before)
        began = time.monotonic()

        def changed():
            instance = WORLD.api.instance(self.instance_id)
            watched.append(instance["State"])
            if instance["State"] != "running" or instance["ContainerId"] != before:
                return True
            # It may be back already, quicker than one look.
            container = WORLD.engine.api.inspect(before)["State"]
            return container["Running"] and container["StartedAt"] != started
        until(changed, 2, lambda: f"the change is seen; states {set(watched)}", interval=0.005)
        self.assertLess(time.monotonic() - began, patient(2))
        WORLD.await_instance(self.instance_id, State="running", InternalState="READY")
        until(lambda: running(self.instance_id) == 1, 10, "exactly one runs")

    def test_docker_kill(self):
        self.seen_and_back(WORLD.engine.api.kill)

    def test_docker_stop(self):
        self.seen_and_back(WORLD.engine.api.stop)

    def test_docker_rm_f(self):
        self.seen_and_back(WORLD.engine.api.remove)

    def test_again_and_again(self):
        for _ in range(3):
            WORLD.engine.api.kill(WORLD.containers_of(self.instance_id)[0])
            until(lambda: running(self.instance_id) == 1, 20, "it runs again")
        WORLD.await_instance(self.instance_id, timeout=20, State="running")


class Foreign(Case):
    """Containers that aren't ours are never touched."""

    def test_through_a_whole_life(self):
        docker = WORLD.engine.api
        plain = docker.create("test:sleeper", name="plain")
        labels = WORLD.container(self.instance)["Config"]["Labels"]
        # One of another panel: our labels, another panel's id.
        other = dict(labels, **{"panel.id": "11111111-2222-4333-8444-555555555555"})
        foreign = docker.create("test:sleeper", name="foreign", Labels=other)
        for container in (plain, foreign):
            docker.start(container)
        self.suspend()
        self.suspend("unsuspend")
        WORLD.agent.restart()
        WORLD.panel.restart()
        settle()
        WORLD.await_instance(self.instance_id, State="running")
        WORLD.delete(self.instance_id)
        for container in (plain, foreign):
            self.assertTrue(docker.inspect(container)["State"]["Running"])
            docker.remove(container)

    def test_unknown_ones_with_our_labels_are_not_removed(self):
        docker = WORLD.engine.api
        labels = WORLD.container(self.instance)["Config"]["Labels"]
        orphan_labels = {key: ("0rphan0rphan0rphan" if value == self.instance_id else value)
                         for key, value in labels.items()}
        orphan = docker.create("test:sleeper", name="panel-0rphan0rphan0rphan", Labels=orphan_labels)
        docker.start(orphan)
        WORLD.agent.restart()
        settle()
        hold(lambda: docker.inspect(orphan)["State"]["Running"], 3, "the orphan is left alone")
        docker.remove(orphan)


class Crash(Case):
    """kill -9 of each daemon: what ran runs, what is told is right."""

    def test_of_the_panel(self):
        WORLD.panel.kill()
        self.assertEqual(running(self.instance_id), 1)
        WORLD.panel.start()
        settle()
        seen = WORLD.await_instance(self.instance_id, State="running", InternalState="READY")
        self.assertEqual(seen["ContainerId"], self.instance["ContainerId"])

    def test_of_the_agent(self):
        WORLD.agent.kill()
        self.assertEqual(running(self.instance_id), 1)
        WORLD.agent.start()
        settle()
        seen = WORLD.await_instance(self.instance_id, State="running", InternalState="READY")
        self.assertEqual(seen["ContainerId"], self.instance["ContainerId"])

    def test_of_the_engine(self):
        WORLD.engine.kill()
        until(lambda: WORLD.api.node(WORLD.node_id)["docker"]["status"] in ("down", "error"), 10,
              "the node tells that docker is down")
        self.assertEqual(WORLD.api.node(WORLD.node_id)["status"], "Online")
        WORLD.engine.start()
        WORLD.await_instance(self.instance_id, timeout=30, State="running", InternalState="READY")
        until(lambda: running(self.instance_id) == 1, 10, "it runs")

    def test_of_the_engine_in_order(self):
        WORLD.engine.restart()
        WORLD.await_instance(self.instance_id, timeout=30, State="running", InternalState="READY")
        until(lambda: running(self.instance_id) == 1, 10, "it runs")

    def test_of_the_panel_in_the_middle_of_a_deploy(self):
        for pause in (0.0, 0.02, 0.1):
            with self.subTest(pause=pause):
                answer = WORLD.api.post("/api/instances/deploy", WORLD.spec()).expect(201)
                time.sleep(pause)
                WORLD.panel.crash()
                WORLD.await_instance(answer.json["Id"], timeout=30, InternalState="READY")
                self.assertEqual(running(answer.json["Id"]), 1)

    def test_of_the_agent_in_the_middle_of_a_deploy(self):
        for pause in (0.0, 0.02, 0.1, 0.2):
            with self.subTest(pause=pause):
                answer = WORLD.api.post("/api/instances/deploy", WORLD.spec()).expect(201)
                time.sleep(pause)
                WORLD.agent.crash()
                WORLD.await_instance(answer.json["Id"], timeout=30, InternalState="READY")
                self.assertEqual(len(WORLD.containers_of(answer.json["Id"])), 1)
                self.assertEqual(running(answer.json["Id"]), 1)
                WORLD.await_status(WORLD.node_id, "Online")

    def test_of_both_in_the_middle_of_a_delete(self):
        WORLD.agent.kill()
        WORLD.delete(self.instance_id)
        WORLD.panel.kill()
        WORLD.panel.start()
        WORLD.agent.start()
        until(lambda: not WORLD.containers_of(self.instance_id), 20, "the container is removed")

    def test_a_container_that_died_while_nobody_looked(self):
        WORLD.panel.kill()
        WORLD.agent.kill()
        WORLD.engine.api.remove(self.instance["ContainerId"])
        WORLD.agent.start()
        WORLD.panel.start()
        settle()
        until(lambda: running(self.instance_id) == 1, 20, "it is brought back")
        WORLD.await_instance(self.instance_id, State="running")


