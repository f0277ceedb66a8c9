"""The node agent under test, with a state folder of its own."""
import os

from lib import places
from lib.daemon import Daemon, run_tool
from lib.wait import until


class Agent:
    def __init__(self, directory, docker_socket, name="agent", enter=(), options=()):
        """enter: the beginning of a command that runs the rest somewhere else; options: more, of serving."""
        self.dir = directory
        self.state = os.path.join(directory, name + ".state")
        self.docker_socket = docker_socket
        self.name = name
        self.daemon = Daemon(name, [*enter, places.AGENT, "--state", self.state, "--docker",
                                    f"unix://{docker_socket}", *options], directory)

    def try_join(self, panel_url, token, listen=None, more=()):
        argv = [places.AGENT, "join", "--panel", panel_url, "--token", token, "--state", self.state, *more]
        if listen:
            argv += ["--listen", listen]
        return run_tool(argv, self.dir)

    def join(self, panel_url, token, listen=None):
        done = self.try_join(panel_url, token, listen)
        if done.code != 0:
            raise AssertionError(f"panel-agent join exited with {done.code}: {done.out}{done.err}")
        return self

    def start(self):
        """Returns when it listens, or has ended: before that a signal would find no handler."""
        self.daemon.start()
        until(lambda: not self.daemon.running() or "listening on" in self.daemon.output(), 10,
              f"{self.name} says that it listens")
        return self

    def stop(self):
        self.daemon.stop()

    def kill(self):
        self.daemon.kill()

    def restart(self):
        self.stop()
        return self.start()

    def crash(self):
        self.kill()
        return self.start()
