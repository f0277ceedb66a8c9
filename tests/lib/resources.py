"""What a process has of memory, descriptors and threads."""
import collections
import os
import socket
import struct

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


def _peers(pid):
    """{inode: "local > remote, state"} of the process's TCP sockets."""
    def place(text):
        host, port = text.split(":")
        words = [struct.pack("<I", int(host[i:i + 8], 16)) for i in range(0, len(host), 8)]
        family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
        return f"{socket.inet_ntop(family, b''.join(words))}:{int(port, 16)}"
    states = "? ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN CLOSING"
    found = {}
    for name in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{name}") as lines:
            for line in list(lines)[1:]:
                words = line.split()
                found[words[9]] = f"{place(words[1])} > {place(words[2])} {states.split()[int(words[3], 16)]}"
    return found


def open_files(pid):
    """What its descriptors are, one a line, for a person."""
    peers = _peers(pid)
    found = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        inode = target[8:-1] if target.startswith("socket:") else None
        found[peers.get(inode, "another socket") if inode else target] += 1
    return "\n".join(f"{count} x {what}" for what, count in sorted(found.items()))
