"""What happened, told in order to whoever follows, and to whoever comes back."""
import os
import sqlite3
import unittest

from lib import places
from lib.daemon import run_tool
from lib.events import EventStream
from lib.metrics import scrape
from lib.paneld import create_key
from lib.wait import hold, until
from lib.world import World

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


def follow(query="", **more):
    return EventStream(WORLD.api, "/api/events" + query, **more)


def paneld(*args):
    done = run_tool([places.PANELD, *args, "--data", WORLD.panel.data], WORLD.dir)
    if done.code:
        raise AssertionError(done.out + done.err)


def types(stream):
    return [event.json["type"] for event in stream.events]


def last_of(instance):
    """The instance's last state, as the events tell it; None: there is none yet."""
    def found(stream):
        states = [e.json.get("State") for e in stream.events if e.json.get("instanceId") == instance]
        return states[-1] if states else None
    return found


class Place(unittest.TestCase):
    def test_a_stream_tells_where_it_begins(self):
        """So that whoever is cut off before the first event misses none."""
        with follow("?follow=0&after=0") as kept:
            until(lambda: kept.ended, 10, "what is kept is told")
            last = kept.events[-1].id
        with follow() as stream:
            until(lambda: stream.place, 5, "its place is told")
            self.assertEqual((stream.place, stream.events), (last, []))
        WORLD.add_user("between")
        with follow(last_id=stream.place) as stream:
            until(lambda: stream.events, 5, "what happened meanwhile is told")
            self.assertEqual(stream.events[0].id, str(int(last) + 1))

    def test_one_that_ends(self):
        with follow("?follow=0") as stream:
            until(lambda: stream.ended, 10, "there is nothing before now")
            self.assertEqual(stream.events, [])
        WORLD.api.get("/api/events?follow=maybe").expect(400)


class Told(unittest.TestCase):
    def test_the_life_of_an_instance(self):
        with follow() as stream:
            instance = WORLD.deploy()["Id"]
            until(lambda: last_of(instance)(stream) == "running", 5, lambda: str(stream.events))
            WORLD.api.post(f"/api/instances/suspend/{instance}", {}).expect(200)
            until(lambda: last_of(instance)(stream) == "suspended", 5, lambda: str(stream.events))
            WORLD.delete(instance)
            until(lambda: "instance.deleted" in types(stream), 5, lambda: str(stream.events))
            mine = [e.json for e in stream.events if e.json.get("instanceId") == instance]
        self.assertEqual(mine[0]["type"], "instance.created")
        self.assertEqual(mine[0]["InternalState"], "INSTALLING")
        self.assertEqual(mine[-1]["type"], "instance.deleted")
        self.assertTrue(all(event["nodeId"] == WORLD.node_id for event in mine))
        self.assertTrue(all(event["userId"] == WORLD.user_id for event in mine))
        seen = [event["State"] for event in mine]
        self.assertLess(seen.index("running"), seen.index("suspended"))
        self.assertIn("deleting", seen)

    def test_one_that_is_started_has_not_crashed(self):
        """Who is woken by a crash is not to be woken by a start."""
        instance = WORLD.deploy()["Id"]
        base = f"/api/instances/{instance}"
        ways = ((f"{base}/power", {"action": "stop"}, "stopped"),
                (f"{base}/power", {"action": "start"}, "running"),
                (f"{base}/power", {"action": "restart"}, "running"),
                (f"/api/instances/suspend/{instance}", {}, "suspended"),
                (f"/api/instances/unsuspend/{instance}", {}, "running"))
        before = scrape(WORLD.api).value("panel_instance_crashes_total")
        with follow(f"?instance={instance}") as stream:
            for path, body, state in ways:
                told = len(stream.events)
                WORLD.api.post(path, body, timeout=90).expect(200)
                until(lambda: len(stream.events) > told and last_of(instance)(stream) == state, 15,
                      lambda: f"{state}: {stream.events}")
            WORLD.engine.die(WORLD.containers_of(instance)[0], 7)
            until(lambda: last_of(instance)(stream) == "crashed", 10, lambda: str(stream.events))
            states = [event.json.get("State") for event in stream.events]
        WORLD.delete(instance)
        self.assertEqual(states.index("crashed"), len(states) - 1, states)
        self.assertEqual(scrape(WORLD.api).value("panel_instance_crashes_total"), before + 1)

    def test_why_an_install_failed(self):
        with follow() as stream:
            WORLD.engine.start_error = "scripted failure"
            try:
                WORLD.api.post("/api/instances/deploy", WORLD.spec(), query={"wait": 30}).expect(500)
            finally:
                WORLD.engine.start_error = None
            failed = until(lambda: [e.json for e in stream.events if e.json.get("State") == "failed"], 5,
                           lambda: str(stream.events))[0]
            self.assertIn("scripted failure", failed["Error"]["message"])
        WORLD.clear()

    def test_users_images_and_nodes(self):
        with follow() as stream:
            user = WORLD.add_user("eventful")
            WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": True}).expect(200)
            WORLD.api.request("PATCH", f"/api/users/{user}", {"admin": True}).expect(200)  # no change
            WORLD.api.delete(f"/api/users/{user}", {}).expect(200)
            image = WORLD.api.post("/api/images/create", {"Name": "eventful", "Image": "x:y"}).expect(201)
            WORLD.api.delete("/api/images/delete", {"id": image.json["Id"]}).expect(201)
            node = WORLD.create_node("eventful")["id"]
            WORLD.api.request("PATCH", f"/api/nodes/{node}", {"maintenance": True}).expect(200)
            WORLD.api.delete("/api/nodes/delete", {"nodeId": node}).expect(201)
            until(lambda: "node.deleted" in types(stream), 5, lambda: str(stream.events))
            self.assertEqual(types(stream), [
                "user.created", "user.changed", "user.deleted", "image.created", "image.deleted",
                "node.created", "node.changed", "node.deleted"])
            self.assertEqual(stream.events[0].json["userId"], user)
            for event in stream.events[3:5]:
                self.assertEqual((event.json["imageId"], event.json["name"]), (image.json["Id"], "eventful"))
            self.assertEqual(stream.events[5].json["nodeId"], node)

    def test_an_image_that_is_renamed(self):
        image = WORLD.api.post("/api/images/create", {"Name": "before", "Image": "x:y"}).expect(201).json["Id"]
        with follow() as stream:
            for body in ({"Name": "after"}, {"Name": "after"}, {"Description": "more"}):
                WORLD.api.request("PATCH", f"/api/images/{image}", body).expect(200)
            WORLD.api.delete("/api/images/delete", {"id": image}).expect(201)
            until(lambda: "image.deleted" in types(stream), 5, lambda: str(stream.events))
            self.assertEqual(types(stream), ["image.changed", "image.changed", "image.deleted"])
            self.assertEqual({(e.json["imageId"], e.json["name"]) for e in stream.events}, {(image, "after")})

    def test_keys(self):
        with follow() as stream:
            key = create_key(WORLD.panel.data, "eventful")
            paneld("key", "revoke", "eventful")
            until(lambda: len(stream.events) == 2, 5, lambda: str(stream.events))
            self.assertEqual(types(stream), ["key.created", "key.revoked"])
            self.assertEqual([e.json["name"] for e in stream.events], ["eventful"] * 2)
            self.assertEqual(stream.events[0].json["keyId"], stream.events[1].json["keyId"])
            self.assertNotIn(key, str([event.data for event in stream.events]))

    def test_a_nodes_status(self):
        def status(stream):
            return [e.json["status"] for e in stream.events if e.json["type"] == "node.status"]
        with follow(f"?node={WORLD.node_id}") as stream:
            WORLD.agent.kill()
            until(lambda: "Suspect" in status(stream), 10, lambda: str(stream.events))
            WORLD.agent.start()
            until(lambda: status(stream)[-1:] == ["Online"], 20, lambda: str(stream.events))

    def test_no_secret_is_in_it(self):
        with follow() as stream:
            WORLD.api.post("/api/auth/create-user", {
                "username": "secretive", "email": "s@example.test", "password": "hunter2hunter2",
                "userId": "secretive", "admin": False}).expect(201)
            until(lambda: stream.events, 5, "its event")
            self.assertNotIn("hunter2", str([event.data for event in stream.events]))
        WORLD.api.delete("/api/users/secretive", {}).expect(200)


class Filtered(unittest.TestCase):
    def test_by_instance_user_and_node(self):
        other_user = WORLD.add_user("other")
        with follow(f"?user={other_user}") as by_user, follow("?node=nowhere") as by_node:
            mine = WORLD.deploy()["Id"]
            with follow(f"?instance={mine}") as by_instance:
                others = WORLD.deploy(user=other_user)["Id"]
                for instance in (mine, others):
                    WORLD.delete(instance)
                until(lambda: "instance.deleted" in types(by_user), 5, lambda: str(by_user.events))
                until(lambda: "instance.deleted" in types(by_instance), 5, lambda: str(by_instance.events))
                self.assertEqual({e.json["instanceId"] for e in by_user.events}, {others})
                self.assertEqual({e.json["instanceId"] for e in by_instance.events}, {mine})
                self.assertEqual(by_node.events, [])

    def test_odd_questions(self):
        WORLD.api.get("/api/events?after=x").refused(400, field="after")
        WORLD.api.get("/api/events?instance=" + "x" * 100).refused(400, field="instance")
        WORLD.api.get("/api/events", headers={"Last-Event-ID": "-1"}).refused(400, field="Last-Event-ID")


class ComeBack(unittest.TestCase):
    def make(self, count):
        for _ in range(count):
            WORLD.api.delete(f"/api/users/{WORLD.add_user('passing')}", {}).expect(200)

    def ids(self, stream):
        return [int(event.id) for event in stream.events]

    def test_nothing_is_missed_over_a_restart(self):
        with follow() as stream:
            self.make(2)
            until(lambda: len(stream.events) == 4, 5, lambda: str(stream.events))
            last = stream.events[-1].id
        self.make(3)
        WORLD.panel.restart()
        with follow(last_id=last) as stream:
            self.make(1)
            until(lambda: sum(name.startswith("user.") for name in types(stream)) >= 8, 10,
                  lambda: str(stream.events))
            self.assertEqual(sum(name.startswith("user.") for name in types(stream)), 8)
            first = int(last) + 1
            self.assertEqual(self.ids(stream), list(range(first, first + len(stream.events))))

    def test_one_that_reads_slowly_loses_nothing(self):
        with follow(paused=True) as stream:
            self.make(60)
            stream.reading.set()
            until(lambda: len(stream.events) >= 120, 10, lambda: f"{len(stream.events)} events")
            first = self.ids(stream)[0]
            self.assertEqual(self.ids(stream)[:120], list(range(first, first + 120)))

    def test_all_who_follow_are_told_the_same(self):
        """Wherever they stand, and whatever another one at that place has just read for them."""
        with follow() as first, follow() as second, follow(paused=True) as slow:
            self.make(10)
            until(lambda: len(first.events) >= 20, 10, lambda: str(first.events))
            with follow(last_id=first.events[4].id) as late, follow("?node=nowhere") as filtered:
                slow.reading.set()
                self.make(2)
                for stream, count in ((first, 24), (second, 24), (slow, 24), (late, 19)):
                    until(lambda s=stream, n=count: len(s.events) >= n, 10, lambda s=stream: str(s.events))
                told = [(event.id, event.data) for event in first.events[:24]]
                for stream in (second, slow):
                    self.assertEqual([(e.id, e.data) for e in stream.events[:24]], told)
                self.assertEqual([(e.id, e.data) for e in late.events[:19]], told[5:])
                self.assertEqual(filtered.events, [])

    def test_what_is_no_longer_kept_is_counted(self):
        self.make(3)
        WORLD.panel.stop()
        with sqlite3.connect(os.path.join(WORLD.panel.data, "panel.db")) as database:
            first = database.execute("SELECT min(seq) FROM events").fetchone()[0]
            database.execute("DELETE FROM events WHERE seq < ?", [first + 5])
        database.close()
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online")  # for those that deploy after this
        with follow("?after=0") as stream:
            until(lambda: len(stream.events) > 3, 5, "some")
            self.assertEqual((stream.events[0].name, stream.events[0].json), ("lost", {"events": first + 4}))
            self.assertEqual(int(stream.events[1].id), first + 5)

    def test_ids_of_before_a_restore(self):
        backup = os.path.join(WORLD.dir, "events.backup")
        with follow() as stream:
            self.make(1)
            until(lambda: len(stream.events) == 2, 5, lambda: str(stream.events))
            known = stream.events[-1].id
            paneld("backup", backup)
            self.make(2)
            until(lambda: len(stream.events) == 6, 5, lambda: str(stream.events))
            lost = stream.events[-2].id  # a number that the restored one could give again
        WORLD.panel.stop()
        paneld("restore", "--replace", backup)
        WORLD.panel.start()
        WORLD.await_status(WORLD.node_id, "Online")
        self.make(3)
        with follow(last_id=lost) as stream:
            until(lambda: stream.events, 5, "that it knows what is no more")
            self.assertEqual((stream.events[0].name, stream.events[0].json), ("lost", {"events": None}))
        with follow(last_id=known) as stream:
            until(lambda: sum(name.startswith("user.") for name in types(stream)) == 6, 10,
                  lambda: str(stream.events))
            self.assertGreater(int(stream.events[0].id), int(lost))
            self.assertEqual(self.ids(stream), sorted(self.ids(stream)))

    def test_an_id_of_another_history(self):
        with follow("?after=999999999") as stream:
            until(lambda: stream.events, 5, "that it missed something")
            self.assertEqual((stream.events[0].name, stream.events[0].json), ("lost", {"events": None}))
            self.make(1)
            until(lambda: len(stream.events) == 3, 5, lambda: str(stream.events))


class Quiet(unittest.TestCase):
    def test_the_past_is_not_told_unasked(self):
        WORLD.api.delete(f"/api/users/{WORLD.add_user('past')}", {}).expect(200)
        with follow() as stream:
            hold(lambda: not stream.events, 0.5, lambda: str(stream.events))


class Access(unittest.TestCase):
    def test_given_and_taken(self):
        friend = WORLD.add_user("friend")
        instance = WORLD.deploy()["Id"]
        with follow(f"?user={friend}") as stream:
            WORLD.api.post(f"/api/instances/{instance}/users", {"userId": friend}).expect(200)
            WORLD.api.delete(f"/api/instances/{instance}/users", {"userId": friend}).expect(200)
            until(lambda: types(stream) == ["access.given", "access.taken"], 5, lambda: str(stream.events))
            self.assertEqual(stream.events[0].json["instanceId"], instance)
        WORLD.delete(instance)
