"""GET /api/images, POST /api/images/create, DELETE /api/images/delete."""
import unittest

from lib import shapes
from lib.world import World

WORLD = None
TEMPLATE = {
    "Id": "tpl-paper", "Name": "Paper", "Image": "ghcr.io/example/java:21", "AltImages": ["x:1", "x:2"],
    "Cmd": ["java", "-jar", "server.jar"], "Env": ["EULA=TRUE", "A=b=c"],
    "Variables": {"VERSION": {"type": "text", "default": "1.21", "required": False}},
    "Scripts": {"Install": [{"Uri": "https://example.test/x.jar", "Path": "server.jar"}]},
    "StopCommand": "stop", "Description": "Two\nlines", "Author": "a@example.test",
    "AuthorName": "Ann", "Meta": {"version": "PTDL_v2", "nested": [1, 2.5, None, {"a": True}]},
}


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def create(body):
    return WORLD.api.post("/api/images/create", body)


def listed(image_id):
    return next((i for i in WORLD.api.images() if i["Id"] == image_id), None)


class CreateImage(unittest.TestCase):
    def test_a_whole_template_comes_back_as_it_came(self):
        image = create(TEMPLATE).expect(201).json
        shapes.check_image(image)
        for member, value in TEMPLATE.items():
            self.assertEqual(image[member], value, member)
        self.assertEqual(listed(image["Id"]), image)

    def test_unknown_members_are_kept(self):
        more = {"Name": "With more", "Image": "x", "docker_images": {"a": "b"}, "_comment": "hi",
                "Ports": [1, {"x": None}]}
        image = create(more).expect(201).json
        for member in ("docker_images", "_comment", "Ports"):
            self.assertEqual(listed(image["Id"])[member], more[member])

    def test_an_id_is_made_where_there_is_none(self):
        first = create({"Name": "No id 1", "Image": "x"}).expect(201).json
        second = create({"Name": "No id 2", "Image": "x"}).expect(201).json
        self.assertNotEqual(first["Id"], second["Id"])

    def test_names_may_be_anything_printable(self):
        for name in ("Emoji 🎮", "Ünïcödé", "a \"quoted\" name"):
            self.assertEqual(create({"Name": name, "Image": "x"}).expect(201).json["Name"], name)

    def test_a_taken_name_or_id_is_409(self):
        create({"Name": "Same", "Id": "same-1", "Image": "x"}).expect(201)
        create({"Name": "Same", "Image": "x"}).refused(409, field="Name")
        create({"Name": "Other", "Id": "same-1", "Image": "x"}).refused(409, field="Id")

    def test_a_missing_name_is_400(self):
        create({}).refused(400, field="Name")
        create({"Image": "x", "Name": ""}).refused(400, field="Name")

    def test_members_of_a_wrong_kind_are_400(self):
        wrong = {"Image": [{}, 5.5, "not a reference!"], "AltImages": ["x", {}, [1]],
                 "Env": ["A=b", {}, [1], ["no equals sign"], ["=x"]], "Cmd": [{}, 1],
                 "Variables": ["x", [], {"K": "not an object"}], "Scripts": ["x", []],
                 "StopCommand": [{}, []], "Description": [{}], "Meta": ["x"]}
        for member, values in wrong.items():
            for value in values:
                with self.subTest(member=member, value=value):
                    create({"Name": "Wrong", "Image": "x", member: value}).refused(400, field=member)
        self.assertNotIn("Wrong", [i["Name"] for i in WORLD.api.images()])


class DeleteImage(unittest.TestCase):
    def make(self, name):
        return create({"Name": name, "Image": "x"}).expect(201).json["Id"]

    def test_by_body(self):
        image_id = self.make("Doomed 1")
        answer = WORLD.api.delete("/api/images/delete", {"id": image_id}).expect(201)
        self.assertIsInstance(answer.json["message"], str)
        self.assertIsNone(listed(image_id))

    def test_by_query(self):
        image_id = self.make("Doomed 2")
        WORLD.api.delete("/api/images/delete", query={"id": image_id}).expect(201)
        self.assertIsNone(listed(image_id))

    def test_an_unknown_or_missing_id_is_400(self):
        WORLD.api.delete("/api/images/delete", {"id": "nothing"}).refused(400, code="image_not_found")
        WORLD.api.delete("/api/images/delete", {}).refused(400, field="id")

    def test_its_name_is_free_again(self):
        image_id = self.make("Reused")
        WORLD.api.delete("/api/images/delete", {"id": image_id}).expect(201)
        self.make("Reused")
