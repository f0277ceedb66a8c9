"""Inside the machine that tests/systemd/run boots: the packages' services under systemd, with Docker."""
import json
import os
import re
import signal
import threading
import unittest

from lib import images, packages
from lib.client import Client
from lib.docker_api import Docker
from lib.packages import NAMES, file_of, install, run
from lib.wait import hold, until

SERVICES = ("paneld", "panel-agent")
MESS = ("mkdir -p /app/data/closed /app/data/sticky; echo x >/app/data/closed/file; chmod 1777 /app/data/sticky; "
        "touch /app/data/sticky/a; chown 1234 /app/data/sticky /app/data/sticky/a; chmod 000 /app/data/closed; "
        "exec httpd -f -p 8080 -h /www")
BOX = {}  # of the node and the instance, made by the first tests


def shown(unit, what):
    return run("systemctl", "show", "--value", "--property", what, unit).strip()


def journal(unit):
    return run("journalctl", "--unit", unit, "--output", "cat", "--no-pager")


def state(unit):
    return shown(unit, "ActiveState")


def pid(unit):
    return int(shown(unit, "MainPID"))


def settings_of(service):
    return f"/etc/panel/{service}.json"


def restarts(unit):
    return int(shown(unit, "NRestarts"))


class Services(unittest.TestCase):
    """In the order of their numbers: each goes on where the one before has ended."""

    @classmethod
    def setUpClass(cls):
        until(lambda: state("docker.service") == "active", 120, "docker.service is active")
        cls.docker = Docker("/run/docker.sock")
        images.httpd(cls.docker)

    def await_online(self):
        until(lambda: BOX["api"].node(BOX["node"])["status"] == "Online", 60,
              lambda: f"the node is Online: {BOX['api'].node(BOX['node'])}")

    def expect_untouched(self):
        now = self.docker.inspect(BOX["container"]["Id"])
        self.assertTrue(now["State"]["Running"])
        self.assertEqual(now["RestartCount"], 0)
        for key in ("Pid", "StartedAt"):
            self.assertEqual(now["State"][key], BOX["container"]["State"][key])

    def await_api(self):
        def answers():
            try:
                return BOX["api"].get("/api/nodes").status == 200
            except OSError:
                return False
        until(answers, 60, "the API answers")

    def test_1_installed_they_start_or_wait_for_a_join(self):
        install(file_of("panel"), file_of("panel-agent"))
        self.assertEqual(state("paneld.service"), "active")
        self.assertEqual(state("panel-agent.path"), "active")
        self.assertEqual(state("panel-agent.service"), "inactive")
        for unit in ("paneld.service", "panel-agent.service", "panel-agent.path"):
            self.assertEqual(shown(unit, "UnitFileState"), "enabled", unit)
        self.assertEqual(run("stat", "-c", "%U %a", "/var/lib/panel").split(), ["panel", "700"])

    def test_2_the_documents_three_commands(self):
        with open("/src/docs/install.md") as file:
            typed = re.findall(r"```sh\n(.*?)\n```", file.read().split("\n## ")[1], re.S)
        said = run("bash", "-c", typed[1])
        line = re.search(r"panel-agent join .*", said).group(0)
        said = run("bash", "-c", "sudo " + line)
        self.assertIn("starts by itself", said)
        until(lambda: state("panel-agent.service") == "active", 30, "the join has started the service")
        key = run("paneld", "key", "create", "--name", "tests").strip()
        BOX["api"] = Client("127.0.0.1", 3001, key)
        BOX["node"] = line.split("pj1.")[1].split(".")[0]
        self.await_online()
        said = run("panel-agent", "doctor", check=False)
        self.assertNotIn("BROKEN", said)
        for word in (settings_of("panel-agent"), "the panel is connected, from 127.0.0.1"):
            self.assertIn(word, said)

    def test_3_a_deploy(self):
        api = BOX["api"]
        user = api.post("/api/auth/create-user", {
            "username": "owner", "email": "owner@example.test", "password": "correct horse"}
        ).expect(201).json["userId"]
        api.post("/api/images/create", {"Name": "mess", "Image": "test:httpd",
                                        "Cmd": ["/bin/sh", "-c", MESS]}).expect(201)
        BOX["instance"] = api.post("/api/instances/deploy", {
            "image": "test:httpd", "imagename": "mess", "memory": "64", "cpu": "0.5", "ports": "8080:18080",
            "nodeId": BOX["node"], "name": "web", "user": user, "primary": "18080"},
            query={"wait": 120}, timeout=150).expect(201).json["instance"]
        BOX["container"] = self.docker.inspect(BOX["instance"]["ContainerId"])
        self.assertEqual(run("curl", "-s", "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
                             "http://127.0.0.1:18080/"), images.PAGE)

        def measured():
            stats = api.get(f"/api/instances/{BOX['instance']['Id']}/stats").expect(200).json
            return (stats.get("memory") or {}).get("bytes")
        until(measured, 30, "its control group is read")

    def await_told(self, service, word, times):
        until(lambda: journal(service).count(word) > times, 30,
              lambda: f"{service} tells {word}: {journal(service)[-2000:]}")

    def test_4_a_reload_takes_what_is_right_and_refuses_what_is_wrong(self):
        for service in SERVICES:
            with self.subTest(service=service):
                with open(settings_of(service)) as file:
                    before = json.load(file)
                process = pid(service)

                def write(**more):
                    with open(settings_of(service), "w") as file:
                        json.dump({**before, **more}, file)
                told = journal(service).count("taken=logLevel")
                write(logLevel="debug")
                run("systemctl", "reload", service)
                self.await_told(service, "taken=logLevel", told)
                write(logLevel="loud")
                with self.assertRaisesRegex(AssertionError, "systemctl reload"):
                    run("systemctl", "reload", service)
                self.await_told(service, "logLevel must be debug, info, warn or error", 0)
                run("systemctl", "kill", "--kill-who", "main", "--signal", "HUP", service)  # without its check
                self.await_told(service, "the old ones stay", 0)
                until(lambda: state(service) == "active", 30, "it is active")
                write()
                told = journal(service).count("taken=logLevel")
                run("systemctl", "reload", service)
                self.await_told(service, "taken=logLevel", told)  # so it was debug until now
                until(lambda: state(service) == "active", 30, "it is active")
                self.assertEqual(pid(service), process)
        self.await_online()
        self.expect_untouched()

    def test_4_restarts_touch_no_container(self):
        over, faults = threading.Event(), []

        def fetch():
            while not over.is_set():
                said = run("curl", "-sS", "--max-time", "30", "http://127.0.0.1:18080/", check=False)
                if said != images.PAGE:
                    faults.append(said)
        client = threading.Thread(target=fetch)
        client.start()
        self.addCleanup(over.set)
        for service in SERVICES:
            before = pid(service)
            run("systemctl", "restart", service)
            self.assertNotEqual(pid(service), before)
        self.await_api()
        self.await_online()
        for service in SERVICES:
            before = pid(service)
            run("systemctl", "kill", "--signal", "KILL", service)
            until(lambda: pid(service) not in (0, before) and state(service) == "active", 60,
                  f"{service} is back after a SIGKILL")
        self.await_api()
        self.await_online()
        over.set()
        client.join()
        self.assertEqual(faults, [], "its page was there all the while")
        self.expect_untouched()

    def test_5_one_that_hangs_is_restarted(self):
        for service in SERVICES:
            os.makedirs(f"/run/systemd/system/{service}.service.d", exist_ok=True)
            with open(f"/run/systemd/system/{service}.service.d/quick.conf", "w") as file:
                file.write("[Service]\nWatchdogSec=3\n")
        run("systemctl", "daemon-reload")
        for service in SERVICES:
            run("systemctl", "restart", service)
            before, count = pid(service), restarts(service)
            hold(lambda: pid(service) == before, 7, f"{service} shows that it lives, and is left alone")
            os.kill(before, signal.SIGSTOP)
            until(lambda: restarts(service) > count and state(service) == "active", 60,
                  lambda: f"{service} is restarted: {run('systemctl', 'status', service, check=False)}")
            self.assertNotEqual(pid(service), before)
            self.assertIn("Watchdog timeout", run("journalctl", "--no-pager", "--unit", service))
        self.await_api()
        self.await_online()
        self.expect_untouched()

    def test_6_an_upgrade_restarts_them_and_touches_no_container(self):
        before = {service: pid(service) for service in SERVICES}
        newer = packages.project_version() + "+1"
        install(file_of("panel", newer), file_of("panel-agent", newer))
        for service in SERVICES:
            self.assertEqual(state(service), "active")
            self.assertNotEqual(pid(service), before[service])
        self.await_api()
        self.await_online()
        self.expect_untouched()

    def test_7_stopped_it_stays_stopped(self):
        run("systemctl", "stop", "panel-agent")
        said = run("panel-agent", "doctor", check=False)
        self.assertIn("does not run", said)
        hold(lambda: state("panel-agent.service") == "inactive", 3, "it stays stopped")
        self.expect_untouched()
        run("systemctl", "start", "panel-agent")
        self.await_online()

    def test_8_a_volume_full_of_others_files_is_removed(self):
        volume = f"/var/lib/panel-agent/volumes/{BOX['instance']['VolumeId']}"
        self.assertTrue(os.path.isdir(volume + "/closed"))
        BOX["api"].delete("/api/instance/delete", {"id": BOX["instance"]["Id"]}, timeout=90).expect(201)
        until(lambda: not os.path.exists(volume), 30, "the volume is gone")

    def test_9_all_is_in_the_journal_and_nothing_was_denied(self):
        for service in SERVICES:
            said = journal(service)
            self.assertIn("listening", said)
            self.assertNotRegex(said, "Operation not permitted|Permission denied|bad system call|SIGSYS")
            exposure = re.search(r"exposure level for \S+: ([\d.]+)",
                                 run("systemd-analyze", "security", service + ".service")).group(1)
            self.assertLessEqual(float(exposure), 2.0)

    def test_9_then_it_is_removed_and_purged(self):
        run("dpkg", "--remove", *NAMES)
        for service in SERVICES:
            self.assertNotEqual(state(service), "active")
        self.assertTrue(os.path.exists("/var/lib/panel/panel.db"))
        run("dpkg", "--purge", *NAMES)
        for path in ("/var/lib/panel", "/var/lib/panel-agent", "/etc/panel"):
            self.assertFalse(os.path.exists(path), path)
