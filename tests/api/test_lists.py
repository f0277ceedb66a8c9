"""Lists: bare arrays, pages by Link, ETags."""
import http.client
import re
import threading
import unittest
import urllib.parse

from api.endpoints import LISTS
from bench.plain import Plain
from lib.world import World

WORLD = None
COUNT = 25
NAMES = {"/api/users": "userId", "/api/nodes": "id", "/api/images": "Id", "/api/instances": "Id"}


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()
    for number in range(COUNT):
        WORLD.add_user(f"user{number}")
        WORLD.create_node(f"node{number}")
        WORLD.api.post("/api/images/create", {"Name": f"image{number}", "Image": "x"}).expect(201)
    for number in range(5):
        WORLD.deploy(name=f"instance{number}")


def tearDownModule():
    WORLD.stop()


def next_link(answer):
    """The target of rel="next", or None."""
    header = answer.headers.get("Link")
    if header is None:
        return None
    found = re.fullmatch(r'<([^>]+)>;\s*rel="next"', header)
    assert found, f"odd Link: {header}"
    target = urllib.parse.urlsplit(found.group(1))
    return target.path + "?" + target.query


def ids(path, rows):
    return [row[NAMES[path]] for row in rows]


class Pages(unittest.TestCase):
    def test_without_a_limit_all_come_and_no_link(self):
        for path in NAMES:
            answer = WORLD.api.get(path).expect(200)
            self.assertIsInstance(answer.json, list)
            self.assertIsNone(answer.headers.get("Link"))

    def test_links_lead_through_each_row_once_in_order(self):
        for path in NAMES:
            everything = ids(path, WORLD.api.get(path).json)
            for limit in (1, 2, 7, len(everything), 1000):
                with self.subTest(path=path, limit=limit):
                    seen, pages = [], 0
                    target = f"{path}?limit={limit}"
                    while target:
                        answer = WORLD.api.get(target).expect(200)
                        self.assertLessEqual(len(answer.json), limit)
                        seen += ids(path, answer.json)
                        pages += 1
                        target = next_link(answer)
                    self.assertEqual(seen, everything)
                    self.assertLessEqual(pages, len(everything) // limit + 1)

    def test_rows_made_on_the_way_disturb_nothing(self):
        before = ids("/api/users", WORLD.api.users())
        answer = WORLD.api.get("/api/users?limit=5")
        seen = ids("/api/users", answer.json)
        WORLD.add_user("latecomer")
        while next_link(answer):
            answer = WORLD.api.get(next_link(answer)).expect(200)
            seen += ids("/api/users", answer.json)
        self.assertEqual(seen[:len(before)], before)
        self.assertEqual(len(seen), len(set(seen)))

    def test_a_row_deleted_on_the_way_costs_no_other(self):
        rows = ids("/api/images", WORLD.api.images())
        answer = WORLD.api.get("/api/images?limit=5")
        seen = ids("/api/images", answer.json)
        WORLD.api.delete("/api/images/delete", {"id": rows[4]}).expect(201)
        while next_link(answer):
            answer = WORLD.api.get(next_link(answer)).expect(200)
            seen += ids("/api/images", answer.json)
        self.assertEqual(seen, rows)

    def test_limits_that_make_no_sense_are_400(self):
        for path in NAMES:
            for limit in ("0", "-1", "abc", "1.5", "", "+1", "99999999999999999999", "0x10", "1e1"):
                with self.subTest(path=path, limit=limit):
                    WORLD.api.get(path, query={"limit": limit}).refused(400, field="limit")

    def test_cursors_that_we_never_gave_are_400(self):
        for path in NAMES:
            for cursor in ("x", "-1", "", "'", "a" * 1000, "1 2"):
                with self.subTest(path=path, cursor=cursor[:20]):
                    WORLD.api.get(path, query={"limit": "5", "cursor": cursor}) \
                        .refused(400, field="cursor")

    def test_other_parameters_are_ignored(self):
        self.assertEqual(WORLD.api.get("/api/users?x=y&_=1").expect(200).json, WORLD.api.users())

    def test_a_users_instances_come_in_pages_too(self):
        answer = WORLD.api.post("/api/getUserInstance?limit=2", {"userId": WORLD.user_id}).expect(200)
        self.assertEqual(len(answer.json), 2)
        self.assertIsNotNone(answer.headers.get("Link"))


class Etags(unittest.TestCase):
    def test_an_unchanged_list_is_304(self):
        for endpoint in LISTS:
            if endpoint.path == "/api/nodes":
                continue  # shows what nodes use at this moment
            with self.subTest(path=endpoint.path):
                first = WORLD.api.get(endpoint.path).expect(200)
                tag = first.headers["ETag"]
                self.assertRegex(tag, r'^(W/)?"[^"]+"$')
                for value in (tag, f'"other", {tag}', "*", "W/" + tag.removeprefix("W/")):
                    again = WORLD.api.get(endpoint.path, headers={"If-None-Match": value})
                    self.assertEqual(again.status, 304, value)
                    self.assertEqual(again.headers["ETag"], tag)
                for value in ('"other"', "", "x", tag.strip('W/"')):
                    WORLD.api.get(endpoint.path, headers={"If-None-Match": value}).expect(200)

    def test_a_nodes_list_without_agents_is_304(self):
        alone = World().start()
        try:
            alone.create_node()
            tag = alone.api.get("/api/nodes").headers["ETag"]
            alone.api.get("/api/nodes", headers={"If-None-Match": tag}).expect(304)
        finally:
            alone.stop()

    def test_a_change_gives_another(self):
        changes = {
            "/api/users": lambda: WORLD.add_user("etag"),
            "/api/nodes": lambda: WORLD.create_node("etag"),
            "/api/images": lambda: WORLD.api.post("/api/images/create",
                                                  {"Name": "etag", "Image": "x"}).expect(201),
            "/api/instances": lambda: WORLD.deploy(name="etag"),
        }
        for path, change in changes.items():
            with self.subTest(path=path):
                tag = WORLD.api.get(path).headers["ETag"]
                change()
                WORLD.api.get(path, headers={"If-None-Match": tag}).expect(200)

    def test_each_page_has_its_own(self):
        tags = {WORLD.api.get(target).headers["ETag"] for target in
                ("/api/users", "/api/users?limit=2", "/api/users?limit=3")}
        self.assertEqual(len(tags), 3)

    def test_lists_of_different_things_have_different_ones(self):
        self.assertNotEqual(WORLD.api.get("/api/users").headers["ETag"],
                            WORLD.api.get("/api/images").headers["ETag"])

    def test_one_from_before_a_restart_never_stands_for_other_content(self):
        before = WORLD.api.get("/api/users")
        WORLD.panel.restart()
        # As many changes as could bring a counter that starts anew to where it was.
        for number in range(3):
            WORLD.add_user(f"after-restart-{number}")
            answer = WORLD.api.get("/api/users", headers={"If-None-Match": before.headers["ETag"]})
            self.assertEqual(answer.status, 200)

    def test_an_instance_that_changes_state_changes_the_list(self):
        instance = WORLD.deploy(name="watched")
        tag = WORLD.api.get("/api/instances").headers["ETag"]
        WORLD.api.post(f"/api/instances/suspend/{instance['Id']}").expect(200)
        WORLD.await_instance(instance["Id"], State="suspended")
        WORLD.api.get("/api/instances", headers={"If-None-Match": tag}).expect(200)


class Long(unittest.TestCase):
    """Lists that were long the last time are made on a thread of their own."""

    def setUp(self):
        self.world = World().start()
        self.words = "words " * 20000
        for number in range(4):
            self.add(number)
        self.world.api.get("/api/images").expect(200)

    def add(self, number):
        self.world.api.post("/api/images/create", {
            "Name": f"long{number}", "Image": "x", "Description": self.words}).expect(201)

    def test_they_are_whole_and_new_and_have_their_tag(self):
        for number in range(4, 8):
            self.add(number)
            answer = self.world.api.get("/api/images").expect(200)
            self.assertEqual([row["Name"] for row in answer.json], [f"long{n}" for n in range(number + 1)])
            self.world.api.get("/api/images", headers={"If-None-Match": answer.headers["ETag"]}).expect(304)
            self.assertEqual(len(self.world.api.get("/api/images?limit=2").expect(200).json), 2)
        self.world.stop()

    def test_many_at_once_while_it_changes_and_when_the_panel_stops(self):
        over, counts, errors = threading.Event(), [], []

        def ask():
            client = Plain(self.world.panel.port, self.world.panel.key)
            try:
                while not over.is_set():
                    counts.append(len(client.expect(200, "GET", "/api/images")))
            except (OSError, http.client.HTTPException, AssertionError) as error:
                if not over.is_set():
                    errors.append(error)
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for number in range(4, 12):
            self.add(number)
        over.set()
        self.world.stop()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertGreaterEqual(min(counts), 4)
