"""paneld import-skyport: from the database of a Skyport panel to a panel that runs with it."""
import json
import os
import random
import shutil
import sqlite3
import unittest

from lib import places
from lib.agent import Agent
from lib.daemon import run_tool
from lib.paneld import Paneld
from lib.panelctl import Panelctl
from lib.scripted_engine import ScriptedEngine
from lib.skyport import BCRYPT, IMAGE_ID, NODE_ID, Skyport
from lib.wait import until


NOBODY = 65534
HORSE = "$2b$04$GmO8htLRMgfDbrirlY7cWOKagi/dpbifrwiGfzCQv/YKf.Z8H/Njy"  # of "correct horse"


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = places.fresh_dir("import")
        self.file = os.path.join(self.dir, "skyport.db")
        self.agent_port = places.free_port()
        self.panel = Paneld(self.dir).start()
        self.panel.stop()
        self.theirs = Skyport()
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self.panel.kill)

    def command(self, *options, file=None):
        return run_tool([places.PANELD, "import-skyport", "--data", self.panel.data, "--agent-port",
                         str(self.agent_port), *options, file or self.file], self.dir)

    def report(self, *options, code=0):
        """Write their database and import it; what the report says."""
        if os.path.exists(self.file):
            os.unlink(self.file)
        self.theirs.write(self.file)
        done = self.command("--json", *options)
        self.assertEqual(done.code, code, done.out + done.err)
        return json.loads(done.out)

    def everything(self):
        """What the panel has, as its API shows it."""
        self.panel.start()
        api = self.panel.client()
        found = {"users": api.users(), "images": api.images(), "nodes": api.nodes(),
                 "instances": api.instances()}
        self.panel.stop()
        return found

    def refused(self, code, kind, says):
        """Exactly one item is refused, and nothing is kept."""
        report = self.report(code=1)
        wrong = [item for item in report["items"] if item["outcome"] == "refused"]
        self.assertEqual([(one["kind"], one.get("code")) for one in wrong], [(kind, code)], wrong)
        self.assertIn(says, wrong[0]["message"])
        self.assertFalse(report["imported"])

    def left_out(self, **more):
        """Nothing has changed; then all else is taken."""
        self.assertEqual(self.everything(), {"users": [], "images": [], "nodes": [], "instances": []})
        report = self.report("--partial", code=3)
        self.assertTrue(report["imported"])
        found = self.everything()
        self.assertEqual({kind: len(rows) for kind, rows in found.items()},
                         {"users": 2, "images": 1, "nodes": 1, "instances": 1, **more})


class Whole(Case):
    def test_everything_is_there_and_runs(self):
        report = self.report()
        self.assertEqual(report["counts"], {"user": {"imported": 2}, "image": {"imported": 1},
                                            "node": {"imported": 1}, "instance": {"imported": 1},
                                            "row": {"left": 1}})
        join = next(item["joinCommand"] for item in report["items"] if item["kind"] == "node")
        engine = ScriptedEngine(os.path.join(self.dir, "docker.sock"))
        engine.start()
        self.addCleanup(engine.stop)
        agent = Agent(self.dir, engine.path)
        self.addCleanup(agent.kill)
        self.panel.start()
        api = self.panel.client()

        ann, bob = api.users()
        self.assertEqual((ann["userId"], ann["admin"], bob["accessTo"]), ("u-ann", True, ["1a2b3c4d"]))
        instance = api.instance("1a2b3c4d")
        self.assertEqual((instance["InternalState"], instance["Node"]["status"]),
                         ("READY", "Unconfigured"))
        self.assertEqual(api.node(NODE_ID)["port"], str(self.agent_port))
        self.assertEqual(api.images()[0]["Id"], IMAGE_ID)
        self.assertEqual(instance["variables"], {"VERSION": "1.20"})

        agent.join(self.panel.url, join.split()[-1])
        agent.start()
        until(lambda: api.node(NODE_ID)["status"] == "Online", 20, "the node is Online")
        until(lambda: api.instance("1a2b3c4d")["State"] == "stopped", 10, "it stays stopped")
        self.assertEqual(engine.containers, {})
        volume = os.path.join(agent.state, "volumes", "1a2b3c4d")
        os.makedirs(volume)
        with open(os.path.join(volume, "world"), "w") as world:
            world.write("theirs")
        api.post("/api/instances/1a2b3c4d/power", {"action": "start"}, timeout=90).expect(200)
        until(lambda: api.instance("1a2b3c4d")["State"] == "running", 10, "it runs")
        container, = engine.containers.values()
        self.assertEqual(container.body["Env"], [
            "TZ=UTC", "VERSION=1.20", "PRIMARY_PORT=25565", "INSTANCE_ID=1a2b3c4d",
            "INSTANCE_NAME=server 1a2b3c4d", "MEMORY_MIB=512"])
        self.assertEqual(os.listdir(volume), ["world"])  # and nothing was installed over it
        api.delete("/api/instance/delete", {"id": "1a2b3c4d"}, timeout=90).expect(201)
        self.panel.stop()
        agent.stop()

    def test_users_log_in_with_the_passwords_that_they_had(self):
        costly = BCRYPT.replace("$10$", "$31$")
        for name, password in (("costly", costly), ("cut", BCRYPT[:-1]), ("none", None), ("plain", "hunter2 hunter2")):
            self.theirs.users.append(dict(Skyport.user(f"u-{name}", name), password=password))
        self.theirs.users[0]["password"] = HORSE
        report = self.report()
        noted = {item["id"] for item in report["items"] if "password" in json.dumps(item.get("notes", ""))}
        self.assertEqual(noted, {"u-costly", "u-cut", "u-none", "u-plain"})
        with sqlite3.connect(f"{self.panel.data}/panel.db") as db:
            hashes = dict(db.execute("SELECT id, password_hash FROM users"))
        db.close()
        self.assertEqual(hashes, {"u-ann": HORSE, "u-bob": BCRYPT, **dict.fromkeys(noted, "!")})

        self.panel.start()
        api = self.panel.client()

        def login(name, password):
            return api.post("/api/auth/login", {"username": name, "password": password}, key=None)
        ann = login("ann", "correct horse").expect(201).json["token"]
        for name, password in (("ann", "correct horsf"), ("bob", "correct horse"), ("plain", "hunter2 hunter2"),
                               ("cut", "correct horse"), ("costly", "correct horse"), ("none", "!"), ("ann", HORSE)):
            login(name, password).refused(401, "login_failed")
        api.request("PATCH", "/api/users/u-ann", {"password": "another horse", "currentPassword": "correct horse"},
                    key=ann).expect(200)
        login("ann", "another horse").expect(201)
        login("ann", "correct horse").refused(401, "login_failed")
        api.request("PATCH", "/api/users/u-plain", {"password": "another horse"}).expect(200)
        login("plain", "another horse").expect(201)
        self.panel.stop()

    def test_a_suspended_one_stays_suspended(self):
        self.theirs.instances[0]["suspended"] = True
        self.report()
        self.assertTrue(self.everything()["instances"][0]["suspended"])

    def test_no_secret_of_theirs_is_shown(self):
        self.theirs.write(self.file)
        done = self.command()
        self.assertEqual(done.code, 0)
        for secret in (BCRYPT, "node-secret"):
            self.assertNotIn(secret, done.out + done.err + json.dumps(self.everything()))

    def test_the_report_for_people_says_what_to_do(self):
        self.theirs.instances[0]["Name"] = "bell \x07 \x1b[31m"
        self.theirs.instances[0]["InternalState"] = "FAILED"
        done = self.report("--partial", code=3)
        self.assertIn("Name", next(item["message"] for item in done["items"]
                                   if item["outcome"] == "refused"))
        text = self.command("--dry-run").out
        self.assertNotIn("\x1b", text)
        self.theirs.instances[0]["Name"] = "fine"
        os.unlink(self.file)
        self.theirs.write(self.file)
        text = self.command().out
        self.assertIn("it was FAILED", text)
        self.assertRegex(text, r"instances +1 +0 +0\n")

    def test_commands_for_the_shell_hold_no_names_of_others(self):
        self.theirs.instances[0]["VolumeId"] = '"; touch /tmp/owned; "'
        report = self.report()
        self.assertIn("the name of its volume can't be used", json.dumps(report))
        self.assertNotIn("touch", self.command().out)


class NotJoined(Case):
    """What is asked of instances before anybody has joined their node."""

    def setUp(self):
        super().setUp()
        self.theirs.instances.append(self.theirs.instance("5e6f7a8b", port=25566))
        self.panel.config["installTimeoutMs"] = 1500
        report = self.report()
        self.join = next(item["joinCommand"] for item in report["items"] if item["kind"] == "node").split()[-1]
        self.api = self.panel.start().client()

    def started(self):
        return self.api.post("/api/instances/1a2b3c4d/power", {"action": "start"}).expect(200).json

    def failed(self):
        """The start has ended, with a reason that names the node."""
        until(lambda: self.api.instance("1a2b3c4d")["InternalState"] == "FAILED", 10, "INSTALLING ends")
        error = self.api.instance("1a2b3c4d")["Error"]
        self.assertEqual(error["code"], "node_offline")
        self.assertIn(f"nobody has joined its node ({NODE_ID}) yet", error["message"])

    def no_complaint(self):
        """Nothing of all that is a mistake."""
        self.assertNotIn("level=error", self.panel.daemon.log())
        self.assertNotIn("not loaded", self.panel.daemon.log())

    def test_a_start_ends_at_its_deadline(self):
        self.assertEqual(self.started()["InternalState"], "INSTALLING")
        self.assertEqual(self.api.node(NODE_ID)["status"], "Unconfigured")
        self.failed()
        self.no_complaint()

    def test_a_start_ends_after_a_restart_too(self):
        self.started()
        self.panel.crash()  # and starts it again
        self.failed()
        self.no_complaint()

    def test_a_start_that_is_taken_back_ends_too(self):
        self.started()
        self.api.post("/api/instances/1a2b3c4d/power", {"action": "stop"}).expect(200)
        until(lambda: self.api.instance("1a2b3c4d")["InternalState"] == "READY", 10, "it is as it was")
        self.assertIsNone(self.api.instance("1a2b3c4d")["Error"])
        self.no_complaint()

    def test_panelctl_says_what_becomes_of_a_start(self):
        said = Panelctl(self.dir, self.panel.url, self.panel.key).run("instance", "start", "1a2b3c4d")
        self.assertIn("nobody has joined its node yet, which does it when it is there", said)

    def test_a_start_is_done_when_the_node_is_there(self):
        engine = ScriptedEngine(os.path.join(self.dir, "docker.sock"))
        engine.start()
        self.addCleanup(engine.stop)
        agent = Agent(self.dir, engine.path)
        self.addCleanup(agent.kill)
        self.panel.stop()
        self.panel.config.pop("installTimeoutMs")
        self.panel.start()
        self.started()
        agent.join(self.panel.url, self.join)
        agent.start()
        until(lambda: self.api.instance("1a2b3c4d")["State"] == "running", 20, "it runs")
        self.no_complaint()
        self.panel.stop()
        agent.stop()

    def test_what_is_deleted_is_gone_at_once(self):
        answer = self.api.delete("/api/instance/delete", {"id": "1a2b3c4d"}).expect(201).json
        self.assertEqual(answer["state"], "DELETED")
        self.assertEqual(self.api.node(NODE_ID)["allocated"]["instances"], 1)
        self.api.delete("/api/nodes/delete", {"nodeId": NODE_ID}).refused(400, "node_has_instances")
        self.api.delete("/api/nodes/delete", {"nodeId": NODE_ID, "force": True}).expect(201)
        until(lambda: "instance removed\" instance=5e6f7a8b" in self.panel.daemon.log(), 10, "the other is gone, too")
        with sqlite3.connect(f"{self.panel.data}/panel.db") as db:
            until(lambda: not db.execute("SELECT id FROM nodes").fetchall(), 10, "the node is gone")
        db.close()
        self.no_complaint()


class Again(Case):
    def test_a_second_run_changes_nothing(self):
        self.report()
        before = self.everything()
        report = self.report()
        self.assertEqual(report["counts"], {"user": {"present": 2}, "image": {"present": 1},
                                            "node": {"present": 1}, "instance": {"present": 1},
                                            "row": {"left": 1}})
        self.assertEqual(self.everything(), before)

    def test_a_second_run_adds_what_is_missing(self):
        self.report()
        self.theirs.instances.append(self.theirs.instance("5e6f7a8b", port=25566))
        self.assertEqual(self.report()["counts"]["instance"], {"present": 1, "imported": 1})
        self.assertEqual([one["Ports"] for one in self.everything()["instances"]],
                         ["25565:25565", "25565:25566"])

    def test_what_was_changed_here_stays(self):
        self.report()
        self.panel.start()
        api = self.panel.client()
        api.request("PATCH", "/api/users/u-ann", {"username": "anna"}).expect(200)
        self.panel.stop()
        self.report()
        self.assertEqual(self.everything()["users"][0]["username"], "anna")

    def test_access_that_was_taken_here_is_not_given_again(self):
        self.report()
        self.panel.start()
        self.panel.client().delete("/api/instances/1a2b3c4d/users", {"userId": "u-bob"}).expect(200)
        self.panel.stop()
        self.theirs.instances.append(self.theirs.instance("5e6f7a8b", port=25566))
        self.theirs.users[1]["accessTo"].append("5e6f7a8b")
        self.report()
        self.assertEqual(self.everything()["users"][1]["accessTo"], ["5e6f7a8b"])

    def test_a_dry_run_changes_nothing(self):
        report = self.report("--dry-run")
        self.assertEqual((report["imported"], report["dryRun"]), (False, True))
        self.assertEqual(report["counts"]["instance"], {"imported": 1})
        self.assertNotIn("joinCommand", json.dumps(report))
        self.assertEqual(self.everything()["users"], [])


class Odd(Case):
    """What a panel without locks leaves behind."""

    def test_an_instance_in_one_list_alone_is_taken(self):
        self.theirs.rows["instances"] = []
        self.assertEqual(self.report()["counts"]["instance"], {"imported": 1})

    def test_one_that_no_list_has_was_deleted(self):
        self.theirs.rows["deadbeef_instance"] = self.theirs.instance("deadbeef", port=3)
        report = self.report()
        self.assertEqual(report["counts"]["instance"], {"imported": 1})
        self.assertIn("no list has it", json.dumps(report["items"]))

    def test_its_own_row_wins_and_the_difference_is_told(self):
        self.theirs.rows["1a2b3c4d_instance"] = self.theirs.instance("1a2b3c4d", Memory=1024)
        report = self.report()
        self.assertIn("instances has another Memory of it, which was not taken", json.dumps(report))
        self.assertEqual(self.everything()["instances"][0]["Memory"], 1024)

    def test_a_node_that_only_an_instance_knows_is_taken(self):
        self.theirs.rows.update({"nodes": [], f"{NODE_ID}_node": None})
        self.assertIn("its node is in no list", json.dumps(self.report()))
        self.assertEqual(self.everything()["nodes"][0]["id"], NODE_ID)

    def test_the_second_image_of_a_name_is_left(self):
        self.theirs.images.append(dict(self.theirs.image, Id="another"))
        report = self.report()
        self.assertIn("another one of that name comes before it", json.dumps(report))
        self.assertEqual(len(self.everything()["images"]), 1)

    def test_a_template_that_makes_no_container_is_left_out_of_it(self):
        self.theirs.instances[0]["imageData"] = dict(self.theirs.image, Env=["A={{NOWHERE}}"])
        self.assertIn("its template can't be used", json.dumps(self.report()))
        instance = self.everything()["instances"][0]
        self.assertIsNone(instance["imageData"])
        self.assertIn("VERSION=1.20", instance["Env"])

    def test_an_id_that_is_none_of_ours_is_replaced_by_the_same_one_each_time(self):
        self.theirs.instances[0]["Id"] = "Not-One-Of-Ours"
        self.theirs.users[1]["accessTo"] = ["Not-One-Of-Ours"]
        self.assertIn("its id was Not-One-Of-Ours", json.dumps(self.report()))
        found = self.everything()
        self.assertRegex(found["instances"][0]["Id"], r"^[0-9a-f]{20}$")
        self.assertEqual(found["users"][1]["accessTo"], [found["instances"][0]["Id"]])
        self.assertEqual(self.report()["counts"]["instance"], {"present": 1})

    def test_a_text_that_begins_with_a_colon_is_as_it_was(self):
        self.theirs.users[0]["username"] = ":ann"
        self.report()
        self.assertEqual(self.everything()["users"][0]["username"], ":ann")

    def test_access_to_nothing_is_told(self):
        self.theirs.users[0]["accessTo"] = ["ffffffff", "1a2b3c4d", 7]
        self.assertIn("had access to the instance ffffffff", json.dumps(self.report()))

    def test_keys_of_any_bytes_are_told(self):
        self.theirs.write(self.file)
        with sqlite3.connect(self.file) as db:
            for key in ("x'6b6579763aff'", "x'6b6579763affff5f6e6f6465'", "NULL", "'keyv:' || char(7)"):
                db.execute(f"INSERT INTO keyv VALUES(CAST({key} AS TEXT), '{{\"value\": 1}}')")
        db.close()
        done = self.command("--json", "--partial")
        self.assertEqual(done.code, 3, done.err)
        rows = {(item["id"], item["outcome"]) for item in json.loads(done.out)["items"] if item["kind"] == "row"}
        self.assertEqual(rows, {("name", "left"), ("?", "left"), ("??_node", "refused"), ("", "left"),
                                ("\x07", "left")})

    def test_rows_that_have_expired_are_not_there(self):
        self.theirs.raw["images"] = '{"value": [1, 2], "expires": 1000}'
        self.assertNotIn("image", self.report()["counts"])

    def test_an_empty_panel_is_taken(self):
        self.theirs.users, self.theirs.images = [], []
        self.theirs.nodes, self.theirs.instances = [], []
        self.assertEqual(self.report()["counts"], {"row": {"left": 1}})


class Refused(Case):
    def test_instances_that_can_not_be(self):
        for member, value, code, says in (
                ("Memory", None, "missing_field", "Memory"), ("Memory", 1, "invalid_field", "Memory"),
                ("Cpu", "many", "invalid_field", "Cpu"), ("Ports", "", "invalid_field", "Ports"),
                ("Ports", "1:99999", "invalid_field", "Ports"),
                ("Primary", "7", "invalid_field", "Primary"), ("User", "nobody", "user_not_found", "nobody"),
                ("Image", "NOT AN IMAGE", "invalid_field", "Image"), ("Node", None, "missing_field", "node"),
                ("Env", ["1 bad=x"], "invalid_field", "variables")):
            with self.subTest(f"{member}={value!r}"):
                self.theirs = Skyport()
                self.theirs.instances[0][member] = value
                self.refused(code, "instance", says)
        self.left_out(instances=0)

    def test_a_port_that_two_have(self):
        self.theirs.instances.append(self.theirs.instance("5e6f7a8b"))
        self.refused("port_taken", "instance", "25565")
        self.left_out()

    def test_users_that_can_not_be(self):
        for more, code, says in (({"username": "ANN"}, "user_exists", "username"),
                                 ({"email": "none"}, "invalid_field", "email"),
                                 ({"userId": "a b"}, "invalid_field", "userId"),
                                 ({"username": None}, "missing_field", "username")):
            with self.subTest(str(more)):
                self.theirs = Skyport()
                self.theirs.users.append(dict(Skyport.user("u-eve", "eve"), **more))
                self.refused(code, "user", says)
        self.left_out()

    def test_a_node_without_an_address(self):
        other = dict(self.theirs.node, id=NODE_ID.replace("7", "8"), address="http://x")
        self.theirs.nodes.append(other)
        self.refused("invalid_field", "node", "address")
        self.left_out()

    def test_an_image_without_a_name(self):
        self.theirs.images.append({"Id": "x", "Image": "y"})
        self.refused("missing_field", "image", "Name")
        self.left_out()

    def test_rows_that_can_not_be_read(self):
        for key, text in (("u-x_instances", "{"), ("deadbeef_instance", "[]"), ("u-y_instances", "nul")):
            with self.subTest(key):
                self.theirs = Skyport()
                self.theirs.raw[key] = text
                self.refused(None, "row", "JSON")
        self.left_out()

    def test_lists_that_are_none(self):
        for key in ("images", "nodes", "instances"):
            with self.subTest(key):
                self.theirs = Skyport()
                self.theirs.raw[key] = '{"value": {"a": 1}}'
                self.refused(None, "row", "list")

    def test_a_node_that_is_only_a_name(self):
        self.theirs.rows["nodes"] = [NODE_ID, "gone"]
        self.refused(None, "row", "no row of its own")


class Anything(Case):
    """What is no such panel's: it is refused, or taken as what it says, and never half."""

    WRONG = [None, True, -1, 0.5, 1e308, 2**63, "", " ", ":", "x" * 70000, "\u0007", "\ud800", "../..",
             [], {}, [[]], [None], {"": None}, {"value": 1}]

    def places(self, value, found):
        """(container, key) of everything inside."""
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, member in list(inner):
            found.append((value, key))
            if isinstance(member, (dict, list)):
                self.places(member, found)
        return found

    def test_each_member_replaced_by_what_it_can_not_be(self):
        outcomes = set()
        for seed in range(30):
            chance = random.Random(seed)
            self.theirs = Skyport()
            rows = json.loads(json.dumps(self.theirs.all_rows()))
            for _ in range(chance.randint(1, 3)):
                holder, key = chance.choice(self.places(rows, []))
                holder[key] = chance.choice(self.WRONG)
            self.theirs.all_rows = lambda rows=rows: rows
            if os.path.exists(self.file):
                os.unlink(self.file)
            self.theirs.write(self.file)
            done = self.command("--dry-run", "--json")
            with self.subTest(f"seed {seed}"):
                self.assertIn(done.code, (0, 1), done.err)
                if done.out:
                    json.loads(done.out)
                else:
                    self.assertIn("can't import", done.err)
            outcomes.add((done.code, bool(done.out)))
        self.assertGreaterEqual(len(outcomes), 2, "all of them ended alike")
        self.assertEqual(self.everything()["users"], [])


class Files(Case):
    def fails(self, says, **more):
        done = self.command(**more)
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertIn(says, done.err)

    def test_files_that_are_no_such_database(self):
        self.fails("No such file")
        with open(self.file, "w") as text:
            text.write("no database" * 1000)
        self.fails("no SQLite database with a table keyv")
        self.fails("no SQLite database with a table keyv", file=os.path.join(self.panel.data, "panel.db"))

    def test_a_damaged_one(self):
        for number in range(300):
            self.theirs.users.append(Skyport.user(f"u{number}", f"user{number}"))
        self.theirs.write(self.file)
        with open(self.file, "r+b") as database:
            database.seek(4096)
            database.write(b"\xff" * 4096)
        self.fails("damaged")
        self.assertEqual(self.everything()["users"], [])

    def test_one_without_anything_of_a_panel(self):
        self.theirs = Skyport()
        self.theirs.all_rows = lambda: {"name": "x"}
        self.theirs.write(self.file)
        self.fails("neither users nor images")

    def test_it_is_left_as_it_was(self):
        self.report()
        with open(self.file, "rb") as database:
            before = database.read()
        self.report()
        with open(self.file, "rb") as database:
            self.assertEqual(database.read(), before)

    def test_root_may_read_it_where_the_panels_user_may_not(self):
        """A package's daemon has a user of its own; the file of the other panel lies in root's folder."""
        self.theirs.write(self.file)
        os.chmod(self.file, 0o600)
        folder = self.dir
        while folder != "/":  # nobody gets through to his own
            mode = os.stat(folder).st_mode
            self.addCleanup(os.chmod, folder, mode & 0o7777)
            os.chmod(folder, mode & 0o7777 | 0o111)
            folder = os.path.dirname(folder)
        for folder, _, names in os.walk(self.panel.data):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                os.chown(path, NOBODY, NOBODY)
        done = self.command()
        self.assertEqual(done.code, 0, done.err)
        owners = {name: os.stat(os.path.join(self.panel.data, name)).st_uid for name in os.listdir(self.panel.data)}
        self.assertEqual(set(owners.values()), {NOBODY}, owners)

    def test_not_while_the_daemon_runs(self):
        self.theirs.write(self.file)
        self.panel.start()
        self.fails("stop the paneld that runs")
        self.panel.stop()

    def test_not_where_there_is_no_panel(self):
        self.theirs.write(self.file)
        done = run_tool([places.PANELD, "import-skyport", "--data", self.dir + "/none", self.file],
                        self.dir)
        self.assertEqual(done.code, 1)
        self.assertIn("there is no panel in", done.err)
        self.assertFalse(os.path.exists(self.dir + "/none"))

    def test_its_options_are_its_own(self):
        for options in (["--dry-run"], ["--partial"], ["--json"], ["--agent-port", "1"]):
            done = run_tool([places.PANELD, "key", "list", "--data", self.panel.data, *options], self.dir)
            self.assertEqual(done.code, 2)
            self.assertIn("import-skyport", done.err)
        self.theirs.write(self.file)
        self.agent_port = "70000"
        self.fails("--agent-port")
