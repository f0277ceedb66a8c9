"""panelctl at a terminal: widths, colours, questions, progress, the console's line editing, top."""
import signal
import unittest

from lib.panelctl import Panelctl
from lib.wait import until
from lib.world import World

BESIDE = True  # it mostly waits; see lib/runner


class Terminal(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World("scripted").start()
        cls.ctl = Panelctl(cls.world.dir, cls.world.panel.url, cls.world.panel.key)
        cls.instance = cls.world.deploy(name="web")["Id"]
        cls.container = cls.world.containers_of(cls.instance)[0]

    @classmethod
    def tearDownClass(cls):
        cls.world.stop()

    def say(self, text):
        self.world.engine.say(self.container, text)

    def test_tables_fit_its_width(self):
        for noun in ("nodes", "users", "keys", "audit", "instances"):
            for columns in (40, 60, 79, 120, 200):
                with self.subTest(noun=noun, columns=columns):
                    lines = self.ctl.terminal(noun, columns=columns, env={"NO_COLOR": "1"}).end()
                    for line in lines.splitlines():
                        self.assertLessEqual(len(line), columns)
        self.assertIn(self.instance, lines)
        self.assertIn("…", self.ctl.terminal("nodes", columns=60).end())
        self.assertNotIn("…", self.ctl.terminal("nodes", "-o", "wide", columns=60).end())

    def test_colours_and_none(self):
        self.assertIn("\x1b[32mrunning\x1b[0m", self.ctl.terminal("instances").end())
        for args, env in (([], {"NO_COLOR": "1"}), (["--no-color"], {}), ([], {"TERM": "dumb"})):
            self.assertNotIn("\x1b[", self.ctl.terminal("instances", *args, env=env).end())

    def test_it_asks_before_it_destroys(self):
        self.world.add_user("victim")
        no = self.ctl.terminal("user", "delete", "victim")
        no.expect(r"Delete user victim \(\S+\)\? \[y/N\] ")
        no.type("\n").end(1)
        self.assertIn("nothing was done", no.text)
        self.ctl.run("user", "get", "victim")
        yes = self.ctl.terminal("user", "delete", "victim")
        yes.expect(r"\[y/N\] ")
        yes.type("y\n").end(0)
        self.ctl.run("user", "get", "victim", code=3)

    def test_a_password_is_typed_twice_and_not_shown(self):
        create = self.ctl.terminal("user", "create", "typist", "--email", "t@example.test")
        create.expect("password: ")
        until(lambda: create.modes()[0] is False, 5, "it doesn't echo")
        create.type("correct horse\n").expect("password again: ")
        create.type("correct horse\n")
        self.assertNotIn("horse", create.end(0))
        differ = self.ctl.terminal("user", "create", "typist2", "--email", "u@example.test")
        differ.expect("password: ")
        differ.type("correct horse\n").expect("again: ")
        differ.type("wrong horse\n").end(2)
        broken = self.ctl.terminal("user", "create", "typist3", "--email", "v@example.test")
        broken.expect("password: ")
        until(lambda: broken.modes()[0] is False, 5, "it doesn't echo")
        broken.signal(signal.SIGTERM)
        until(lambda: broken.modes()[0], 5, "it echoes again")
        broken.end(-signal.SIGTERM)

    def test_a_deploy_shows_how_far_it_is(self):
        self.world.engine.pullable.add("test:large")
        self.world.engine.pull_pause = 0.4
        deploy = self.ctl.terminal("instance", "deploy", "large", "-i", "test:large", "-u", "owner", "-p",
                                   "80:auto", "-m", "64")
        deploy.expect(r"large  \S*pulling\S*  \[[#.]{24}\] +\d+ %")
        self.assertIn("is running on node", deploy.end(0))
        self.world.engine.pull_pause = 0.0

    def test_lines_of_a_log_can_not_steer_the_terminal(self):
        self.say("\x1b]0;title\x07 \x1b[31mred \x1b[2J\x9b \u202e")
        until(lambda: "title" in self.ctl.run("instance", "logs", "web"), 10, "it is there")
        text = self.ctl.terminal("instance", "logs", "web").end()
        self.assertIn("\\u001b]0;title\\u0007", text)
        self.assertIn("\x1b[31mred \\u001b[2J", text)  # its colours are let through, and end with it
        self.assertIn("\\u202e\x1b[0m\r\n", text)
        text = self.ctl.terminal("instance", "logs", "web", env={"NO_COLOR": "1"}).end()
        self.assertNotIn("\x1b", text)

    def test_the_console_edits_a_line_while_others_are_printed(self):
        self.say("begun")
        console = self.ctl.terminal("instance", "console", "web", "--tail", "1")
        console.expect("begun\r\n> ")
        console.type("say helo")
        console.expect("say helo")
        self.say("an interruption")
        # Cleared, printed, and the line drawn again below it.
        console.expect("\r\x1b\\[Jan interruption\r\n> say helo")
        console.type("\x1b[Dl\n")  # the left arrow
        heard = lambda: self.world.engine.find(self.container).heard
        until(lambda: heard().endswith(b"say hello\n"), 10, lambda: f"the line arrives: {heard()}")
        console.type("\x1b[A\n")  # from the history
        until(lambda: heard().endswith(b"say hello\nsay hello\n"), 10, lambda: f"again: {heard()}")
        console.type("größe 東\n")
        until(lambda: heard().endswith("größe 東\n".encode()), 10, lambda: f"UTF-8: {heard()}")
        console.type("\x04")
        console.end(0)

    def test_the_console_prints_above_a_line_of_several_rows(self):
        self.say("begun")
        console = self.ctl.terminal("instance", "console", "web", "--tail", "1", columns=40)
        console.expect("begun\r\n> ")
        console.type("x" * 60)
        until(lambda: console._read(0.1) and console.text.count("x") >= 60, 10, "it is drawn")
        self.say("between")
        console.expect("\x1b\\[1A\r\x1b\\[Jbetween\r\n> x{37}")
        console.type("\x03")
        console.end(0)

    def test_the_console_leaves_the_terminal_as_it_was(self):
        console = self.ctl.terminal("instance", "console", "web", "--tail", "0")
        before = console.modes()
        console.expect("> ")
        until(lambda: console.modes() != before, 10, "it takes keys at once")
        console.signal(signal.SIGINT)
        until(lambda: console.modes() == before, 10, "it is as it was")
        console.end(0)

    def test_the_console_goes_on_after_a_stop(self):
        console = self.ctl.terminal("instance", "console", "web", "--tail", "0")
        console.expect("> ")
        until(lambda: console.modes() == (False, False), 10, "it takes keys at once")
        console.type("half")
        console.expect("half")
        console.signal(signal.SIGSTOP)
        console.cook()  # as a shell does
        console.signal(signal.SIGCONT)
        console.expect("\r\x1b\\[J> half")
        self.assertEqual(console.modes(), (False, False))
        console.type(" a line\n")
        until(lambda: self.world.engine.find(self.container).heard.endswith(b"half a line\n"), 10, "it arrives")
        console.type("\x04").end(0)

    def test_the_console_tells_of_lines_that_are_not_sent(self):
        stopped = self.world.deploy(name="stopped")["Id"]
        self.ctl.run("instance", "stop", stopped)
        console = self.ctl.terminal("instance", "console", "stopped")
        console.expect("> ")
        console.type("hello\n")
        console.expect(r"\[not sent: .*\]")
        console.type("\x04").end(0)

    def test_top_ends_with_q(self):
        top = self.ctl.terminal("top")
        top.expect(r"\d+ instances, \d+ running")
        until(lambda: top.modes() == (False, False), 5, "it takes keys")
        top.type("q")
        until(lambda: top.modes() == (True, True), 10, "the terminal is as it was")
        top.end(0)

    def test_watch_draws_again(self):
        watch = self.ctl.terminal("users", "--watch")
        watch.expect(r"(?s)\x1b\[H.*owner")
        self.world.add_user("dawn")
        watch.expect("dawn")
        watch.signal(signal.SIGINT).end(-signal.SIGINT)
