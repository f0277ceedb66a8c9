"""Sub-users: access to an instance of somebody else."""
import sqlite3
import unittest

from lib import shapes
from lib.world import World

WORLD = None
MANY = 10000


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def row(user_id):
    user = WORLD.api.get(f"/api/users/{user_id}").expect(200).json
    shapes.check_user(user)
    return user


def give(instance_id, user_id, **more):
    return WORLD.api.post(f"/api/instances/{instance_id}/users", {"userId": user_id}, **more)


def take(instance_id, user_id, **more):
    return WORLD.api.delete(f"/api/instances/{instance_id}/users", {"userId": user_id}, **more)


def guests(instance_id):
    rows = WORLD.api.get(f"/api/instances/{instance_id}/users").expect(200).json
    return [row["userId"] for row in rows]


class Access(unittest.TestCase):
    names = 0

    def setUp(self):
        self.instance_id = WORLD.deploy()["Id"]
        self.ann, self.bob = self.user(), self.user()

    def tearDown(self):
        WORLD.clear()

    def user(self):
        Access.names += 1
        return WORLD.add_user(f"guest{Access.names}")

    def test_is_given_shown_and_taken(self):
        self.assertEqual(guests(self.instance_id), [])
        for user_id in (self.bob, self.ann, self.ann):
            give(self.instance_id, user_id).expect(200)
        self.assertEqual(guests(self.instance_id), [self.ann, self.bob])
        self.assertEqual(row(self.ann)["accessTo"], [self.instance_id])
        self.assertIn([self.instance_id], [user["accessTo"] for user in WORLD.api.users()])
        WORLD.panel.restart()
        self.assertEqual(row(self.ann)["accessTo"], [self.instance_id])
        take(self.instance_id, self.ann).expect(200)
        self.assertEqual((row(self.ann)["accessTo"], row(self.bob)["accessTo"]), ([], [self.instance_id]))
        take(self.instance_id, self.ann).refused(400, "access_not_found", "userId")
        self.assertEqual(row(WORLD.user_id)["accessTo"], [])
        WORLD.await_status(WORLD.node_id, "Online")

    def test_the_owner_needs_none(self):
        give(self.instance_id, WORLD.user_id).refused(409, "is_owner", "userId")
        take(self.instance_id, WORLD.user_id).refused(400, "access_not_found", "userId")

    def test_what_is_not_there(self):
        give("nosuch", self.ann).refused(400, "instance_not_found", "id")
        give(self.instance_id, "nosuch").refused(400, "user_not_found", "userId")
        take("nosuch", self.ann).refused(400, "instance_not_found", "id")
        WORLD.api.get("/api/instances/nosuch/users").refused(400, "instance_not_found", "id")

    def test_goes_with_the_instance(self):
        give(self.instance_id, self.ann).expect(200)
        tag = WORLD.api.get("/api/users").headers["ETag"]
        WORLD.delete(self.instance_id)
        self.assertEqual(row(self.ann)["accessTo"], [])
        WORLD.api.get("/api/users", headers={"If-None-Match": tag}).expect(200)

    def test_goes_with_an_instance_that_is_still_being_deleted(self):
        give(self.instance_id, self.ann).expect(200)
        WORLD.agent.stop()
        try:
            self.assertEqual(WORLD.delete(self.instance_id).json["state"], "DELETING")
            self.assertEqual(row(self.ann)["accessTo"], [])
            give(self.instance_id, self.bob).refused(400, "instance_not_found", "id")
        finally:
            WORLD.agent.start()
            WORLD.await_status(WORLD.node_id, "Online")

    def test_goes_with_the_user(self):
        own = WORLD.deploy(user=self.bob)["Id"]
        for instance_id, user_id in ((self.instance_id, self.ann), (self.instance_id, self.bob),
                                     (own, self.ann)):
            give(instance_id, user_id).expect(200)
        WORLD.api.delete(f"/api/users/{self.bob}", {"force": True}).expect(200)
        self.assertEqual(guests(self.instance_id), [self.ann])
        self.assertEqual(row(self.ann)["accessTo"], [self.instance_id])
        WORLD.api.delete(f"/api/users/{self.ann}").expect(200)
        self.assertEqual(guests(self.instance_id), [])

    def test_goes_when_the_guest_becomes_the_owner(self):
        for user_id in (self.ann, self.bob):
            give(self.instance_id, user_id).expect(200)
        tag = WORLD.api.get("/api/users").headers["ETag"]
        WORLD.api.request("PATCH", f"/api/instances/{self.instance_id}", {"user": self.ann}).expect(200)
        self.assertEqual((row(self.ann)["accessTo"], guests(self.instance_id)), ([], [self.bob]))
        WORLD.api.get("/api/users", headers={"If-None-Match": tag}).expect(200)

    def test_the_shared_ones_are_listed_when_asked_for(self):
        own = WORLD.deploy(user=self.ann)["Id"]
        give(self.instance_id, self.ann).expect(200)

        def listed(**more):
            rows = WORLD.api.post("/api/getUserInstance", {"userId": self.ann, **more}).expect(200).json
            return [(row["Id"], row["User"]) for row in rows]
        self.assertEqual(listed(), [(own, self.ann)])
        self.assertEqual(listed(shared=False), [(own, self.ann)])
        self.assertEqual(listed(shared="true"), [(self.instance_id, WORLD.user_id), (own, self.ann)])

    def test_a_change_is_made_once(self):
        key = {"Idempotency-Key": "access-1"}
        give(self.instance_id, self.ann, headers=key).expect(200)
        take(self.instance_id, self.ann).expect(200)
        give(self.instance_id, self.ann, headers=key).expect(200)
        self.assertEqual(guests(self.instance_id), [])


class Many(unittest.TestCase):
    def test_a_user_with_ten_thousand(self):
        guest = WORLD.add_user("everywhere")
        model = WORLD.deploy()["Id"]
        WORLD.multiply(model, MANY)
        WORLD.panel.stop()
        db = sqlite3.connect(f"{WORLD.panel.data}/panel.db")
        db.execute("INSERT INTO access SELECT ?, id FROM instances WHERE id LIKE 'many%'", (guest,))
        db.commit()
        db.close()
        WORLD.panel.start()
        self.assertEqual(len(row(guest)["accessTo"]), MANY)
        self.assertIn(MANY, [len(user["accessTo"]) for user in WORLD.api.users()])
        seen = set()
        path, pages = "/api/getUserInstance?limit=1000", 0
        while path:
            answer = WORLD.api.post(path, {"userId": guest, "shared": True}).expect(200)
            seen |= {instance["Id"] for instance in answer.json}
            link = answer.headers.get("Link")
            path, pages = link and link[1:link.index(">")], pages + 1
        self.assertEqual((len(seen), pages), (MANY, MANY // 1000))
        take("many00000001", guest).expect(200)
        give("many00000001", guest).expect(200)
        self.assertEqual(len(row(guest)["accessTo"]), MANY)
        WORLD.api.delete(f"/api/users/{guest}").expect(200)
        self.assertEqual(guests("many00000001"), [])


if __name__ == "__main__":
    unittest.main()
