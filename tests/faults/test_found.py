"""What tests/faults/run has found, each as a case that can be repeated."""
import unittest

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
        """Seed 2: with live-restore on, such a container can't be started ever again."""
        world = World("scripted").start()
        half = []

        def refuse(container):
            half.append(container.id)
            if container.id == half[0]:
                return f"task {container.id}: already exists"
            return None
        world.engine.start_error = refuse
        self.assertNotIn(world.deploy()["ContainerId"], half[:1])
        self.assertEqual(len(world.engine.containers), 1)
        world.stop()
