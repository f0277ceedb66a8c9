"""What a process has of memory, descriptors and threads."""
import os

# Sanitizers keep freed memory back to catch who still uses it: there RSS proves nothing.
SANITIZED = "-asan" in os.environ.get("PANEL_BIN", "build-asan") or "-tsan" in os.environ.get("PANEL_BIN", "")


class Resources:
    def __init__(self, pid):
        with open(f"/proc/{pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        self.rss_mib = int(fields["VmRSS"].split()[0]) / 1024
        self.threads = int(fields["Threads"])
        self.fds = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/stat") as stat:
            words = stat.read().rsplit(")", 1)[1].split()
        self.cpu_seconds = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def __repr__(self):
        return f"{self.rss_mib:.1f} MiB, {self.fds} descriptors, {self.threads} threads"

    def at_most(self, before, rss_mib, fds, threads):
        """AssertionError when that much more is there than before."""
        for name, more in (("rss_mib", rss_mib), ("fds", fds), ("threads", threads)):
            if name == "rss_mib" and SANITIZED:
                more += 512  # ASan's quarantine is 256 MiB, and its shadow
            if getattr(self, name) > getattr(before, name) + more:
                raise AssertionError(f"{name}: {self}; before: {before}")
