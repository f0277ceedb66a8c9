"""paneld's command line, configuration and start."""
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

from lib import places
from lib.client import trusting
from lib.daemon import Daemon, run_tool
from lib.paneld import Paneld, create_key
from lib.wait import patient, until


class Cli(unittest.TestCase):
    def setUp(self):
        self.dir = places.fresh_dir("cli")
        self.data = os.path.join(self.dir, "data")

    def tearDown(self):
        places.drop_dir(self.dir)

    def run_paneld(self, *args, **more):
        return run_tool([places.PANELD, *args], self.dir, **more)

    def config(self, value):
        path = os.path.join(self.dir, "config.json")
        with open(path, "w") as out:
            out.write(value if isinstance(value, str) else json.dumps(value))
        return path


class Arguments(Cli):
    def test_help_names_each_option_and_exits_0(self):
        done = self.run_paneld("--help")
        self.assertEqual(done.code, 0)
        for option in ("--data", "--listen", "--tls-cert", "--tls-key", "--config", "--check-config",
                       "--log-level", "key create", "key list", "key revoke", "backup", "restore",
                       "--replace", "--version"):
            self.assertIn(option, done.out)

    def test_bad_arguments_exit_2_and_name_them(self):
        for args in (["--nonsense"], ["nonsense"], ["--data"], ["key"], ["key", "nonsense"],
                     ["key", "create", "--nonsense"], ["--listen"], ["--data", self.data, "extra"]):
            with self.subTest(args=args):
                done = self.run_paneld(*args)
                self.assertEqual(done.code, 2, done.err)
                self.assertTrue(done.err.strip())
                self.assertEqual(done.out, "")

    def test_values_that_can_not_be_used_are_refused(self):
        for args in (["--listen", "nowhere"], ["--listen", "127.0.0.1"], ["--listen", "127.0.0.1:99999"],
                     ["--listen", "127.0.0.1:x"], ["--log-level", "loud"], ["--tls-cert", "x"],
                     ["--listen", "localhost:http"]):
            with self.subTest(args=args):
                done = self.run_paneld("--data", self.data, *args)
                self.assertNotEqual(done.code, 0)
                self.assertTrue(done.err.strip())

    def test_a_missing_certificate_is_said(self):
        done = self.run_paneld("--data", self.data, "--listen", "127.0.0.1:0", "--tls-cert",
                               "/nowhere.crt", "--tls-key", "/nowhere.key")
        self.assertNotEqual(done.code, 0)
        self.assertIn("/nowhere", done.err)

    def test_a_port_in_use_is_said(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            done = self.run_paneld("--data", self.data, "--listen", f"127.0.0.1:{port}")
        self.assertNotEqual(done.code, 0)
        self.assertIn(str(port), done.err)


class CheckConfig(Cli):
    GOOD = {"listen": "127.0.0.1:0", "logLevel": "debug", "publicUrl": "https://panel.example.test",
            "heartbeatMs": 500, "installTimeoutMs": 60000, "stopTimeoutMs": 5000,
            "memoryOvercommit": 1.5, "autoPortFirst": 30000, "autoPortLast": 30010}

    def check(self, value):
        return self.run_paneld("--data", self.data, "--config", self.config(value), "--check-config")

    def test_a_good_one_exits_0(self):
        for value in (self.GOOD, {}):
            done = self.check(value)
            self.assertEqual(done.code, 0, done.err)

    def test_it_starts_and_writes_nothing(self):
        self.check(self.GOOD)
        self.assertFalse(os.path.exists(self.data))

    def test_bad_ones_are_named(self):
        for value, word in (({"nonsense": 1}, "nonsense"), ({"listen": 5}, "listen"),
                            ({"listen": "x"}, "listen"), ({"logLevel": "loud"}, "logLevel"),
                            ({"heartbeatMs": "500"}, "heartbeatMs"), ({"heartbeatMs": 0}, "heartbeatMs"),
                            ({"heartbeatMs": -1}, "heartbeatMs"), ({"heartbeatMs": 1.5}, "heartbeatMs"),
                            ({"memoryOvercommit": 0}, "memoryOvercommit"),
                            ({"autoPortFirst": 0}, "autoPortFirst"),
                            ({"autoPortLast": 65536}, "autoPortLast"),
                            ({"autoPortFirst": 30000, "autoPortLast": 20000}, "autoPort"),
                            ({"tlsCert": "/x"}, "tls"), ({"publicUrl": "panel"}, "publicUrl"),
                            ({"publicUrl": "https://"}, "publicUrl"), ({"trustedProxies": "10.0.0.0/8"}, "trustedProxies"), ({"publicUrl": "http:///x"}, "publicUrl"),
                            ({"publicUrl": "https://a b"}, "publicUrl"), ({"publicUrl": "https://a\n"}, "publicUrl"),
                            ('{"listen":', "config.json"), ("[]", "config.json"),
                            ('{"logLevel":"info","logLevel":"info"}', "logLevel"), ("", "config.json")):
            with self.subTest(value=value):
                done = self.check(value)
                self.assertNotEqual(done.code, 0)
                self.assertIn(word.lower(), done.err.lower())

    def test_a_missing_file_is_said(self):
        done = self.run_paneld("--config", "/nowhere.json", "--check-config")
        self.assertNotEqual(done.code, 0)
        self.assertIn("/nowhere.json", done.err)

    def test_the_command_line_wins_over_the_file(self):
        done = self.run_paneld("--data", self.data, "--config", self.config({"logLevel": "info"}),
                               "--log-level", "loud", "--check-config")
        self.assertNotEqual(done.code, 0)

    def test_automatic_ports_obey_it(self):
        from lib.world import World
        world = World("scripted", config={"heartbeatMs": 500, "autoPortFirst": 31000,
                                          "autoPortLast": 31001}).start()
        try:
            instance = world.deploy(ports="80", primary="auto")
            self.assertIn(instance["Primary"], ("31000", "31001"))
            world.deploy(ports="80", primary="auto")
            world.api.post("/api/instances/deploy", world.spec(ports="80", primary="auto")).expect(400)
        finally:
            world.stop()


class Keys(Cli):
    def panel(self):
        panel = Paneld(self.dir)
        panel.data = self.data
        return panel.start()

    def key(self, *args, **more):
        return self.run_paneld("key", args[0], "--data", self.data, *args[1:], **more)

    def rows(self):
        """id, state and name of each key, as listed."""
        done = self.key("list")
        self.assertEqual(done.code, 0, done.err)
        head, *lines = done.out.splitlines()
        self.assertEqual(head.split(), ["ID", "CREATED", "STATE", "USED", "USER", "SCOPES", "NAME"])
        row = (r"([0-9a-z]{16})  [\dT:-]{19}Z  (valid|(?:revoked|until) [\dT:-]{19}Z) +"
               r"(?:[\dT:-]{19}Z|never) +\S+ +admin +(.+)")
        return [re.fullmatch(row, line).groups() for line in lines]

    def test_prints_the_key_alone(self):
        panel = self.panel()
        done = self.key("create", "--name", "first")
        panel.stop()
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, r"\Apanel_[0-9A-Za-z]{36}\n\Z")

    def test_without_a_daemon_and_with_one(self):
        panel = self.panel()
        during = create_key(self.data, "during")
        panel.stop()
        after = create_key(self.data, "after")
        panel.start()
        for key in (during, after):
            panel.client(key).get("/api/users").expect(200)
        panel.stop()

    def test_while_the_panel_starts_for_the_first_time(self):
        daemon = Daemon("first", [places.PANELD, "--data", self.data, "--listen", "127.0.0.1:0"],
                        self.dir).start()
        until(lambda: os.path.exists(self.data + "/panel.lock"), 10, "it has its folder")
        create_key(self.data)
        daemon.stop()

    def test_where_no_panel_is_none_is_made(self):
        os.makedirs(self.data)
        for args in (["create", "--name", "x"], ["list"], ["revoke", "x"]):
            for folder in (self.data, self.data + "/typo", "/proc/nothing/here"):
                with self.subTest(args=args, folder=folder):
                    done = self.run_paneld("key", *args, "--data", folder)
                    self.assertEqual(done.code, 1)
                    self.assertIn(f"no panel in {folder}", done.err)
                    self.assertEqual(done.out, "")
        self.assertEqual(os.listdir(self.data), [])

    def test_names_that_can_not_be_used(self):
        for name in ("", "x" * 65, "a\nb", b"\xff"):
            with self.subTest(name=name):
                done = self.run_paneld("key", "create", "--data", self.data, "--name", name)
                self.assertNotEqual(done.code, 0)
                self.assertIn("name", done.err)
                self.assertEqual(done.out, "")

    def test_a_missing_name_is_said(self):
        done = self.run_paneld("key", "create", "--data", self.data)
        self.assertEqual(done.code, 2)
        self.assertIn("--name", done.err)

    def test_key_alone_says_what_there_is(self):
        for args in (["key"], ["key", "nonsense"]):
            done = self.run_paneld(*args)
            self.assertEqual(done.code, 2)
            for word in ("key create", "key list", "key revoke"):
                self.assertIn(word, done.err)

    def test_list_shows_all_but_the_keys(self):
        panel = self.panel()  # makes one called t
        keys = [create_key(self.data, name) for name in ("mein Schlüssel", "shop")]
        with_daemon = self.rows()
        self.assertEqual([(state, name) for _, state, name in with_daemon],
                         [("valid", "t"), ("valid", "mein Schlüssel"), ("valid", "shop")])
        panel.stop()
        self.assertEqual(self.rows(), with_daemon)
        for key in keys + [panel.key]:
            self.assertNotIn(key[6:], self.key("list").out)

    def test_a_long_list_comes_whole(self):
        panel = self.panel()
        for number in range(60):
            create_key(self.data, f"{number:064}")
        self.assertEqual(len(self.rows()), 61)
        panel.stop()

    def test_revoked_it_opens_nothing_from_then_on(self):
        panel = self.panel()
        by_name, by_id, kept = (create_key(self.data, name) for name in ("one", "two", "three"))
        kept_open = panel.client(by_name).connect()
        panel.client(by_name).get("/api/users", connection=kept_open).expect(200)
        self.assertEqual(self.key("revoke", "one").code, 0)
        panel.client(by_name).get("/api/users", connection=kept_open).refused(401, code="unauthorized")
        kept_open.close()
        self.assertEqual(self.key("revoke", self.rows()[2][0]).code, 0)
        panel.client(by_id).get("/api/users").refused(401)
        panel.client(kept).get("/api/users").expect(200)
        states = [state[:7] for _, state, _ in self.rows()]
        self.assertEqual(states, ["valid", "revoked", "revoked", "valid"])
        panel.crash()
        panel.client(by_name).get("/api/users").refused(401)
        panel.stop()
        self.assertEqual(self.key("revoke", "three").code, 0)
        panel.start()
        panel.client(kept).get("/api/users").refused(401)
        panel.stop()

    def test_revoke_of_what_is_not_one_key_is_refused(self):
        panel = self.panel()
        for name in ("twin", "twin", "gone"):
            create_key(self.data, name)
        self.assertEqual(self.key("revoke", "gone").code, 0)
        for which, says in (("twin", "several"), ("nobody", "nobody"), ("gone", "still valid"), ("", "name")):
            with self.subTest(which=which):
                done = self.key("revoke", which)
                self.assertEqual((done.code, done.out), (1, ""))
                self.assertIn(says, done.err)
        panel.stop()
        self.assertEqual([state for _, state, _ in self.rows()][:3], ["valid"] * 3)

    def test_the_log_names_the_key_of_a_request(self):
        panel = self.panel()
        panel.client(create_key(self.data, "the shop")).post("/api/auth/create-user", {
            "username": "u", "email": "u@example.test", "password": "long enough"}).expect(201)
        panel.stop()
        self.assertRegex(panel.daemon.log(), r'msg=request req=\S+ op="POST /api/auth/create-user" '
                         r'status=201 ms=\d+ key="the shop" path=/api/auth/create-user user=\S+\n')


class Start(Cli):
    def panel(self, **more):
        panel = Paneld(self.dir, **more)
        panel.data = self.data
        return panel

    def test_one_line_on_stdout_and_no_more(self):
        panel = self.panel().start()
        panel.client().get("/api/users").expect(200)
        panel.stop()
        self.assertRegex(panel.daemon.output(), r"\Alistening on http://127\.0\.0\.1:\d+\n\Z")

    def test_each_line_of_the_log_is_one_event(self):
        panel = self.panel().start()
        panel.client().post("/api/auth/create-user", {"username": "a\nb"}).expect(400)
        panel.stop()
        for line in panel.daemon.log().splitlines():
            self.assertRegex(line, r"^ts=\d{4}-\d\d-\d\dT[\d:.]+Z level=(debug|info|warn|error) msg=",
                             line)

    def test_no_path_hides_what_was_answered(self):
        panel = self.panel(config={"logLevel": "debug"}).start()
        panel.client().get("/api/" + "x" * 4000).expect(404)
        panel.stop()
        self.assertRegex(panel.daemon.log(), r" status=404 .* path=\"?/api/xxx")

    def test_the_log_holds_no_secret(self):
        panel = self.panel(config={"logLevel": "debug"}).start()
        panel.client().post("/api/auth/create-user", {
            "username": "u", "email": "u@example.test", "password": "s3cret-password"}).expect(201)
        node = panel.client().post("/api/nodes/create", {
            "name": "n", "tags": "t", "ram": "1", "disk": "1", "processor": "p",
            "address": "127.0.0.1", "port": "1234"}).expect(201).json
        panel.stop()
        log = panel.daemon.log()
        for secret in ("s3cret-password", panel.key, node["joinToken"], "argon2"):
            self.assertNotIn(secret, log)

    def test_sigterm_and_sigint_end_it_promptly_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            panel = self.panel().start()
            began = time.monotonic()
            panel.daemon.process.send_signal(number)
            self.assertEqual(panel.daemon.wait_exit(5), 0)
            panel.daemon.check_end()
            self.assertLess(time.monotonic() - began, patient(3))

    def test_sigterm_with_idle_connections_open_too(self):
        panel = self.panel().start()
        idle = [socket.create_connection(("127.0.0.1", panel.port)) for _ in range(20)]
        kept = panel.client().connect()
        panel.client().get("/api/users", connection=kept).expect(200)
        panel.daemon.stop(timeout=5)
        for sock in idle:
            sock.close()
        kept.close()

    def test_sighup_and_sigpipe_do_not_end_it(self):
        panel = self.panel().start()
        panel.daemon.process.send_signal(signal.SIGPIPE)
        panel.client().get("/api/users").expect(200)
        panel.stop()

    def test_a_second_one_on_the_same_folder_is_refused(self):
        panel = self.panel().start()
        done = self.run_paneld("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertNotEqual(done.code, 0)
        self.assertTrue(done.err.strip())
        panel.client().get("/api/users").expect(200)
        panel.stop()

    def test_files_are_for_the_owner_only(self):
        panel = self.panel().start()
        for folder, folders, names in os.walk(self.data):
            for name in folders + names:
                mode = os.lstat(os.path.join(folder, name)).st_mode
                self.assertEqual(mode & 0o077, 0, f"{folder}/{name} has mode {mode & 0o7777:o}")
        panel.stop()

    def test_a_newer_database_is_refused_and_left_alone(self):
        panel = self.panel().start()
        panel.stop()
        with sqlite3.connect(self.data + "/panel.db") as db:
            db.execute("PRAGMA user_version=999")
        db.close()
        for args in (["--data", self.data, "--listen", "127.0.0.1:0"],
                     ["key", "create", "--data", self.data, "--name", "x"]):
            done = self.run_paneld(*args)
            self.assertNotEqual(done.code, 0)
            self.assertIn("newer", done.err)
        with sqlite3.connect(self.data + "/panel.db") as db:
            self.assertEqual(db.execute("PRAGMA user_version").fetchone()[0], 999)
        db.close()

    def test_somebody_elses_database_is_refused(self):
        os.makedirs(self.data)
        with sqlite3.connect(self.data + "/panel.db") as db:
            db.execute("CREATE TABLE precious(x)")
        db.close()
        done = self.run_paneld("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertNotEqual(done.code, 0)
        with sqlite3.connect(self.data + "/panel.db") as db:
            self.assertEqual([r[0] for r in db.execute("SELECT name FROM sqlite_master")], ["precious"])
        db.close()

    def test_a_file_that_is_no_database_is_refused(self):
        os.makedirs(self.data)
        with open(self.data + "/panel.db", "wb") as out:
            out.write(b"this is no database at all" * 1000)
        done = self.run_paneld("--data", self.data, "--listen", "127.0.0.1:0")
        self.assertNotEqual(done.code, 0)
        self.assertTrue(done.err.strip())

    def test_open_to_others_without_tls_it_warns(self):
        for name, address, warns in (("own4", "127.0.0.1:0", 0), ("own6", "[::1]:0", 0),
                                     ("open4", "0.0.0.0:0", 1), ("open6", "[::]:0", 1)):
            with self.subTest(address=address):
                panel = Daemon(name, [places.PANELD, "--data", self.data, "--listen", address],
                               self.dir).start()
                until(lambda: "listening on" in panel.output(), 10, "it listens")
                panel.stop()
                self.assertEqual(panel.log().count(" level=warn "), warns, panel.log())
                self.assertEqual(panel.log().count("no TLS"), warns, panel.log())

    def test_ipv6(self):
        panel = Daemon("paneld6", [places.PANELD, "--data", self.data, "--listen", "[::1]:0"], self.dir)
        panel.start()
        until(lambda: re.search(r"listening on http://\[::1\]:\d+", panel.output()), 10, "it listens")
        panel.stop()

    def test_it_tells_a_supervisor_that_it_is_ready(self):
        path = os.path.join(self.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(path)
            told.settimeout(10)
            panel = Daemon("notifying", [places.PANELD, "--data", self.data, "--listen", "127.0.0.1:0"],
                           self.dir, env={"NOTIFY_SOCKET": path}).start()
            self.assertIn(b"READY=1", told.recv(1000))
            panel.stop()


class Tls(Cli):
    def make_certificate(self):
        cert, key = os.path.join(self.dir, "tls.crt"), os.path.join(self.dir, "tls.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)
        return cert, key

    def test_serves_https(self):
        cert, key = self.make_certificate()
        panel = Paneld(self.dir, args=["--tls-cert", cert, "--tls-key", key], tls=trusting(cert)).start()
        self.assertIn("listening on https://", panel.daemon.output())
        panel.client().get("/api/users").expect(200)
        panel.client().post("/api/auth/create-user", {"username": "u", "email": "u@example.test",
                                                      "password": "long enough"}).expect(201)
        node = panel.client().post("/api/nodes/create", {
            "name": "n", "tags": "t", "ram": "1", "disk": "1", "processor": "p",
            "address": "127.0.0.1", "port": "1234"}).expect(201).json
        self.assertIn("https://", node["joinCommand"])
        panel.stop()

    def test_plain_http_on_the_tls_port_is_no_way_in(self):
        cert, key = self.make_certificate()
        panel = Paneld(self.dir, args=["--tls-cert", cert, "--tls-key", key], tls=trusting(cert)).start()
        with socket.create_connection(("127.0.0.1", panel.port), timeout=5) as sock:
            sock.sendall(b"GET /api/users HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                got = sock.recv(1000)
            except ConnectionResetError:
                got = b""
        self.assertNotIn(b"200", got[:20])
        panel.client().get("/api/users").expect(200)
        panel.stop()

    def test_a_check_of_the_settings_reads_the_files(self):
        cert, key = self.make_certificate()

        def check(cert, key):
            return self.run_paneld("--check-config", "--config", self.config({"tlsCert": cert, "tlsKey": key}))
        self.assertEqual(check(cert, key).code, 0)
        os.rename(key, key + ".first")
        _, other = self.make_certificate()
        for named, bad in ((key + ".first", (cert, key + ".first")), (other, (other, cert)),
                           ("/nowhere.key", (cert, "/nowhere.key")), ("/nowhere.crt", ("/nowhere.crt", key))):
            with self.subTest(bad=bad):
                done = check(*bad)
                self.assertEqual(done.code, 1)
                self.assertIn(f'"{named}"', done.err)
                self.assertEqual(done.out, "")

    def test_root_looks_at_files_as_the_daemons_user_does(self):
        folder = tempfile.mkdtemp(prefix="check-", dir="/tmp")  # where others may come to
        os.chmod(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder)
        data, config = folder + "/data", folder + "/paneld.json"
        cert, key = (shutil.copy(path, folder) for path in self.make_certificate())
        os.mkdir(data, 0o700)
        os.chown(data, 65534, 65534)
        with open(config, "w") as file:
            json.dump({"data": data, "tlsCert": cert, "tlsKey": key}, file)
        for path in (cert, config):
            os.chmod(path, 0o644)

        def check():
            return self.run_paneld("--config", config, "--check-config")
        os.chmod(key, 0o600)
        done = check()
        self.assertEqual(done.code, 1)
        for word in ("tlsKey must be", key, "Permission denied", "as the user nobody", data):
            self.assertIn(word, done.err)
        os.chown(key, 0, 65534)
        os.chmod(key, 0o640)
        self.assertEqual((check().code, check().err), (0, ""))
        os.chmod(config, 0o600)
        self.assertIn(f"{config} can't be read", check().err)

    def test_a_key_that_does_not_belong_is_said(self):
        cert, _ = self.make_certificate()
        os.rename(cert, cert + ".first")
        _, other = self.make_certificate()
        done = self.run_paneld("--data", self.data, "--listen", "127.0.0.1:0", "--tls-cert",
                               cert + ".first", "--tls-key", other)
        self.assertNotEqual(done.code, 0)
        self.assertTrue(done.err.strip())
