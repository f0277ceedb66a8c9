"""Scripts.Install and POST /api/instances/{id}/reinstall, with a scripted Engine and a file server."""
import hashlib
import itertools
import os
import stat
import unittest

from lib.file_server import Failing, FileServer, Held, redirect, unmeasured
from lib.promises import proves
from lib.wait import until
from lib.world import World

WORLD = None
FILES = None
NUMBERS = itertools.count(1)
MIB = 1 << 20


def setUpModule():
    global WORLD, FILES
    FILES = FileServer().start()
    WORLD = World("scripted", agent_options=("--install-allow-local", "--install-max-mib", "1",
                                             "--install-timeout", "4"))
    WORLD.start()


def tearDownModule():
    WORLD.stop()
    FILES.stop()


def template(*install, world=None, **more):
    """A template with these (Uri, Path) or whole entries; its name. A Uri that begins with / is our server's."""
    entries = []
    for entry in install:
        if not isinstance(entry, dict):
            entry = {"Uri": entry[0], "Path": entry[1]}
        if entry["Uri"].startswith("/"):
            entry = {**entry, "Uri": FILES.url(entry["Uri"])}
        entries.append(entry)
    name = f"install {next(NUMBERS)}"
    (world or WORLD).api.post("/api/images/create", {
        "Name": name, "Image": "test:httpd", "Scripts": {"Install": entries}, **more}).expect(201)
    return name


def volume(instance, *path):
    return os.path.join(WORLD.agent.state, "volumes", instance["Id"], *path)


def content(instance, *path):
    with open(volume(instance, *path), "rb") as file:
        return file.read()


def begin(name, world=None, **more):
    world = world or WORLD
    return world.api.post("/api/instances/deploy", world.spec(imagename=name, **more)).expect(201).json["Id"]


def failed(name, world=None, **more):
    """Deploy what can't be installed: the instance once it has FAILED."""
    world = world or WORLD
    return world.await_instance(begin(name, world, **more), InternalState="FAILED")


def log(instance, **query):
    answer = WORLD.api.get(f"/api/instances/{instance['Id']}/logs", query={"source": "install", **query})
    return answer.expect(200).body.decode()


def restart_agent(end):
    """end() is its end; the panel has seen that, and its beginning, when this returns."""
    end()
    until(lambda: WORLD.api.node(WORLD.node_id)["status"] != "Online", 10, "the agent is missed")
    WORLD.agent.start()
    WORLD.await_status(WORLD.node_id, "Online")


def reinstall(instance, wait=30, **body):
    return WORLD.api.post(f"/api/instances/{instance['Id']}/reinstall", body, query={"wait": wait})


class Install(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def refuse(self, name, *says):
        """It FAILED, says why, and so does its log; no container was made."""
        instance = failed(name)
        self.assertEqual(instance["Error"]["code"], "install_failed")
        for text in (instance["Error"]["message"], log(instance)):
            for word in says:
                self.assertIn(word, text)
        self.assertIsNone(instance["ContainerId"])
        self.assertEqual(WORLD.containers_of(instance["Id"]), [])
        self.assertNotIn(".panel-install", os.listdir(volume(instance)))
        return instance

    def test_files_are_there_before_the_first_start(self):
        FILES.files.update({"/a": b"one", "/b": b"two" * 1000, "/empty": b""})
        instance = WORLD.deploy(imagename=template(("/a", "a.txt"), ("/b", "./deep//er/b.bin"), ("/empty", "e")))
        self.assertEqual(content(instance, "a.txt"), b"one")
        self.assertEqual(content(instance, "deep", "er", "b.bin"), b"two" * 1000)
        self.assertEqual(content(instance, "e"), b"")
        for path in ("a.txt", "deep", "deep/er/b.bin"):
            self.assertEqual(stat.S_IMODE(os.stat(volume(instance, path)).st_mode), 0o777, path)
        self.assertEqual(sorted(os.listdir(volume(instance))), ["a.txt", "deep", "e"])
        lines = log(instance).splitlines()
        self.assertEqual((lines[0], lines[-1]), ("installing: 3 files", "installed"))
        self.assertEqual(log(instance, tail=1), "installed\n")

    def test_keys_are_replaced_in_uri_and_path(self):
        FILES.files["/v1.21/server"] = b"jar"
        name = template(("/v{{VERSION}}/{{ WHAT }}", "{{INSTANCE_NAME}}-{{VERSION}}.jar"),
                        Variables={"VERSION": {"default": "1.21"}, "WHAT": {"default": "x"}})
        instance = WORLD.deploy(imagename=name, name="mine", variables={"WHAT": "server"})
        self.assertEqual(content(instance, "mine-1.21.jar"), b"jar")

    def test_it_is_done_once(self):
        FILES.files["/once"] = b"1"
        instance = WORLD.deploy(imagename=template(("/once", "once")))
        os.remove(volume(instance, "once"))
        for action in ("stop", "start"):
            WORLD.api.post(f"/api/instances/{instance['Id']}/power", {"action": action}).expect(200)
        restart_agent(WORLD.agent.stop)
        WORLD.await_instance(instance["Id"], State="running")
        self.assertEqual(os.listdir(volume(instance)), [])
        self.assertEqual(FILES.asked.count("/once"), 1)
        self.assertIn("installed", log(instance))

    def test_progress_is_seen(self):
        held = FILES.files["/held"] = Held(b"x" * 1000)
        instance_id = begin(template(("/held", "x")))
        self.assertTrue(held.reached.wait(10))
        instance = WORLD.await_instance(instance_id, State="installing", Progress=50)
        self.assertEqual(instance["InternalState"], "INSTALLING")
        self.assertIn("downloading", log(instance))
        held.go.set()
        WORLD.await_instance(instance_id, State="running", Progress=None)

    def test_a_missing_file_fails_it_and_a_retry_mends_it(self):
        instance = self.refuse(template(("/late", "late")), "404", "late")
        FILES.files["/late"] = b"here"
        WORLD.api.post(f"/api/instances/{instance['Id']}/retry", {}, query={"wait": 30}).expect(200)
        self.assertEqual(WORLD.api.instance(instance["Id"])["InternalState"], "READY")
        self.assertEqual(content(instance, "late"), b"here")
        self.assertNotIn("404", log(instance))

    def test_what_may_pass_is_tried_again(self):
        FILES.files["/busy"] = Failing(1, b"at last")
        instance = WORLD.deploy(imagename=template(("/busy", "busy")))
        self.assertEqual(content(instance, "busy"), b"at last")
        self.assertIn("503; trying again in 1 s", log(instance))

    def test_nobody_answers(self):
        self.refuse(template({"Uri": "http://127.0.0.1:1/x", "Path": "x"}), "127.0.0.1")

    def test_redirects_are_followed_but_not_for_ever(self):
        FILES.files.update({"/r1": redirect("/r2"), "/r2": redirect(FILES.url("/end")), "/end": b"end",
                            "/loop": redirect("/loop"), "/file": redirect("file:///etc/passwd")})
        instance = WORLD.deploy(imagename=template(("/r1", "end")))
        self.assertEqual(content(instance, "end"), b"end")
        self.refuse(template(("/loop", "x")), "redirect")
        self.refuse(template(("/file", "x")), "rotocol")

    def test_too_large_together(self):
        FILES.files.update({"/half": b"h" * (MIB * 5 // 8), "/whole": b"w" * (MIB + 1),
                            "/told": unmeasured(b"u" * (MIB + 1))})
        self.refuse(template(("/whole", "x")), "larger")
        self.refuse(template(("/told", "x")), "larger")
        self.refuse(template(("/half", "x"), ("/half", "y")), "larger", "file 2 of 2")

    def test_too_slow(self):
        held = FILES.files["/slow"] = Held(b"x" * 1000)
        self.refuse(template(("/slow", "x")), "timed out")
        held.go.set()

    def test_checksums(self):
        FILES.files["/sum"] = b"sum"
        right = hashlib.sha256(b"sum").hexdigest()
        uri = FILES.url("/sum")
        instance = WORLD.deploy(imagename=template({"Uri": uri, "Path": "s", "Sha256": right.upper()}))
        self.assertEqual(content(instance, "s"), b"sum")
        instance = self.refuse(template({"Uri": uri, "Path": "s", "Sha256": "0" * 64}), right)
        self.assertEqual(os.listdir(volume(instance)), [])
        WORLD.api.post("/api/images/create", {"Name": "short sum", "Image": "x", "Scripts": {
            "Install": [{"Uri": uri, "Path": "s", "Sha256": "00"}]}}).refused(400, field="Scripts")

    def test_no_path_leads_out_of_the_volume(self):
        for uri, path in (("/a", "../../etc/x"), ("/a", "/etc/x"), ("/a", "a/../../x"), ("/a", ""),
                          ("/a", "x/"), ("ftp://x/y", "x"), ("file:///etc/passwd", "x")):
            with self.subTest(uri=uri, path=path):
                answer = WORLD.api.post("/api/images/create", {
                    "Name": f"out {next(NUMBERS)}", "Image": "test:httpd", "Scripts": {"Install": [
                        {"Uri": FILES.url(uri) if uri == "/a" else uri, "Path": path}]}}).expect(201).json
                self.assertTrue(answer["warnings"][0]["member"].startswith("Scripts.Install[0]."))
                deploy = WORLD.api.post("/api/instances/deploy", WORLD.spec(imagename=answer["Name"]))
                deploy.refused(400, code="invalid_install")
        name = template(("/a", "{{V}}"))
        WORLD.api.post("/api/instances/deploy", WORLD.spec(imagename=name, variables={"V": "../x"})) \
            .refused(400, code="invalid_install", says="../x")

    def test_links_that_a_container_left_lead_nowhere(self):
        outside = os.path.join(WORLD.dir, "outside")
        os.mkdir(outside)
        kept = os.path.join(outside, "kept")
        with open(kept, "w") as file:
            file.write("kept")
        FILES.files.update({"/one": b"one", "/two": b"two"})
        instance = WORLD.deploy(imagename=template(("/one", "name"), ("/two", "folder/two")))
        os.remove(volume(instance, "name"))
        os.symlink(kept, volume(instance, "name"))
        os.symlink(kept, volume(instance, ".panel-install"))
        reinstall(instance).expect(200)
        self.assertEqual(content(instance, "name"), b"one")
        self.assertFalse(os.path.islink(volume(instance, "name")))
        os.remove(volume(instance, "folder", "two"))
        os.rmdir(volume(instance, "folder"))
        os.symlink(outside, volume(instance, "folder"))
        reinstall(instance).refused(500, code="install_failed", says="link")
        self.assertEqual(os.listdir(outside), ["kept"])
        with open(kept) as file:
            self.assertEqual(file.read(), "kept")

    @proves("I4", "I8", fault="kill -9 of the agent, in the middle of an install")
    def test_an_agent_killed_in_between_begins_again(self):
        held = FILES.files["/killed"] = Held(b"k" * 1000)
        FILES.files["/first"] = b"first"
        instance_id = begin(template(("/first", "first"), ("/killed", "k")))
        self.assertTrue(held.reached.wait(10))
        restart_agent(WORLD.agent.kill)
        held.go.set()
        instance = WORLD.await_instance(instance_id, State="running")
        self.assertEqual(content(instance, "k"), b"k" * 1000)
        self.assertEqual(FILES.asked.count("/first"), 2)
        self.assertEqual(sorted(os.listdir(volume(instance))), ["first", "k"])

    def test_a_delete_ends_it_and_leaves_nothing(self):
        held = FILES.files["/endless"] = Held(b"k" * 1000)
        instance_id = begin(template(("/endless", "k")))
        self.assertTrue(held.reached.wait(10))
        WORLD.delete(instance_id)
        held.go.set()
        self.assertFalse(os.path.exists(volume({"Id": instance_id})))
        self.assertEqual([name for name in os.listdir(os.path.join(WORLD.agent.state, "installs"))
                          if instance_id in name], [])

    def test_more_than_may_run_at_once_wait_for_each_other(self):
        held = FILES.files["/many"] = Held(b"k" * 1000)
        name = template(("/many", "k"))
        ids = [begin(name) for _ in range(6)]
        until(lambda: FILES.asked.count("/many") == 3, 10, "three at once")
        held.go.set()
        for instance_id in ids:
            WORLD.await_instance(instance_id, State="running")


class Reinstall(unittest.TestCase):
    def setUp(self):
        FILES.files["/again"] = b"first"
        self.instance = WORLD.deploy(imagename=template(("/again", "again")))
        with open(volume(self.instance, "own"), "w") as file:
            file.write("own")
        FILES.files["/again"] = b"second"

    def tearDown(self):
        WORLD.clear()

    def test_without_wipe_what_else_is_there_stays(self):
        after = reinstall(self.instance).expect(200).json
        self.assertEqual((after["State"], after["InternalState"]), ("running", "READY"))
        self.assertNotEqual(after["ContainerId"], self.instance["ContainerId"])
        self.assertEqual(content(self.instance, "again"), b"second")
        self.assertEqual(content(self.instance, "own"), b"own")
        self.assertEqual(len(WORLD.containers_of(self.instance["Id"])), 1)

    def test_with_wipe_it_does_not(self):
        reinstall(self.instance, wipe=True).expect(200)
        self.assertEqual(os.listdir(volume(self.instance)), ["again"])

    def test_a_later_start_does_not_do_it_again(self):
        reinstall(self.instance, wipe=True).expect(200)
        with open(volume(self.instance, "own"), "w") as file:
            file.write("own")
        WORLD.api.post(f"/api/instances/{self.instance['Id']}/power", {"action": "restart"}).expect(200)
        restart_agent(WORLD.agent.stop)
        WORLD.await_instance(self.instance["Id"], State="running")
        self.assertEqual(content(self.instance, "own"), b"own")

    def test_a_stopped_one_is_reinstalled_when_it_starts(self):
        path = f"/api/instances/{self.instance['Id']}/power"
        WORLD.api.post(path, {"action": "stop"}).expect(200)
        reinstall(self.instance, wait=0, wipe=True).expect(200)
        WORLD.await_instance(self.instance["Id"], State="stopped")
        self.assertEqual(content(self.instance, "own"), b"own")
        WORLD.api.post(path, {"action": "start"}).expect(200)
        WORLD.await_instance(self.instance["Id"], State="running", InternalState="READY")
        self.assertEqual(os.listdir(volume(self.instance)), ["again"])
        self.assertEqual(content(self.instance, "again"), b"second")

    def test_one_that_fails_is_failed_and_not_started(self):
        del FILES.files["/again"]
        reinstall(self.instance).refused(500, code="install_failed", says="404")
        self.assertEqual(WORLD.api.instance(self.instance["Id"])["State"], "failed")
        self.assertEqual(WORLD.containers_of(self.instance["Id"]), [])
        FILES.files["/again"] = b"third"
        reinstall(self.instance).expect(200)
        self.assertEqual(content(self.instance, "again"), b"third")

    def test_without_files_it_is_a_new_container_and_a_wiped_volume(self):
        plain = WORLD.deploy()
        with open(volume(plain, "own"), "w") as file:
            file.write("own")
        after = reinstall(plain, wipe=True).expect(200).json
        self.assertNotEqual(after["ContainerId"], plain["ContainerId"])
        self.assertEqual(os.listdir(volume(plain)), [])

    def test_what_was_asked_for_twice_is_done_once(self):
        headers = {"Idempotency-Key": f"again {self.instance['Id']}"}
        path = f"/api/instances/{self.instance['Id']}/reinstall"
        asked = FILES.asked.count("/again")
        for _ in range(2):
            WORLD.api.post(path, {}, query={"wait": 30}, headers=headers).expect(200)
        self.assertEqual(FILES.asked.count("/again"), asked + 1)

    def test_bad_requests(self):
        reinstall(self.instance, wipe="perhaps").refused(400, field="wipe")
        WORLD.api.post("/api/instances/nosuchinstance/reinstall", {}).refused(400, code="instance_not_found")


class InstallLog(unittest.TestCase):
    def test_one_that_had_no_install_has_none(self):
        instance = WORLD.deploy()
        self.assertEqual(log(instance), "")
        WORLD.clear()

    def test_it_cant_be_followed(self):
        instance = WORLD.deploy()
        path = f"/api/instances/{instance['Id']}/logs"
        WORLD.api.get(path, query={"source": "install", "follow": "1"}).refused(400, field="source")
        WORLD.api.get(path, query={"source": "other"}).refused(400, field="source")
        WORLD.clear()


class NotAllowed(unittest.TestCase):
    """An agent with its usual options asks nobody on its own host."""

    def test_local_addresses_are_refused(self):
        FILES.files["/secret"] = b"secret"
        world = World("scripted").start()
        try:
            for host in ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433"):
                with self.subTest(host=host):
                    asked = len(FILES.asked)
                    name = template({"Uri": f"http://{host}:{FILES.port}/secret", "Path": "x"}, world=world)
                    instance = failed(name, world)
                    self.assertEqual(instance["Error"]["code"], "install_failed")
                    self.assertIn("its panel-agent is started with --install-allow-local",
                                  instance["Error"]["message"])
                    self.assertEqual(len(FILES.asked), asked)
            world.clear()
        finally:
            world.stop()
