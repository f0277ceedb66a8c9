"""A daemon with a disk that fails and a wall clock that moves: tests/lib/faulty_io.c, preloaded."""
import errno
import mmap
import os
import struct
import subprocess

from lib import places

LIBRARY = os.path.join(places.BIN, "libfaultyio.so")
SIZE = 8 + 4 * 4 + 256 + 256
READ, WRITE, SYNC = 1, 2, 4


class Faulty:
    """Put `env` into the daemon's environment before its start; the rest works at any time."""

    def __init__(self, directory, name):
        self.path = os.path.join(directory, name + ".faulty")
        with open(self.path, "wb") as file:
            file.truncate(SIZE)
        with open(self.path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), SIZE)
        # The sanitizer's library has to come first, where the daemon was built with it.
        linked = subprocess.run(["ldd", places.PANELD], capture_output=True, text=True).stdout
        before = [line.split()[2] for line in linked.splitlines() if "libasan" in line]
        self.env = {"FAULTY_IO": self.path, "LD_PRELOAD": ":".join([*before, LIBRARY])}

    def fail(self, calls, path, error=errno.EIO, skip=0):
        """From now on these calls fail for files whose path holds that text, but for the first `skip`.
        error 0: the daemon dies there, as of SIGKILL."""
        self.heal()
        struct.pack_into("<iii256s", self.map, 12, error, skip, 0, path.encode())
        struct.pack_into("<i", self.map, 8, calls)

    def heal(self):
        struct.pack_into("<i", self.map, 8, 0)

    @property
    def hits(self):
        return struct.unpack_from("<i", self.map, 20)[0]

    def record(self, folder):
        """From now on writes to the panel's database are kept there until they are synced."""
        self.undo = folder
        struct.pack_into("<256s", self.map, 24 + 256, folder.encode())

    def lose_power(self, data):
        """After a kill: undo what wasn't synced, as if it had never reached the disk. How many writes."""
        count = 0
        for name in ("panel.db", "panel.db-wal", "panel.db-shm"):
            path, undo = os.path.join(data, name), os.path.join(self.undo, name + ".undo")
            if name.endswith("-shm") and os.path.exists(path):
                os.unlink(path)
            if not os.path.exists(undo):
                continue
            with open(undo, "rb") as file:
                records = file.read()
            os.unlink(undo)
            undone = []
            while records:
                at, size, length = struct.unpack_from("<qqq", records)
                undone.append((at, size, records[24:24 + length]))
                records = records[24 + length:]
            count += len(undone)
            if os.path.exists(path):
                with open(path, "r+b") as file:
                    for at, size, old in reversed(undone):
                        file.seek(at)
                        file.write(old)
                        file.truncate(size)
        return count

    def move_clock(self, seconds):
        """So far from the true time."""
        struct.pack_into("<q", self.map, 0, int(seconds * 1000))
