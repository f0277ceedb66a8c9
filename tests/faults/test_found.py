"""What tests/faults/run has found, each as a case that can be repeated."""
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import places
from lib.promises import proves
from lib.wait import until
from lib.world import World


class EngineGoingDown(unittest.TestCase):
    """Seed 2, round 3: an Engine that is being stopped refuses with words of all kinds, which were
    taken for the container's own fault, and the instance was FAILED for good."""

    @proves("I4", "I8", fault="an Engine that refuses while it stops")
    def test_a_start_that_it_refuses_is_tried_again(self):
        world = World("scripted").start()
        world.engine.images.add("test:httpd")
        for words in ("failed to update store for object type *libnetwork.endpoint: open : no such "
                      "file or directory", "grpc: the client connection is closing"):
            world.engine.start_error = words
            world.engine.requests.clear()
            answer = world.api.post("/api/instances/deploy", world.spec(host_port=places.free_port()))
            instance_id = answer.expect(201).json["Id"]
            until(lambda: world.engine.asked("POST", "/containers/[^/]+/start"), 15, "it is tried")
            world.engine.start_error = None
            world.await_instance(instance_id, 15, InternalState="READY", State="running")
        world.stop()

    @proves("I4", "I8", fault="an Engine that was stopped in the middle of a start")
    def test_a_container_that_it_has_half_started_is_made_anew(self):
        """Seeds 2 and 614956843: such a container can't be started ever again."""
        world = World("scripted").start()
        for words in ("task {}: already exists", "id already in use",
                      "failed to create task for container: failed to start shim: mkdir /run/x/{}: file exists"):
            with self.subTest(words):
                half = []

                def refuse(container, words=words, half=half):
                    half.append(container.id)
                    return words.format(container.id) if container.id == half[0] else None
                world.engine.start_error = refuse
                self.assertNotIn(world.deploy()["ContainerId"], half[:1])
                self.assertEqual(len(world.engine.containers), 1)
                world.clear()
        world.stop()


class SlowEnd(unittest.TestCase):
    """A review: what waited in the store's queue longer than the end's patience came home to rooms
    that were closed."""

    @proves("I1", "I5", fault="SIGTERM while the disk is slow")
    def test_changes_that_outlast_the_patience_of_the_end_are_done_in_order(self):
        world = World("scripted").start()
        instance_id = world.deploy()["Id"]
        world.panel.stop()
        world.panel.daemon.extra_env["PANEL_FAILPOINTS"] = "panel.suspend.written=sleep:8000"
        world.panel.start()
        world.await_status(world.node_id, "Online")
        with ThreadPoolExecutor() as pool:
            pool.submit(world.api.post, f"/api/instances/suspend/{instance_id}", timeout=30)
            time.sleep(0.5)  # the change is with the store
            world.panel.daemon.stop(timeout=30)
        world.panel.daemon.extra_env.pop("PANEL_FAILPOINTS")
        world.panel.start()
        world.await_instance(instance_id, State="suspended")
        world.stop()
