"""A Docker Engine of the tests' own. Runs in the sandbox's network, so its docker0 and its
firewall rules are nobody else's."""
import os

from lib.daemon import Daemon
from lib.docker_api import Docker
from lib.wait import until


class DockerEngine:
    def __init__(self, directory, name="dockerd", enter=(), live_restore=False, socket=None,
                 group="root", options=()):
        """enter: the beginning of a command that runs the rest somewhere else. live_restore: its
        containers run on while it is stopped. group: who, besides root, may use its socket. options:
        more, of dockerd."""
        self.dir = directory
        self.socket = socket or os.path.join(directory, "docker.sock")
        self.pidfile = os.path.join(directory, "docker.pid")
        self.api = Docker(self.socket)
        self.live_restore = live_restore
        self.daemon = Daemon(name, [
            *enter, "dockerd", "--data-root", os.path.join(directory, "docker"),
            "--exec-root", os.path.join(directory, "run"), "--pidfile", self.pidfile,
            "-H", f"unix://{self.socket}", "--group", group,
            *(["--live-restore"] if live_restore else []), *options], directory)

    def start(self):
        # What a killed one has left behind would make the new one refuse to start.
        if os.path.exists(self.pidfile):
            os.unlink(self.pidfile)
        self.daemon.start()
        until(self._up, 60, "dockerd answers", interval=0.05)
        return self

    def _up(self):
        self.daemon.expect_running()
        return self.api.alive()

    def stop(self):
        self.daemon.stop(timeout=40)

    def kill(self):
        self.daemon.kill()

    def restart(self):
        self.stop()
        return self.start()

    def crash(self):
        self.kill()
        return self.start()

    def destroy(self):
        """Remove all containers, then stop."""
        if self.daemon.running():
            self.api.remove_all()
        self.stop()
