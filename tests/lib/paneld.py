"""The panel daemon under test, with a data folder of its own."""
import json
import os
import re

from lib import places, secrecy
from lib.client import Client
from lib.daemon import Daemon, run_tool
from lib.wait import until

# Beats fast enough for tests that watch nodes come and go.
QUICK = {"heartbeatMs": 500}
# Some tests ask more often than a client would. The limit counts and is told all the same.
UNLIMITED = {"rateLimit": 1000000000}


def create_key(data_dir, name="t", *options):
    """A new API key by `paneld key create`."""
    done = run_tool([places.PANELD, "key", "create", "--data", data_dir, "--name", name, *options],
                    data_dir)
    if done.code != 0:
        raise AssertionError(f"paneld key create exited with {done.code}: {done.err}")
    if not re.fullmatch(r"panel_[0-9A-Za-z]{36}\n", done.out):
        raise AssertionError(f"paneld key create printed {done.out!r}")
    secrecy.learn(done.out.strip(), "an API key")
    return done.out.strip()


class Paneld:
    def __init__(self, directory, config=None, args=(), tls=None, name="paneld"):
        """config: members of the configuration file; tls: an ssl.SSLContext for the client."""
        self.dir = directory
        self.data = os.path.join(directory, name + ".data")
        self.config = {**UNLIMITED, **(QUICK if config is None else config)}
        self.args = list(args)
        self.tls = tls
        self.name = name
        self.port = 0
        self.key = None
        self.env = {}
        self.daemon = None
        self.descriptors = None

    def start(self):
        argv = [places.PANELD, "--data", self.data, "--listen", f"127.0.0.1:{self.port}"]
        if self.config:
            path = os.path.join(self.dir, self.name + ".json")
            with open(path, "w") as config:
                json.dump(self.config, config)
            argv += ["--config", path]
        if self.daemon is None:
            self.daemon = Daemon(self.name, argv + self.args, self.dir, self.env)
        self.daemon.argv = argv + self.args
        self.daemon.descriptors = self.descriptors
        self.daemon.start()
        # The port stays the same over restarts, so that clients stay good.
        self.port = int(until(self._listening, 20, "paneld says where it listens"))
        if self.key is None:
            self.key = create_key(self.data)
        return self

    def _listening(self):
        self.daemon.expect_running()
        found = re.search(r"^listening on https?://127\.0\.0\.1:(\d+)\n", self.daemon.output(), re.M)
        return found and found.group(1)

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def client(self, key=None):
        return Client("127.0.0.1", self.port, key or self.key, tls=self.tls)

    def stop(self):
        if self.daemon:
            self.daemon.stop()

    def kill(self):
        if self.daemon:
            self.daemon.kill()

    def restart(self):
        self.stop()
        return self.start()

    def crash(self):
        """SIGKILL and a new start."""
        self.kill()
        return self.start()
