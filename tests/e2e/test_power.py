"""Start, stop, restart and kill: what becomes of the container, and what lasts."""
import itertools
import os
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

from lib import images
from lib.wait import hold, patient, until
from lib.world import World

WORLD = None
_NUMBERS = itertools.count(1)
LOOP = "while true; do sleep 0.05; done"


def setUpModule():
    global WORLD
    WORLD = World("docker").start()
    WORLD.make_images()
    images.stubborn(WORLD.engine.api)


def tearDownModule():
    WORLD.stop()


def template(script, **more):
    """A template whose containers run that shell script; its name."""
    name = f"power {next(_NUMBERS)}"
    WORLD.api.post("/api/images/create", {
        "Name": name, "Image": "test:sleeper", "Cmd": [images.BUSYBOX, "sh", "-c", script],
        **more}).expect(201)
    return name


class Case(unittest.TestCase):
    def deploy(self, **more):
        self.instance = WORLD.deploy(**more)
        self.instance_id = self.instance["Id"]

    def setUp(self):
        images.sleeper(WORLD.engine.api)
        self.instance_id = None

    def tearDown(self):
        for part in (WORLD.engine, WORLD.panel, WORLD.agent):
            if not part.daemon.running():
                part.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        WORLD.clear()

    def power(self, action, status=200, **more):
        return WORLD.api.post(f"/api/instances/{self.instance_id}/power", {"action": action},
                              timeout=90, **more).expect(status).json

    def container(self):
        return WORLD.container(WORLD.api.instance(self.instance_id))

    def is_running(self):
        return self.container()["State"]["Running"]

    def await_state(self, state, timeout=20):
        return WORLD.await_instance(self.instance_id, State=state, timeout=timeout)

    def volume(self, name):
        path = os.path.join(WORLD.agent.state, "volumes", self.instance_id, name)
        if not os.path.exists(path):
            return None
        with open(path) as file:
            return file.read()


class Stopped(Case):
    def test_is_not_running_and_ready(self):
        self.deploy()
        told = self.power("stop")
        self.assertEqual((told["State"], told["InternalState"], told["suspended"]),
                         ("stopped", "READY", False))
        self.assertFalse(self.is_running())

    def test_starts_again_in_the_same_container(self):
        self.deploy()
        before = self.container()["Id"]
        self.power("stop")
        self.assertEqual(self.power("start")["State"], "running")
        self.assertTrue(self.is_running())
        self.assertEqual(self.container()["Id"], before)

    def test_stays_so_over_a_restart_of_all(self):
        self.deploy()
        self.power("stop")
        WORLD.agent.stop()
        WORLD.engine.restart()
        WORLD.panel.restart()
        WORLD.agent.start()
        WORLD.await_status(WORLD.node_id, "Online", timeout=20)
        self.await_state("stopped")
        hold(lambda: not self.is_running(), 2, "it stays stopped")

    def test_stays_so_when_it_was_suspended_meanwhile(self):
        self.deploy()
        self.power("stop")
        WORLD.api.post(f"/api/instances/suspend/{self.instance_id}").expect(200)
        WORLD.api.post(f"/api/instances/unsuspend/{self.instance_id}").expect(200)
        self.await_state("stopped")
        hold(lambda: not self.is_running(), 1, "it stays stopped")

    def test_twice_is_once(self):
        self.deploy()
        first = self.power("stop")
        self.assertEqual(self.power("stop")["updatedAt"], first["updatedAt"])

    def test_while_its_node_is_away(self):
        self.deploy()
        container = self.instance["ContainerId"]
        WORLD.agent.stop()
        WORLD.await_status(WORLD.node_id, "Offline", timeout=30)
        self.assertEqual(self.power("stop")["State"], "unknown")
        WORLD.agent.start()
        self.await_state("stopped")
        self.assertFalse(WORLD.engine.api.inspect(container)["State"]["Running"])

    def test_started_behind_the_panels_back_is_stopped_again(self):
        self.deploy()
        self.power("stop")
        WORLD.engine.api.start(self.container()["Id"])
        until(lambda: not self.is_running(), 15, "it is stopped again")


class Restarted(Case):
    def test_runs_anew_in_the_same_container(self):
        self.deploy()
        before = self.container()
        told = self.power("restart")
        after = self.container()
        self.assertEqual(told["State"], "running")
        self.assertEqual(after["Id"], before["Id"])
        self.assertGreater(after["State"]["StartedAt"], before["State"]["StartedAt"])

    def test_one_that_was_stopped_runs(self):
        self.deploy()
        self.power("stop")
        self.assertEqual(self.power("restart")["State"], "running")

    def test_once_however_often_it_is_repeated(self):
        self.deploy()
        headers = {"Idempotency-Key": f"restart {time.time()}"}
        self.power("restart", headers=headers)
        started = self.container()["State"]["StartedAt"]
        self.power("restart", headers=headers)
        self.assertEqual(self.container()["State"]["StartedAt"], started)

    def test_goes_on_after_the_panel_was_killed_in_the_middle(self):
        self.deploy(image="test:sleeper", imagename=template(
            f"trap 'sleep 2; exit 0' INT; {LOOP}", StopCommand="^C"))
        before = self.container()["State"]["StartedAt"]
        with ThreadPoolExecutor() as pool:
            pool.submit(self.power, "restart")  # its answer is lost with the panel
            self.await_state("stopping")
            WORLD.panel.crash()
        until(lambda: self.is_running() and self.container()["State"]["StartedAt"] > before, 20,
              "it runs anew")
        self.await_state("running")


class Exits(Case):
    def test_are_kept_with_how_and_when(self):
        self.deploy(image="test:sleeper", imagename=template(
            f"trap 'exit 7' INT; {LOOP}", StopCommand="^C"))
        self.assertEqual(self.instance["exits"], [])
        for count in range(1, 7):
            exits = self.power("stop")["exits"]
            self.assertEqual(len(exits), min(count, 5))
            self.assertEqual((exits[-1]["code"], exits[-1]["oomKilled"]), (7, False))
            self.power("start")
        self.assertEqual(exits, sorted(exits, key=lambda e: e["at"]))
        finished = self.container()["State"]["FinishedAt"]
        self.assertEqual(exits[-1]["at"][:22], finished[:22])
        self.assertEqual(WORLD.api.instance(self.instance_id)["exits"], exits)

    def test_are_not_counted_again_after_a_restart_of_the_panel(self):
        self.deploy()
        exits = self.power("stop")["exits"]
        WORLD.panel.restart()
        WORLD.await_status(WORLD.node_id, "Online")
        self.await_state("stopped")
        self.assertEqual(WORLD.api.instance(self.instance_id)["exits"], exits)

    def test_of_one_that_needs_more_memory_than_it_has(self):
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(
            image="test:sleeper", memory="16", imagename=template("sleep 1; tail /dev/zero")),
            timeout=60).expect(201)
        self.instance_id = answer.json["Id"]
        until(lambda: WORLD.api.instance(self.instance_id)["exits"], 30, "it ends")
        last = WORLD.api.instance(self.instance_id)["exits"][-1]
        self.assertEqual(last["code"], 137)


class Killed(Case):
    def test_hears_nothing_of_it(self):
        self.deploy(image="test:sleeper", imagename=template(f"trap 'exit 0' TERM; {LOOP}"))
        self.assertEqual(self.power("kill")["exits"][-1]["code"], 137)
        hold(lambda: not self.is_running(), 2, "it stays stopped")

    def test_at_once(self):
        self.deploy(image="test:stubborn")
        begun = time.monotonic()
        self.assertEqual(self.power("kill")["State"], "stopped")
        self.assertLess(time.monotonic() - begun, patient(5))
        self.assertFalse(self.is_running())

    def test_while_it_takes_its_time_to_stop(self):
        self.deploy(image="test:stubborn")
        with ThreadPoolExecutor() as pool:
            stopping = pool.submit(self.power, "stop")
            self.await_state("stopping")
            begun = time.monotonic()
            self.assertEqual(self.power("kill")["State"], "stopped")
            self.assertLess(time.monotonic() - begun, patient(5))
            self.assertEqual(stopping.result()["State"], "stopped")


class StopCommand(Case):
    def deploy_with(self, script, **more):
        self.deploy(image="test:sleeper", imagename=template(script, **more))

    def test_that_names_a_signal_sends_it(self):
        self.deploy_with(f"trap 'echo int >/app/data/how; exit 0' INT;"
                         f"trap 'echo term >/app/data/how; exit 0' TERM; {LOOP}", StopCommand="^C")
        self.power("stop")
        self.assertEqual(self.volume("how"), "int\n")

    def test_that_is_a_line_is_written_to_it(self):
        self.deploy_with('while read line; do echo "$line" >>/app/data/lines;'
                         '[ "$line" = "stop now" ] && exit 0; done', StopCommand="stop now")
        begun = time.monotonic()
        self.assertEqual(self.power("stop")["State"], "stopped")
        self.assertLess(time.monotonic() - begun, patient(10))
        self.assertEqual(self.volume("lines"), "stop now\n")
        hold(lambda: not self.is_running(), 2, "it stays stopped")
        self.assertEqual(self.power("start")["State"], "running")
        self.assertEqual(self.container()["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped")
        self.assertEqual(self.power("restart")["State"], "running")
        self.assertEqual(self.volume("lines"), "stop now\nstop now\n")

    def test_that_is_a_line_is_cut_short_by_a_kill(self):
        self.deploy_with(f"trap '' TERM; {LOOP}", StopCommand="stop")
        with ThreadPoolExecutor() as pool:
            pool.submit(self.power, "stop")
            self.await_state("stopping")
            begun = time.monotonic()
            self.assertEqual(self.power("kill")["State"], "stopped")
            self.assertLess(time.monotonic() - begun, patient(5))

    def test_that_is_not_heard_is_followed_by_a_kill(self):
        self.deploy_with(f"trap '' TERM; {LOOP}", StopCommand="stop", StopTimeout=2)
        begun = time.monotonic()
        self.assertEqual(self.power("stop")["State"], "stopped")
        self.assertGreaterEqual(time.monotonic() - begun, 2)
        self.assertFalse(self.is_running())

    def test_waits_as_long_as_the_template_says(self):
        self.deploy_with(f"trap '' INT; {LOOP}", StopCommand="^SIGINT", StopTimeout=3)
        begun = time.monotonic()
        self.power("stop")
        self.assertTrue(3 <= time.monotonic() - begun < 15, time.monotonic() - begun)

    def test_the_time_to_stop_is_checked(self):
        for wrong in (0, 601, "5", 1.5, True):
            answer = WORLD.api.post("/api/images/create", {
                "Name": f"wrong {next(_NUMBERS)}", "Image": "test:sleeper", "StopTimeout": wrong})
            self.assertEqual((answer.expect(400).json["field"]), "StopTimeout")


class Refused(Case):
    def test_to_start_a_suspended_one(self):
        self.deploy()
        WORLD.api.post(f"/api/instances/suspend/{self.instance_id}").expect(200)
        for action in ("start", "restart"):
            self.assertEqual(self.power(action, 409)["code"], "suspended")
        self.assertEqual(self.power("stop")["State"], "suspended")

    def test_an_unknown_action(self):
        self.deploy()
        answer = self.power("Start", 400)
        self.assertEqual((answer["code"], answer["field"]), ("invalid_field", "action"))

    def test_an_unknown_instance(self):
        self.instance_id = "nosuchinstance"
        self.power("stop", 400)


class Failed(Case):
    def test_is_installed_anew_by_a_start(self):
        WORLD.api.post("/api/instances/deploy", WORLD.spec(image="test:absent"),
                       query={"wait": 60}, timeout=90).expect(500)
        self.instance_id = WORLD.api.instances()[0]["Id"]
        WORLD.engine.api.tag("test:httpd", "test", "absent")
        try:
            self.assertEqual(self.power("start")["State"], "running")
        finally:
            WORLD.engine.api.remove_image("test:absent")
