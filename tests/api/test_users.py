"""GET /api/users, POST /api/getUser, POST /api/auth/create-user."""
import collections
import concurrent.futures
import re
import sqlite3
import unittest

from lib import shapes
from lib.world import World

WORLD = None
UUID4 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


def setUpModule():
    global WORLD
    WORLD = World().start()


def tearDownModule():
    WORLD.stop()


def create(**fields):
    body = {"username": "nobody", "email": "nobody@example.test", "password": "long enough", **fields}
    return WORLD.api.post("/api/auth/create-user", {k: v for k, v in body.items() if v is not None})


def make(name, **fields):
    return create(**{"username": name, "email": f"{name}@example.test", **fields}).expect(201).json


def find(kind, value):
    return WORLD.api.post("/api/getUser", {"type": kind, "value": value})


class CreateUser(unittest.TestCase):
    def test_answers_the_user_and_nothing_more(self):
        user = make("ann", userId="u-1", admin=True)
        self.assertEqual(user, {"userId": "u-1", "username": "ann", "email": "ann@example.test",
                                "admin": True})

    def test_makes_an_id_when_there_is_none(self):
        self.assertRegex(make("noid")["userId"], UUID4)

    def test_takes_a_number_for_the_id(self):
        self.assertEqual(make("numbered", userId=4711)["userId"], "4711")
        find("id", "4711").expect(201)
        find("id", 4711).expect(201)

    def test_takes_a_number_for_the_name(self):
        self.assertEqual(create(username=12345, email="n12345@example.test").expect(201)
                         .json["username"], "12345")

    def test_is_no_admin_unless_told(self):
        self.assertIs(make("plain")["admin"], False)

    def test_takes_texts_for_admin(self):
        for value, admin in ((True, True), ("true", True), (False, False), ("false", False)):
            with self.subTest(value=value):
                self.assertIs(make(f"admin-{value}-{type(value).__name__}", admin=value)["admin"], admin)

    def test_refuses_other_texts_for_admin(self):
        for value in ("yes please", "2", "tru", 2, [], {}):
            with self.subTest(value=value):
                create(username="badadmin", email="badadmin@example.test", admin=value) \
                    .refused(400, field="admin")

    def test_ignores_fields_it_does_not_know(self):
        user = make("extra", accessTo=["x"], createdAt="then", rank=7, nested={"a": [1, {}]})
        self.assertNotIn("rank", user)

    def test_says_which_field_is_missing(self):
        for field in ("username", "email", "password"):
            create(**{field: None}).refused(400, field=field, says=field)
            create(**{field: ""}).refused(400, field=field)

    def test_ids_have_an_alphabet(self):
        for value in ("a", "A-Z_a.z-0", "x" * 64):
            make(f"id-{value[:10]}", userId=value)
        for value in ("", "x" * 65, "a b", "a/b", "a'b", "ä", "a\nb", "😀", ".", ".."):
            with self.subTest(value=value):
                create(userId=value).refused(400, field="userId")

    def test_usernames_may_be_anything_printable(self):
        for name in ("Ünïcödé", "日本語", "emoji 😀🎉", "a'b\"c\\d", "<b>bold</b>", "%s%n", "x" * 64,
                     "null", "DROP TABLE users;"):
            with self.subTest(name=name):
                user = create(username=name, email=f"{abs(hash(name))}@example.test").expect(201).json
                self.assertEqual(user["username"], name)
                self.assertEqual(find("username", name).expect(201).json["username"], name)

    def test_sixty_four_characters_are_counted_as_characters(self):
        create(username="é" * 64, email="e64@example.test").expect(201)
        create(username="é" * 65, email="e65@example.test").refused(400, field="username")

    def test_usernames_hold_no_control_characters(self):
        for name in ("a\nb", "a\tb", "\x1b[31m", "a\x7f", "\u0085", "", "x" * 65):
            with self.subTest(name=name):
                create(username=name).refused(400, field="username")

    def test_emails_are_checked_sanely(self):
        for email in ("a@b.example", "a.b+c@sub.example.test", "UPPER@Example.Test", "a@localhost",
                      "o'neil@example.test", "x" * 64 + "@example.test"):
            with self.subTest(email=email):
                create(username=f"mail-{email[:40]}", email=email).expect(201)
        for email in ("", "a", "@", "a@", "@b.example", "a b@c.example", "a@b\n.example", "a@b@c",
                      "a@b.example\x00"[:-1] + " ", "x" * 1000 + "@example.test"):
            with self.subTest(email=email[:40]):
                create(email=email).refused(400, field="email")

    def test_passwords_have_8_to_1024_bytes(self):
        for number, password in enumerate(("8" * 8, "x" * 1024, "ééßß", "tab\tand\nline")):
            with self.subTest(length=len(password)):
                make(f"pw{number}", password=password)
        for password in ("", "7" * 7, "x" * 1025, "é" * 513):
            with self.subTest(length=len(password)):
                create(password=password).refused(400, field="password")

    def test_a_taken_username_is_409(self):
        make("taken")
        create(username="taken", email="other1@example.test").refused(409, field="username")

    def test_a_taken_username_is_409_in_any_case(self):
        make("CamelCase")
        create(username="camelcase", email="other2@example.test").refused(409, field="username")

    def test_a_taken_email_is_409_in_any_case(self):
        make("mailer")
        create(username="other3", email="MAILER@Example.TEST").refused(409, field="email")

    def test_nobody_stands_before_another_at_the_login(self):
        """One logs in by name or address, so a name that is another's address would take his place."""
        make("victim")
        create(username="Victim@example.test", email="other5@example.test").refused(409, "user_exists", "username")
        make("name@example.org", email="other7@example.test")
        create(username="other6", email="name@Example.org").refused(409, "user_exists", "email")
        make("own@example.test", email="own@example.test")
        change = {"username": "VICTIM@example.test"}
        WORLD.api.request("PATCH", f"/api/users/{make('thief')['userId']}", change).refused(409, "user_exists", "username")

    def test_a_taken_id_is_409(self):
        make("first", userId="same")
        create(username="other4", email="other4@example.test", userId="same") \
            .refused(409, field="userId")

    def test_a_refused_user_is_not_there(self):
        before = WORLD.api.users()
        make_again = before[0]
        create(username=make_again["username"], email="fresh@example.test").refused(409)
        self.assertEqual(WORLD.api.users(), before)


class GetUser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = make("wanted", userId="wanted-id", admin=True)

    def test_by_each_type(self):
        for kind, value in (("id", "wanted-id"), ("username", "wanted"),
                            ("email", "wanted@example.test")):
            with self.subTest(kind=kind):
                user = find(kind, value).expect(201).json
                shapes.check_user(user)
                self.assertEqual(user["userId"], "wanted-id")

    def test_in_any_case(self):
        find("email", "WANTED@example.TEST").expect(201)
        find("username", "WANTED").expect(201)

    def test_unknown_ones_are_400(self):
        for kind in ("id", "username", "email"):
            find(kind, "nobody at all").refused(400, code="user_not_found")

    def test_other_types_are_400(self):
        for kind in ("phone", "ID ", "userId", "Email"):
            with self.subTest(kind=kind):
                find(kind, "wanted").refused(400, field="type", says="username")
        find("", "wanted").refused(400, field="type")

    def test_missing_fields_are_named(self):
        WORLD.api.post("/api/getUser", {"value": "x"}).refused(400, field="type")
        WORLD.api.post("/api/getUser", {"type": "id"}).refused(400, field="value")

    def test_values_are_no_patterns(self):
        for value in ("want%", "*", "' OR '1'='1", "wante_"):
            find("username", value).refused(400, code="user_not_found")


class ListUsers(unittest.TestCase):
    def test_shows_each_user_in_order_of_creation(self):
        names = [f"list-{n}" for n in range(5)]
        for name in names:
            make(name)
        users = WORLD.api.users()
        self.assertIsInstance(users, list)
        for user in users:
            shapes.check_user(user)
        self.assertEqual([u["username"] for u in users if u["username"] in names], names)

    def test_shows_no_password_in_any_form(self):
        text = WORLD.api.get("/api/users").body.decode().lower()
        for word in ("password", "hash", "argon", "$"):
            self.assertNotIn(word, text.replace("drop table users;", ""))


class Crowd(unittest.TestCase):
    """Many clients at once: what was answered with 201 is stored, all of it."""

    def crowd(self, clients, count, body):
        def one(number):
            return WORLD.panel.client().post("/api/auth/create-user", body(number), timeout=120)
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            return list(pool.map(one, range(count)))

    def test_200_users_by_32_clients_are_all_stored(self):
        answers = self.crowd(32, 200, lambda n: {"username": f"crowd-{n}", "password": "long enough",
                                                 "email": f"crowd-{n}@example.test"})
        self.assertEqual(collections.Counter(a.status for a in answers), {201: 200})
        names = {u["username"] for u in WORLD.api.users()}
        self.assertEqual([n for n in range(200) if f"crowd-{n}" not in names], [])

    def test_of_many_who_want_one_name_one_gets_it(self):
        answers = self.crowd(32, 32, lambda n: {"username": "popular", "password": "long enough",
                                                "email": f"popular-{n}@example.test"})
        statuses = collections.Counter(a.status for a in answers)
        self.assertEqual(statuses, {201: 1, 409: 31})
        self.assertEqual(sum(u["username"] == "popular" for u in WORLD.api.users()), 1)

    def test_more_than_can_be_served_are_told_to_come_back(self):
        answers = self.crowd(300, 300, lambda n: {"username": f"mob-{n}", "password": "long enough",
                                                  "email": f"mob-{n}@example.test"})
        self.assertLessEqual({a.status for a in answers}, {201, 503})
        self.assertEqual(sum(a.status == 201 for a in answers),
                         sum(u["username"].startswith("mob-") for u in WORLD.api.users()))


class ChangeUser(unittest.TestCase):
    def setUp(self):
        self.number = getattr(ChangeUser, "made", 0)
        ChangeUser.made = self.number + 1
        self.user = make(f"change{self.number}")

    def change(self, status=200, **fields):
        return WORLD.api.request("PATCH", f"/api/users/{self.user['userId']}", fields).expect(status).json

    def stored_hash(self):
        with sqlite3.connect(f"file:{WORLD.panel.data}/panel.db?mode=ro", uri=True) as db:
            return db.execute("SELECT password_hash FROM users WHERE id = ?",
                              (self.user["userId"],)).fetchone()[0]

    def test_only_what_was_sent_changes(self):
        changed = self.change(username=f"renamed{self.number}")
        shapes.check_user(changed)
        self.assertEqual((changed["username"], changed["email"]),
                         (f"renamed{self.number}", self.user["email"]))
        one = WORLD.api.get(f"/api/users/{self.user['userId']}").expect(200).json
        self.assertEqual(one, changed)

    def test_a_new_password_is_hashed_and_no_other_change_touches_it(self):
        before = self.stored_hash()
        self.change(admin=True)
        self.assertEqual(self.stored_hash(), before)
        self.assertTrue(self.change(password="another long one")["admin"])
        self.assertNotEqual(self.stored_hash(), before)
        self.assertTrue(self.stored_hash().startswith("$argon2id$"))
        self.assertEqual(self.change(400, password="short")["field"], "password")

    def test_a_name_in_other_capitals_is_still_ones_own(self):
        self.assertEqual(self.change(username=f"CHANGE{self.number}")["username"],
                         f"CHANGE{self.number}")

    def test_what_is_anothers_is_409(self):
        make(f"taken{self.number}")
        for field, value in (("username", f"TAKEN{self.number}"),
                             ("email", f"taken{self.number}@example.test")):
            answer = self.change(409, **{field: value})
            self.assertEqual((answer["code"], answer["field"]), ("user_exists", field))

    def test_an_unknown_one_is_400(self):
        for method in ("GET", "PATCH", "DELETE"):
            answer = WORLD.api.request(method, "/api/users/nosuch", None if method == "GET" else {})
            self.assertEqual(answer.expect(400).json["code"], "user_not_found")

    def test_a_deleted_one_is_gone_and_its_name_free(self):
        WORLD.api.delete(f"/api/users/{self.user['userId']}").expect(200)
        find("id", self.user["userId"]).expect(400)
        self.assertNotIn(self.user["userId"], [u["userId"] for u in WORLD.api.users()])
        make(self.user["username"], userId=self.user["userId"])
