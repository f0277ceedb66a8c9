"""/api/images: import, what is reported of it, one image read, changed, deleted."""
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
    WORLD = World("scripted").start()


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
        self.assertIsInstance(image.pop("warnings"), list)
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


def warned(body):
    """{member: message} of an import's report; a member's first."""
    told = {}
    for warning in create(body).expect(201).json["warnings"]:
        assert set(warning) == {"member", "message"}, warning
        told.setdefault(warning["member"], warning["message"])
    return told


class Report(unittest.TestCase):
    def test_what_is_done_as_asked_is_not_reported(self):
        self.assertEqual(warned({
            "Name": "Plain", "Image": "x", "Env": ["A={{A}}", "P={{ PRIMARY_PORT }}", "G={{.Go}} {{"],
            "Cmd": "run {{A}}", "Variables": {
                "A": {"type": "string", "default": "v1", "rules": "required|string|max:20|regex:/^(v|w)\\d+$/"},
                "B": {"type": "number", "default": 5, "min": 1, "max": 10},
                "C": {"default": "x", "options": ["x", "y"]},
                "D": {"rules": ["nullable", "between:1,3", "in:a,bb"]}}}), {})

    def test_what_is_not_done_is_reported_by_member(self):
        told = warned({
            "Name": "Much", "Image": "x", "Env": ["A={{NOBODY}}"], "Cmd": ["x", "{{ nor.this }}"],
            "Variables": {"R": {"rules": "required|exists:users,id", "default": 1},
                          "T": {"type": "colour"}, "P": {"pattern": "(", "default": "x"},
                          "B": {"rules": "max:3", "default": "long one"},
                          "E": {"default": "1", "user_editable": False}, "W": {"rules": {}}},
            "Scripts": {"Install": [], "Start": ["a"]}, "startup": "java", "docker_images": {}})
        for member, says in {"Env": "NOBODY", "Cmd": "nor.this", "Variables.R": "exists:users,id",
                             "Variables.T": "colour", "Variables.P": "regex:(",
                             "Variables.B": "long one", "Variables.E.user_editable": "",
                             "Variables.W": "rules", "Scripts.Start": "not run", "startup": "keeps",
                             "docker_images": "keeps"}.items():
            self.assertIn(says, told[member])
        self.assertEqual(len(told), 11, told)

    def test_a_stop_signal_that_is_not_known_is_reported(self):
        for number, command in enumerate(("^C", "^SIGTERM", "^term", "^\\", "stop", "C^Q", "", None)):
            self.assertEqual(warned({"Name": f"Stop {number}", "Image": "x", "StopCommand": command}), {})
        for command in ("^Q", "^^C", "^SIG", "^", "^SIGNAL", "^9"):
            told = warned({"Name": f"Stop {command}", "Image": "x", "StopCommand": command})
            self.assertEqual(list(told), ["StopCommand"])
            self.assertIn(command, told["StopCommand"])

    def test_the_report_is_bounded(self):
        answer = create({"Name": "Odd", "Image": "x", **{f"m{i}": i for i in range(500)}}).expect(201)
        self.assertEqual(len(answer.json["warnings"]), 100)

    def test_an_answer_imported_again_has_one_report(self):
        image = create({"Name": "Again", "Image": "x", "more": 1}).expect(201).json
        WORLD.api.delete(f"/api/images/{image['Id']}").expect(200)
        self.assertEqual(create(image).expect(201).json, image)
        self.assertNotIn("warnings", listed(image["Id"]))


class Shapes(unittest.TestCase):
    """Templates in the shapes that files of other panels have: imported unchanged, and what isn't done is told."""

    def check(self, template, members):
        template.setdefault("Scripts", {}).setdefault("Install", [])  # which the wire's shape has
        image = create(template).expect(201).json
        self.assertEqual(sorted({warning["member"] for warning in image["warnings"]}), sorted(members))
        self.assertEqual({key: image[key] for key in template}, template)
        instance = WORLD.deploy(imagename=template["Name"])
        self.assertEqual({key: instance["imageData"][key] for key in template}, template)
        WORLD.delete(instance["Id"])

    def test_a_game_server(self):
        self.check({
            "Name": "Game", "Image": "registry.example/java:21", "Cmd": "", "StopCommand": "stop",
            "AltImages": ["registry.example/java:21", "docker.io/example/java:17"],
            "Env": ["START=java -Xms128M -jar server.jar"], "features": ["eula"],
            "Scripts": {"Install": []},
            "Variables": {"Version": {"type": "text", "default": "1.21.1", "required": True},
                          "Build": {"type": "text", "default": "89", "required": True}},
            "Description": "", "Author": "a@example.test", "AuthorName": "A", "Meta": {"Version": "v2"}},
            ["features"])

    def test_an_older_one(self):
        self.check({
            "Name": "Older", "Image": "java:java17", "Cmd": "", "Env": ["START=java -jar server.jar"],
            "Scripts": {"install": {"URL": "https://example.test/x.jar", "renameto": "server.jar"}},
            "Author": "a@example.test", "AuthorName": "A", "ConfigFilePath": "server.properties",
            "ConfigFileContent": "server-port={{primaryPort}}"},
            ["ConfigFileContent", "ConfigFilePath", "Scripts.install"])

    def test_a_plain_system(self):
        self.check({"Name": "System", "Image": "ubuntu:latest", "Cmd": "/bin/bash",
                    "Env": ["PATH=/usr/bin:/bin", "DEBIAN_FRONTEND=noninteractive"]}, [])


class OneImage(unittest.TestCase):
    def make(self, name, **more):
        return create({"Name": name, "Image": "x:1", **more}).expect(201).json

    def test_it_is_read_with_its_report(self):
        image = self.make("Read", more=1)
        self.assertEqual(WORLD.api.get(f"/api/images/{image['Id']}").expect(200).json, image)
        WORLD.api.get("/api/images/nothing").refused(400, code="image_not_found")

    def test_members_sent_take_the_place_of_those_before(self):
        image = self.make("Before", Env=["A=1"], Description="stays", odd=1, other=2)
        path = f"/api/images/{image['Id']}"
        changed = WORLD.api.request("PATCH", path, {
            "Name": "After", "Env": ["B={{X}}"], "odd": None, "new": True}).expect(200).json
        self.assertEqual(changed["Name"], "After")
        self.assertEqual(changed["Env"], ["B={{X}}"])
        self.assertEqual(changed["Description"], "stays")
        self.assertEqual((changed["other"], changed["new"]), (2, True))
        self.assertNotIn("odd", changed)
        self.assertIn("Env", [warning["member"] for warning in changed["warnings"]])
        self.assertEqual(WORLD.api.get(path).expect(200).json, changed)
        self.assertEqual(listed(image["Id"])["Name"], "After")
        back = WORLD.api.request("PATCH", path, {"Env": None}).expect(200).json
        self.assertEqual(back["Env"], [])

    def test_a_change_that_cant_be_is_none(self):
        image = self.make("Fixed", Env=["A=1"])
        self.make("Taken")
        path = f"/api/images/{image['Id']}"
        for body, status, field in (({"Env": "x"}, 400, "Env"), ({"Name": ""}, 400, "Name"),
                                    ({"Image": None}, 400, "Image"), ({"Id": "another"}, 400, "Id"),
                                    ({"Name": "Taken"}, 409, "Name")):
            with self.subTest(body=body):
                WORLD.api.request("PATCH", path, body).refused(status, field=field)
        WORLD.api.request("PATCH", "/api/images/nothing", {}).refused(400, code="image_not_found")
        self.assertEqual(WORLD.api.get(path).expect(200).json, image)

    def test_one_in_use_is_deleted_only_by_force(self):
        image = self.make("Used")
        path = f"/api/images/{image['Id']}"
        instance = WORLD.deploy(imagename="Used")
        self.assertEqual(instance["imageData"]["Id"], image["Id"])
        WORLD.api.delete(path).refused(400, code="image_in_use", says="1 instance was")
        WORLD.api.delete(path, {"force": True}).expect(200)
        self.assertIsNone(listed(image["Id"]))
        self.assertEqual(WORLD.api.instance(instance["Id"])["imageData"], instance["imageData"])
        WORLD.api.delete(path).refused(400, code="image_not_found")

    def test_one_whose_instances_are_gone_is_not_in_use(self):
        image = self.make("Once used")
        instance = WORLD.deploy(imagename="Once used")
        WORLD.api.delete(f"/api/instances/{instance['Id']}").expect(200)
        WORLD.api.delete(f"/api/images/{image['Id']}").expect(200)

    def test_instances_keep_the_template_they_were_made_from(self):
        image = self.make("Kept", Env=["A=1"])
        instance = WORLD.deploy(imagename="Kept")
        WORLD.api.request("PATCH", f"/api/images/{image['Id']}", {"Env": ["A=2"]}).expect(200)
        after = WORLD.api.instance(instance["Id"])
        self.assertEqual(after["imageData"], instance["imageData"])
        self.assertIn("A=1", after["Env"])
