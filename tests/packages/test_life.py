"""Install, the three commands of docs/install.md, upgrade, remove, purge: in a copy of this system, with a
real Docker Engine, the services started as their units say."""
import contextlib
import os
import pwd
import re
import shlex
import shutil
import sqlite3
import stat
import unittest

from lib import images, packages, places
from lib.client import Client
from lib.daemon import Daemon
from lib.dockerd import DockerEngine
from lib.packages import NAMES, Service, file_of, install, make, owner, run, stage, status
from lib.wait import patient, until

PATIENCE = 20  # seconds, which lib/wait.py stretches: nothing here is about speed
OLDER, NEWER = "0.0.9", None  # of the same sources; NEWER: the project's own version
PANEL, NODE = "/var/lib/panel", "/var/lib/panel-agent"
# What a container leaves that its node's agent couldn't remove without more than its user's rights.
MESS = ("mkdir -p /app/data/closed/deep /app/data/sticky; echo x >/app/data/closed/deep/file; "
        "chmod 1777 /app/data/sticky; touch /app/data/sticky/a; chown 1234 /app/data/sticky /app/data/sticky/a; "
        "chmod 000 /app/data/closed/deep; chmod 000 /app/data/closed; exec httpd -f -p 8080 -h /www")


def setUpModule():
    stage()
    if not shutil.which("sudo"):  # the document is written for people who have it
        with open("/usr/local/bin/sudo", "w") as file:
            file.write('#!/bin/sh\nexec "$@"\n')
        os.chmod("/usr/local/bin/sudo", 0o755)


def commands():
    """What docs/install.md has typed, in order."""
    with open(f"{places.ROOT}/docs/install.md") as file:
        section = file.read().split("\n## ")[1]
    return re.findall(r"```sh\n(.*?)\n```", section, re.S)


def type_it(command, folder):
    return run("bash", "-c", command, cwd=folder, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def owners(folder):
    """Of what lies in it; what a daemon makes and removes meanwhile may be gone."""
    found = set()
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            found.add(owner(os.path.join(folder, name)))
    return found


class Life(unittest.TestCase):
    def setUp(self):
        self.dir = places.fresh_dir("life")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.addCleanup(packages.purge_all)
        packages.purge_all()
        self.panel = Service("paneld", self.dir)
        self.agent = Service("panel-agent", self.dir)
        self.addCleanup(self.panel.stop)
        self.addCleanup(self.agent.stop)

    def begin_docker(self):
        self.docker = DockerEngine(self.dir, socket="/run/docker.sock", group="docker").start()
        self.addCleanup(self.docker.destroy)
        images.sleeper(self.docker.api)
        images.httpd(self.docker.api)

    def deploy(self, **more):
        body = {"image": "test:httpd", "memory": "64", "cpu": "0.5", "ports": "8080:18080",
                "nodeId": self.node, "name": "web", "user": self.user, "primary": "18080", **more}
        return self.api.post("/api/instances/deploy", body, query={"wait": patient(PATIENCE)},
                             timeout=patient(PATIENCE) + 30).expect(201).json["instance"]

    def begin_api(self, paneld="paneld"):
        key = run(paneld, "key", "create", "--name", "tests").strip()
        self.api = Client("127.0.0.1", 3001, key)
        self.user = self.api.post("/api/auth/create-user", {
            "username": "owner", "email": "owner@example.test", "password": "correct horse"}
        ).expect(201).json["userId"]

    def await_online(self):
        until(lambda: self.api.node(self.node)["status"] == "Online", PATIENCE,
              lambda: f"the node is Online: {self.api.node(self.node)}")

    def await_running(self, instance):
        until(lambda: self.api.instance(instance["Id"])["State"] == "running", PATIENCE,
              lambda: f"it runs, says the panel: {self.api.instance(instance['Id'])}")

    def delete(self, instance):
        self.api.delete("/api/instance/delete", {"id": instance["Id"]},
                        timeout=patient(PATIENCE)).expect(201)
        until(lambda: not os.path.exists(f"{NODE}/volumes/{instance['VolumeId']}"), PATIENCE, "the volume is gone")
        until(lambda: not os.listdir(f"{NODE}/trash"), PATIENCE, "and what it held, too")

    def follow_the_document(self, version):
        """Its three commands; what systemd would do between them is done by hand."""
        self.begin_docker()
        install_them, make_node, join = commands()
        type_it(install_them, make(version))
        self.panel.start()
        line = re.search(r"panel-agent join .*", type_it(make_node, self.dir)).group(0)
        shown = join.removeprefix("sudo ").split("pj1.")[0]
        self.assertTrue(line.startswith(shown), f"the document shows {shown!r}, and it is {line!r}")
        self.node = line.split("pj1.")[1].split(".")[0]
        self.assertIn("Joined", type_it("sudo " + line, self.dir))
        self.agent.start()
        self.begin_api()
        self.await_online()

    def test_install(self):
        install(file_of("panel"), file_of("panel-agent"))
        for user, folder in (("panel", PANEL), ("panel-agent", NODE)):
            entry = pwd.getpwnam(user)
            self.assertLess(entry.pw_uid, 1000)
            self.assertEqual((entry.pw_dir, entry.pw_shell), (folder, "/usr/sbin/nologin"))
            self.assertEqual(owner(folder), user)
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
        self.assertEqual(set(run("id", "-nG", "panel-agent").split()), {"panel-agent", "docker"})
        self.assertEqual(run("id", "-nG", "panel").split(), ["panel"])
        for unit in ("paneld.service", "panel-agent.service", "panel-agent.path"):
            self.assertTrue(os.path.lexists(f"/etc/systemd/system/multi-user.target.wants/{unit}"), unit)
        self.assertEqual(run("bash", "-c", "paneld --version; panel-agent --version").split()[::2],
                         ["paneld", "panel-agent"])

    def test_the_documents_three_commands_and_an_upgrade(self):
        self.follow_the_document(OLDER)
        self.assertEqual(status("panel"), f"installed {OLDER}")
        self.assertEqual((self.panel.uid, self.agent.uid),
                         (pwd.getpwnam("panel").pw_uid, pwd.getpwnam("panel-agent").pw_uid))
        template = {"Name": "mess", "Image": "test:httpd", "Cmd": ["/bin/sh", "-c", MESS]}
        self.api.post("/api/images/create", template).expect(201)
        instance = self.deploy(imagename="mess")
        before = self.docker.api.inspect(instance["ContainerId"])
        volume = f"{NODE}/volumes/{instance['VolumeId']}"
        until(lambda: os.path.isdir(volume + "/sticky"), PATIENCE, "the container has written to its volume")
        self.upgrade()
        self.expect_untouched(before)
        self.await_running(instance)
        self.look_at_stats(instance)
        self.doctor_is_content()
        # The agent isn't root, and what it removes belongs to others in folders closed to it.
        self.delete(instance)

    def expect_untouched(self, before):
        after = self.docker.api.inspect(before["Id"])
        for key in ("Created", "RestartCount"):
            self.assertEqual(after[key], before[key])
        self.assertTrue(after["State"]["Running"])
        for key in ("StartedAt", "Pid"):
            self.assertEqual(after["State"][key], before["State"][key])

    def upgrade(self):
        """dpkg with both running, then what postinst has systemd do. What was changed in /etc stays."""
        with open("/etc/panel/paneld.json", "w") as file:
            file.write('{"listen": "127.0.0.1:3001", "heartbeatMs": 2000}')
        install(file_of("panel", NEWER), file_of("panel-agent", NEWER))
        self.assertEqual(status("panel"), f"installed {packages.project_version()}")
        with open("/etc/panel/paneld.json") as file:
            self.assertIn("heartbeatMs", file.read())
        for service in (self.panel, self.agent):
            service.daemon.expect_running()
            service.stop()
            service.start()
        self.await_online()

    def look_at_stats(self, instance):
        """Of a process that isn't its own, in a control group that isn't, either."""
        def known():
            stats = self.api.get(f"/api/instances/{instance['Id']}/stats").expect(200).json
            return stats if (stats.get("memory") or {}).get("bytes") and stats.get("volumeBytes") else None
        until(known, PATIENCE, "the instance has stats, of its control group and of its volume")

    def doctor_is_content(self):
        """Typed as the document has it; it waits for nobody as long as this does."""
        said = []

        def content():
            said[:] = [run("panel-agent", "doctor", check=False)]
            return "BROKEN" not in said[0] and "the panel is connected" in said[0]
        until(content, PATIENCE, lambda: f"nothing is broken: {said[0]}", interval=1)
        for word in (self.node, "/etc/panel/panel-agent.json"):
            self.assertIn(word, said[0])

    @unittest.skipUnless(os.environ.get("PANEL_OLDER"), "packaging/test-deb builds an older version")
    def test_an_older_version_that_root_ran_by_hand(self):
        """Database migrated, node still joined, no container touched."""
        self.begin_docker()
        older = os.environ["PANEL_OLDER"]
        panel = Daemon("older-paneld", [older + "/paneld"], self.dir).start()
        self.addCleanup(panel.kill)
        until(lambda: "listening" in panel.output(), PATIENCE, "the older panel listens")
        self.begin_api(older + "/paneld")
        node = self.api.post("/api/nodes/create", {
            "name": "n", "tags": "t", "ram": "8", "disk": "8", "processor": "1", "address": "127.0.0.1",
            "port": "7400"}).expect(201).json
        self.node = node["id"]
        run(older + "/panel-agent", "join", "--panel", "http://127.0.0.1:3001", "--token", node["joinToken"])
        agent = Daemon("older-agent", [older + "/panel-agent"], self.dir).start()
        self.addCleanup(agent.kill)
        self.await_online()
        instance = self.deploy()
        before = self.docker.api.inspect(instance["ContainerId"])
        schema = self.schema()
        panel.stop()
        agent.stop()
        install(file_of("panel"), file_of("panel-agent"))
        self.panel.start()
        self.agent.start()
        self.await_online()
        self.assertGreater(self.schema(), schema)
        self.assertTrue(os.path.exists(f"{PANEL}/panel.db.before-{schema + 1}"))
        self.assertEqual(owners(PANEL), {"panel"})
        self.await_running(instance)
        self.expect_untouched(before)
        self.delete(instance)

    def schema(self):
        with contextlib.closing(sqlite3.connect(f"file:{PANEL}/panel.db?mode=ro", uri=True)) as db:
            return db.execute("PRAGMA user_version").fetchone()[0]

    def test_remove_keeps_state_and_purge_does_not(self):
        install(file_of("panel"), file_of("panel-agent"))
        self.panel.start()
        run("paneld", "key", "create", "--name", "kept")
        self.assertEqual(owners(PANEL), {"panel"})
        self.panel.stop()
        os.makedirs(NODE + "/volumes/v")
        run("dpkg", "--remove", *NAMES)
        self.assertTrue(os.path.exists(PANEL + "/panel.db"))
        self.assertTrue(os.path.exists(NODE + "/volumes/v"))
        for daemon in ("paneld", "panel-agent"):
            self.assertTrue(os.path.exists(f"/etc/panel/{daemon}.json"))
        self.assertFalse(os.path.exists("/usr/bin/paneld"))
        install(file_of("panel"), file_of("panel-agent"))
        self.assertIn("kept", run("paneld", "key", "list"))
        run("dpkg", "--purge", *NAMES)
        for path in (PANEL, NODE, "/etc/panel", "/etc/default/paneld", "/etc/default/panel-agent",
                     "/etc/systemd/system/multi-user.target.wants/paneld.service",
                     "/etc/systemd/system/multi-user.target.wants/panel-agent.path"):
            self.assertFalse(os.path.lexists(path), path)

    def test_a_panel_that_root_ran_by_hand(self):
        """Its folders become the services', without what containers have in their volumes."""
        for folder in (PANEL, NODE):
            os.makedirs(folder, 0o700)
        os.makedirs(NODE + "/volumes/v/sub")
        for path, uid in (("/volumes/v", 1000), ("/volumes/v/sub", 0), ("/volumes/v/sub/file", 999)):
            if path.endswith("file"):
                with open(NODE + path, "w"):
                    pass
            os.chown(NODE + path, uid, uid)
        with open(NODE + "/epoch", "w"):
            pass
        install(file_of("panel"), file_of("panel-agent"))
        self.assertEqual(owner(NODE), "panel-agent")
        self.assertEqual(owner(NODE + "/epoch"), "panel-agent")
        self.assertEqual(owner(NODE + "/volumes"), "panel-agent")
        self.assertEqual([os.stat(NODE + path).st_uid for path in
                          ("/volumes/v", "/volumes/v/sub", "/volumes/v/sub/file")], [1000, 0, 999])
        self.panel.start()
        self.panel.stop()

    def test_a_backup_by_root_and_the_way_back(self):
        install(file_of("panel"))
        self.panel.start()
        run("paneld", "key", "create", "--name", "first")
        backup = os.path.join(self.dir, "backup")
        run("paneld", "backup", backup)
        run("paneld", "key", "create", "--name", "second")
        self.panel.stop()
        run("paneld", "restore", "--replace", backup)
        for folder, names, files in os.walk(PANEL):
            for name in names + files:
                self.assertEqual(owner(os.path.join(folder, name)), "panel", name)
        self.panel.start()
        self.assertIn("first", run("paneld", "key", "list"))
        self.assertNotIn("second", run("paneld", "key", "list"))


class Document(unittest.TestCase):
    def test_it_shows_three_commands(self):
        typed = commands()
        self.assertEqual(len(typed), 3)
        self.assertIn("apt install", typed[0])
        self.assertTrue(shlex.split(typed[2])[:3] == ["sudo", "panel-agent", "join"])
