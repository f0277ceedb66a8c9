"""panelctl key … against the real panel: what is made with it works, is refused, and ends."""
import datetime
import os
import stat
import tempfile
import unittest

from lib.panelctl import Panelctl
from lib.wait import until
from lib.world import World


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World().start()
        cls.ctl = Panelctl(cls.world.dir, cls.world.panel.url, cls.world.panel.key)

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def run_ctl(self, *args, **more):
        return self.ctl.run(*args, **more)

    def create(self, name, *options):
        """A panelctl that uses a new key, and the key as the panel shows it."""
        made = self.ctl.json("key", "create", name, *options)
        return self.by(made["key"]), made

    def by(self, secret):
        return Panelctl(self.world.dir, self.world.panel.url, secret)

    def told(self, key):
        return self.world.api.get(f"/api/keys/{key['id']}").expect(200).json

    def seconds_left(self, key):
        end = datetime.datetime.fromisoformat(key["expiresAt"].replace("Z", "+00:00"))
        return (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


class Making(Keys):
    def test_the_secret_is_alone_on_stdout(self):
        done = self.ctl.try_run("key", "create", "alone", "--scope", "users:read")
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, r"\Apanel_[0-9A-Za-z]{36}\n\Z")
        self.assertNotIn(done.out.strip(), done.err)
        self.by(done.out.strip()).run("users")

    def test_it_does_what_its_scopes_say_and_no_more(self):
        ctl, made = self.create("narrow", "--scope", "users:read,images:read", "--scope", "nodes:read keys:read")
        self.assertEqual(made["scopes"], ["users:read", "images:read", "nodes:read", "keys:read"])
        for noun in ("users", "images", "nodes", "keys"):
            ctl.run(noun)
        for args, scope in ((["instances"], "instances:read"), (["audit", "list"], "audit:read"),
                            (["user", "delete", "owner", "--yes"], "users:write"),
                            (["node", "create", "x", "--address", "192.0.2.1"], "nodes:write"),
                            (["key", "revoke", made["id"], "--yes"], "keys:write")):
            with self.subTest(args=args):
                told = ctl.run(*args, code=4)
                self.assertIn(f'"{scope}"', told)
                self.assertIn("panelctl key whoami", told)
        self.assertEqual(len(self.world.api.users()), 1)

    def test_without_scopes_it_is_an_admins_and_with_empty_ones_none(self):
        self.assertEqual(self.create("all")[1]["scopes"], ["admin"])
        before = len(self.ctl.json("keys"))
        self.assertIn("scope", self.run_ctl("key", "create", "x", "--scope", "", code=1))
        self.assertIn("users:all", self.run_ctl("key", "create", "x", "--scope", "users:all", code=1))
        self.assertEqual(len(self.ctl.json("keys")), before)

    def test_bound_to_a_user(self):
        ctl, made = self.create("bound", "--user", "owner")
        self.assertEqual(made["userId"], self.world.user_id)
        self.assertEqual([user["userId"] for user in ctl.json("users")], [self.world.user_id])
        self.assertRegex(self.run_ctl("keys"), r"(?m) bound .* owner ")
        self.assertRegex(self.run_ctl("key", "get", "bound"), rf"(?m)^User: +owner \({self.world.user_id}\)$")
        ctl.run("nodes", code=4)
        self.run_ctl("key", "create", "x", "--user", "nobody", code=3)

    def test_its_end(self):
        _, made = self.create("short", "--expires", "2h")
        self.assertAlmostEqual(self.seconds_left(made), 7200, delta=60)
        self.assertEqual(self.create("dated", "--expires", "2099-01-01T00:00:00Z")[1]["expiresAt"],
                         "2099-01-01T00:00:00.000Z")
        self.assertIsNone(self.create("endless", "--expires", "never")[1]["expiresAt"])
        told = self.run_ctl("key", "create", "x", "--expires", "soon", code=2)
        for word in ("soon", "30d", "never"):
            self.assertIn(word, told)
        self.assertIn("expiresAt", self.run_ctl("key", "create", "x", "--expires", "2001-01-01T00:00:00Z", code=1))
        ctl, _ = self.create("second", "--expires", "1s")
        until(lambda: ctl.try_run("key", "whoami").code == 4, 10, "it has expired")

    def test_without_its_secret_none_is_made(self):
        _, kept = self.create("kept", "--scope", "users:read")
        before = len(self.ctl.json("keys"))
        for args in (["create", "lost"], ["rotate", kept["id"], "--yes"]):
            self.assertIn("lost", self.run_ctl("key", *args, "-o", "name", code=2))
        self.assertEqual(len(self.ctl.json("keys")), before)
        self.by(kept["key"]).run("users")

    def test_one_changes_oneself_with_ones_password(self):
        ctl, _ = self.create("self", "--scope", "users:read,users:write", "--user", "owner")
        told = ctl.run("user", "update", "owner", "--email", "new@example.test", code=1)
        self.assertIn("--current-password", told)
        ctl.run("user", "update", "owner", "--email", "new@example.test", "--current-password",
                said="correct horse\n")
        self.assertEqual(self.ctl.json("user", "get", "owner")["email"], "new@example.test")
        ctl.run("user", "update", "owner", "--email", "x@example.test", "--current-password",
                said="wrong horse\n", code=4)
        ctl.run("user", "update", "owner", "--password", "--current-password",
                said="correct horse\nanother horse\n")
        ctl.run("user", "update", "owner", "--password", "--current-password",
                said="another horse\ncorrect horse\n")

    def test_its_rate(self):
        ctl, made = self.create("slow", "--rate", "3")
        self.assertEqual(made["rateLimit"], 3)
        answers = [self.world.api.get("/api/auth/me", key=ctl.key) for _ in range(4)]
        self.assertEqual([answer.status for answer in answers], [200, 200, 200, 429])
        self.assertIn("rateLimit", self.run_ctl("key", "create", "x", "--rate", "many", code=1))


class Files(Keys):
    """--out FILE, which --key-file then takes whatever the umask is."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(dir=self.world.dir)
        self.path = os.path.join(self.dir, "shop.key")

    def held(self):
        """The file's secret. Nobody else can read it, and no other file is left beside it."""
        self.assertEqual(os.listdir(self.dir), ["shop.key"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        with open(self.path) as file:
            return file.read()

    def works(self):
        Panelctl(self.world.dir, self.world.panel.url).run("users", "--key-file", self.path)

    def test_made(self):
        before = os.umask(0o022)
        try:
            told = self.run_ctl("key", "create", "filed", "--out", self.path)
        finally:
            os.umask(before)
        self.assertRegex(self.held(), r"\Apanel_[0-9A-Za-z]{36}\n\Z")
        self.assertIn(self.path, told)
        self.assertNotIn(self.held().strip(), told)
        self.works()

    def test_no_format_shows_it_beside(self):
        for i, form in enumerate(("json", "yaml", "name")):
            told = self.run_ctl("key", "create", f"form{i}", "--out", self.path, "--replace", "-o", form)
            self.assertNotIn(self.held().strip(), told)
            self.assertIn(self.ctl.json("key", "get", f"form{i}")["id"], told)

    def test_what_is_there_is_kept(self):
        self.run_ctl("key", "create", "first", "--out", self.path)
        first = self.held()
        before = len(self.ctl.json("keys"))
        self.assertIn("--replace", self.run_ctl("key", "create", "x", "--out", self.path, code=6))
        self.assertIn("--replace", self.run_ctl("key", "rotate", "first", "--yes", "--out", self.path, code=6))
        self.run_ctl("key", "create", "x", "--out", self.path, "--replace", "--scope", "users:all", code=1)
        self.assertIn("regular file", self.run_ctl("key", "create", "x", "--out", self.dir, "--replace", code=2))
        self.assertIn("/nowhere/x", self.run_ctl("key", "create", "x", "--out", "/nowhere/x", code=1))
        self.assertIn("--out", self.run_ctl("key", "create", "x", "--replace", code=2))
        self.assertEqual((self.held(), len(self.ctl.json("keys"))), (first, before))
        self.works()

    def test_rotated(self):
        self.run_ctl("key", "create", "turned", "--out", self.path)
        first = self.held()
        self.run_ctl("key", "rotate", "turned", "--yes", "--out", self.path, "--replace")
        self.assertNotEqual(self.held(), first)
        self.works()
        self.by(first.strip()).run("users", code=4)


class Sessions(Keys):
    def test_from_login_to_logout(self):
        path = os.path.join(self.world.dir, "owner.session")
        stranger = Panelctl(self.world.dir, self.world.panel.url)
        told = stranger.run("user", "login", "owner", "--out", path, said="correct horse\n")
        self.assertIn("The session of owner until 2", told)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        used = ("--key-file", path)
        self.assertRegex(stranger.run("key", "whoami", *used), r"(?m)^Session: +yes$")
        self.assertIn("has ended", stranger.run("user", "logout", *used))
        stranger.run("key", "whoami", *used, code=4)
        # A key that is no longer good is no hindrance, nor a file that isn't there yet.
        stranger.run("user", "login", "owner@example.test", *used, "--out", path, "--replace",
                     said="correct horse\n")
        stranger.run("key", "whoami", *used)
        os.unlink(path)
        stranger.run("user", "login", "owner", *used, "--out", path, said="correct horse\n")
        stranger.run("key", "whoami", *used)

    def test_alone_on_stdout(self):
        stranger = Panelctl(self.world.dir, self.world.panel.url)
        token = stranger.run("user", "login", "owner", said="correct horse\n")
        self.assertRegex(token, r"\A\S+\n\Z")
        self.by(token.strip()).run("user", "logout")
        self.assertIn("lost", stranger.run("user", "login", "owner", "-o", "name", said="correct horse\n", code=2))
        self.assertEqual(stranger.json("user", "login", "owner", said="correct horse\n")["user"]["username"], "owner")

    def test_refused(self):
        path = os.path.join(self.world.dir, "none.session")
        stranger = Panelctl(self.world.dir, self.world.panel.url)
        told = stranger.run("user", "login", "owner", "--out", path, said="wrong horse\n", code=4)
        self.assertNotIn("no key is set", told)
        self.assertFalse(os.path.exists(path))
        stranger.run("user", "logout", code=4)
        self.run_ctl("user", "logout", code=1)  # a key is no session


class Seeing(Keys):
    def test_lists_and_one(self):
        _, made = self.create("seen", "--scope", "read", "--rate", "7")
        self.assertIn(self.told(made), self.ctl.json("keys"))
        self.assertEqual(self.ctl.json("key", "get", "seen"), self.told(made))
        told = self.run_ctl("key", "get", made["id"])
        self.assertRegex(told, r"(?m)^Scopes: +read$")
        self.assertRegex(told, r"(?m)^Rate limit: +7$")
        for args in (["keys"], ["keys", "-o", "wide"], ["key", "get", "seen"], ["keys", "-o", "yaml"]):
            self.assertNotIn(made["key"], self.run_ctl(*args))
        self.run_ctl("key", "get", "nothing", code=3)

    def test_what_they_mean(self):
        ctl, made = self.create("unscoped", "--user", "owner")
        self.assertRegex(self.run_ctl("keys"), r"(?m) unscoped +all of the user's +owner .* valid$")
        self.assertRegex(self.run_ctl("key", "get", "unscoped"), r"(?m)^Scopes: +all of the user's$")
        self.assertRegex(ctl.run("key", "whoami"), r"(?m)^Scopes: +all of the user's$")
        self.assertEqual(self.ctl.json("key", "get", "unscoped")["scopes"], ["admin"])
        self.run_ctl("key", "revoke", "unscoped", "--yes")
        self.create("brief", "--expires", "1s")
        self.assertRegex(self.run_ctl("keys"), rf"(?m)^{made['id']} .* revoked$")
        until(lambda: self.run_ctl("key", "get", "brief").count("expired"), 10, "its end is shown")
        self.assertRegex(self.run_ctl("keys"), r"(?m) brief .* expired$")

    def test_who_one_is(self):
        told = self.run_ctl("key", "whoami")
        self.assertRegex(told, r"(?m)^Scopes: +admin$")
        self.assertRegex(told, r"(?m)^Admin: +yes$")
        ctl, made = self.create("me", "--scope", "instances:read", "--user", "owner")
        told = ctl.run("key", "whoami")
        for line in ("Key: +me", "Scopes: +instances:read", "Admin: +no", "Session: +no", "User: +owner"):
            self.assertRegex(told, rf"(?m)^{line}$")
        shown, told = ctl.json("key", "whoami"), self.world.api.get("/api/auth/me", key=ctl.key).json
        for one in (shown, told):
            del one["key"]["lastUsedAt"]  # moves
        self.assertEqual(shown, told)
        self.assertEqual(ctl.run("key", "whoami", "-o", "name"), made["id"] + "\n")
        self.by("panel_" + "x" * 36).run("key", "whoami", code=4)

    def test_a_login_is_a_key_too(self):
        session = self.world.api.post("/api/auth/login", {"username": "owner", "password": "correct horse"},
                                      key=None).expect(201).json["token"]
        told = self.by(session).run("key", "whoami")
        self.assertRegex(told, r"(?m)^Session: +yes$")
        self.assertRegex(told, r"(?m)^User: +owner$")


    def test_the_doctor_tells_a_narrow_key_from_a_wrong_one(self):
        ctl, _ = self.create("narrow", "--scope", "users:read")
        told = ctl.try_run("doctor")
        self.assertEqual(told.code, 1)
        for word in ("FAIL  key", "may not look", '"nodes:read"', "whoami"):
            self.assertIn(word, told.out)
        self.assertNotIn("paneld key", told.out)
        ctl, _ = self.create("looking", "--scope", "nodes:read,instances:read")
        self.assertEqual(ctl.run("doctor").count("FAIL"), 0)

    def test_the_doctor_with_a_users_own_key(self):
        ctl, _ = self.create("his", "--user", "owner")
        told = ctl.run("doctor")
        self.assertRegex(told, r"(?m)^ok +key .* owner's")
        self.assertNotIn("nodes:read", told)
        self.assertRegex(told, r"(?m)^ok +instance ")
        ctl, _ = self.create("his narrow", "--user", "owner", "--scope", "users:read")
        self.assertRegex(ctl.run("doctor"), r"(?m)^warn +instance .*instances:read")

    def test_the_doctor_with_a_key_that_can_not_be_read(self):
        path = os.path.join(self.world.dir, "bad.key")
        for text, mode, word in (("panel_x", 0o644, "chmod 600"), ("", 0o600, "empty"), ("a\tb", 0o600, "character"),
                                 (None, None, "can't read")):
            with self.subTest(word=word):
                if text is None:
                    os.unlink(path)
                else:
                    with open(path, "w") as file:
                        file.write(text)
                    os.chmod(path, mode)
                done = self.ctl.try_run("doctor", "--key-file", path)
                self.assertEqual((done.code, done.err), (1, ""))
                self.assertRegex(done.out, rf"(?m)^FAIL  key .*{word}")
                self.assertIn(path, done.out)
                self.assertRegex(done.out, r"(?m)^ok +panel ")
                self.assertIn(path, self.ctl.try_run("users", "--key-file", path).err)


class Changing(Keys):
    def test_in_effect_at_once(self):
        ctl, made = self.create("first", "--scope", "users:read", "--expires", "1h")
        self.assertIn("other is changed", self.run_ctl("key", "update", "first", "--name", "other", "--scope",
                                                       "nodes:read", "--rate", "500"))
        now = self.told(made)
        self.assertEqual((now["name"], now["scopes"], now["rateLimit"], now["expiresAt"]),
                         ("other", ["nodes:read"], 500, made["expiresAt"]))
        ctl.run("nodes")
        self.assertIn("users:read", ctl.run("users", code=4))
        self.run_ctl("key", "update", "other", "--rate", "none", "--expires", "never")
        now = self.told(made)
        self.assertEqual((now["rateLimit"], now["expiresAt"], now["scopes"]), (None, None, ["nodes:read"]))
        self.run_ctl("key", "update", "other", "--expires", "30d")
        self.assertAlmostEqual(self.seconds_left(self.told(made)), 30 * 86400, delta=60)

    def test_slips(self):
        self.create("steady", "--scope", "users:read")
        self.assertIn("--help", self.run_ctl("key", "update", "steady", code=2))
        self.assertIn("--user", self.run_ctl("key", "update", "steady", "--user", "owner", code=2))
        self.assertIn("--scope", self.run_ctl("key", "update", "steady", "--scopes", "read", code=2))
        self.run_ctl("key", "update", "nothing", "--name", "x", code=3)

    def test_nobody_gives_what_he_has_not(self):
        ctl, _ = self.create("giver", "--scope", "keys:read,keys:write")
        self.assertIn("users:read", ctl.run("key", "create", "x", "--scope", "users:read", code=4))
        ctl.run("key", "create", "given", "--scope", "keys:read")


class Ending(Keys):
    def test_rotation(self):
        ctl, made = self.create("turning", "--scope", "users:read")
        self.assertIn("--yes", self.run_ctl("key", "rotate", "turning", code=2))
        ctl.run("users")
        secret = self.run_ctl("key", "rotate", "turning", "--yes")
        self.assertRegex(secret, r"\Apanel_[0-9A-Za-z]{36}\n\Z")
        ctl.run("users", code=4)
        self.by(secret.strip()).run("users")
        self.assertIsNotNone(self.told(made)["rotatedAt"])

    def test_rotation_with_a_grace(self):
        ctl, _ = self.create("gentle", "--scope", "users:read")
        new = self.by(self.run_ctl("key", "rotate", "gentle", "--yes", "--grace", "1h").strip())
        for either in (ctl, new):
            either.run("users")
        self.assertIn("soon", self.run_ctl("key", "rotate", "gentle", "--yes", "--grace", "soon", code=2))
        self.assertIn("graceSeconds", self.run_ctl("key", "rotate", "gentle", "--yes", "--grace", "8d", code=1))
        new.run("users")
        newest = self.by(self.run_ctl("key", "rotate", "gentle", "--yes", "--grace", "1s").strip())
        ctl.run("users", code=4)  # no longer its grace
        until(lambda: new.try_run("users").code == 4, 10, "the grace has ended")
        newest.run("users")

    def test_revoking(self):
        ctl, made = self.create("ending", "--scope", "users:read")
        self.assertIn("--yes", self.run_ctl("key", "revoke", "ending", code=2))
        ctl.run("users")
        self.assertIn("ending is revoked", self.run_ctl("key", "revoke", made["id"][:6], "--yes"))
        ctl.run("users", code=4)
        self.assertIsNotNone(self.ctl.json("key", "get", made["id"])["revokedAt"])
        for args in (["revoke", "--yes"], ["rotate", "--yes"], ["update", "--name", "x"]):
            self.run_ctl("key", args[0], made["id"], *args[1:], code=3)

    def test_who_may_not_read_names_an_id(self):
        """A key that does nothing but end keys is a good one for a job that does nothing but that."""
        ctl, _ = self.create("ender", "--scope", "keys:write,users:read,instances:write,users:write")
        _, one = self.create("turned", "--scope", "users:read")
        _, other = self.create("named", "--scope", "users:read")
        self.assertRegex(ctl.run("key", "rotate", one["id"], "--yes"), r"\Apanel_[0-9A-Za-z]{36}\n\Z")
        self.assertIn(f'{one["id"]} is revoked', ctl.run("key", "revoke", one["id"], "--yes"))
        self.assertIsNotNone(self.told(one)["revokedAt"])
        told = ctl.run("key", "revoke", "named", "--yes", code=3)
        self.assertIn("may not read keys", told)
        self.assertIsNone(self.told(other)["revokedAt"])
        self.assertIn("keys:read", ctl.run("key", "get", other["id"], code=4))
        self.assertIn("may not read instances", ctl.run("instance", "stop", "nothing", code=3))

    def test_a_name_is_that_of_the_living(self):
        """Revoked keys stay in the list; one of the same name takes the place of the one before."""
        _, old = self.create("again")
        self.run_ctl("key", "revoke", "again", "--yes")
        self.assertEqual(self.ctl.json("key", "get", "again")["id"], old["id"])
        self.assertNotIn("again", self.run_ctl("__names", "key").split())
        _, new = self.create("again")
        self.assertEqual(self.ctl.json("key", "get", "again")["id"], new["id"])
        self.assertEqual(self.ctl.json("key", "get", old["id"])["id"], old["id"])
        self.assertIn("again", self.run_ctl("__names", "key").split())
        self.create("again")
        told = self.run_ctl("key", "revoke", "again", "--yes", code=3)
        self.assertIn("may be 2 keys", told)
        self.assertNotIn(old["id"], told)


class Asking(Keys):
    def test_a_question_says_what_becomes_of_the_old_secret(self):
        ctl, _ = self.create("asked", "--scope", "users:read")
        for options, words in ((["--grace", "10m"], "good for another 10m"), ([], "opens nothing then")):
            asked = self.ctl.terminal("key", "rotate", "asked", *options)
            asked.expect(words)
            asked.type("n\r").end(1)
        ctl.run("users")


if __name__ == "__main__":
    unittest.main()
