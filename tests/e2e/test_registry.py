"""Pulling: from a registry, with a tag that isn't there, with the registry down."""
import os
import unittest

from lib import images
from lib.registry import Registry
from lib.wait import until
from lib.world import World

WORLD = None
REGISTRY = None


def setUpModule():
    global WORLD, REGISTRY
    WORLD = World("docker").start()
    REGISTRY = Registry(WORLD.dir).start()
    WORLD.make_images()


def tearDownModule():
    REGISTRY.stop()
    WORLD.stop()


def deploy(image, wait=60):
    return WORLD.api.post("/api/instances/deploy", WORLD.spec(image=image), query={"wait": wait},
                          timeout=90)


def publish(name, tag="latest", **more):
    """An image of its own, so that nothing of it is on the node."""
    local = images.httpd(WORLD.engine.api, tag=name, marker=name)
    reference = REGISTRY.publish(WORLD.engine.api, local, name, tag, **more)
    WORLD.engine.api.remove_image(local)
    return reference


class Pull(unittest.TestCase):
    def tearDown(self):
        if not REGISTRY.daemon.running():
            REGISTRY.start()
        WORLD.clear()

    def test_of_an_image_that_is_not_on_the_node(self):
        reference = publish("pulled")
        self.assertFalse(WORLD.engine.api.has_image(reference))
        answer = deploy(reference).expect(201)
        self.assertEqual(answer.json["instance"]["State"], "running")
        self.assertTrue(WORLD.engine.api.has_image(reference))

    def test_without_a_tag_is_the_latest(self):
        reference = publish("untagged").rsplit(":", 1)[0]
        self.assertEqual(deploy(reference).expect(201).json["instance"]["Image"], reference)

    def test_by_digest(self):
        reference = publish("digested")
        deploy(reference).expect(201)
        digest = WORLD.engine.api.call("GET", f"/images/{reference}/json")["RepoDigests"][0]
        WORLD.clear()
        WORLD.engine.api.remove_image(reference)
        deploy(digest).expect(201)

    def test_says_pulling_on_the_way(self):
        reference = publish("watched")
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(image=reference)).expect(201)
        seen = set()

        def ready():
            instance = WORLD.api.instance(answer.json["Id"])
            seen.add(instance["State"])
            return instance["InternalState"] == "READY"
        until(ready, 30, "it is ready", interval=0.001)
        self.assertTrue(seen & {"pulling", "installing", "creating"}, seen)

    def test_of_a_tag_that_is_not_there(self):
        reference = publish("tagless").replace(":latest", ":missing")
        deploy(reference).refused(500, code="image_not_found", says=reference)
        instance = WORLD.api.instances()[-1]
        self.assertEqual(instance["InternalState"], "FAILED")
        self.assertEqual(instance["Error"]["code"], "image_not_found")

    def test_of_a_repository_that_is_not_there(self):
        deploy(f"{REGISTRY.host}/no/such/thing:1").refused(500, code="image_not_found")

    def test_with_the_registry_down(self):
        reference = publish("away")
        REGISTRY.stop()
        deploy(reference).refused(500, code="registry_unreachable")
        instance = WORLD.api.instances()[-1]
        self.assertEqual(instance["Error"]["code"], "registry_unreachable")
        REGISTRY.start()
        WORLD.api.post(f"/api/instances/{instance['Id']}/retry").expect(200)
        WORLD.await_instance(instance["Id"], timeout=30, InternalState="READY")

    def test_again_brings_what_the_tag_names_now(self):
        instance = deploy(publish("renewed")).expect(201).json["instance"]
        before = WORLD.container(instance)
        path = f"/api/instances/{instance['Id']}/redeploy"
        with open(os.path.join(WORLD.agent.state, "volumes", instance["Id"], "own"), "w") as file:
            file.write("own")
        local = images.httpd(WORLD.engine.api, tag="renewed", marker="another")
        REGISTRY.publish(WORLD.engine.api, local, "renewed", "latest", keep=False)
        WORLD.api.post(path, query={"wait": 60}, timeout=90).expect(200)
        after = WORLD.container(WORLD.api.instance(instance["Id"]))
        self.assertNotEqual(after["Image"], before["Image"])
        self.assertEqual(WORLD.containers_of(instance["Id"]), [after["Id"]])
        self.assertTrue(os.path.exists(os.path.join(WORLD.agent.state, "volumes", instance["Id"], "own")))
        REGISTRY.stop()
        WORLD.api.post(path, query={"wait": 60}, timeout=90).refused(500, code="change_undone", says="connection refused")
        kept = WORLD.container(WORLD.api.instance(instance["Id"]))
        self.assertEqual(kept["Id"], after["Id"])
        self.assertEqual(kept["State"]["StartedAt"], after["State"]["StartedAt"])

    def test_with_the_registry_down_and_the_image_on_the_node(self):
        reference = publish("present", keep=True)
        self.assertTrue(WORLD.engine.api.has_image(reference))
        REGISTRY.stop()
        self.assertEqual(deploy(reference).expect(201).json["instance"]["State"], "running")
