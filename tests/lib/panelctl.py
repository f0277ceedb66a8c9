"""panelctl under test: run to its end, or at a terminal (a pty) that a test types at."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

from lib import places
from lib.daemon import _reports, _sanitizer_env, run_tool

_CLEAN = ("PANEL_URL", "PANEL_API_KEY", "PANEL_KEY_FILE", "PANEL_CA_CERT", "PANEL_CONFIG",
          "PANEL_TIMEOUT", "NO_COLOR", "COLUMNS", "XDG_CONFIG_HOME")


class Panelctl:
    """directory is its home, too, so no settings of whoever runs the tests are read."""

    def __init__(self, directory, url=None, key=None):
        self.dir = directory
        self.url = url
        self.key = key

    def env(self, more=None):
        env = {name: "" for name in _CLEAN}
        env.update({"HOME": self.dir, "TERM": "xterm"})
        if self.url:
            env["PANEL_URL"] = self.url
        if self.key:
            env["PANEL_API_KEY"] = self.key
        env.update(more or {})
        return env

    def run(self, *args, code=0, said=None, env=None, timeout=60):
        """Its output, after it exited with `code`; with another code than 0: what it said on stderr."""
        done = self.try_run(*args, said=said, env=env, timeout=timeout)
        if done.code != code:
            raise AssertionError(f"panelctl {' '.join(map(str, args))} exited with {done.code}, "
                                 f"expected {code}\n{done.out}{done.err}")
        return done.out if code == 0 else done.err

    def try_run(self, *args, said=None, env=None, timeout=60):
        return run_tool([places.PANELCTL, *args], self.dir, timeout, self.env(env), said)

    def json(self, *args, **more):
        return json.loads(self.run(*args, "-o", "json", **more))

    def terminal(self, *args, columns=80, rows=24, env=None):
        return Terminal(self, args, columns, rows, env)

    def piped(self, *args):
        """Running, its stdout a pipe; for what goes on until it is ended."""
        path = os.path.join(self.dir, "piped.sanitizer")
        env = _sanitizer_env(path)
        env.update(self.env())
        return Piped([places.PANELCTL, *args], stdin=subprocess.DEVNULL, env=env,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class Piped(subprocess.Popen):
    """Ended with its block."""

    def __exit__(self, *exc):
        if self.poll() is None:
            self.terminate()
        super().__exit__(*exc)


class Terminal:
    """A session at a terminal. text: all that was written to it."""

    def __init__(self, ctl, args, columns, rows, env):
        self.report = os.path.join(ctl.dir, "terminal.sanitizer")
        full = _sanitizer_env(self.report)
        full.update(ctl.env(env))
        self.text = ""
        self.code = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's "&" had it ignored
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(places.PANELCTL, [places.PANELCTL, *args], full)

    def _read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern, timeout=20):
        """Until the pattern has been written; the match."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.text)
            if found:
                return found
            if time.monotonic() > end or not self._read(0.2):
                raise AssertionError(f"the terminal doesn't show {pattern!r}: {self.text!r}")

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def modes(self):
        """Does it echo, and wait for whole lines?"""
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ECHO), bool(flags & termios.ICANON)

    def cook(self):
        """Echo, and whole lines."""
        modes = termios.tcgetattr(self.fd)
        modes[3] |= termios.ECHO | termios.ICANON
        termios.tcsetattr(self.fd, termios.TCSANOW, modes)

    def signal(self, number):
        os.kill(self.pid, number)
        return self

    def end(self, code=0, timeout=20):
        """Until it has ended, with this code; all that it wrote."""
        end = time.monotonic() + timeout
        while self._read(0.2):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"panelctl goes on: {self.text!r}")
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        report = _reports(self.report)
        if report:
            raise AssertionError(report)
        if self.code != code:
            raise AssertionError(f"exited with {self.code}, expected {code}: {self.text!r}")
        return self.text
