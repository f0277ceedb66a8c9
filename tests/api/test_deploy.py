"""POST /api/instances/deploy: how each field is read, and what is refused.

The Engine is a scripted one: containers of its are entries in a dict."""
import json
import time
import unittest

from lib import places, shapes
from lib.wait import patient
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def deploy(wait=None, **fields):
    query = {"wait": wait} if wait is not None else None
    return WORLD.api.post("/api/instances/deploy", WORLD.spec(**fields), query=query, timeout=60)


class Fields(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def made(self, **fields):
        answer = deploy(**fields).expect(201)
        return WORLD.api.instance(answer.json["Id"])

    def container(self, instance):
        instance = WORLD.await_instance(instance["Id"], InternalState="READY")
        return WORLD.engine.find(instance["ContainerId"]).body

    def test_memory_in_all_its_forms(self):
        for given, mib in (("512", 512), (512, 512), ("512M", 512), ("512m", 512), ("512MB", 512),
                           ("512MiB", 512), ("2g", 2048), ("2G", 2048), ("2GB", 2048), ("2GiB", 2048),
                           ("6", 6), (6, 6)):
            with self.subTest(given=given):
                instance = self.made(memory=given)
                self.assertEqual(instance["Memory"], mib)
                self.assertEqual(self.container(instance)["HostConfig"]["Memory"], mib << 20)
                WORLD.delete(instance["Id"])

    def test_memory_that_makes_no_sense(self):
        for given in ("abc", "", "0", 0, "5", 5, -512, "-512", "512X", "512 apples", "M", "1e3", "0x200",
                      "99999999999999999999", 1 << 62, "NaN", "inf", None, "512Mi B", "٥١٢"):
            with self.subTest(given=given):
                deploy(memory=given if given is not None else []).refused(400, field="memory")

    def test_cpu_in_all_its_forms(self):
        for given, cores in (("1", 1), (1, 1), ("0.5", 0.5), (0.5, 0.5), ("50%", 0.5), ("200%", 2),
                             (2, 2), ("1.25", 1.25), ("1.0", 1)):
            with self.subTest(given=given):
                instance = self.made(cpu=given)
                self.assertEqual(instance["Cpu"], cores)
                self.assertEqual(self.container(instance)["HostConfig"]["NanoCpus"], int(cores * 1e9))
                WORLD.delete(instance["Id"])

    def test_cpu_that_makes_no_sense(self):
        for given in ("abc", "", "0", 0, -1, "-1", "0%", "%", "1.2.3", "1e3", "NaN", "1 core", "1,5",
                      "999999999999", "50%%", "0.0"):
            with self.subTest(given=given):
                deploy(cpu=given).refused(400, field="cpu")

    def test_ports_are_container_then_host(self):
        host = places.free_port()
        instance = self.made(ports=f"8080:{host}", primary=host)
        self.assertEqual(instance["Ports"], f"8080:{host}")
        self.assertEqual(instance["Primary"], str(host))
        bindings = self.container(instance)["HostConfig"]["PortBindings"]
        self.assertEqual(set(bindings), {"8080/tcp", "8080/udp"})
        for binding in bindings.values():
            self.assertEqual([b["HostPort"] for b in binding], [str(host)])

    def test_ports_of_one_protocol(self):
        a, b = places.free_port(), places.free_port()
        instance = self.made(ports=f"80:{a}/tcp,53:{b}/udp", primary=a)
        self.assertEqual(instance["Ports"], f"80:{a}/tcp,53:{b}/udp")
        self.assertEqual(set(self.container(instance)["HostConfig"]["PortBindings"]),
                         {"80/tcp", "53/udp"})

    def test_blanks_around_ports_do_no_harm(self):
        a, b = places.free_port(), places.free_port()
        self.assertEqual(self.made(ports=f" 80:{a} , 81:{b} ", primary=a)["Ports"], f"80:{a},81:{b}")

    def test_free_host_ports_are_picked(self):
        for given in ("8080", "8080:0", "8080:auto"):
            with self.subTest(given=given):
                instance = self.made(ports=given, primary="auto")
                container, host = instance["Ports"].split(":")
                self.assertEqual(container, "8080")
                self.assertTrue(20000 <= int(host) <= 29999, host)
                self.assertEqual(instance["Primary"], host)

    def test_picked_ports_never_meet(self):
        first = self.made(ports="1:0,2:0,3:auto,4", primary="0")
        second = self.made(ports="1:0,2:0,3:auto,4", primary="0")
        hosts = [m.split(":")[1] for i in (first, second) for m in i["Ports"].split(",")]
        self.assertEqual(len(set(hosts)), 8)

    def test_a_picked_port_is_not_one_asked_for_in_the_same_request(self):
        instance = self.made(ports="1:0,2:20000,3:0", primary="0")
        hosts = [m.split(":")[1] for m in instance["Ports"].split(",")]
        self.assertEqual(len(set(hosts)), 3)

    def test_primary_in_all_its_forms(self):
        a, b = places.free_port(), places.free_port()
        for given, primary in ((b, b), (str(b), b), (f"81:{b}", b), ("0", a), (0, a), ("auto", a)):
            with self.subTest(given=given):
                instance = self.made(ports=f"80:{a},81:{b}", primary=given)
                self.assertEqual(instance["Primary"], str(primary))
                WORLD.delete(instance["Id"])

    def test_primary_must_be_one_of_the_ports(self):
        a, b = places.free_port(), places.free_port()
        for given in (b, "80", f"80:{b}", "x", "-1", "65536", ""):
            with self.subTest(given=given):
                deploy(ports=f"80:{a}", primary=given).refused(400, field="primary")

    def test_one_host_port_may_serve_tcp_here_and_udp_there(self):
        port = places.free_port()
        self.made(ports=f"80:{port}/tcp", primary=port)
        self.made(ports=f"80:{port}/udp", primary=port)
        deploy(ports=f"80:{port}/udp", primary=port).refused(400, code="port_taken", says=port)

    def test_a_taken_port_names_port_and_owner(self):
        port = places.free_port()
        owner = self.made(name="the-owner", ports=f"80:{port}", primary=port)
        answer = deploy(ports=f"81:{port}", primary=port).refused(400, code="port_taken", says=port)
        self.assertTrue("the-owner" in answer.json["error"] or owner["Id"] in answer.json["error"])

    def test_a_port_is_free_again_after_its_owner(self):
        port = places.free_port()
        WORLD.delete(self.made(ports=f"80:{port}", primary=port)["Id"])
        self.made(ports=f"80:{port}", primary=port)

    def test_variables_as_an_object_or_a_text(self):
        for given in ({"A": "b", "N": "1"}, json.dumps({"A": "b", "N": "1"})):
            with self.subTest(given=given):
                instance = self.made(variables=given)
                self.assertEqual(instance["variables"], {"A": "b", "N": "1"})
                env = self.container(instance)["Env"]
                self.assertIn("A=b", env)
                self.assertIn("N=1", env)
                WORLD.delete(instance["Id"])

    def test_variables_may_be_numbers_and_truths(self):
        instance = self.made(variables={"SLOTS": 20, "ON": True, "RATE": 0.5})
        env = self.container(instance)["Env"]
        for item in ("SLOTS=20", "ON=true", "RATE=0.5"):
            self.assertIn(item, env)

    def test_empty_variables(self):
        for given in ({}, "{}"):
            self.assertEqual(self.made(variables=given)["variables"], {})

    def test_variables_keep_their_case_and_may_hold_anything(self):
        given = {"lower": "x", "Mixed_Case": "ü 😀 = \" '", "EMPTY": ""}
        instance = self.made(variables=given)
        env = self.container(instance)["Env"]
        for key, value in given.items():
            self.assertIn(f"{key}={value}", env)

    def test_the_panels_own_variables_win(self):
        port = places.free_port()
        instance = self.made(ports=f"80:{port}", primary=port, name="own", memory="64", variables={
            "PRIMARY_PORT": "1", "INSTANCE_ID": "x", "INSTANCE_NAME": "x", "MEMORY_MIB": "x"})
        env = [e for e in self.container(instance)["Env"]]
        for item in (f"PRIMARY_PORT={port}", f"INSTANCE_ID={instance['Id']}", "INSTANCE_NAME=own",
                     "MEMORY_MIB=64"):
            self.assertIn(item, env)
        keys = [e.split("=", 1)[0] for e in env]
        self.assertEqual(len(keys), len(set(keys)), "a variable came twice")

    def test_names_may_hold_emoji(self):
        self.assertEqual(self.made(name="mein Server 😀")["Name"], "mein Server 😀")

    def test_image_references(self):
        for image in ("bad image", "UPPER", "x:", "x@sha256:short", "-x", "x:" + "y" * 200, "http://x/y",
                      "../x", "x//y"):
            with self.subTest(image=image):
                deploy(image=image).refused(400, field="image")

    def test_disk_is_kept(self):
        self.assertIsNone(self.made()["Disk"])
        self.assertEqual(self.made(disk="1024")["Disk"], 1024)
        self.assertEqual(self.made(disk="2g")["Disk"], 2048)

    def test_fields_of_other_clients_are_ignored(self):
        self.made(allocations=[1], backups={"x": 1}, startup="x")

    def test_a_number_for_a_text(self):
        self.assertEqual(self.made(name=42)["Name"], "42")

    def test_each_field_is_required(self):
        for field in ("image", "memory", "cpu", "ports", "nodeId", "name", "user", "primary"):
            with self.subTest(field=field):
                body = WORLD.spec()
                del body[field]
                WORLD.api.post("/api/instances/deploy", body).refused(400, field=field, says=field)

    def test_unknown_user_and_node(self):
        deploy(user="nobody").refused(400, code="user_not_found", field="user")
        deploy(nodeId="nowhere").refused(400, code="node_not_found", field="nodeId")

    def test_memory_beyond_the_node_says_how_much_is_left(self):
        node = WORLD.api.node(WORLD.node_id)
        capacity = node["capacity"]["memory"] if "memory" in node["capacity"] else \
            next(v for k, v in node["capacity"].items() if "mem" in k.lower())
        self.made(memory="64")
        answer = deploy(memory=capacity).refused(400, code="insufficient_memory", field="memory")
        self.assertRegex(answer.json["error"], rf"\b{capacity - 64}\b")

    def test_cpu_beyond_the_nodes_cores_says_how_many_it_has(self):
        cores = WORLD.api.node(WORLD.node_id)["capacity"]["cpus"]
        deploy(cpu=cores + 0.5).refused(400, code="insufficient_cpu", field="cpu",
                                        says=(f"{cores} cores", cores + 0.5))
        self.assertEqual(WORLD.api.instances(), [])
        for _ in range(2):  # cores are shared: together they may be more
            self.made(cpu=cores)


class Answer(unittest.TestCase):
    def tearDown(self):
        WORLD.engine.start_error = None
        WORLD.engine.stuck = None
        WORLD.clear()

    def test_without_wait_tells_id_volume_and_installing(self):
        answer = deploy().expect(201)
        self.assertEqual(set(answer.json), {"message", "Id", "volumeId", "state"})
        self.assertEqual(answer.json["state"], "INSTALLING")
        self.assertRegex(answer.json["Id"], "^[0-9a-z]{8,36}$")
        WORLD.await_instance(answer.json["Id"], InternalState="READY", State="running")

    def test_with_wait_tells_the_instance(self):
        answer = deploy(wait=30).expect(201)
        shapes.check_instance(answer.json["instance"])
        self.assertEqual(answer.json["instance"]["InternalState"], "READY")
        self.assertEqual(answer.json["instance"]["State"], "running")

    def test_with_wait_tells_the_failure(self):
        WORLD.engine.start_error = "oci runtime error: scripted"
        answer = deploy(wait=30).refused(500)
        self.assertTrue(answer.json["error"])
        instance = WORLD.api.instances()[-1]
        self.assertEqual(instance["InternalState"], "FAILED")
        self.assertEqual(instance["Error"]["code"], answer.json["code"])
        self.assertEqual(answer.json["details"], {"instanceId": instance["Id"]})

    def test_a_port_in_use_names_port_and_field(self):
        port = places.free_port()
        WORLD.engine.start_error = f"listen tcp4 127.0.0.1:{port}: bind: address already in use"
        deploy(wait=30, host_port=port).refused(500, code="port_in_use", field="ports", says=port)

    def test_a_port_that_the_panel_chose_is_chosen_again_a_few_times(self):
        tried = []

        def refuse(container):
            ports = container.body["HostConfig"]["PortBindings"]["8080/tcp"]
            tried.append(ports[0]["HostPort"])
            return f"listen tcp4 127.0.0.1:{tried[-1]}: bind: address already in use"
        WORLD.engine.start_error = refuse
        answer = deploy(wait=30, ports="8080:auto,9000:19000", primary="auto")
        answer.refused(500, code="port_in_use", field="ports")
        self.assertEqual(len(set(tried)), 6, "one port and five others")
        self.assertEqual(len(tried), 6)
        instance = WORLD.api.instances()[-1]
        self.assertEqual(instance["Ports"], f"8080:{tried[-1]},9000:19000")
        self.assertEqual(instance["Primary"], tried[-1])
        WORLD.engine.start_error = None
        WORLD.api.post(f"/api/instances/{instance['Id']}/retry").expect(200)
        WORLD.await_instance(instance["Id"], InternalState="READY", State="running")

    def test_a_missing_image_fails_with_its_name(self):
        answer = deploy(wait=30, image="no/such:image").refused(500, code="image_not_found",
                                                                says="no/such:image")
        self.assertEqual(WORLD.api.instances()[-1]["Error"]["code"], answer.json["code"])

    def test_a_wait_that_is_over_answers_installing(self):
        import threading
        WORLD.engine.stuck = threading.Event()
        try:
            began = time.monotonic()
            answer = deploy(wait=1).expect((201, 500))
            self.assertTrue(0.9 < time.monotonic() - began < 5)
            self.assertIn("INSTALLING", answer.body.decode())
        finally:
            WORLD.engine.stuck.set()
            WORLD.engine.stuck = None
        WORLD.await_instance(WORLD.api.instances()[-1]["Id"], timeout=30, InternalState="READY")

    def test_waits_that_make_no_sense(self):
        for wait in ("abc", "-1", "301", "", "1e2", "99999999999999999999"):
            with self.subTest(wait=wait):
                deploy(wait=wait).refused(400, field="wait")
        self.assertEqual(WORLD.api.instances(), [])

    def test_wait_zero_is_no_wait(self):
        deploy(wait=0).expect(201)


class Templates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        WORLD.api.post("/api/images/create", {
            "Name": "Game", "Image": "test:httpd", "AltImages": ["test:sleeper"],
            "Cmd": ["/bin/game", "--port", "1"], "Env": ["FROM=template", "BOTH=template"],
            "Variables": {"SLOTS": {"type": "number", "default": "20", "required": False},
                          "KEY": {"type": "text", "default": "", "required": True}},
            "StopCommand": "quit", "Meta": {"x": 1}}).expect(201)

    def tearDown(self):
        WORLD.clear()

    def test_a_template_gives_defaults(self):
        instance = deploy(wait=30, imagename="Game", variables={"KEY": "k", "BOTH": "mine"}) \
            .expect(201).json["instance"]
        shapes.check_instance(instance)
        body = WORLD.engine.find(instance["ContainerId"]).body
        self.assertEqual(body["Cmd"], ["/bin/game", "--port", "1"])
        for item in ("FROM=template", "BOTH=mine", "SLOTS=20", "KEY=k"):
            self.assertIn(item, body["Env"])
        self.assertNotIn("BOTH=template", body["Env"])
        self.assertEqual(instance["imageData"]["Name"], "Game")
        self.assertEqual(instance["StopCommand"], "quit")
        self.assertEqual(instance["AltImages"], ["test:sleeper"])

    def test_a_required_variable_must_be_there(self):
        deploy(imagename="Game").refused(400, field="variables", says="KEY")

    def test_a_template_that_is_not_found_is_no_error(self):
        instance = deploy(wait=30, imagename="No such template").expect(201).json["instance"]
        self.assertIsNone(instance["imageData"])

    def test_an_instance_keeps_its_own_copy(self):
        image = WORLD.api.post("/api/images/create", {
            "Name": "Passing", "Image": "test:httpd", "StopCommand": "bye"}).expect(201).json
        instance = deploy(wait=30, imagename="Passing").expect(201).json["instance"]
        WORLD.api.delete("/api/images/delete", {"id": image["Id"]}).expect(201)
        self.assertEqual(WORLD.api.instance(instance["Id"])["StopCommand"], "bye")


class Variables(unittest.TestCase):
    """What a template does with the variables of a deploy: {{Key}}, types and rules."""

    @classmethod
    def setUpClass(cls):
        WORLD.api.post("/api/images/create", {
            "Name": "Filled", "Image": "test:httpd",
            "Cmd": ["/bin/game", "--port={{PRIMARY_PORT}}", "{{ VERSION }}-{{VERSION}}", "{{.Go}}"],
            "Env": ["URL=http://x/{{VERSION}}?m={{MEMORY_MIB}}", "WHO={{INSTANCE_NAME}} {{INSTANCE_ID}}"],
            "Variables": {
                "VERSION": {"type": "string", "default": "1.21", "rules": "required|string|max:20"},
                "SLOTS": {"type": "integer", "default": 20, "min": 1, "max": 100},
                "MODE": {"default": "easy", "options": ["easy", "hard"]},
                "JAR": {"default": "server.jar", "rules": "required|regex:/^([\\w.-]+)(\\.jar)$/"}}}).expect(201)
        WORLD.api.post("/api/images/create", {
            "Name": "Unfilled", "Image": "test:httpd", "Env": ["A={{NOT_THERE}}"]}).expect(201)
        WORLD.api.post("/api/images/create", {
            "Name": "Bad default", "Image": "test:httpd",
            "Variables": {"N": {"type": "integer", "default": "many"}}}).expect(201)

    def tearDown(self):
        WORLD.clear()

    def body(self, **more):
        instance = deploy(wait=30, **more).expect(201).json["instance"]
        return instance, WORLD.engine.find(instance["ContainerId"]).body

    def test_keys_are_replaced_by_values(self):
        instance, body = self.body(imagename="Filled", name="mine", memory=64)
        port = instance["Primary"]
        self.assertEqual(body["Cmd"], ["/bin/game", f"--port={port}", "1.21-1.21", "{{.Go}}"])
        self.assertIn("URL=http://x/1.21?m=64", body["Env"])
        self.assertIn(f"WHO=mine {instance['Id']}", body["Env"])

    def test_a_value_is_never_looked_at_again(self):
        instance, body = self.body(imagename="Filled", name="{{VERSION}}",
                                   variables={"VERSION": "{{MODE}}", "MODE": "hard"})
        self.assertIn("URL=http://x/{{MODE}}?m=64", body["Env"])
        self.assertIn(f"WHO={{{{VERSION}}}} {instance['Id']}", body["Env"])

    def test_a_key_that_nobody_has_is_named(self):
        deploy(imagename="Unfilled").refused(400, code="unknown_placeholder", field="variables",
                                             says="{{NOT_THERE}}")
        _, body = self.body(imagename="Unfilled", variables={"NOT_THERE": "here"})
        self.assertIn("A=here", body["Env"])

    def test_values_are_held_against_their_rules(self):
        for variables, says in (({"SLOTS": "x"}, ("SLOTS", '"x"', "integer")), ({"SLOTS": 101}, ("max:100",)),
                                ({"SLOTS": 0}, ("min:1",)), ({"MODE": "none"}, ("MODE", "none", "options")),
                                ({"JAR": "a.exe"}, ("JAR", "a.exe", "regex")),
                                ({"VERSION": "1" * 21}, ("VERSION", "max:20"))):
            with self.subTest(variables=variables):
                deploy(imagename="Filled", variables=variables) \
                    .refused(400, code="invalid_variable", field="variables", says=says)
        self.assertEqual(WORLD.api.instances(), [])
        deploy(imagename="Filled", variables={"SLOTS": "100", "MODE": "hard", "JAR": "a-1.jar"}).expect(201)

    def test_a_default_that_breaks_its_rule_does_not_pass(self):
        deploy(imagename="Bad default").refused(400, code="invalid_variable", says=("N", "many"))
        deploy(imagename="Bad default", variables={"N": 5}).expect(201)

    def test_texts_too_long_to_be_started_are_refused(self):
        WORLD.api.post("/api/images/create", {
            "Name": "Long", "Image": "test:httpd", "Env": ["A=" + "{{V}}" * 5]}).expect(201)
        deploy(imagename="Long", variables={"V": "x" * 30000}).refused(400, code="text_too_long")


class Nowhere(unittest.TestCase):
    """Nodes that can't take an instance: nothing is created."""

    def tearDown(self):
        self.assertEqual(WORLD.api.instances(), [])

    def test_a_node_that_nobody_joined(self):
        node = WORLD.create_node("empty")["id"]
        deploy(nodeId=node).expect((400, 500))

    def test_a_node_that_is_offline(self):
        WORLD.agent.kill()
        try:
            WORLD.await_status(WORLD.node_id, "Offline")
            answer = deploy().refused(500, code="node_offline")
            self.assertLess(answer.seconds, patient(1))
        finally:
            WORLD.agent.start()
            WORLD.await_status(WORLD.node_id, "Online")
