"""Deploy, on a real Docker Engine."""
import concurrent.futures
import os
import re
import time
import unittest
import urllib.error
import urllib.request

from lib import images, places
from lib.file_server import FileServer
from lib.wait import patient, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("docker", agent_options=("--install-allow-local",)).start()
    WORLD.make_images()


def tearDownModule():
    WORLD.stop()


def fetch(port):
    """The page at that port of the host; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as page:
            return page.read().decode()
    except (OSError, urllib.error.URLError):
        return None


def udp_is_bound(port):
    with open("/proc/net/udp") as table:
        return any(re.match(rf"\s*\d+: [0-9A-F]+:{port:04X} ", line) for line in table)


class Installed(unittest.TestCase):
    """A container that serves, as a user of its own, what was downloaded for it."""

    def test_it_serves_what_was_downloaded(self):
        files = FileServer().start()
        self.addCleanup(files.stop)
        self.addCleanup(WORLD.clear)
        files.files.update({"/page": b"downloaded", "/tool": b"#!/bin/sh\necho made by a tool >made\n"})
        WORLD.api.post("/api/images/create", {
            "Name": "Serving", "Image": "test:httpd", "MountPath": "/srv/data",
            "Cmd": ["/bin/sh", "-c", "cd /srv/data && ./bin/tool;"
                                     " exec busybox httpd -f -u 65534:65534 -p 8080 -h /srv/data"],
            "Scripts": {"Install": [{"Uri": files.url("/page"), "Path": "index.html"},
                                    {"Uri": files.url("/{{TOOL}}"), "Path": "bin/{{TOOL}}"}]},
            "Variables": {"TOOL": {"default": "tool"}}}).expect(201)
        port = places.free_port()
        instance = WORLD.deploy(imagename="Serving", host_port=port)
        self.assertEqual(until(lambda: fetch(port), 10, "it answers"), "downloaded")
        with open(os.path.join(WORLD.agent.state, "volumes", instance["Id"], "made")) as made:
            self.assertEqual(made.read(), "made by a tool\n")
        files.files["/page"] = b"another"
        WORLD.api.post(f"/api/instances/{instance['Id']}/reinstall", {"wipe": True},
                       query={"wait": 60}, timeout=90).expect(200)
        until(lambda: fetch(port) == "another", 10, "it serves the new one")


class Inspect(unittest.TestCase):
    """What docker inspect shows of one that was deployed."""

    @classmethod
    def setUpClass(cls):
        cls.port = places.free_port()
        cls.instance = WORLD.deploy(memory="96", cpu="0.5", ports=f"8080:{cls.port}", name="shown 😀",
                                    primary=cls.port, variables={"GREETING": "hello"})
        cls.container = WORLD.container(cls.instance)
        cls.host = cls.container["HostConfig"]

    @classmethod
    def tearDownClass(cls):
        WORLD.clear()

    def test_it_runs(self):
        self.assertTrue(self.container["State"]["Running"])
        self.assertEqual(self.instance["State"], "running")
        self.assertEqual(self.instance["InternalState"], "READY")

    def test_memory_and_swap(self):
        self.assertEqual(self.host["Memory"], 96 << 20)
        self.assertEqual(self.host["MemorySwap"], 96 << 20)

    def test_cpus(self):
        self.assertEqual(self.host["NanoCpus"], 500_000_000)

    def test_pids_limit(self):
        self.assertGreater(self.host["PidsLimit"], 0)

    def test_published_ports(self):
        for protocol in ("tcp", "udp"):
            self.assertEqual(self.host["PortBindings"][f"8080/{protocol}"][0]["HostPort"],
                             str(self.port))
            self.assertTrue(self.container["NetworkSettings"]["Ports"][f"8080/{protocol}"])
        self.assertTrue(udp_is_bound(self.port))

    def test_bridge_network(self):
        self.assertIn(self.host["NetworkMode"], ("bridge", "default"))
        self.assertTrue(self.container["NetworkSettings"]["IPAddress"])

    def test_environment(self):
        env = self.container["Config"]["Env"]
        for item in ("GREETING=hello", f"PRIMARY_PORT={self.port}", f"INSTANCE_ID={self.instance['Id']}",
                     "INSTANCE_NAME=shown 😀", "MEMORY_MIB=96", "FROM_IMAGE=yes"):
            self.assertIn(item, env)

    def test_restart_policy(self):
        self.assertIn(self.host["RestartPolicy"]["Name"], ("unless-stopped", "always", "on-failure", "no"))

    def test_volume(self):
        mounts = [m for m in self.container["Mounts"] if m["Destination"] == "/app/data"]
        self.assertEqual(len(mounts), 1)
        self.assertTrue(mounts[0]["RW"])
        self.assertTrue(mounts[0]["Source"].startswith(WORLD.agent.state + "/"))
        self.assertTrue(os.path.isdir(mounts[0]["Source"]))

    def test_labels(self):
        self.assertIn(self.instance["Id"], self.container["Config"]["Labels"].values())

    def test_no_new_privileges(self):
        self.assertIn("no-new-privileges", " ".join(self.host["SecurityOpt"]))

    def test_capabilities(self):
        self.assertEqual(self.host["CapDrop"], ["ALL"])
        self.assertFalse(self.host["Privileged"])

    def test_bounded_logs(self):
        self.assertEqual(self.host["LogConfig"]["Type"], "local")
        self.assertTrue(self.host["LogConfig"]["Config"]["max-size"])

    def test_the_page_comes_through_the_published_port(self):
        until(lambda: fetch(self.port) == images.PAGE, 5, "the page")


class Deploy(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def test_ready_is_told_soon_after_the_start(self):
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec()).expect(201)
        until(lambda: [row for row in WORLD.engine.api.containers()
                       if answer.json["Id"] in row["Labels"].values() and row["State"] == "running"],
              10, "it runs", 0.005)
        began = time.monotonic()
        WORLD.await_instance(answer.json["Id"], timeout=1, InternalState="READY")
        self.assertLess(time.monotonic() - began, patient(0.5))

    def test_wait_holds_the_answer_until_it_runs(self):
        instance = WORLD.deploy()
        self.assertTrue(WORLD.container(instance)["State"]["Running"])

    def test_six_at_once(self):
        def one(number):
            return WORLD.panel.client().post("/api/instances/deploy", WORLD.spec(name=f"six{number}"),
                                             query={"wait": 60}, timeout=90)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(one, range(6)))
        self.assertEqual([a.status for a in answers], [201] * 6, answers)
        self.assertEqual(len(WORLD.engine.api.containers()), 6)

    def test_twenty_deploys_and_deletes_leave_nothing(self):
        def one(number):
            client = WORLD.panel.client()
            answer = client.post("/api/instances/deploy", WORLD.spec(name=f"many{number}", memory="16",
                                                                     image="test:sleeper"))
            client.delete("/api/instance/delete", {"id": answer.expect(201).json["Id"]},
                          timeout=90).expect(201)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(one, range(20)))
        self.assertEqual(WORLD.api.instances(), [])
        until(lambda: WORLD.engine.api.containers() == [], 20, "no container is left")

    def test_the_same_key_twice_creates_one(self):
        body = WORLD.spec()
        headers = {"Idempotency-Key": "deploy-once"}
        first = WORLD.api.post("/api/instances/deploy", body, headers=headers).expect(201)
        again = WORLD.api.post("/api/instances/deploy", body, headers=headers).expect(201)
        self.assertEqual(again.json["Id"], first.json["Id"])
        WORLD.await_instance(first.json["Id"], InternalState="READY")
        self.assertEqual(len(WORLD.engine.api.containers()), 1)

    def test_the_same_key_twice_with_wait(self):
        body = WORLD.spec()
        headers = {"Idempotency-Key": "deploy-once-wait"}
        first = WORLD.api.post("/api/instances/deploy", body, headers=headers, query={"wait": 60})
        again = WORLD.api.post("/api/instances/deploy", body, headers=headers, query={"wait": 60})
        self.assertEqual(first.expect(201).json["Id"], again.expect(201).json["Id"])
        self.assertEqual(len(WORLD.engine.api.containers()), 1)

    def test_the_volume_keeps_what_the_container_wrote(self):
        images.make(WORLD.engine.api, "writer",
                    [images.BUSYBOX, "sh", "-c", "echo x >> /app/data/runs; exec busybox sleep 1000000"])
        instance = WORLD.deploy(image="test:writer")
        source = WORLD.container(instance)["Mounts"][0]["Source"]
        WORLD.engine.api.remove(instance["ContainerId"])
        until(lambda: os.path.exists(source + "/runs") and
              len(open(source + "/runs").readlines()) == 2, 10, "the new container found the volume")

    def test_a_crasher_is_seen_to_crash(self):
        """Caught running for a moment it is READY and crashed; else its install FAILED."""
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(image="test:crasher")).expect(201)

        def told():
            instance = WORLD.api.instance(answer.json["Id"])
            return instance if instance["State"] in ("crashed", "failed") else None
        instance = until(told, 20, "it is told to have crashed")
        self.assertNotEqual(instance["InternalState"], "INSTALLING")
        self.assertEqual(instance["Error"]["code"], "container_exited")
        # However often Docker starts it again, it is never called sound for long.
        seen = set()
        for _ in range(60):
            seen.add(WORLD.api.instance(answer.json["Id"])["State"])
            time.sleep(0.05)
        self.assertTrue(seen & {"crashed", "failed"}, seen)

    def test_a_command_that_does_not_exist(self):
        images.make(WORLD.engine.api, "nocmd", ["/no/such/program"])
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(image="test:nocmd"),
                                query={"wait": 30}, timeout=60).refused(500)
        self.assertIn("/no/such/program", WORLD.api.instances()[-1]["Error"]["message"])
        self.assertTrue(answer.json["code"])

    def test_cpu_may_be_overcommitted(self):
        cores = os.cpu_count()
        for number in range(3):
            WORLD.deploy(cpu=str(cores), name=f"busy{number}")

    def test_more_cpu_than_the_machine_has_is_a_clear_error(self):
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(cpu="512"))
        answer.refused(400, code="insufficient_cpu", field="cpu", says=("core", "512"))

    def test_memory_over_the_nodes_says_what_is_left(self):
        first = WORLD.deploy(memory="256")
        self.assertEqual(first["Memory"], 256)
        with open("/proc/meminfo") as info:
            total = int(info.readline().split()[1]) // 1024
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(memory=total))
        answer.refused(400, code="insufficient_memory", field="memory")
        left = [int(n) for n in re.findall(r"\d+", answer.json["error"])]
        self.assertTrue(any(abs(n - (total - 256)) <= 16 for n in left), (total, left))
        self.assertEqual(len(WORLD.api.instances()), 1)

    def test_a_limit_is_really_felt(self):
        images.make(WORLD.engine.api, "hungry",
                    [images.BUSYBOX, "sh", "-c", "exec busybox tail /dev/zero"])
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(image="test:hungry", memory="16"))
        instance = answer.expect(201).json["Id"]
        until(lambda: WORLD.api.instance(instance)["State"] in ("crashed", "failed"), 30,
              lambda: f"it is seen to have crashed: {WORLD.api.instance(instance)}")


class Ports(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def test_two_instances_one_port(self):
        port = places.free_port()
        owner = WORLD.deploy(name="port-owner", host_port=port)
        answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(host_port=port))
        answer.refused(400, code="port_taken", says=port)
        self.assertTrue(any(word in answer.json["error"] for word in ("port-owner", owner["Id"])))

    def test_a_port_that_something_else_holds(self):
        import socket
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            answer = WORLD.api.post("/api/instances/deploy", WORLD.spec(host_port=port),
                                    query={"wait": 30}, timeout=60)
            answer.refused(500, code="port_in_use", says=port)
            instance = WORLD.api.instances()[-1]
            self.assertEqual(instance["InternalState"], "FAILED")
            self.assertEqual(instance["State"], "failed")
            self.assertEqual(instance["Error"]["code"], "port_in_use")
        WORLD.api.post(f"/api/instances/{instance['Id']}/retry").expect(200)
        WORLD.await_instance(instance["Id"], InternalState="READY", State="running")
        until(lambda: fetch(port) == images.PAGE, 5, "the page")
        self.assertEqual(len(WORLD.containers_of(instance["Id"])), 1)

    def test_a_port_that_the_panel_chose_and_something_else_holds(self):
        import socket
        free = WORLD.deploy(ports="8080:auto", primary="auto")
        WORLD.delete(free["Id"])
        taken = int(free["Ports"].split(":")[1])
        with socket.socket() as holder:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", taken))
            holder.listen()
            instance = WORLD.deploy(ports="8080:auto", primary="auto")
            port = int(instance["Ports"].split(":")[1])
            self.assertGreater(port, taken)
            self.assertEqual(instance["Primary"], str(port))
            self.assertIsNone(instance["Error"])
            self.assertEqual(fetch(port), images.PAGE)
            self.assertEqual(WORLD.containers_of(instance["Id"]), [instance["ContainerId"]])
            self.assertIn(f"PRIMARY_PORT={port}", WORLD.container(instance)["Config"]["Env"])

    def test_a_failed_one_can_be_deleted(self):
        import socket
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            WORLD.api.post("/api/instances/deploy", WORLD.spec(host_port=port), query={"wait": 30},
                           timeout=60).expect(500)
            instance = WORLD.api.instances()[-1]["Id"]
            WORLD.delete(instance)
        self.assertEqual(WORLD.containers_of(instance), [])

    def test_several_ports_work(self):
        a, b = places.free_port(), places.free_port()
        WORLD.deploy(ports=f"8080:{a}/tcp,8080:{b}/tcp", primary=b)
        for port in (a, b):
            until(lambda port=port: fetch(port) == images.PAGE, 5, f"the page on {port}")

    def test_a_picked_port_works(self):
        instance = WORLD.deploy(ports="8080", primary="auto")
        until(lambda: fetch(int(instance["Primary"])) == images.PAGE, 5, "the page")
