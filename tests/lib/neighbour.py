"""What a bad node costs the good one beside it: nothing (I9). Measured as a comparison within one
run, since a busy machine is slow all the time."""
import statistics
import time


class Latency:
    """Medians, in seconds, of what a client of the API sees of the world's own node."""

    def __init__(self, world, times=9):
        self.list = statistics.median(self._seconds(world.api.nodes) for _ in range(times))
        made = []
        self.deploy = statistics.median(self._seconds(lambda: made.append(world.deploy()))
                                        for _ in range(times))
        self.delete = statistics.median(self._seconds(lambda: world.delete(made.pop()["Id"]))
                                        for _ in range(times))

    @staticmethod
    def _seconds(work):
        began = time.monotonic()
        work()
        return time.monotonic() - began

    def __repr__(self):
        return f"list {self.list:.3f} s, deploy {self.deploy:.3f} s, delete {self.delete:.3f} s"

    def expect_unmoved(self, now):
        """Up to noise: what a node could cost others is a deadline or a queue, seconds or many ms."""
        for name in ("list", "deploy", "delete"):
            before, after = getattr(self, name), getattr(now, name)
            if after > 2 * before + 0.05:
                raise AssertionError(f"{name} moved: before {self}; beside the bad node {now}")
