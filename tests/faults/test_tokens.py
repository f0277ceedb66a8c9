"""Join tokens that were stolen, used, guessed or are too late; and requests that were changed on
their way. tests/e2e/test_join.py has what the agent makes of wrong answers."""
import hashlib
import hmac
import os
import sqlite3
import subprocess
import unittest

from lib import places
from lib.agent import Agent
from lib.promises import proves, ran
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def make_csr():
    """A request with a key of its own, as each agent makes one."""
    folder = places.fresh_dir("csr")
    done = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", os.path.join(folder, "key"), "-subj", "/CN=any"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def join_request(token, nonce="n1", csr=None):
    """What an agent posts to /join."""
    _, node_id, secret = token.split(".")
    key = hashlib.sha256(f"panel join 1\n{secret}".encode()).digest()
    csr = csr or make_csr()
    text = f"join request\n{node_id}\n{nonce}\n1.0\n{csr}"
    return {"nodeId": node_id, "csr": csr, "nonce": nonce, "agentVersion": "1.0",
            "mac": hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}


def post(body):
    return WORLD.api.post("/join", body, key=None)


class Tokens(unittest.TestCase):
    def token(self, name):
        return WORLD.create_node(name)["joinToken"]

    def expect_as_wrong(self, answer):
        """Who has a wrong token learns nothing by the way in which it is refused."""
        wrong = post(join_request(f"pj1.no-such-node.{'a' * 43}"))
        self.assertEqual((answer.status, answer.json["error"], answer.json["code"]),
                         (wrong.status, wrong.json["error"], wrong.json["code"]))
        self.assertGreaterEqual(answer.status, 400)

    @proves("I7", fault="a join token used by a second one")
    def test_used_by_a_second_one(self):
        token = self.token("used")
        first = join_request(token)
        post(first).expect(200)
        for second in (join_request(token, "n2"), join_request(token, first["nonce"]),
                       join_request(token, "n2", first["csr"])):
            self.expect_as_wrong(post(second))
            ran(1)
        post(first).expect(200)

    @proves("I7", "I8", fault="a join request sent again: its answer was lost, or somebody listened")
    def test_the_same_request_again_is_answered_the_same(self):
        token = self.token("again")
        request = join_request(token)
        first = post(request).expect(200).json
        WORLD.panel.crash()
        for _ in range(3):
            again = post(request).expect(200).json
            ran(1)
            # Certificates differ by their numbers; they are for the same key, which only one has.
            for field in ("panelId", "nodeId", "address", "port", "ca"):
                self.assertEqual(again[field], first[field])

    @proves("I7", fault="a join token that is guessed, expired, or of a deleted node")
    def test_not_good_any_more(self):
        token = self.token("late")
        flipped = token[:-1] + ("a" if token[-1] != "a" else "b")
        self.expect_as_wrong(post(join_request(flipped)))
        other = self.token("other")
        mixed = f"pj1.{token.split('.')[1]}.{other.split('.')[2]}"
        self.expect_as_wrong(post(join_request(mixed)))
        WORLD.panel.stop()
        with sqlite3.connect(WORLD.panel.data + "/panel.db") as db:
            db.execute("UPDATE node_joins SET expires_at=1 WHERE node_id=?", (token.split(".")[1],))
        db.close()
        WORLD.panel.start()
        self.expect_as_wrong(post(join_request(token)))
        WORLD.api.delete("/api/nodes/delete", {"nodeId": other.split(".")[1]}).expect(201)
        self.expect_as_wrong(post(join_request(other)))
        ran(4)

    @proves("I7", fault="a join request changed on its way")
    def test_changed_on_its_way(self):
        token = self.token("changed")
        good = join_request(token)
        other = WORLD.create_node("beside")["id"]
        for change in ({"csr": make_csr()}, {"nonce": "n3"}, {"agentVersion": "2.0"},
                       {"nodeId": other}, {"mac": "0" * 64}, {"mac": good["mac"][:-1]},
                       {"mac": good["mac"].upper()}, {"mac": good["mac"] + "0"}):
            with self.subTest(change=str(change)[:60]):
                self.expect_as_wrong(post({**good, **change}))
                ran(1)
        # None of these has used it up, or joined anybody.
        for node in (good["nodeId"], other):
            self.assertEqual(WORLD.api.node(node)["status"], "Unconfigured")
        agent = Agent(WORLD.dir, "/nothing", "rightful")
        agent.join(WORLD.panel.url, token)
