"""docs/templates.md: its example is imported and deployed, its commands typed, and its tables are the code's."""
import json
import os
import re
import unittest

from lib import openapi, places
from lib.file_server import FileServer
from lib.panelctl import Panelctl
from lib.world import World

WORLD = None
FILES = None
CTL = None
HOST = "https://files.example.org"


def setUpModule():
    global WORLD, FILES, CTL
    FILES = FileServer().start()
    WORLD = World("scripted", agent_options=("--install-allow-local",)).start()
    CTL = Panelctl(WORLD.dir, WORLD.panel.url, WORLD.panel.key)
    WORLD.add_user("alex")
    WORLD.engine.pullable |= {example()["Image"], *example()["AltImages"]}


def tearDownModule():
    WORLD.stop()
    FILES.stop()


def document():
    with open(os.path.join(places.ROOT, "docs", "templates.md"), encoding="utf-8") as text:
        return text.read()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", document(), re.M | re.S)


def example():
    return json.loads(blocks("json")[0])


def commands():
    return [line for block in blocks("sh") for line in block.splitlines()]


def rows(heading):
    """First cells of the first table under it."""
    part = document().split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0].split("|---", 1)[1].split("\n\n", 1)[0]
    return [re.findall(r"`([^`]+)`", line.split("|")[1]) for line in part.splitlines() if line.startswith("| ")]


def names(heading):
    return {name for row in rows(heading) for name in row}


def serve(template, **values):
    """What its files are downloaded from, each file holding its own path."""
    for file in template["Scripts"]["Install"]:
        path = file["Uri"].removeprefix(HOST)
        for key, value in values.items():
            path = path.replace("{{%s}}" % key, value)
        FILES.files[path] = path.encode()


class Example(unittest.TestCase):
    def setUp(self):
        self.template = example()
        self.template["StopTimeout"] = 1  # nothing here listens for "stop"
        with open(os.path.join(WORLD.dir, "minecraft.json"), "w", encoding="utf-8") as out:
            out.write(json.dumps(self.template).replace(HOST, FILES.url("")))

    def tearDown(self):
        WORLD.clear()
        for image in WORLD.api.images():
            WORLD.api.delete(f"/api/images/{image['Id']}", {"force": True}).expect(200)

    def type(self, line):
        return CTL.try_run(*[os.path.join(WORLD.dir, word) if word == "minecraft.json" else word
                             for word in line.split()[1:]])

    def read(self, instance, name):
        with open(os.path.join(WORLD.agent.state, "volumes", instance["Id"], name)) as file:
            return file.read()

    def test_its_commands_do_what_is_said(self):
        serve(self.template, VERSION="1.21.4", MODE="survival")
        serve(self.template, VERSION="1.21.8", MODE="survival")
        seen = []
        for line in commands():
            done = self.type(line)
            self.assertEqual(done.code, 0, f"{line}: {done.err}")
            self.assertNotIn("warning", done.err, line)
            seen.append(line.split()[2])
            lobby = next(iter(WORLD.api.instances()), None)
            if seen[-1] == "deploy":
                self.assertEqual(lobby["variables"], {"EULA": "true", "VERSION": "1.21.4", "SLOTS": "40",
                                                      "MODE": "survival", "MOTD": "Welcome"})
                self.assertIn("TITLE=lobby (1.21.4)", lobby["Env"])
                self.assertEqual(self.read(lobby, "server.jar"), "/minecraft/1.21.4/server.jar")
                self.assertEqual(self.read(lobby, "server-icon.png"), "/icons/survival.png")
            if "VERSION=1.21.8" in line:
                self.assertIn("TITLE=lobby (1.21.8)", lobby["Env"])
                self.assertEqual(self.read(lobby, "server.jar"), "/minecraft/1.21.4/server.jar")
            if seen[-1] == "reinstall":
                self.assertEqual(self.read(lobby, "server.jar"), "/minecraft/1.21.8/server.jar")
        self.assertLess({"import", "deploy", "update", "reinstall", "redeploy"}, set(seen))
        self.assertEqual((lobby["Image"], lobby["State"]), (self.template["AltImages"][0], "running"))
        self.assertIn(self.template["Image"], lobby["AltImages"])  # the way back
        told = CTL.run("instance", "update", "lobby", "--image", "eclipse-temurin:24-jre", code=1)
        self.assertIn("none of this instance's other images", told)

    def test_its_rules_refuse(self):
        deploy = next(line for line in commands() if " deploy " in line)
        self.type(commands()[0])
        for line, says in ((deploy.replace(" --var EULA=true", ""), "EULA"),
                           (deploy.replace("EULA=true", "EULA=false"), "in:true"),
                           (deploy.replace("SLOTS=40", "SLOTS=201"), "max:200"),
                           (deploy + " --var VERSION=../1", "VERSION"), (deploy + " --var MODE=hard", "options"),
                           (deploy + " --var MOTD=" + "x" * 60, "max:59"), (deploy + " --var MOTD=a\x1bb", "MOTD")):
            with self.subTest(line=line):
                done = self.type(line)
                self.assertEqual(done.code, 1, done.out)
                self.assertIn(says, done.err)
        self.assertEqual(WORLD.api.instances(), [])

    def test_a_variable_without_any_value_is_no_key(self):
        body = {"Image": "test:httpd", "Env": ["A={{V}}"]}
        WORLD.api.post("/api/images/create", {**body, "Name": "none", "Variables": {"V": {}}}).expect(201)
        WORLD.api.post("/api/images/create", {**body, "Name": "empty", "Variables": {"V": {"default": ""}}}).expect(201)
        WORLD.api.post("/api/instances/deploy", WORLD.spec(imagename="none")).refused(400, code="unknown_placeholder")
        self.assertIn("A=", WORLD.deploy(imagename="empty")["Env"])

    def test_who_wins_in_the_environment(self):
        WORLD.api.post("/api/images/create", {
            "Name": "wins", "Image": "test:httpd", "Env": ["A=template", "B=template", "PRIMARY_PORT=1"],
            "Variables": {"A": {"default": "variable"}}}).expect(201)
        instance = WORLD.deploy(imagename="wins", variables={"MORE": "given"})
        self.assertIn("A=variable", instance["Env"])
        path = f"/api/instances/{instance['Id']}"
        env = WORLD.api.request("PATCH", path, {"env": {"B": "own", "A": "own"}}).expect(200).json["Env"]
        self.assertLessEqual({"A=own", "B=own", "MORE=given", f"PRIMARY_PORT={instance['Primary']}",
                              "MEMORY_MIB=64"}, set(env))


class Tables(unittest.TestCase):
    def test_each_member_is_told(self):
        members = openapi.load().document["components"]["schemas"]["ImageMembers"]["properties"]
        self.assertEqual(names("## Members"), set(members))
        of_variables = members["Variables"]["additionalProperties"]["properties"]
        self.assertEqual(names("## Variables"), set(of_variables))
        of_files = members["Scripts"]["properties"]["Install"]["items"]["properties"]
        self.assertEqual(names("## Files to install"), set(of_files))

    def test_each_rule_is_told(self):
        described = openapi.load().document["components"]["schemas"]["ImageMembers"]["properties"]["Variables"][
            "additionalProperties"]["properties"]["rules"]["description"]
        row = next(line for line in document().splitlines() if line.startswith("| `rules` |"))
        told = re.findall(r"`(\w+)`", row.split("|")[2])
        described = re.sub(r"\([^)]*\)", "", described).split("array:")[1].split(". A value")[0]
        self.assertEqual(told, re.findall(r"\w+", described))
        self.assertEqual(WORLD.api.post("/api/images/create", {
            "Name": "all rules", "Image": "test:httpd",
            "Variables": {"V": {"rules": [f"{rule}:1,2" if "between" in rule else f"{rule}:1" for rule in told]}},
        }).expect(201).json["warnings"], [])
