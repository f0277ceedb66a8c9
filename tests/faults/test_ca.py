"""Another CA for a panel whose nodes stay joined: moved over their links, the old one ended after that.

With either daemon killed at each step, an agent that is too old, one that is away, strangers that
have the old CA's key, and a backup in the middle."""
import json
import os
import re
import shutil
import ssl
import unittest

from lib import pki, places
from lib.agent import Agent
from lib.daemon import run_tool
from lib.link_peer import ScriptedAgent, ScriptedPanel
from lib.promises import proves, ran
from lib.wait import hold, until
from lib.world import World

HURRY = {"PANEL_HURRY": "60"}  # what is tried again in a minute is tried again in a second


class Case(unittest.TestCase):
    env = HURRY

    def setUp(self):
        self.world = World("scripted")
        self.world.panel.env.update(self.env)
        self.world.start()
        self.panel, self.agent = self.world.panel, self.world.agent

    def tearDown(self):
        self.world.stop()

    def online(self, node_id=None):
        self.world.await_status(node_id or self.world.node_id, "Online", timeout=20)

    def ca(self, word, *options, code=0):
        done = run_tool([places.PANELD, "ca", word, "--data", self.panel.data, *options], self.world.dir)
        self.assertEqual(done.code, code, done.out + done.err)
        return done

    def status(self):
        return json.loads(self.ca("status", "-o", "json").out)

    def all_moved(self, count=1):
        until(lambda: self.status()["moved"] == count, 20, lambda: f"all move; {self.status()}")

    def trusted(self, agent=None):
        """How many CAs the agent trusts."""
        with open(os.path.join((agent or self.agent).state, "ca.crt")) as text:
            return text.read().count("BEGIN CERTIFICATE")

    def pki_files(self):
        return sorted(os.listdir(os.path.join(self.panel.data, "pki")))

    def old_authority(self):
        """The CA as it is now, kept by somebody who got at it."""
        folder = places.fresh_dir("stolen")
        shutil.copytree(os.path.join(self.panel.data, "pki"), folder, dirs_exist_ok=True)
        return pki.Authority(os.path.join(folder, "ca.key"), os.path.join(folder, "ca.crt"))

    def check_works(self, instance):
        for word, state in (("suspend", "suspended"), ("unsuspend", "running")):
            self.world.api.post(f"/api/instances/{word}/{instance['Id']}").expect(200)
            self.world.await_instance(instance["Id"], State=state)
        self.assertEqual(len(self.world.engine.containers), 1)

    def check_over(self):
        """One CA everywhere, on either side of a new link."""
        until(lambda: self.trusted() == 1, 20, "the agent trusts one CA")
        self.assertEqual(self.pki_files(), ["ca.crt", "ca.key"])
        self.panel.restart()
        self.agent.restart()
        self.online()
        self.all_moved()
        self.assertFalse(self.status()["rotating"])


class Rotation(Case):
    def older_agent(self):
        """In the place of the real one: it knows nothing of other CAs."""
        self.agent.stop()
        older = ScriptedAgent(self.agent).start()
        until(lambda: older.requests["sync"] > 1, 20, "the panel hears it")
        self.online()
        return older

    def test_moves_every_node_and_ends_the_old(self):
        instance = self.world.deploy()
        pid, before, stolen = self.agent.daemon.pid, self.status(), self.old_authority()
        self.assertEqual((before["rotating"], before["nodes"], before["moved"]), (False, 1, 1))
        self.assertIn("only one CA", self.ca("retire", code=1).err)
        self.ca("rotate")
        self.assertIn("there already", self.ca("rotate", code=1).err)
        self.all_moved()
        self.assertNotEqual(self.status()["signer"], before["signer"])
        self.assertEqual(self.trusted(), 2)
        self.check_works(instance)
        late = Agent(self.world.dir, self.world.engine.path, "late")  # joins in between
        late_id = self.world.add_node(late, "late")
        self.all_moved(2)
        late.stop()
        self.panel.restart()  # what a node said before isn't believed for ever
        self.online()
        told = self.ca("retire", code=1).err
        self.assertIn("1 of 2 nodes still need the old CA", told)
        self.assertIn("late  not Online", self.ca("status").out)
        late.start()
        self.online(late_id)
        self.all_moved(2)
        self.ca("retire")
        until(lambda: (self.trusted(), self.trusted(late)) == (1, 1), 20, "both forget the old one")
        late.stop()
        self.world.api.delete("/api/nodes/delete", {"nodeId": late_id}).expect(201)
        self.assertEqual(self.agent.daemon.pid, pid)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            ScriptedPanel(self.panel, self.agent, stolen.issue("panel", "clientAuth"))
        self.check_over()
        self.check_works(instance)

    def test_one_that_is_away_moves_when_it_is_back(self):
        self.agent.stop()
        self.ca("rotate")
        self.assertEqual(self.status()["moved"], 0)
        self.panel.crash()
        self.agent.start()
        self.online()
        self.all_moved()
        self.ca("retire")
        self.check_over()

    def test_an_older_agent_goes_on_under_the_old_one(self):
        older = self.older_agent()
        self.ca("rotate")
        hold(lambda: self.world.api.node(self.world.node_id)["status"] == "Online", 2, "it stays Online")
        self.panel.restart()
        self.online()
        self.assertRegex(self.ca("status").out, "node  its panel-agent is too old to move")
        self.assertIn("--force", self.ca("retire", code=1).err)
        self.assertEqual(older.requests["ca_install"], 0)
        older.stop()
        self.agent.start()  # upgraded
        self.online()
        self.all_moved()

    def test_by_force_who_stayed_behind_has_to_join_again(self):
        instance = self.world.deploy()
        self.agent.stop()
        self.ca("rotate")
        self.assertIn("it has to join again", self.ca("retire", "--force").out)
        self.panel.restart()  # now the panel knows nothing of what the node said
        self.assertRegex(self.ca("status").out, "node  not Online: what it trusts shows when it is")
        self.agent.start()
        self.world.await_status(self.world.node_id, "Offline", timeout=20)
        until(lambda: "join again" in self.ca("status").out, 20, "its handshake is seen to be refused")
        hold(lambda: self.world.api.node(self.world.node_id)["status"] == "Offline", 2, "it isn't let in")
        self.assertEqual(self.panel.daemon.log().count(f'msg="node refused" node={self.world.node_id}'), 1)
        self.agent.stop()
        token = self.world.api.post(f"/api/nodes/{self.world.node_id}/token", {}).expect(201).json
        self.agent.join(self.panel.url, token["joinToken"]).start()
        self.online()
        self.world.await_instance(instance["Id"], State="running")
        self.check_over()

    def test_by_force_ends_the_link_that_is_there(self):
        older = self.older_agent()
        self.ca("rotate")
        self.ca("retire", "--force")
        self.world.await_status(self.world.node_id, "Offline", timeout=20)
        hold(lambda: self.world.api.node(self.world.node_id)["status"] == "Offline", 2, "it isn't let in")
        older.stop()

    def test_a_backup_in_the_middle_has_both(self):
        file = os.path.join(self.world.dir, "backup.db")
        self.ca("rotate")
        self.all_moved()
        self.panel_tool("backup", file)
        self.ca("retire")
        until(lambda: self.trusted() == 1, 20, "the agent trusts one CA")
        self.panel.stop()
        self.panel_tool("restore", "--replace", file)
        self.assertEqual(self.pki_files(), ["ca.crt", "ca.key", "next.crt", "next.key"])
        self.panel.start()
        self.assertTrue(self.status()["rotating"])

    def panel_tool(self, *args):
        done = run_tool([places.PANELD, *args, "--data", self.panel.data], self.world.dir)
        self.assertEqual(done.code, 0, done.err)


class Unhurried(Case):
    """With the times that a panel has, but for its beat."""
    env = {}

    def test_a_planned_new_link_is_no_missed_beat(self):
        self.panel.config["heartbeatMs"] = 3000
        self.panel.restart()
        self.online()
        begun = len(self.panel.daemon.log())
        self.ca("rotate")
        self.all_moved()
        self.ca("retire")
        until(lambda: self.status()["moved"] == 1 and self.trusted() == 1, 20, "it trusts the new one alone")
        until(lambda: self.agent.daemon.log().count("msg=listening") >= 4, 10, "its listener is swapped")
        self.online()
        said = self.panel.daemon.log()[begun:]
        self.assertEqual(said.count('msg="certificate renewed"'), 1)
        for word in ("to=Suspect", "doesn't sync", "link lost", "level=error"):
            self.assertNotIn(word, said)

    def test_the_end_of_the_old_shows_within_a_beat(self):
        self.ca("rotate")
        self.all_moved()
        self.ca("retire")
        until(lambda: self.status()["moved"] == 1, 4, lambda: f"all trust it alone; {self.status()}")
        self.assertRegex(self.ca("status").out, r"1 of 1 nodes are known to trust it alone\.\n$")


def places_in(path):
    with open(os.path.join(places.ROOT, path)) as source:
        return re.findall(r'FAILPOINT\("(ca\.[^"]+)"\)', source.read())


class Killed(Case):
    def die_at(self, place, word):
        """The panel, by a command; then it is there again, and as a rule the command is given again."""
        self.panel.stop()
        self.panel.daemon.extra_env["PANEL_FAILPOINTS"] = f"{place}=die"
        self.panel.start()
        self.online()
        if word == "retire":
            self.all_moved()
        self.ca(word, code=1)
        self.panel.daemon.wait_exit(10)
        self.panel.daemon.extra_env.pop("PANEL_FAILPOINTS")
        self.panel.start()
        self.online()

    @proves("I1", "I8", fault="kill -9 of the panel at every step of another CA taking over")
    def test_the_panel(self):
        instance = self.world.deploy()
        for place in places_in("panel/pki/ca.c"):
            with self.subTest(place=place):
                ends = place.startswith("ca.retire")
                if ends:
                    self.ca("rotate")
                self.die_at(place, "retire" if ends else "rotate")
                # What it had promised on its disk is done, and nothing else.
                self.assertEqual(self.status()["rotating"], place == "ca.rotate.made")
                if place == "ca.rotate.key":
                    self.ca("rotate")
                if not ends:
                    self.all_moved()
                    self.ca("retire")
                self.check_over()
                self.check_works(instance)
                ran(1)

    @proves("I8", fault="kill -9 of an agent that is given another CA")
    def test_the_agent(self):
        instance = self.world.deploy()
        self.agent.stop()
        self.agent.daemon.extra_env["PANEL_FAILPOINTS"] = "ca.installed=die"
        self.agent.start()
        self.online()
        self.ca("rotate")
        self.agent.daemon.wait_exit(20)
        self.agent.daemon.extra_env.pop("PANEL_FAILPOINTS")
        self.agent.start()
        self.online()
        self.all_moved()
        self.ca("retire")
        self.check_over()
        self.check_works(instance)
