"""panelctl against the real panel: each verb, each format, settings, errors and exit codes."""
import json
import os
import re
import select
import subprocess
import time
import unittest

import yaml

from lib import openapi, places
from lib.panelctl import Panelctl
from lib.wait import until
from lib.world import World


class Ctl(unittest.TestCase):
    """One world for all tests of a class."""
    engine = None

    @classmethod
    def setUpClass(cls):
        cls.world = World(cls.engine).start()
        cls.ctl = Panelctl(cls.world.dir, cls.world.panel.url, cls.world.panel.key)

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def run_ctl(self, *args, **more):
        return self.ctl.run(*args, **more)


class Words(unittest.TestCase):
    """What needs no panel."""

    @classmethod
    def setUpClass(cls):
        cls.dir = places.fresh_dir("ctl")
        cls.ctl = Panelctl(cls.dir)

    @classmethod
    def tearDownClass(cls):
        places.drop_dir(cls.dir)

    def test_help_of_everything(self):
        general = self.ctl.run("--help")
        for word in ("PANEL_URL", "PANEL_API_KEY", "NO_COLOR", "config.json", "Exit codes", "doctor"):
            self.assertIn(word, general)
        for noun in re.findall(r"^  ([a-z]+)  ", general.split("Options of all")[0], re.M):
            told = self.ctl.run(noun, "--help")
            for line in told.splitlines():
                self.assertLessEqual(len(line), 100, line)
            verbs = re.findall(rf"^  panelctl {noun} ([a-z-]+)", told, re.M)
            for verb in verbs[:1]:
                self.assertIn(f"Usage: panelctl {noun} {verb}", self.ctl.run(noun, verb, "-h"))

    def test_slips_are_told_with_what_was_meant(self):
        for args, words in ((["nods"], ['"nods"', '"node"']), (["node", "lst"], ["node list"]),
                            (["node", "list", "--wach"], ["--watch"]),
                            (["instance", "stp", "x"], ["instance stop"]),
                            (["instance", "deploy", "x", "--env", "A=b"], ["--env", "--var"]),
                            (["nodes", "-o", "jsn"], ["json", "jsn"]),
                            (["node", "get"], ["node get NODE"]),
                            (["node", "get", "a", "b"], ['"b"']),
                            (["node", "create", "n"], ["--address"]),
                            (["instance", "deploy", "x"], ["--image", "--template", "--user", "--ports"]),
                            (["instance", "deploy", "x", "-i", "y", "-p", "1:2"], ["missing: --user"]),
                            (["instances", "--state", "stoped"], ["stoped", "stopped", "crashed"]),
                            (["node", "list", "--url"], ["--url URL"]),
                            (["node", "list", "--watch=x"], ["--watch", "no value"]),
                            (["completion", "fish"], ["bash"]),
                            (["zzzzz"], ["zzzzz"]), (["node", "zzzzz"], ["node --help"])):
            with self.subTest(args=args):
                told = self.ctl.run(*args, code=2)
                for word in words:
                    self.assertIn(word, told)

    def test_a_verb_alone_is_answered_with_the_whole_command(self):
        for args, command in ((["stop", "hello"], "instance stop hello"), (["logs", "hello"], "instance logs hello"),
                              (["logs", "-f", "hello"], "instance logs hello"), (["drain", "n1"], "node drain n1"),
                              (["suspend", "hello"], "instance suspend hello"), (["deploy"], "instance deploy"),
                              (["whoami"], "key whoami"), (["lgos", "x"], "instance logs x"),
                              (["ps"], "instance list"), (["import", "x"], "image import x")):
            with self.subTest(args=args):
                told = self.ctl.run(*args, code=2)
                self.assertIn(f'did you mean "panelctl {command}"?', told)
        told = self.ctl.run("delete", "hello", code=2)
        for noun in ("node", "instance", "user", "image"):
            self.assertIn(f'"panelctl {noun} delete hello"', told)
        self.assertIn("instance stop", self.ctl.run("help", "stop", code=2))

    def test_version_as_a_word_and_what_completion_wants(self):
        self.assertRegex(self.ctl.run("version"), r"^panelctl \d+\.\d+\.\d+\n$")
        self.assertEqual(self.ctl.run("version"), self.ctl.run("--version"))
        self.assertIn("source <(panelctl completion bash)", self.ctl.run("completion", code=2))

    def test_states_are_those_of_the_api(self):
        schema = openapi.load().document["components"]["schemas"]["Instance"]["properties"]
        told = self.ctl.run("instances", "--state", "nonsense", code=2)
        for name in ("State", "InternalState"):
            for state in schema[name]["enum"]:
                self.assertRegex(told, rf"\b{state}\b")

    def test_help_as_a_word(self):
        for words in ([], ["node"], ["node", "drain"], ["top"]):
            self.assertEqual(self.ctl.run("help", *words), self.ctl.run(*words, "--help"))
        self.assertIn("node list", self.ctl.run("help", "node", "lst", code=2))

    def test_without_a_verb_it_says_what_there_is(self):
        self.assertIn("Exit codes", self.ctl.run(code=2))
        self.assertIn("panelctl node create NAME", self.ctl.run("node", code=2))

    def test_a_backup_is_made_on_the_host(self):
        for words in ([], ["create"], ["list"]):
            self.assertIn("paneld backup FILE", self.ctl.run("backup", *words, code=1))

    def test_the_completion_that_is_installed_is_up_to_date(self):
        with open(os.path.join(places.ROOT, "packaging/completion/panelctl")) as installed:
            self.assertEqual(self.ctl.run("completion", "bash"), installed.read(),
                             "run: panelctl completion bash > packaging/completion/panelctl")

    def test_no_panel_is_another_exit_code_than_no_key(self):
        nowhere = f"http://127.0.0.1:{places.free_port()}"
        told = self.ctl.run("nodes", "--url", nowhere, code=5)
        self.assertIn(nowhere, told)
        self.assertIn("the command line", told)
        self.ctl.run("nodes", "--url", "http://nowhere.invalid:1", code=5)

    def test_settings_that_can_not_be_used_are_named(self):
        for args, word in ((["--url", "panel"], "https://"), (["--url", "ftp://x"], "https://"),
                           (["--url", "http://a:secret@b"], "password"), (["--timeout", "0"], "timeout"),
                           (["--timeout", "x"], "timeout"), (["--key-file", "/nowhere"], "/nowhere"),
                           (["--config", "/nowhere.json"], "/nowhere.json")):
            with self.subTest(args=args):
                done = self.ctl.try_run("nodes", *args)
                self.assertIn(done.code, (1, 2, 3))
                self.assertIn(word, done.err)
                self.assertNotIn("secret", done.err)


class Settings(Ctl):
    def file(self, name, text, mode=0o600):
        path = os.path.join(self.world.dir, name)
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def test_a_key_from_a_file_and_a_config(self):
        stranger = Panelctl(self.world.dir)
        key = self.file("key", self.ctl.key + "\n")
        stranger.run("nodes", "--url", self.ctl.url, "--key-file", key)
        stranger.run("nodes", env={"PANEL_URL": self.ctl.url, "PANEL_KEY_FILE": key})
        piped = subprocess.run(["bash", "-c", f"{places.PANELCTL} nodes --key-file <(cat {key})"],
                               env={**os.environ, **stranger.env({"PANEL_URL": self.ctl.url})},
                               stdout=subprocess.DEVNULL)
        self.assertEqual(piped.returncode, 0)
        config = self.file("panel.json", json.dumps({"url": self.ctl.url, "keyFile": key,
                                                     "output": "json", "timeout": 5}))
        self.assertEqual(stranger.run("nodes", "--config", config), "[]\n")
        self.assertEqual(stranger.run("nodes", env={"PANEL_CONFIG": config}), "[]\n")
        os.makedirs(os.path.join(self.world.dir, ".config/panel"), exist_ok=True)
        self.file(".config/panel/config.json", json.dumps({"url": self.ctl.url, "key": self.ctl.key}))
        stranger.run("nodes")
        # The command line wins over the environment, and that over the file.
        stranger.run("nodes", env={"PANEL_API_KEY": "panel_" + "x" * 36}, code=4)
        stranger.run("nodes", "--key-file", key, env={"PANEL_API_KEY": "panel_" + "x" * 36})
        os.unlink(os.path.join(self.world.dir, ".config/panel/config.json"))

    def test_a_key_that_everybody_can_read_is_refused(self):
        stranger = Panelctl(self.world.dir)
        key = self.file("open.key", self.ctl.key, 0o644)
        self.assertIn("chmod 600", stranger.run("nodes", "--url", self.ctl.url, "--key-file", key, code=2))
        self.assertIn("empty", stranger.run("nodes", "--key-file", self.file("empty.key", ""), code=2))
        config = self.file("open.json", json.dumps({"url": self.ctl.url, "key": self.ctl.key}), 0o644)
        self.assertIn("chmod 600", stranger.run("nodes", "--config", config, code=2))

    def test_faults_of_the_config_are_told(self):
        for text, word in (('{"url":', "line 1"), ("[]", "JSON object"), ('{"ulr":"x"}', "ulr"),
                           ('{"url":1}', "url"), ('{"output":"loud"}', "loud"), ('{"timeout":0}', "timeout"),
                           ('{"url":"x","url":"y"}', "duplicate")):
            with self.subTest(text=text):
                told = self.run_ctl("nodes", "--config", self.file("bad.json", text),
                                    env={"PANEL_URL": ""}, code=2)
                self.assertIn(word, told)

    def test_faults_of_the_config_do_not_show_the_key(self):
        for text in ('{"key": panel_secret}', '{"key": "panel_secret', '{"key": "panel_secret" "url": "x"}'):
            told = self.run_ctl("nodes", "--config", self.file("bad.json", text), code=2)
            self.assertIn("line 1", told)
            self.assertNotIn("panel_secret", told)

    def test_no_key_and_a_wrong_one(self):
        told = Panelctl(self.world.dir, self.ctl.url).run("nodes", code=4)
        self.assertIn("PANEL_API_KEY", told)
        wrong = "panel_" + "y" * 36
        told = Panelctl(self.world.dir, self.ctl.url, wrong).run("nodes", code=4)
        self.assertNotIn(wrong, told)
        self.assertIn("from PANEL_API_KEY", told)
        path = self.file("wrong.key", wrong)
        stranger = Panelctl(self.world.dir, self.ctl.url)
        self.assertIn(f"{path}, named by the command line", stranger.run("nodes", "--key-file", path, code=4))
        config = self.file("wrong.json", json.dumps({"keyFile": path}))
        told = stranger.run("nodes", "--config", config, code=4)
        self.assertIn(f"{path}, named by {config}", told)
        self.assertNotIn(wrong, told)


class Formats(Ctl):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = cls.world.api.post("/api/auth/create-user", {
            "username": "zoë 東京", "email": "z@example.test", "password": "correct horse",
            "userId": "no"}).expect(201).json

    def test_json_is_what_the_api_answers(self):
        self.assertEqual(self.ctl.json("user", "list"), self.world.api.users())
        self.assertEqual(self.ctl.json("user", "get", "owner"), self.world.api.users()[0])

    def test_yaml_reads_as_the_same(self):
        self.assertEqual(yaml.safe_load(self.run_ctl("users", "-o", "yaml")), self.world.api.users())
        self.assertEqual(yaml.safe_load(self.run_ctl("user", "get", "no", "-o", "yaml"))["userId"], "no")

    def test_names_are_ids_one_a_line(self):
        self.assertEqual(self.run_ctl("users", "-o", "name").split(),
                         [user["userId"] for user in self.world.api.users()])

    def test_tables_line_up_in_columns_of_a_terminal(self):
        head, *rows = self.run_ctl("users").splitlines()
        self.assertEqual(head.split()[:4], ["ID", "USERNAME", "EMAIL", "ADMIN"])
        self.assertEqual(len(rows), 2)
        self.assertEqual(rows[0].index("owner@"), head.index("EMAIL"))
        self.assertEqual(rows[1].index("z@"), head.index("EMAIL") - 2)  # 東京 takes four columns
        self.assertNotIn("\x1b", head)
        self.assertIn("ACCESS TO", self.run_ctl("users", "-o", "wide"))

    def test_details(self):
        told = self.run_ctl("user", "get", "zoë 東京")
        self.assertRegex(told, r"(?m)^Username: +zoë 東京$")
        self.assertRegex(told, r"(?m)^Admin: +no$")

    def test_an_output_that_is_closed_early_is_no_noise(self):
        done = subprocess.run(f"{places.PANELCTL} users -o json | true", shell=True,
                              capture_output=True, env={**os.environ, **self.ctl.env()}, text=True)
        self.assertEqual(done.stderr, "")

    def test_watch_prints_what_changed(self):
        with self.ctl.piped("users", "-o", "name", "--watch") as watch:
            first = [watch.stdout.readline() for _ in range(2)]
            self.world.add_user("newcomer")
            more = [watch.stdout.readline() for _ in range(3)]
        self.assertEqual(more[:2], first)


class Finding(Ctl):
    """Things by id, by its beginning, and by name."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, identity in (("alpha", "abc-1"), ("beta", "abc-2"), ("abc-1x", "zzz-1")):
            cls.world.api.post("/api/auth/create-user", {
                "username": name, "email": f"{name}@example.test", "password": "correct horse",
                "userId": identity}).expect(201)
        for _ in range(2):
            cls.world.create_node("twin")

    def name_of(self, word):
        return self.ctl.json("user", "get", word)["username"]

    def test_id_name_email_and_prefix(self):
        self.assertEqual(self.name_of("abc-1"), "alpha")
        self.assertEqual(self.name_of("beta"), "beta")
        self.assertEqual(self.name_of("BETA"), "beta")
        self.assertEqual(self.name_of("alpha@example.test"), "alpha")
        self.assertEqual(self.name_of("zzz"), "abc-1x")
        self.assertEqual(self.name_of("zzz-…"), "abc-1x")  # as a table cuts it

    def test_an_ambiguous_one_lists_them(self):
        told = self.run_ctl("user", "get", "abc", code=3)
        self.assertIn("abc-1 (alpha)", told)
        self.assertIn("abc-2 (beta)", told)
        told = self.run_ctl("node", "get", "twin", code=3)
        for node in self.world.api.nodes():
            self.assertIn(node["id"], told)

    def test_what_is_not_there(self):
        for args in (("user", "get", "nobody"), ("instance", "get", "nothing"), ("image", "get", "x y"),
                     ("node", "delete", "../../users", "--yes"), ("instance", "logs", "%2e")):
            with self.subTest(args=args):
                self.run_ctl(*args, code=3)
        self.assertIn("3 characters", self.run_ctl("user", "get", "ab", code=3))


class Users(Ctl):
    def test_the_life_of_one(self):
        out = self.run_ctl("user", "create", "alex", "--email", "alex@example.test", "--admin", "yes",
                           "--id", "u-17", said="correct horse\n")
        self.assertIn("u-17", out)
        user = self.ctl.json("user", "get", "alex")
        self.assertTrue(user["admin"])
        self.run_ctl("user", "update", "alex", "--admin", "no", "--email", "new@example.test")
        self.run_ctl("user", "update", "alex", "--password", said="another horse\n")
        self.assertEqual(self.ctl.json("user", "get", "u-17")["email"], "new@example.test")
        self.assertIn("--help", self.run_ctl("user", "update", "alex", code=2))
        self.assertIn("--yes", self.run_ctl("user", "delete", "alex", code=2))
        self.run_ctl("user", "delete", "alex", "--yes")
        self.run_ctl("user", "get", "u-17", code=3)

    def test_the_trail_of_a_name_that_two_things_have(self):
        node = self.world.create_node("owner")["id"]
        told = self.run_ctl("audit", "--target", "owner", code=3)
        for word in (f"node ({node})", f"user ({self.world.user_id})"):
            self.assertIn(word, told)
        self.assertEqual(len(self.ctl.json("audit", "--target", node)), 1)

    def test_refusals_say_what_the_panel_says(self):
        self.run_ctl("user", "create", "owner", "--email", "x@example.test", said="correct horse\n",
                     code=6)
        self.assertIn("password", self.run_ctl("user", "create", "x", "--email", "x@example.test",
                                               said="short\n", code=1))
        self.assertIn("stdin", self.run_ctl("user", "create", "x", "--email", "x@example.test", code=2))


class Images(Ctl):
    TEMPLATE = {"Name": "Web", "Image": "busybox:1", "Env": ["TZ=UTC"], "Kept": {"a": 1},
                "Variables": {"MOTD": {"type": "quux", "default": "hello"}}}

    def test_the_life_of_one(self):
        path = os.path.join(self.world.dir, "web.json")
        with open(path, "w") as out:
            json.dump(self.TEMPLATE, out)
        done = self.ctl.try_run("image", "import", path)
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("warning: Variables.MOTD", done.err)
        image = self.ctl.json("image", "get", "Web")
        self.assertEqual(image["Kept"], {"a": 1})
        for word in ("Web", image["Id"]):  # both tell what of it isn't done
            self.assertIn("warning: Variables.MOTD", self.ctl.try_run("image", "get", word).err)
        self.assertIn("Variables.MOTD", [one["member"] for one in image["warnings"]])
        # What was got can be put back.
        image["Env"] = ["TZ=CET"]
        self.run_ctl("image", "update", "Web", "-f", "-", "--description", "other",
                     said=json.dumps(image))
        image = self.ctl.json("image", "get", "Web")
        self.assertEqual((image["Env"], image["Description"]), (["TZ=CET"], "other"))
        self.assertIn("Web", self.run_ctl("images"))
        self.run_ctl("image", "import", "-", "--name", "Web", said=json.dumps(self.TEMPLATE), code=6)
        self.run_ctl("image", "delete", "Web", "--yes", "--force")
        self.assertEqual(self.ctl.json("images"), [])

    def test_files_that_are_none(self):
        for text, word in (("{", "line"), ("[]", "object"), ('{"Name":1,"Name":2}', "duplicate"), ("", "line")):
            with self.subTest(text=text):
                self.assertIn(word, self.run_ctl("image", "import", "-", said=text, code=1))
        self.run_ctl("image", "import", "/nowhere.json", code=3)
        self.assertIn("Image", self.run_ctl("image", "import", "-", said='{"Name":"x"}', code=1))


class Nodes(Ctl):
    engine = "scripted"

    def test_the_life_of_one(self):
        done = self.ctl.try_run("node", "create", "n1", "--address", "192.0.2.1", "--tags", "eu,ssd",
                                "--overcommit-memory", "1.5", "--port-range", "25000-25999")
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, r"\Apanel-agent join --panel http\S+ --token pj1\.\S+\n\Z")
        self.assertIn("n1", done.err)
        node = self.ctl.json("node", "get", "n1")
        self.assertEqual((node["tags"], node["port"], node["portRange"], node["overcommit"]["memory"]),
                         ("eu,ssd", "7400", "25000-25999", 1.5))
        self.assertIn("joinCommand", self.ctl.json("node", "token", "n1"))
        self.run_ctl("node", "update", "n1", "--address", "192.0.2.2", "--maintenance", "yes",
                     "--port-range", "none", "--overcommit-cpu", "4")
        node = self.ctl.json("node", "get", "n1")
        self.assertEqual((node["address"], node["maintenance"], node["portRange"],
                          node["overcommit"]), ("192.0.2.2", True, None, {"memory": 1.5, "cpu": 4}))
        self.assertEqual(self.ctl.json("node", "orphans", "n1"), [])
        self.assertIn("LAST SEEN", self.run_ctl("nodes", "-o", "wide"))
        self.run_ctl("node", "remove-orphan", "n1", "abcdefghij", "--yes", code=3)
        self.run_ctl("node", "delete", "n1", "--yes")
        self.run_ctl("node", "get", "n1", code=3)

    def test_an_address_is_all_that_has_to_be_said(self):
        self.assertIn("panel-agent join", self.run_ctl("node", "create", "n2", "--address", "192.0.2.9"))
        self.run_ctl("node", "delete", "n2", "--yes")

    def test_a_drain_waits_until_it_is_empty(self):
        instance = self.world.deploy()
        self.assertIn("is empty", self.run_ctl("node", "drain", "node"))
        self.assertEqual(self.world.api.instance(instance["Id"])["State"], "stopped")
        self.run_ctl("instance", "start", instance["Id"], code=6)
        self.run_ctl("node", "undrain", "node", "--keep-maintenance")
        self.assertTrue(self.ctl.json("node", "get", "node")["maintenance"])
        self.run_ctl("node", "undrain", "node")
        self.world.await_instance(instance["Id"], State="running")
        told = self.run_ctl("node", "delete", "node", "--yes", code=1)
        self.assertIn("1 instance", told)
        self.assertIn("say --force", told)
        self.assertNotIn("true", told)
        self.world.delete(instance["Id"])


class Instances(Ctl):
    engine = "scripted"

    def tearDown(self):
        self.world.clear()

    def deploy(self, name="web", *more):
        return self.ctl.json("instance", "deploy", name, "-i", "test:httpd", "-u", "owner", "-p",
                             "8080:auto", "-m", "64", *more)

    def container(self, instance):
        return self.world.containers_of(instance["Id"])[0]

    def test_a_deploy_waits_until_it_runs(self):
        told = self.run_ctl("instance", "deploy", "web", "-i", "test:httpd", "--user", "owner",
                            "--ports", "8080:auto", "--memory", "64", "--cpu", "0.5", "--node", "node",
                            "--var", "MOTD=hello world", "--var", "X=")
        self.assertRegex(told, r"^web \([a-z0-9]{20}\) is running on node, port \d+\n$")
        instance = self.ctl.json("instance", "get", "web")
        self.assertEqual(instance["variables"], {"MOTD": "hello world", "X": ""})
        self.assertEqual(instance["Cpu"], 0.5)

    def test_a_change_that_is_undone_is_no_success(self):
        self.deploy()
        self.world.engine.images.discard("test:httpd")  # and no registry has it
        try:
            told = self.run_ctl("instance", "redeploy", "web", code=1)
        finally:
            self.world.engine.images.add("test:httpd")
        self.assertIn("undone", told)
        self.assertIn("test:httpd", told)
        self.assertRegex(self.run_ctl("instance", "get", "web"), r"(?i)change: +undone")

    def test_a_failed_one_is_told_with_its_reason(self):
        told = self.run_ctl("instance", "deploy", "bad", "-i", "test:nothing", "-u", "owner", "-p",
                            "80:auto", code=1)
        identity = self.ctl.json("instance", "get", "bad")["Id"]
        for word in ("bad", "test:nothing", f"instance retry {identity}", f"instance delete {identity}",
                     "--force"):
            self.assertIn(word, told)
        told = self.run_ctl("instance", "update", "bad", "-i", "test:httpd", code=1)
        self.assertIn("AltImages", told)
        self.assertIn("test:nothing", self.ctl.try_run("instance", "logs", "bad").err)
        failed = self.ctl.try_run("instance", "retry", "bad", "-o", "json")
        self.assertEqual((failed.code, json.loads(failed.out)["State"]), (1, "failed"))
        self.assertIn("failed", self.run_ctl("instances", "--state", "failed"))

    def test_a_failed_install_is_pointed_at(self):
        self.world.api.post("/api/images/create", {
            "Name": "I", "Image": "test:sleeper", "Scripts": {"Install": [
                {"Uri": "http://127.0.0.1:1/x", "Path": "x"}]}}).expect(201)
        told = self.run_ctl("instance", "deploy", "inst", "-t", "I", "-u", "owner", "-p", "80:auto",
                            "-m", "64", code=1)
        self.assertIn("--install", told)
        logs = self.ctl.try_run("instance", "logs", "inst")
        self.assertEqual((logs.code, logs.out), (0, ""))
        self.assertIn("--install", logs.err)
        self.assertIn("http://127.0.0.1:1/x", self.run_ctl("instance", "logs", "inst", "--install"))
        self.run_ctl("image", "delete", "I", "--yes", "--force")

    def test_details_are_for_people(self):
        instance = self.deploy("web", "--var", "A=1", "--var", "B=two words")
        self.run_ctl("instance", "kill", "web")
        until(lambda: self.ctl.json("instance", "get", "web")["exits"], 10, "its end is known")
        told = self.run_ctl("instance", "get", "web")
        self.assertRegex(told, rf"(?m)^User: +owner \({self.world.user_id}\)$")
        self.assertRegex(told, r"(?m)^Variables: +A=1\n +B=two words$")
        self.assertRegex(told, r"(?m)^Exits: +at=\S+Z code=\d+ oomKilled=false$")
        self.assertRegex(self.run_ctl("instances", "-o", "wide"), rf"(?m)^{instance['Id']} .* owner ")
        self.assertEqual(self.ctl.json("instance", "get", "web")["User"], self.world.user_id)

    def test_a_format_of_the_config_is_for_lists(self):
        self.deploy()
        path = os.path.join(self.world.dir, "yaml.json")
        for wanted in ("yaml", "json"):
            with open(path, "w") as out:
                json.dump({"output": wanted}, out)
            os.chmod(path, 0o600)
            self.run_ctl("instance", "logs", "web", "--config", path)
            self.assertIn("instance.created", self.run_ctl("events", "--config", path))
        self.run_ctl("instance", "logs", "web", "-f", "-o", "yaml", code=2)

    def test_where_no_node_would_do_each_says_why(self):
        told = self.run_ctl("instance", "deploy", "big", "-i", "test:httpd", "-u", "owner", "-p", "80:auto",
                            "-m", "9000G", code=1)
        self.assertIn("  node: ", told)

    def test_a_template_brings_its_image(self):
        self.world.api.post("/api/images/create", {"Name": "T", "Image": "test:sleeper"}).expect(201)
        self.run_ctl("instance", "deploy", "web", "-t", "T", "-u", "owner", "-p", "80:auto", "-m", "64",
                     "--no-wait")
        instance = self.ctl.json("instance", "get", "web")
        self.assertEqual(instance["Image"], "test:sleeper")
        self.assertEqual(instance["imageData"]["Name"], "T")

    def test_power_and_suspension(self):
        self.deploy("a")
        self.deploy("b")
        self.assertEqual(self.run_ctl("instance", "stop", "a", "b").count("is stopped"), 2)
        stopped = list(yaml.safe_load_all(self.run_ctl("instance", "stop", "a", "b", "-o", "yaml")))
        self.assertEqual([instance["Name"] for instance in stopped], ["a", "b"])
        self.assertIn("running", self.run_ctl("instance", "start", "a"))
        self.run_ctl("instance", "restart", "a")
        self.run_ctl("instance", "kill", "a")
        self.run_ctl("instance", "suspend", "a")
        self.assertIn("suspended", self.run_ctl("instance", "get", "a"))
        self.run_ctl("instance", "start", "a", code=6)
        self.run_ctl("instance", "unsuspend", "a")
        # One that is not there is no reason to leave out the others.
        done = self.ctl.try_run("instance", "stop", "nothing", "a")
        self.assertEqual(done.code, 3)
        self.assertIn("is stopped", done.out)

    def test_changes(self):
        self.deploy()
        self.run_ctl("instance", "update", "web", "--name", "other", "-m", "128", "-c", "0.5")
        instance = self.ctl.json("instance", "get", "other")
        self.assertEqual((instance["Memory"], instance["Cpu"]), (128, 0.5))
        self.run_ctl("instance", "update", "other", code=2)
        self.assertIn("KEY=VALUE", self.run_ctl("instance", "update", "other", "--var", "x", code=2))

    def test_installed_again(self):
        self.deploy()
        self.assertIn("is running", self.run_ctl("instance", "reinstall", "web"))
        self.run_ctl("instance", "reinstall", "web", "--wipe", code=2)
        self.run_ctl("instance", "reinstall", "web", "--wipe", "--yes")
        self.world.engine.pullable.add("test:httpd")
        self.assertIn("is running", self.run_ctl("instance", "redeploy", "web"))

    def test_lists_of_some(self):
        self.deploy("a")
        other = self.world.add_user("sharer")
        self.assertEqual(self.ctl.json("instances", "--user", "sharer"), [])
        self.run_ctl("instance", "share", "a", "sharer")
        self.assertEqual(self.run_ctl("instance", "users", "a", "-o", "name").strip(), other)
        self.assertEqual(len(self.ctl.json("instances", "--user", "sharer", "--shared")), 1)
        self.assertEqual(len(self.ctl.json("instances", "--node", "node", "--state", "running")), 1)
        self.assertEqual(self.ctl.json("instances", "--state", "stopped"), [])
        self.assertIn("sharer may no longer use a", self.run_ctl("instance", "unshare", "a", other))
        self.assertEqual(self.run_ctl("instance", "unshare", "a", "sharer", code=3).count(other), 1)
        self.run_ctl("instances", "--shared", code=2)

    def test_an_owner_shares_with_whom_he_does_not_see(self):
        self.deploy("a")
        other = self.world.add_user("unseen")
        key = self.ctl.json("key", "create", "owners", "--user", "owner")["key"]
        owner = Panelctl(self.world.dir, self.ctl.url, key)
        self.assertEqual([user["username"] for user in owner.json("users")], ["owner"])
        self.assertIn("may use a", owner.run("instance", "share", "a", other))
        self.assertEqual(owner.run("instance", "users", "a", "-o", "name").strip(), other)
        self.assertIn("may no longer", owner.run("instance", "unshare", "a", other))
        self.assertIn('no user "unseen"', owner.run("instance", "share", "a", "unseen", code=3))
        nobody = "0d9f7b3a-52c1-4c8e-9a27-61c3e2f5b840"
        owner.run("instance", "share", "a", nobody, code=3)  # in the panel's words
        owner.run("user", "get", other, code=3)

    def test_delete(self):
        self.deploy("a")
        self.deploy("b")
        told = self.run_ctl("instance", "delete", "a", "b", code=2)
        self.assertEqual(told.count("--yes"), 2)
        for name in ("a", "b"):
            self.assertRegex(told, rf"Delete instance {name} \([a-z0-9]+\)")
        told = self.run_ctl("instance", "delete", "a", "b", "-y")
        self.assertEqual(told.count("is deleted"), 2)
        self.assertEqual(self.ctl.json("instances"), [])

    def test_logs(self):
        instance = self.deploy()
        for i in range(5):
            self.world.engine.say(self.container(instance), f"line {i} \x1b[2J\x07")
        until(lambda: "line 4" in self.run_ctl("instance", "logs", "web"), 10, "its lines are there")
        self.assertEqual(self.run_ctl("instance", "logs", "web", "--tail", "2"),
                         "line 3 \x1b[2J\x07\nline 4 \x1b[2J\x07\n")  # into a pipe as they came
        self.assertIn("line 0", self.run_ctl("instance", "logs", "web", "--since", "10m"))
        self.assertEqual(self.run_ctl("instance", "logs", "web", "--install"), "")
        self.assertIn("span", self.run_ctl("instance", "logs", "web", "--since", "soon", code=2))
        self.run_ctl("instance", "logs", "web", "--tail", "x", code=1)

    def test_logs_go_on_over_a_restart_of_the_panel(self):
        instance = self.deploy()
        self.world.engine.say(self.container(instance), "before")
        with self.ctl.piped("instance", "logs", "web", "-f") as logs:
            self.assertEqual(logs.stdout.readline(), b"before\n")
            self.world.panel.restart()
            self.world.engine.say(self.container(instance), "meanwhile")
            self.assertEqual(logs.stdout.readline(), b"meanwhile\n")
            self.world.await_status(self.world.node_id, "Online")
            self.run_ctl("instance", "delete", "web", "-y")
            self.assertEqual(logs.wait(30), 0)
            said = logs.stderr.read().decode()
        self.assertLessEqual(said.count("going on when it is back"), 1)
        self.assertIn("deleted", said)

    def test_a_command_and_a_console_from_a_pipe(self):
        instance = self.deploy()
        self.run_ctl("instance", "command", "web", "say", "hello")
        self.run_ctl("instance", "command", "web", "--", "--odd", "line")
        self.run_ctl("instance", "console", "web", said="from a pipe\nagain\n")
        heard = self.world.engine.find(self.container(instance)).heard
        self.assertEqual(heard, b"say hello\n--odd line\nfrom a pipe\nagain\n")
        self.run_ctl("instance", "stop", "web")
        self.run_ctl("instance", "command", "web", "x", code=6)

    def test_a_console_from_a_pipe_shows_what_comes_before_anything_is_sent(self):
        instance = self.deploy()
        console = subprocess.Popen([places.PANELCTL, "instance", "console", "web", "--tail", "0"],
                                   env={**os.environ, **self.ctl.env()}, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            said = []

            def shown():
                self.world.engine.say(self.container(instance), f"word {len(said)}")
                said.append(1)
                return select.select([console.stdout], [], [], 0.2)[0]
            until(shown, 20, "a line is shown")
            out, err = console.communicate(b"one\ntwo", timeout=30)
            self.assertIn(b"word", out)
            self.assertEqual((console.returncode, err), (0, b""))
        finally:
            console.kill()
        self.assertEqual(self.world.engine.find(self.container(instance)).heard, b"one\ntwo\n")

    def test_top_once(self):
        self.assertIn("CPU", self.run_ctl("top", "--once"))
        self.assertEqual(self.ctl.json("top"), [])
        self.run_ctl("top", "--sort", "colour", code=2)


class Happenings(Ctl):
    def test_events(self):
        events = [json.loads(line) for line in self.run_ctl("events", "-o", "json").splitlines()]
        self.assertEqual([event["type"] for event in events], ["key.created", "user.created"])
        self.assertEqual(self.run_ctl("event", "list", "--after", events[-1]["id"], "-o", "json"), "")
        self.assertEqual(self.run_ctl("events", "--user", "owner", "-o", "name").split(), [events[1]["id"]])
        self.run_ctl("events", "-o", "yaml", code=2)

    def test_the_last_events_and_those_since(self):
        events = [json.loads(line) for line in self.run_ctl("events", "-o", "json").splitlines()]
        ids = [event["id"] for event in events]
        self.assertEqual(self.run_ctl("events", "--limit", "1", "-o", "name").split(), ids[-1:])
        self.assertEqual(self.run_ctl("events", "--limit", "1000", "-o", "name").split(), ids)
        self.assertEqual(self.run_ctl("events", "--since", "1h", "-o", "name").split(), ids)
        self.assertEqual(self.run_ctl("events", "--since", events[-1]["time"], "-o", "name").split()[-1:], ids[-1:])
        self.assertEqual(self.run_ctl("events", "--since", "2999-01-01T00:00:00Z", "-o", "name"), "")
        self.run_ctl("events", "--limit", "none", code=2)
        self.run_ctl("events", "--since", "soon", code=2)
        self.assertRegex(self.run_ctl("events"), r"(?m)user\.created +user=owner$")
        self.assertRegex(self.run_ctl("events", "-o", "wide"),
                         rf"(?m)user\.created +user=owner \({self.world.user_id}\)$")
        with self.ctl.piped("events", "-f", "--limit", "1", "-o", "name") as more:
            self.assertEqual(more.stdout.readline().decode().strip(), ids[-1])
            self.world.add_user("later")
            self.assertGreater(int(more.stdout.readline()), int(ids[-1]))

    def test_output_that_can_not_be_written_is_told(self):
        for args in (["events"], ["users"], ["events", "-f", "--after", "0"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([places.PANELCTL, *args], env={**os.environ, **self.ctl.env()},
                                      stdout=full, stderr=subprocess.PIPE, timeout=60, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("can't write the output", done.stderr)

    def test_events_as_they_happen(self):
        with self.ctl.piped("events", "-f", "--after", "0", "-o", "json") as events:
            self.assertEqual([json.loads(events.stdout.readline())["type"] for _ in range(2)],
                             ["key.created", "user.created"])
            self.world.create_node("later")
            self.assertEqual(json.loads(events.stdout.readline())["type"], "node.created")

    def test_audit(self):
        self.assertIn("/api/auth/create-user", self.run_ctl("audit", "list"))
        self.assertEqual(self.run_ctl("audit"), self.run_ctl("audit", "list"))
        rows = self.ctl.json("audit", "list", "--key", "t", "--limit", "1", "--since", "1h")
        self.assertEqual(len(rows), 1)
        self.assertEqual(self.ctl.json("audit", "list", "--target", self.world.user_id)[0]["status"], 201)
        self.assertEqual(self.ctl.json("audit", "--target", "owner"),
                         self.ctl.json("audit", "--target", self.world.user_id))
        self.assertEqual(self.ctl.json("audit", "--target", "nothing"), [])
        self.run_ctl("audit", "list", "--limit", "0", code=2)
        # More than one page of the API holds.
        self.assertEqual(len(self.ctl.json("audit", "list", "--limit", "5000")),
                         len(self.world.api.get("/api/audit?limit=1000").expect(200).json))


class Doctor(Ctl):
    engine = "scripted"

    def findings(self, **more):
        done = self.ctl.try_run("doctor", "-o", "json", **more)
        return done.code, {row["check"]: row for row in json.loads(done.out)}

    def test_all_is_well(self):
        code, found = self.findings()
        self.assertEqual(code, 0, found)
        self.assertEqual({row["status"] for row in found.values()}, {"ok"})
        self.assertIn("node is Online", self.run_ctl("doctor"))

    def test_nodes_that_are_not_online(self):
        waiting = self.world.create_node("waiting")
        self.run_ctl("node", "update", "node", "--maintenance", "yes")
        told = self.run_ctl("doctor")
        self.assertIn("panelctl node token waiting", told)
        self.assertIn("panelctl node undrain node", told)
        self.run_ctl("node", "undrain", "node")
        self.run_ctl("node", "delete", waiting["id"], "--yes")
        self.world.agent.stop()
        self.world.await_status(self.world.node_id, "Offline")
        code, found = self.findings()
        self.assertEqual((code, found["node"]["status"]), (1, "FAIL"))
        self.assertIn("last seen", found["node"]["message"])
        self.assertIn("systemctl status panel-agent", found["node"]["fix"])
        self.assertIn("joins again: panelctl node token node", found["node"]["fix"])
        self.world.agent.start()
        self.world.await_status(self.world.node_id, "Online")

    def test_a_key_that_is_not_accepted(self):
        code, found = self.findings(env={"PANEL_API_KEY": "panel_" + "x" * 36})
        self.assertEqual((code, found["key"]["status"]), (1, "FAIL"))
        self.assertIn("paneld key", found["key"]["fix"])
        code, found = self.findings(env={"PANEL_API_KEY": ""})
        self.assertIn("no key is set", found["key"]["message"])

    def test_a_panel_that_can_not_be_reached(self):
        code, found = self.findings(env={"PANEL_URL": f"http://127.0.0.1:{places.free_port()}"})
        self.assertEqual((code, found["panel"]["status"]), (1, "FAIL"))
        self.assertIn("firewall", found["panel"]["fix"])
        code, found = self.findings(env={"PANEL_URL": "http://nowhere.invalid"})
        self.assertIn("name", found["panel"]["fix"])
