"""Users by their password: sessions, their end, and who guesses."""
import contextlib
import json
import re
import sqlite3
import statistics
import unittest

from lib import places
from lib.client import Client
from lib.events import EventStream
from lib.metrics import scrape
from lib.paneld import QUICK, Paneld
from lib.skyport import BCRYPT
from lib.wait import until
from lib.world import World

WORLD = None
PASSWORD = "correct horse"


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def log_in(body, **more):
    return WORLD.api.post("/api/auth/login", body, key=None, **more)


def session(username):
    return log_in({"username": username, "password": PASSWORD}).expect(201).json["token"]


def me(token):
    return WORLD.api.get("/api/auth/me", key=token)


class Login(unittest.TestCase):
    def test_by_name_and_by_address(self):
        user = WORLD.add_user("Ann")
        for body in ({"username": "Ann"}, {"username": "ANN"}, {"username": "ann@example.test"},
                     {"email": "Ann@Example.Test"}):
            answer = log_in({**body, "password": PASSWORD}).expect(201).json
            self.assertRegex(answer["token"], r"\Apsess_[0-9A-Za-z]{36}\Z")
            self.assertEqual(answer["user"]["userId"], user)
            whole = me(answer["token"]).expect(200).json
            self.assertEqual((whole["user"]["userId"], whole["session"], whole["admin"]), (user, True, False))
            self.assertEqual(whole["key"]["expiresAt"], answer["expiresAt"])

    def test_needs_no_key_and_looks_at_none(self):
        WORLD.add_user("keyless")
        for key in (None, "x", WORLD.panel.key):
            WORLD.api.post("/api/auth/login", {"username": "keyless", "password": PASSWORD}, key=key).expect(201)

    def test_wrong_names_and_wrong_passwords_look_the_same(self):
        WORLD.add_user("known")
        words = set()
        for body in ({"username": "known", "password": "wrong horse"}, {"username": "nobody", "password": PASSWORD},
                     {"email": "nobody@example.test", "password": PASSWORD}, {"username": "", "password": PASSWORD},
                     {"username": "known", "password": PASSWORD + " "}, {"username": "a\x01b", "password": "x"}):
            answer = log_in(body).refused(401, "login_failed")
            words.add(answer.json["error"])
        self.assertEqual(len(words), 1, words)

    def test_they_take_the_same_time(self):
        WORLD.add_user("timed")
        imported = WORLD.add_user("imported")
        WORLD.panel.stop()
        with contextlib.closing(sqlite3.connect(f"{WORLD.panel.data}/panel.db")) as db, db:
            db.execute("UPDATE users SET password_hash = ? WHERE id = ?", (BCRYPT, imported))
        WORLD.panel.start()
        times = {"timed": [], "imported": [], "nobody-at-all": []}
        for turn in range(7):
            for name, taken in times.items():
                taken.append(log_in({"username": name, "password": f"wrong {turn}"}).expect(401).seconds)
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        # without the hash one would take a thousandth of the other
        self.assertLess(max(medians.values()), 3 * min(medians.values()), medians)

    def test_what_is_missing_is_said(self):
        log_in({"password": PASSWORD}).refused(400, "missing_field", "username")
        log_in({"username": "x"}).refused(400, "missing_field", "password")
        log_in({"username": "x", "email": "x", "password": "x"}).refused(400, field="username")
        log_in({"username": "x" * 2000, "password": "x"}).refused(400, field="username")
        WORLD.api.post("/api/auth/login", raw=b"x" * 20000, key=None).refused(413)
        WORLD.api.get("/api/auth/login").refused(405)

    def test_an_admins_session_is_an_admins(self):
        user = WORLD.add_user("boss")
        WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": True}).expect(200)
        token = session("boss")
        self.assertTrue(me(token).json["admin"])
        self.assertGreater(len(WORLD.api.get("/api/users", key=token).expect(200).json), 1)
        WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": False}).expect(200)
        self.assertEqual(len(WORLD.api.get("/api/users", key=token).expect(200).json), 1)

    def test_it_is_no_key_of_the_list_and_in_the_audit(self):
        user = WORLD.add_user("listed")
        token = session("listed")
        self.assertEqual(WORLD.api.get("/api/keys", key=token).expect(200).json, [])
        row = WORLD.api.get("/api/audit", query={"target": user}).json[0]
        self.assertEqual((row["path"], row["status"], row["key"]["name"]), ("/api/auth/login", 201, "session:listed"))
        session_id = me(token).json["key"]["id"]
        for method in ("GET", "PATCH", "DELETE"):
            WORLD.api.request(method, f"/api/keys/{session_id}",
                              **({} if method == "GET" else {"body": {}})).refused(400, "key_not_found")

    def test_no_token_is_kept_in_clear(self):
        WORLD.add_user("stored")
        token = session("stored")
        for name in ("panel.db", "panel.db-wal"):
            with open(f"{WORLD.panel.data}/{name}", "rb") as stored:
                self.assertNotIn(token.encode(), stored.read(), name)
        WORLD.panel.crash()
        me(token).expect(200)
        WORLD.await_status(WORLD.node_id, "Online")


class Cookie(unittest.TestCase):
    def test_its_attributes(self):
        WORLD.add_user("cook")
        answer = log_in({"username": "cook", "password": PASSWORD}).expect(201)
        value, *attributes = answer.headers["Set-Cookie"].split("; ")
        self.assertEqual(value, "panel_session=" + answer.json["token"])
        self.assertEqual(attributes, ["Path=/api", "Max-Age=43200", "HttpOnly", "SameSite=Strict"])

    def test_secure_where_the_panel_is_https(self):
        world = World(config={"publicUrl": "https://panel.example.test", "sessionHours": 1}).start()
        try:
            answer = world.api.post("/api/auth/login", {"username": "owner", "password": PASSWORD}, key=None)
            cookie = answer.expect(201).headers["Set-Cookie"]
            self.assertTrue(cookie.endswith("; Secure"), cookie)
            self.assertIn("Max-Age=3600;", cookie)
        finally:
            world.stop()

    def test_a_logout_takes_it_away(self):
        WORLD.add_user("leaver")
        cookie = "panel_session=" + session("leaver")
        answer = WORLD.api.post("/api/auth/logout", key=None, headers={"Cookie": cookie, "X-Requested-With": "x"})
        self.assertIn("panel_session=; Path=/api; Max-Age=0;", answer.expect(200).headers["Set-Cookie"])
        WORLD.api.get("/api/auth/me", key=None, headers={"Cookie": cookie}).refused(401)


class End(unittest.TestCase):
    def setUp(self):
        self.name = "end-" + self.id().rpartition(".")[2].replace("_", "-")[-40:]
        self.user = WORLD.add_user(self.name)
        self.token, self.other = session(self.name), session(self.name)

    def alive(self):
        return [me(token).status == 200 for token in (self.token, self.other)]

    def test_by_logout(self):
        WORLD.api.post("/api/auth/logout", key=self.token).expect(200)
        self.assertEqual(self.alive(), [False, True])
        WORLD.api.post("/api/auth/logout", key=WORLD.panel.key).refused(400, "not_a_session")

    def test_by_another_password(self):
        WORLD.api.request("PATCH", f"/api/users/{self.user}", {"password": "another horse"}).expect(200)
        self.assertEqual(self.alive(), [False, False])
        log_in({"username": self.name, "password": PASSWORD}).refused(401)

    def test_by_the_users_own_new_password(self):
        body = {"password": "another horse", "currentPassword": PASSWORD}
        WORLD.api.request("PATCH", f"/api/users/{self.user}", body, key=self.token).expect(200)
        self.assertEqual(self.alive(), [False, False])
        log_in({"username": self.name, "password": "another horse"}).expect(201)

    def test_not_by_another_name(self):
        WORLD.api.request("PATCH", f"/api/users/{self.user}", {"email": "new@example.test"}).expect(200)
        self.assertEqual(self.alive(), [True, True])

    def test_by_the_users_end(self):
        with EventStream(Client("127.0.0.1", WORLD.panel.port, self.token), "/api/events") as stream:
            self.assertEqual(stream.status, 200)
            WORLD.api.delete(f"/api/users/{self.user}").expect(200)
            self.assertEqual(self.alive(), [False, False])
            until(lambda: stream.ended, 3, "its stream ends")


class Self(unittest.TestCase):
    """What a user may change of himself."""

    def setUp(self):
        self.name = "self-" + self.id().rpartition(".")[2].replace("_", "-")[-40:]
        self.user = WORLD.add_user(self.name)
        self.token = session(self.name)

    def change(self, body, user=None):
        return WORLD.api.request("PATCH", f"/api/users/{user or self.user}", body, key=self.token)

    def test_name_and_address_with_the_password(self):
        answer = self.change({"username": self.name + "-new", "currentPassword": PASSWORD}).expect(200)
        self.assertEqual(answer.json["username"], self.name + "-new")
        self.change({"email": "self2@example.test"}).refused(400, "missing_field", "currentPassword")
        answer = self.change({"email": "self2@example.test", "currentPassword": "wrong horse"})
        answer.refused(403, "forbidden", "currentPassword")
        self.assertNotIn("self2@example.test", str(WORLD.api.users()))

    def test_not_that_he_is_an_admin(self):
        for admin in (True, False):
            self.change({"admin": admin, "currentPassword": PASSWORD}).refused(403, "forbidden", "admin")

    def test_nobody_else(self):
        other = WORLD.add_user("other-than-" + self.name)
        for user in (other, "nosuch"):
            self.change({"username": "x", "currentPassword": PASSWORD}, user).refused(400, "user_not_found", "id")

    def test_guesses_are_counted(self):
        statuses = [self.change({"username": "x", "currentPassword": f"wrong {n}"}).status for n in range(12)]
        self.assertEqual(statuses, [403] * 10 + [429] * 2)


class Guesses(unittest.TestCase):
    def test_an_account_is_closed_to_who_guesses(self):
        WORLD.add_user("target")
        for name in ("target", "no-target"):  # whether there is one is not told
            statuses = [log_in({"username": name if n % 2 else name.upper(), "password": f"wrong {n}"}).status
                        for n in range(12)]
            self.assertEqual(statuses, [401] * 10 + [429] * 2)
        answer = log_in({"username": "target", "password": PASSWORD}).refused(429, "rate_limited")
        self.assertTrue(1 <= int(answer.headers["Retry-After"]) <= 900)
        WORLD.add_user("bystander")
        session("bystander")  # behind the same address

    def test_who_is_right_may_go_on(self):
        WORLD.add_user("often")
        for _ in range(2):
            for n in range(6):
                log_in({"username": "often", "password": f"wrong {n}"}).refused(401)
            session("often")

    def test_a_flood_of_logins_is_turned_away_and_passes(self):
        """There is a queue to the hashes; past it 503, and nobody waits for ever."""
        import threading
        statuses = []
        threads = [threading.Thread(target=lambda n=n: statuses.append(
            log_in({"username": f"flood{n}", "password": "wrong"}, timeout=60).status)) for n in range(30)]
        for thread in threads:
            thread.start()
        WORLD.api.get("/api/users").expect(200)
        for thread in threads:
            thread.join(90)
        self.assertEqual(len(statuses), 30)
        self.assertLessEqual(set(statuses), {401, 503})


class Told(unittest.TestCase):
    """What those who look after the panel see of passwords that were refused."""

    def setUp(self):
        directory = places.fresh_dir("told")
        self.addCleanup(places.drop_dir, directory)
        self.panel = Paneld(directory, config=self.config()).start()
        self.addCleanup(self.panel.kill)
        self.api = self.panel.client()
        self.api.post("/api/auth/create-user", {"username": "watched", "email": "watched@example.test",
                                                "password": PASSWORD}).expect(201)

    def config(self):
        return None

    def log_in(self, name, password="wrong", **headers):
        return self.api.post("/api/auth/login", {"username": name, "password": password}, key=None, headers=headers)

    def refusals(self):
        return re.findall(r'level=warn msg="password refused" client=(\S+) user=(\S+)\n', self.panel.daemon.log())

    def count(self, reason):
        family = scrape(self.api).families["panel_login_failures_total"]
        return next(number for _, labels, number in family.samples if labels["reason"] == reason)

    def test_they_are_logged_and_counted_and_what_was_typed_is_not(self):
        for typed in ("WATCHED", "My-Secret-Pass", "level=error\nmsg=forged"):
            self.log_in(typed).refused(401)
        self.assertEqual(self.refusals(), [("127.0.0.1", user) for user in ("watched", "unknown", "unknown")])
        for typed in ("Secret", "forged"):
            self.assertNotIn(typed, self.panel.daemon.log())
        self.assertEqual((self.count("wrong"), self.count("too_many")), (3, 0))
        statuses = [self.log_in("watched").status for _ in range(11)]
        self.assertEqual(statuses, [401] * 9 + [429] * 2)
        self.assertEqual((self.count("wrong"), self.count("too_many")), (12, 2))

    def test_one_who_changes_himself_too(self):
        answer = self.log_in("watched", PASSWORD).expect(201).json
        self.api.request("PATCH", f"/api/users/{answer['user']['userId']}",
                         {"username": "x", "currentPassword": "wrong"}, key=answer["token"]).refused(403)
        self.assertEqual((self.refusals(), self.count("wrong")), ([("127.0.0.1", "watched")], 1))

    def test_where_they_come_from_is_the_peer_whatever_they_say(self):
        self.log_in("watched", **{"X-Forwarded-For": "192.0.2.7"}).refused(401)
        self.assertEqual(self.refusals(), [("127.0.0.1", "watched")])
        statuses = [self.log_in("watched", **{"X-Forwarded-For": f"192.0.2.{n}"}).status for n in range(11)]
        self.assertEqual(statuses, [401] * 9 + [429] * 2)


class BehindProxies(Told):
    """The tests are the proxy that trustedProxies names."""

    def config(self):
        return {**QUICK, "trustedProxies": "127.0.0.1, 10.0.0.2"}

    def from_address(self, *lines, password="wrong"):
        """A login with these lines of X-Forwarded-For."""
        connection = self.api.connect()
        with contextlib.closing(connection):
            connection.putrequest("POST", "/api/auth/login")
            body = json.dumps({"username": "watched", "password": password}).encode()
            for name, value in (("Content-Length", len(body)), ("Content-Type", "application/json"),
                                *(("X-Forwarded-For", line) for line in lines)):
                connection.putheader(name, value)
            connection.endheaders(body)
            return connection.getresponse().status

    def test_where_they_come_from_is_the_peer_whatever_they_say(self):
        """Here it is what the proxy says."""
        for lines, client in ((("192.0.2.7",), "192.0.2.7"), (("1.1.1.1, 192.0.2.8, 10.0.0.2",), "192.0.2.8"),
                              (("1.1.1.1", "192.0.2.9"), "192.0.2.9"), (("192.0.2.6", "10.0.0.2"), "192.0.2.6"),
                              (("2001:db8::1",), "2001:db8::1"), (("192.0.2.7, unknown",), "127.0.0.1")):
            with self.subTest(lines=lines):
                self.assertEqual(self.from_address(*lines), 401)
                self.assertEqual(self.refusals()[-1], (client, "watched"))

    def test_one_does_not_lock_out_another(self):
        statuses = [self.from_address(f"1.1.1.{n}, 192.0.2.7") for n in range(12)]
        self.assertEqual(statuses, [401] * 10 + [429] * 2)
        self.assertEqual(self.from_address("192.0.2.8", password=PASSWORD), 201)
        self.assertEqual(self.from_address("192.0.2.7", password=PASSWORD), 429)


if __name__ == "__main__":
    unittest.main()
