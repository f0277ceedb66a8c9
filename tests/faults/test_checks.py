"""The checks of the random run can fail: each is shown something that is wrong, and says so."""
import json
import unittest
from types import SimpleNamespace
from unittest import mock

from faults import checks, look, plan
from faults.changes import KINDS as KNOWN
from faults.followers import EventFollower, LogFollower
from faults.journal import OK, REFUSED, UNKNOWN, Journal
from faults.kinds import KINDS
from faults.look import Sight
from faults.storm import Storm
from lib.events import Event


def row(instance_id, name="c0x1", **more):
    return {"Id": instance_id, "Name": name, "Image": "test:sleeper", "InternalState": "READY",
            "State": "running", "suspended": False, "Error": None, "Ports": "8080:20000", "Memory": 16,
            "Cpu": 0.1, "Env": [], "variables": {}, "imageData": None, "Node": {"id": "node0"}, **more}


def container(instance_id, state="running"):
    return {"Labels": {"panel.instance": instance_id}, "State": state}


def inspected(memory=16, cpu=0.1, image="test:sleeper", env=(), since="2026-01-01T00:00:00.5Z"):
    return {"HostConfig": {"Memory": memory << 20, "NanoCpus": int(cpu * 1e9)},
            "Config": {"Image": image, "Env": list(env)}, "State": {"Running": True, "StartedAt": since}}


def sight(rows=(), containers=((), ()), volumes=((), ()), users=(), images=()):
    nodes = [{"name": "n0", "status": "Online", "docker": {"status": "up"}}]
    return Sight(nodes, list(rows), [{"username": name} for name in users],
                 [{"Name": name} for name in images], containers, volumes)


def entry(journal, kind, subject, outcome, began, ended, made="", sets=None, **facts):
    if kind in ("suspend", "unsuspend"):
        sets = {"suspended": kind == "suspend"}
    made_entry = journal.begin(0, kind, subject, sets=sets or {}, **facts)
    made_entry.began, made_entry.outcome, made_entry.made = began, outcome, made
    made_entry.ended = float("inf") if outcome == UNKNOWN else ended
    return made_entry


class Case(unittest.TestCase):
    def says(self, problems, *promises_and_words):
        """There is one problem for each pair, in that order, and no other."""
        self.assertEqual(len(problems), len(promises_and_words), problems)
        for problem, (promise, words) in zip(problems, promises_and_words):
            self.assertEqual(problem.promise, promise, problem)
            self.assertIn(words, problem.text)


class Plan(Case):
    def test_is_the_same_for_the_same_seed(self):
        lines = ["\n".join(plan.as_lines(plan.make_round(7, number, 3))) for number in range(5)]
        again = ["\n".join(plan.as_lines(plan.make_round(7, number, 3))) for number in range(5)]
        self.assertEqual(lines, again)

    def test_is_another_for_another_seed(self):
        self.assertNotEqual(plan.make_round(7, 0, 3), plan.make_round(8, 0, 3))

    def test_has_every_kind_of_fault_before_long(self):
        seen = {fault.kind for number in range(3 * len(KINDS))
                for fault in plan.make_round(7, number, 3).faults}
        self.assertEqual(seen, set(KINDS))


class Writes(Case):
    """I1"""

    def setUp(self):
        self.journal = Journal()
        entry(self.journal, "deploy", "c0x1", OK, 1, 2, made="aaa")

    def test_what_is_there_is_fine(self):
        self.says(checks.lost_or_invented(self.journal, sight([row("aaa")])))

    def test_a_lost_deploy(self):
        self.says(checks.lost_or_invented(self.journal, sight()), ("I1", "acknowledged, and is lost"))

    def test_a_lost_instance_of_an_earlier_round(self):
        journal = Journal({"old": row("old")})
        self.says(checks.lost_or_invented(journal, sight()), ("I1", "acknowledged, and is lost"))

    def test_one_that_may_have_been_deleted(self):
        entry(self.journal, "delete", "aaa", UNKNOWN, 3, 0)
        self.says(checks.lost_or_invented(self.journal, sight()))
        self.says(checks.lost_or_invented(self.journal, sight([row("aaa")])))

    def test_a_delete_that_is_undone(self):
        entry(self.journal, "delete", "aaa", OK, 3, 4)
        self.says(checks.lost_or_invented(self.journal, sight([row("aaa")])),
                  ("I1", "its delete was acknowledged"))

    def test_a_refused_deploy_that_is_there(self):
        entry(self.journal, "deploy", "c0x2", REFUSED, 1, 2)
        self.says(checks.lost_or_invented(self.journal, sight([
            row("aaa"), row("bbb", "c0x2", Ports="8080:20001")])), ("I1", "refused, and is there"))

    def test_an_instance_that_the_journal_does_not_hold(self):
        self.journal.entries.clear()
        self.says(checks.lost_or_invented(self.journal, sight([row("aaa")])),
                  ("I1", "nobody asked for it"))

    def test_one_deploy_done_twice(self):
        self.says(checks.lost_or_invented(self.journal, sight([
            row("aaa"), row("bbb", Ports="8080:20001")])), ("I1", "made 2 instances"))

    def test_a_port_given_twice(self):
        entry(self.journal, "deploy", "c0x2", OK, 1, 2, made="bbb")
        problems = checks.lost_or_invented(self.journal, sight([
            row("aaa"), row("bbb", "c0x2", Ports="8080:20000/udp")]))
        self.says(problems, ("I1", "shares host port 20000"))

    def test_users_and_images(self):
        entry(self.journal, "user", "u1", OK, 1, 2)
        entry(self.journal, "user", "u2", REFUSED, 1, 2)
        entry(self.journal, "user", "u3", UNKNOWN, 1, 2)
        entry(self.journal, "user", "u1", OK, 3, 4)
        entry(self.journal, "image", "i1", OK, 1, 2)
        self.says(checks.lost_or_invented(self.journal, sight([row("aaa")], users=["u2"])),
                  ("I1", "acknowledged and is lost"), ("I1", "made twice"),
                  ("I1", "refused and is there"), ("I1", "acknowledged and is lost"))

    def test_the_store_and_the_api_differ(self):
        here = sight([row("aaa"), row("bbb")])
        problems = checks.differs_from_store(
            here, {"aaa": ("c0x1", 1, 1), "ccc": ("c0x3", 1, 0)}, "row missing from index")
        self.assertEqual(sorted(p.subject for p in problems), ["aaa", "bbb", "ccc", "panel.db"])
        self.says(checks.differs_from_store(sight([row("aaa")]), {"aaa": ("c0x1", 1, 0)}, "ok"))


class Suspension(Case):
    """I1: `suspended` is a register; some order of what was acknowledged must explain its value."""

    def setUp(self):
        self.journal = Journal({"aaa": row("aaa")})

    def allowed(self):
        return self.journal.may_be("aaa", "suspended")

    def test_nothing_asked(self):
        self.assertEqual(self.allowed(), {False})

    def test_the_last_one_wins(self):
        entry(self.journal, "suspend", "aaa", OK, 1, 2)
        self.assertEqual(self.allowed(), {True})
        entry(self.journal, "unsuspend", "aaa", OK, 3, 4)
        self.assertEqual(self.allowed(), {False})

    def test_two_at_once_may_come_in_any_order(self):
        entry(self.journal, "suspend", "aaa", OK, 1, 4)
        entry(self.journal, "unsuspend", "aaa", OK, 2, 3)
        self.assertEqual(self.allowed(), {True, False})

    def test_an_unknown_one_may_be_done_late(self):
        entry(self.journal, "suspend", "aaa", UNKNOWN, 1, 0)
        entry(self.journal, "unsuspend", "aaa", OK, 3, 4)
        self.assertEqual(self.allowed(), {True, False})

    def test_a_refused_one_has_no_effect(self):
        entry(self.journal, "suspend", "aaa", REFUSED, 1, 2)
        self.assertEqual(self.allowed(), {False})

    def test_a_wrong_value_is_found(self):
        entry(self.journal, "suspend", "aaa", OK, 1, 2)
        self.says(checks.lost_or_invented(self.journal, sight([row("aaa")])),
                  ("I1", "suspended is False"))


class Changes(Case):
    """I1: what PATCH, power, access and drains set, each a register too."""

    def setUp(self):
        self.journal = Journal({"aaa": row("aaa")}, {("aaa", "on"): {False}})

    def found(self, **more):
        return checks.lost_or_invented(self.journal, sight([row("aaa", **more)]))

    def test_an_acknowledged_change_is_lost(self):
        entry(self.journal, "change", "aaa", OK, 1, 2, sets={"memory": 32})
        self.says(self.found(Memory=32))
        self.says(self.found(), ("I1", "memory is 16"))

    def test_a_refused_change_is_there(self):
        entry(self.journal, "change", "aaa", REFUSED, 1, 2, sets={"cpu": 0.2})
        self.says(self.found(Cpu=0.2), ("I1", "cpu is 0.2"))

    def test_a_changed_name_is_still_of_its_deploy(self):
        journal = Journal()
        entry(journal, "deploy", "c0x1", OK, 1, 2, made="aaa", asked={"name": "c0x1"})
        entry(journal, "change", "aaa", OK, 3, 4, sets={"name": "c0x1.7"})
        self.says(checks.lost_or_invented(journal, sight([row("aaa", "c0x1.7")])))
        self.says(checks.lost_or_invented(journal, sight([row("aaa", "c0x1")])), ("I1", "name is c0x1,"))

    def test_power_is_what_was_asked_for_last(self):
        stopped = sight([row("aaa", State="stopped")], ([container("aaa", "exited")],))
        self.says(checks.unsettled(stopped, self.journal.may_be))
        entry(self.journal, "start", "aaa", OK, 1, 2, sets={"on": True})
        self.says(checks.unsettled(stopped, self.journal.may_be), ("I8", "wanted"))
        entry(self.journal, "stop", "aaa", UNKNOWN, 3, 0, sets={"on": False})
        self.says(checks.unsettled(stopped, self.journal.may_be))

    def test_nothing_runs_on_a_drained_node(self):
        entry(self.journal, "start", "aaa", OK, 1, 2, sets={"on": True})
        here = sight([row("aaa")], ([container("aaa")],))
        here.nodes[0].update(id="node0", status="Maintenance", maintenance=True, drain={"running": 1})
        self.says(checks.unsettled(here, self.journal.may_be), ("I8", "wanted"))
        entry(self.journal, "drain", "node0", OK, 1, 2, sets={"drained": True})
        self.says(checks.lost_or_invented(self.journal, here))
        here.nodes[0].update(drain=None)
        self.says(checks.lost_or_invented(self.journal, here), ("I1", "not drained"))

    def test_access_that_is_lost_or_left(self):
        here = sight([row("aaa")], users=["guest"])
        here.users[0].update(userId="g", accessTo=[])
        entry(self.journal, "give", "aaa", OK, 1, 2, sets={"access of g": True})
        self.says(checks.lost_or_invented(self.journal, here), ("I1", "lacks access"))
        here.users[0]["accessTo"] = ["aaa"]
        self.says(checks.lost_or_invented(self.journal, here))
        entry(self.journal, "take", "aaa", OK, 3, 4, sets={"access of g": False})
        self.says(checks.lost_or_invented(self.journal, here), ("I1", "has access"))

    def test_a_container_with_other_limits(self):
        here = sight([row("aaa", Memory=32)])
        here.details = {"aaa": inspected(memory=32)}
        self.says(checks.misfits(here))
        here.details = {"aaa": inspected(cpu=0.2)}
        self.says(checks.misfits(here), ("I8", "memory"), ("I8", "cpu"))

    def test_every_change_is_made_and_shown_alike(self):
        for name, change in KNOWN.items():
            value = change.value("c0x1", 7, "registry")
            self.assertNotEqual(change.body(value), {}, name)
        shown = row("aaa", "c0x1.7", Memory=23, Cpu=0.17, Env=["FAULTS=env-7"],
                    variables={"FAULTS_V": "variable-7"}, Image="registry/talker-too:latest", Ports="8080:15007")
        held = inspected(23, 0.17, "registry/talker-too:latest", ("FAULTS=env-7", "FAULTS_V=variable-7"))
        held["HostConfig"]["PortBindings"] = {"8080/tcp": [{"HostPort": "15007"}]}
        for name, change in KNOWN.items():
            value = change.value("c0x1", 7, "registry")
            self.assertEqual(change.shown(shown), value, name)
            if change.held:
                self.assertEqual(change.held(held), value, name)


class Volumes(Case):
    """I1: what is in them, and what was told to those who write there."""

    def setUp(self):
        self.journal = Journal({"aaa": row("aaa")})
        self.here = sight([row("aaa")])
        self.here.details = {"aaa": inspected()}
        self.files = {"kept": b"ours", "game": b"game", "lines": b"line 1\nline 2\n"}

    def read(self, _row, name):
        return self.files.get(name)

    def unkept(self):
        return checks.unkept(self.journal, self.here, {"aaa": b"ours"}, self.read)

    def misdelivered(self, unsure=()):
        return checks.misdelivered(self.journal, self.here, self.read, lambda _row: True, unsure)

    def test_a_lost_file(self):
        self.says(self.unkept())
        self.files.clear()
        self.says(self.unkept(), ("I1", "lost a file"))
        entry(self.journal, "wipe", "aaa", UNKNOWN, 1, 0, sets={"wipe": True})
        self.says(self.unkept())

    def test_a_wipe_that_is_not_done(self):
        entry(self.journal, "wipe", "aaa", OK, 1, 2, sets={"wipe": True})
        self.says(self.unkept(), ("I1", "a wipe was acknowledged"))
        self.here.instances[0]["State"] = "stopped"
        self.says(self.unkept())

    def test_what_is_not_installed(self):
        self.says(checks.uninstalled(self.here, b"game", self.read, lambda _row: True))
        self.says(checks.uninstalled(self.here, b"other", self.read, lambda _row: True),
                  ("I1", "without what its template installs"))

    def test_a_line_twice(self):
        self.says(self.misdelivered())
        self.files["lines"] += b"line 1\n"
        self.says(self.misdelivered(), ("I1", "2 times"))

    def test_a_line_that_was_said_not_to_be_written(self):
        entry(self.journal, "command", "aaa", REFUSED, 1, 2, line="line 2")
        self.says(self.misdelivered(), ("I1", "said not to be"))

    def test_a_line_that_is_lost_while_the_container_runs_on(self):
        entry(self.journal, "command", "aaa", OK, 1, 2, line="line 3", at=checks.started_at(inspected()) + 1)
        self.says(self.misdelivered(), ("I1", "acknowledged and is lost"))
        self.says(self.misdelivered(unsure={"node0"}))
        self.here.details = {"aaa": inspected(since="2026-01-01T00:00:09.123456789Z")}
        self.says(self.misdelivered())


class Followers(Case):
    """I1: what they were told."""

    RUN = "11111111-1111-4222-8333-444444444444"

    @staticmethod
    def event(event_id, name="message", **data):
        return Event(name, str(event_id), json.dumps(data), 0)

    def test_events_one_after_the_other(self):
        follower = EventFollower(None, 1)
        for number in (1, 2, 3):
            follower.take(self.event(number, type="node.changed"))
        self.says(checks.unheard(follower, 3))
        self.says(checks.unheard(follower, 4), ("I1", "stands at 3"))
        follower.take(self.event(5, type="node.changed"))
        follower.take(self.event(5, type="node.changed"))
        follower.take(self.event("", name="lost", events=3))
        self.says(checks.unheard(follower, 5), ("I1", "event 5 came after 3"), ("I1", "event 5 came after 5"),
                  ("I1", "are lost"))

    def test_the_last_state_is_what_is_so(self):
        follower = EventFollower(None, 1)
        follower.take(self.event(1, type="instance.state", instanceId="aaa", InternalState="READY", State="crashed"))
        self.says(checks.untold(follower, sight([row("aaa")])), ("I1", "its last event said"))
        follower.take(self.event(2, type="instance.state", instanceId="aaa", InternalState="READY", State="running"))
        self.says(checks.untold(follower, sight([row("aaa")])))

    def test_lines(self):
        follower = LogFollower(None, "aaa", 1)
        for number in (2, 3, 5):
            follower.take(self.event(f"{number}-0", line=f"{self.RUN} {number}"))
        printed = [f"{self.RUN} {number}" for number in range(1, 7)] + ["cut by a ki"]
        self.says(checks.unlogged(follower, printed), ("I1", "lines [4, 6]"))
        follower.take(self.event("5-0", line=f"{self.RUN} 5"))
        self.says(checks.unlogged(follower, []), ("I1", "event 5-0 came twice"), ("I1", "lines [5]"))


class FarAway(Case):
    def test_only_what_comes_from_elsewhere_is_excused(self):
        failed = {"InternalState": "FAILED", "State": "failed"}
        here = sight([row("aaa", **failed, Error={"code": "registry_unreachable"}),
                      row("bbb", **failed, Error={"code": "port_in_use"}),
                      row("ccc", **failed, Image=checks.ABSENT_IMAGE, Error={"code": "registry_unreachable"}),
                      row("ddd")])
        self.assertEqual([one["Id"] for one in checks.far_away(here)], ["aaa"])


class Reads(Case):
    """I1, while all goes on."""

    def setUp(self):
        self.journal = Journal()
        entry(self.journal, "deploy", "c0x1", OK, 1, 2, made="aaa")

    def misread(self, rows, began):
        self.journal.check_read(rows, ["aaa"], began)
        return [why for _, why in self.journal.misreadings]

    def test_an_acknowledged_one_must_be_shown(self):
        self.assertEqual(self.misread([], 1.5), [])
        self.assertEqual(len(self.misread([], 3)), 1)

    def test_a_deleted_one_must_not(self):
        entry(self.journal, "delete", "aaa", OK, 3, 4)
        self.assertEqual(self.misread([row("aaa")], 3.5), [])
        self.assertEqual(len(self.misread([row("aaa")], 5)), 1)

    def test_an_old_value_must_not(self):
        entry(self.journal, "suspend", "aaa", OK, 3, 4)
        self.assertEqual(self.misread([row("aaa")], 3.5), [])
        self.assertEqual(len(self.misread([row("aaa")], 5)), 1)


class Containers(Case):
    """I2, I3, I8"""

    def test_what_is_as_wanted_is_fine(self):
        self.says(checks.unsettled(sight(
            [row("aaa"), row("bbb", suspended=True, State="suspended")],
            ([container("aaa")], [container("bbb", "exited")]), (["aaa"], ["bbb"]))))

    def test_a_second_container(self):
        self.says(checks.doubled([[container("aaa"), container("aaa", "created")]]),
                  ("I2", "2 containers on node 0"))

    def test_the_one_that_is_replaced_may_be_there_while_it_does_not_run(self):
        two = [[container("aaa"), container("aaa", "exited")]]
        self.says(checks.doubled(two, running=True))
        two[0][1]["State"] = "running"
        self.says(checks.doubled(two, running=True), ("I2", "2 containers on node 0"))

    def test_one_that_was_stopped_while_it_was_replaced(self):
        two = [[container("aaa", "exited"), container("aaa", "exited")]]
        self.says(checks.doubled(two, changing={"bbb"}), ("I2", "2 containers on node 0"))
        self.says(checks.doubled(two, changing={"aaa"}))
        for one in two[0]:
            one["State"] = "running"
        self.says(checks.doubled(two, changing={"aaa"}), ("I2", "2 containers on node 0"))

    def test_a_container_on_another_node(self):
        self.says(checks.doubled([[], [container("aaa")]], {"aaa": 0}), ("I2", "isn't its own"))

    def test_none_runs(self):
        self.says(checks.unsettled(sight([row("aaa")])), ("I8", "wanted"))

    def test_a_suspended_one_runs(self):
        self.says(checks.unsettled(sight([row("aaa", suspended=True, State="suspended")],
                                         ([container("aaa")],))), ("I8", "wanted"))

    def test_one_is_still_being_installed(self):
        self.says(checks.unsettled(sight([row("aaa", InternalState="INSTALLING", State="pulling")])),
                  ("I8", "wanted"))

    def test_something_is_left(self):
        self.says(checks.unsettled(sight([], ([container("aaa", "exited")],), ([], ["bbb"]))),
                  ("I3", "a container of no instance"), ("I3", "a volume of no instance"))

    def test_a_node_is_not_back(self):
        here = sight()
        here.nodes[0]["status"] = "Suspect"
        self.says(checks.unsettled(here), ("I8", "Suspect"))

    def test_one_that_can_not_run_has_to_say_so(self):
        absent = row("aaa", Image=checks.ABSENT_IMAGE, InternalState="INSTALLING")
        self.says(checks.unfailed(sight([absent])), ("I4", "INSTALLING"))
        absent["InternalState"] = "FAILED"
        self.says(checks.unfailed(sight([absent])), ("I4", "FAILED"))
        absent["Error"] = {"code": "image_not_found"}
        self.says(checks.unfailed(sight([absent])))


class Bystanders(Case):
    """I3"""

    BEFORE = {(0, "bystander"): ("id", "noon")}

    def touched(self, now, may_restart=()):
        return checks.touched(self.BEFORE, {(0, "bystander"): now}, may_restart)

    def test_left_alone(self):
        self.says(self.touched(("id", "noon")))

    def test_removed_replaced_stopped_restarted(self):
        self.says(self.touched((None, None)), ("I3", "gone"))
        self.says(self.touched(("other", "noon"), {0}), ("I3", "another one"))
        self.says(self.touched(("id", None), {0}), ("I3", "does not run"))
        self.says(self.touched(("id", "one"), {1}), ("I3", "started anew"))

    def test_an_engine_that_stops_may_restart_it(self):
        self.says(self.touched(("id", "one"), {0}))


class Figures(Case):
    """I6, I9"""

    def test_growth(self):
        def has(mib, fds, threads):
            return {"paneld": SimpleNamespace(rss_mib=mib, fds=fds, threads=threads)}
        first = has(50, 30, 20)
        self.says(checks.grown(first, has(60, 35, 21)))
        self.says(checks.grown(first, has(900, 90, 40)),
                  ("I6", "descriptors"), ("I6", "threads"), ("I6", "MiB"))

    def test_a_request_that_waits_for_another_node(self):
        calm = {"list": [0.002] * 30, "deploy": [0.01] * 30}
        self.says(checks.slowed(calm, {"list": [0.003] * 30, "deploy": [0.02] * 30}))
        self.says(checks.slowed(calm, {"list": [0.003] * 25 + [2.0] * 5}), ("I9", "p90"))


class LostPorts(Case):
    """Seed 11, round 68: who looked whether a port was free had it whenever the agent tried again."""

    def storm(self, **cluster):
        node = SimpleNamespace(id="node0", index=0, engine=mock.Mock())
        with mock.patch("faults.storm.Cluster", return_value=SimpleNamespace(nodes=[node], **cluster)), \
                mock.patch("faults.storm.Workload"):
            return Storm(0, 1)

    def test_two_that_an_engine_has_lost_at_once(self):
        """Seed 204, round 22: only the one that was looked into was tried again."""
        api = mock.Mock()
        api.nodes.return_value = [{"status": "Online"}]
        error = {"code": "port_in_use"}
        refused = sight([row("i1", InternalState="FAILED", Error=error), row("i2", InternalState="FAILED", Error=error),
                         row("i3", InternalState="FAILED", Error={"code": "other"})])
        with mock.patch.object(look, "port_refusals", return_value=1), \
                mock.patch.object(look, "has_lost_port", return_value=True):
            self.assertTrue(self.storm(api=api)._give_ports_back(refused))
        self.assertEqual([call.args[0] for call in api.post.call_args_list],
                         ["/api/instances/i1/retry", "/api/instances/i2/retry"])

    def test_each_refusal_is_looked_into_once(self):
        storm = self.storm()
        refused = sight([row("i1", Error={"code": "port_in_use"})])
        with mock.patch.object(look, "port_refusals", side_effect=[1, 1, 1, 2, 2]), \
                mock.patch.object(look, "has_lost_port", return_value=False) as looked:
            for _ in range(5):
                self.assertFalse(storm._give_ports_back(refused))
        self.assertEqual(looked.call_count, 2)
