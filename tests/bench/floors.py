"""The floors: what the libraries do with nothing of ours between. See floor_*.c."""
import os
import re
import subprocess
import tempfile


class HttpFloor:
    """libmicrohttpd answering every request with the same bytes."""

    def __init__(self, programs, body, threads=None):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(body)
        self.file.flush()
        self.process = subprocess.Popen(
            [os.path.join(programs, "floor-http"), str(threads or os.cpu_count()), self.file.name],
            stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r"\d+$", self.process.stdout.readline().strip()).group())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.file.close()


class StreamFloor:
    """libmicrohttpd copying the same bytes to each of its clients, as they come."""

    def __init__(self, programs, threads=None):
        self.process = subprocess.Popen(
            [os.path.join(programs, "floor-stream"), str(threads or os.cpu_count())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.port = int(re.search(r"\d+$", self.process.stdout.readline().strip()).group())
        self.pid = self.process.pid

    def add(self, length):
        """So many bytes more for everybody."""
        self.process.stdin.write(f"{length}\n")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def store(programs, database, batch, seconds):
    """(commits a second, rows a second) of SQLite alone."""
    done = subprocess.run([os.path.join(programs, "floor-store"), database, str(batch), str(seconds)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    commits, rows = done.stdout.split()
    return float(commits), float(rows)


LINKS_MAX = 8000  # of one process, two descriptors each


def links(programs, count, window=32):
    """Seconds until so many nng links over TLS are up and have done an echo each."""
    tried = min(count, LINKS_MAX)
    done = subprocess.run([os.path.join(programs, "floor-link"), str(tried), "10000", str(window)],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return float(done.stdout) * count / tried
