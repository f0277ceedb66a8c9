"""GET /api/nodes, POST /api/nodes/create, DELETE /api/nodes/delete; without an agent."""
import unittest

from lib import shapes
from lib.world import World

WORLD = None
GOOD = {"name": "n1", "tags": "ssd,eu", "ram": "64 GB", "disk": "2x1 TB", "processor": "AMD EPYC",
        "address": "203.0.113.7", "port": "4000"}


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def create(**fields):
    body = {**GOOD, **fields}
    return WORLD.api.post("/api/nodes/create", {k: v for k, v in body.items() if v is not None})


def delete(body, **more):
    return WORLD.api.delete("/api/nodes/delete", body, **more)


class CreateNode(unittest.TestCase):
    def test_answers_the_node_and_this_once_how_to_join(self):
        node = create().expect(201).json
        token = node.pop("joinToken")
        command = node.pop("joinCommand")
        shapes.check_node(node)
        self.assertEqual({key: node[key] for key in GOOD}, GOOD)
        self.assertEqual(node["status"], "Unconfigured")
        self.assertIsNone(node["lastSeen"])
        self.assertIn(token, command)
        self.assertIn("panel-agent join", command)
        self.assertIn(f"http://127.0.0.1:{WORLD.panel.port}", command)

    def test_the_token_is_shown_once_only(self):
        node = create(name="once").expect(201).json
        for answer in (WORLD.api.get("/api/nodes"), delete({"nodeId": node["id"]})):
            self.assertNotIn(node["joinToken"], answer.body.decode())
            self.assertNotIn("joinToken", answer.body.decode())

    def test_texts_come_back_as_they_came(self):
        odd = {"name": "näme 😀 <b>", "tags": "", "ram": "64", "disk": "  2 TB ", "processor": "a\"b\\c"}
        node = create(**{k: v for k, v in odd.items() if v}).expect(201).json
        for key in ("name", "ram", "disk", "processor"):
            self.assertEqual(node[key], odd[key])

    def test_numbers_are_taken_for_texts(self):
        node = create(ram=64, disk=1000, port=4001).expect(201).json
        self.assertEqual((node["ram"], node["disk"], node["port"]), ("64", "1000", "4001"))

    def test_each_field_is_required(self):
        for field in GOOD:
            with self.subTest(field=field):
                create(**{field: None}).refused(400, field=field, says=field)

    def test_addresses(self):
        for address in ("127.0.0.1", "node-1.example.test", "localhost", "2001:db8::1", "::1"):
            with self.subTest(address=address):
                create(address=address).expect(201)
        for address in ("", "a b", "http://x", "a/b", "256.1.1.1.", "-x", "a\nb", "x" * 300, "[::1",
                        "user@host", "1.2.3.4:80"):
            with self.subTest(address=address[:40]):
                create(address=address).refused(400, field="address")

    def test_ports(self):
        for port in ("1", 65535, "8080"):
            with self.subTest(port=port):
                create(port=port).expect(201)
        for port in ("0", "65536", -1, 1.5, "80a", "", " 80", "+80", "99999999999999999999", "0x50"):
            with self.subTest(port=port):
                create(port=port).refused(400, field="port")

    def test_two_nodes_may_look_alike(self):
        self.assertNotEqual(create(name="twin").expect(201).json["id"],
                            create(name="twin").expect(201).json["id"])


class ListNodes(unittest.TestCase):
    def test_shows_nodes_without_any_secret(self):
        create(name="shown").expect(201)
        answer = WORLD.api.get("/api/nodes")
        for node in answer.json:
            shapes.check_node(node)
        for word in ("token", "secret", "join", "BEGIN", "key"):
            self.assertNotIn(word, answer.body.decode())

    def test_a_node_that_nobody_joined_has_nothing_to_tell(self):
        node = WORLD.api.node(create(name="silent").expect(201).json["id"])
        self.assertEqual(node["status"], "Unconfigured")
        self.assertIsNone(node["lastSeen"])


class DeleteNode(unittest.TestCase):
    def make(self):
        return create(name="doomed").expect(201).json["id"]

    def gone(self, node_id):
        return node_id not in [n["id"] for n in WORLD.api.nodes()]

    def test_by_body(self):
        node_id = self.make()
        answer = delete({"nodeId": node_id}).expect(201)
        self.assertIsInstance(answer.json["message"], str)
        self.assertTrue(self.gone(node_id))

    def test_by_query(self):
        node_id = self.make()
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": node_id}).expect(201)
        self.assertTrue(self.gone(node_id))

    def test_by_query_with_force_as_text(self):
        node_id = self.make()
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": node_id, "force": "true"}).expect(201)
        self.assertTrue(self.gone(node_id))

    def test_force_must_be_a_truth(self):
        node_id = self.make()
        delete({"nodeId": node_id, "force": "maybe"}).refused(400, field="force")
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": node_id, "force": "maybe"}) \
            .refused(400, field="force")
        self.assertFalse(self.gone(node_id))

    def test_an_unknown_id_is_400(self):
        delete({"nodeId": "no-such-node"}).refused(400, code="node_not_found", field="nodeId")
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": "x"}).refused(400)

    def test_a_missing_id_is_400(self):
        delete({}).refused(400, field="nodeId")
        WORLD.api.delete("/api/nodes/delete").refused(400, field="nodeId")
        WORLD.api.delete("/api/nodes/delete", query={"nodeId": ""}).refused(400, field="nodeId")

    def test_twice_is_400(self):
        node_id = self.make()
        delete({"nodeId": node_id}).expect(201)
        delete({"nodeId": node_id}).refused(400)


def change(node_id, body, status=200):
    return WORLD.api.request("PATCH", f"/api/nodes/{node_id}", body).expect(status).json


class ChangeNode(unittest.TestCase):
    def setUp(self):
        self.node = create().expect(201).json

    def test_only_what_was_sent_changes(self):
        changed = change(self.node["id"], {"name": "other", "port": 4100})
        shapes.check_node(changed)
        for key in GOOD:
            self.assertEqual(changed[key], {"name": "other", "port": "4100"}.get(key, GOOD[key]), key)
        self.assertEqual(WORLD.api.get(f"/api/nodes/{self.node['id']}").expect(200).json, changed)

    def test_nothing_sent_changes_nothing(self):
        before = WORLD.api.node(self.node["id"])
        self.assertEqual(change(self.node["id"], {}), before)

    def test_tags_may_be_emptied_and_a_name_not(self):
        self.assertEqual(change(self.node["id"], {"tags": ""})["tags"], "")
        self.assertEqual(change(self.node["id"], {"name": ""}, 400)["field"], "name")

    def test_maintenance_of_one_that_never_joined_is_kept(self):
        changed = change(self.node["id"], {"maintenance": "true"})
        self.assertEqual((changed["maintenance"], changed["status"]), (True, "Unconfigured"))
        self.assertFalse(change(self.node["id"], {"maintenance": False})["maintenance"])

    def test_unknown_ones(self):
        for method, path in (("GET", "nosuch"), ("PATCH", "nosuch"), ("POST", "nosuch/token")):
            answer = WORLD.api.request(method, f"/api/nodes/{path}", None if method == "GET" else {})
            self.assertEqual(answer.expect(400).json["code"], "node_not_found", method)

    def test_a_path_of_its_own_is_nobodys_id(self):
        answer = WORLD.api.get("/api/nodes/create")
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))


class NewToken(unittest.TestCase):
    def test_is_another_and_shown_once(self):
        node = create().expect(201).json
        answer = WORLD.api.post(f"/api/nodes/{node['id']}/token", {}).expect(201).json
        self.assertNotEqual(answer["joinToken"], node["joinToken"])
        self.assertIn(answer["joinToken"], answer["joinCommand"])
        self.assertNotIn(answer["joinToken"], WORLD.api.get("/api/nodes").body.decode())


class Orphans(unittest.TestCase):
    def test_of_two_nodes_are_two_lists(self):
        tags = {WORLD.api.get(f"/api/nodes/{create(port=port).expect(201).json['id']}/orphans")
                .expect(200).headers["ETag"] for port in ("4201", "4202")}
        self.assertEqual(len(tags), 2)
