"""Where things are: the binaries under test, and a folder of its own for each test world.

tests/run sets PANEL_TEST_DIR and PANEL_BIN; without them a test still runs by hand."""
import itertools
import os
import shutil
import socket
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("PANEL_BIN", os.path.join(ROOT, "build-asan", "bin"))
PANELD = os.path.join(BIN, "paneld")
AGENT = os.path.join(BIN, "panel-agent")
PANELCTL = os.path.join(BIN, "panelctl")

_base = None
_numbers = itertools.count(1)


def base():
    global _base
    if _base is None:
        _base = os.environ.get("PANEL_TEST_DIR") or tempfile.mkdtemp(prefix="panel-tests.")
    return _base


def fresh_dir(name):
    """A new folder. Its path is short, since unix sockets must fit in 107 bytes. Another sandbox's
    process of the same number may have left one of the same name."""
    while True:
        path = os.path.join(base(), f"{name}{next(_numbers)}-{os.getpid()}")
        try:
            os.makedirs(path, mode=0o700)
            return path
        except FileExistsError:
            pass


def drop_dir(path):
    shutil.rmtree(path, ignore_errors=True)


_given = set()


def free_port(kind=socket.SOCK_STREAM):
    """A port of 127.0.0.1 that nobody had a moment ago, and that wasn't given before."""
    while True:
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port
