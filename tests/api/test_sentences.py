"""What an error's sentence tells: the value that was refused, cut short, and never a secret."""
import unittest

from lib.promises import proves
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


USER = {"username": "teller", "email": "teller@example.test", "password": "long enough"}
NODE = {"name": "n", "tags": "test", "ram": "8 GB", "disk": "100 GB", "processor": "any",
        "address": "127.0.0.1", "port": "7400"}


class Sentences(unittest.TestCase):
    def test_a_refused_value_is_told_again(self):
        for body, field, value in ((USER, "email", "no address"), (NODE, "address", "no \u00e9 host"),
                                   (NODE, "port", "70000"), (NODE, "port", 70000)):
            with self.subTest(field=field, value=value):
                path = "/api/auth/create-user" if body is USER else "/api/nodes/create"
                WORLD.api.post(path, {**body, field: value}).refused(
                    400, field=field, says=f'It is "{value}".')

    def test_so_is_one_of_the_query(self):
        WORLD.api.get("/api/users", query={"limit": "many"}).refused(400, says='It is "many".')

    def test_and_a_name_of_nothing(self):
        WORLD.api.post("/api/getInstance", {"id": "ghost"}).refused(
            400, "instance_not_found", says='It is "ghost".')

    def test_a_long_one_is_cut_between_two_characters(self):
        answer = WORLD.api.post("/api/nodes/create", {**NODE, "port": "\u20ac" * 21})
        answer.refused(400, field="port", says='It is "' + "\u20ac" * 20 + '\u2026".')

    def test_control_characters_are_not(self):
        answer = WORLD.api.post("/api/nodes/create", {**NODE, "ram": "a\nb\u0007c"})
        answer.refused(400, field="ram", says='"a?b?c"')

    @proves("I7", fault="secrets in a refused request")
    def test_a_secret_is_never_told(self):
        secret = "s3cr3t-\u0007"
        password = WORLD.api.post("/api/auth/create-user", {**USER, "password": "shortpw"})
        self.assertNotIn("shortpw", password.refused(400, field="password").body.decode())
        node = WORLD.create_node("secretive")
        variables = WORLD.api.post("/api/instances/deploy", {
            "image": "x", "memory": "64", "cpu": "1", "ports": "80:8080", "nodeId": node["id"],
            "name": "n", "user": WORLD.user_id, "primary": "8080", "variables": secret})
        self.assertNotIn("s3cr3t", variables.refused(400).body.decode())
        key = WORLD.api.post("/api/auth/create-user", USER, headers={"Idempotency-Key": "s3cr3t " * 60})
        self.assertNotIn("s3cr3t", key.refused(400, field="Idempotency-Key").body.decode())
        join = WORLD.api.post("/join", {"nodeId": "x", "csr": "s3cr3t", "nonce": "s3cr3t",
                                        "agentVersion": "1", "mac": "s3cr3t" * 30}, key=None)
        self.assertNotIn("s3cr3t", join.refused((400, 401)).body.decode())
