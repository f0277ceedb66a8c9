"""What systemd is to a daemon with Type=notify: a socket that it says things to."""
import itertools
import os
import socket

_numbers = itertools.count(1)


class Supervisor:
    """env is for the daemon. watchdog: seconds within which it wants to hear of it."""

    def __init__(self, watchdog=None):
        name = f"panel-tests-supervisor-{os.getpid()}-{next(_numbers)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name)
        self.env = {"NOTIFY_SOCKET": "@" + name}
        if watchdog:
            self.env["WATCHDOG_USEC"] = str(int(watchdog * 1e6))

    def next(self, timeout=10):
        """What is said next; None when nothing is in time."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(256).decode()
        except TimeoutError:
            return None

    def close(self):
        self.socket.close()
