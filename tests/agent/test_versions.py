"""The Engine's API version is negotiated: an Engine that refuses all below 1.44, and too new ones."""
import re
import unittest

from lib.wait import until
from lib.world import World

NUMBER = re.compile(r"\d+")


def versions(engine):
    return {r.version for r in engine.requests if r.version is not None}


class Modern(unittest.TestCase):
    """As Docker 29: least 1.44, most 1.51."""

    @classmethod
    def setUpClass(cls):
        cls.world = World("scripted", min_api="1.44", max_api="1.51").start()

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def test_a_deploy_succeeds(self):
        instance = self.world.deploy()
        self.assertEqual(instance["State"], "running")
        self.assertEqual(self.world.engine.find(instance["ContainerId"]).status, "running")

    def test_a_whole_life_succeeds(self):
        instance = self.world.deploy()["Id"]
        for word, state in (("suspend", "suspended"), ("unsuspend", "running")):
            self.world.api.post(f"/api/instances/{word}/{instance}").expect(200)
            self.world.await_instance(instance, State=state)
        self.world.delete(instance)

    def test_a_pull_succeeds(self):
        self.world.engine.pullable.add("registry.test/new:1")
        self.assertEqual(self.world.deploy(image="registry.test/new:1")["State"], "running")

    def test_only_versions_that_it_speaks_were_used(self):
        self.world.deploy()
        used = versions(self.world.engine)
        self.assertTrue(used)
        for version in used:
            self.assertIn(int(version.split(".")[1]), range(44, 52), used)

    def test_the_node_tells_docker_and_version(self):
        docker = self.world.api.node(self.world.node_id)["docker"]
        self.assertEqual(docker["version"], "29.1.0")
        self.assertIn(docker["status"], ("up", "ok", "running"))


class Old(unittest.TestCase):
    """As Docker 20.10: least 1.12, most 1.41."""

    def test_a_deploy_succeeds_with_1_41(self):
        world = World("scripted", min_api="1.12", max_api="1.41", version="20.10.24").start()
        try:
            world.deploy()
            self.assertEqual(versions(world.engine), {"1.41"})
        finally:
            world.stop()


class Beyond(unittest.TestCase):
    """Engines that have no version in common with the agent."""

    def docker_says(self, least, most, word):
        world = World("scripted", min_api=least, max_api=most).start()
        try:
            until(lambda: word in str(world.api.node(world.node_id)["docker"]), 5,
                  lambda: f"{word} is named: {world.api.node(world.node_id)['docker']}")
            docker = world.api.node(world.node_id)["docker"]
            self.assertIn(docker["status"], ("down", "error"))
            self.assertIn("API", " ".join(str(value) for value in docker.values()))
        finally:
            world.stop()

    def test_one_too_new_is_told_in_clear_words(self):
        self.docker_says("1.60", "1.70", "1.60")

    def test_one_too_old_is_told_in_clear_words(self):
        self.docker_says("1.12", "1.20", "1.20")
