"""A good client's latencies, alone and beside 2,000 slow ones."""
import time

from bench.figures import Figure, median
from bench.plain import Plain
from lib.hostile import Attack
from lib.resources import Resources
from lib.wait import until
from lib.world import World

KINDS = {"silent": 400, "head": 400, "body": 300, "chunks": 100, "reader": 400, "idle": 400}
PAUSE = 0.002  # between two requests: a client that asks now and then, not a load


def latencies(client, count):
    """Milliseconds, in order; half of them lists, half of them POSTs."""
    times = []
    for n in range(count):
        began = time.monotonic()
        if n % 2:
            status, _ = client.fetch("POST", "/api/getUser", {"type": "username", "value": "owner"})
        else:
            status, _ = client.fetch("GET", "/api/users")
        assert status in (200, 201), status
        times.append((time.monotonic() - began) * 1000)
        time.sleep(PAUSE)
    return sorted(times)


def quantiles(times):
    return [times[min(int(len(times) * part), len(times) - 1)] for part in (0.5, 0.99, 0.999)]


def run(rounds, requests, kinds=None):
    world = World().start()
    try:
        world.api.post("/api/images/create", {
            "Name": "big", "Image": "x:y", "Description": "words " * 50000}).expect(201)
        panel = world.panel
        client = Plain(panel.port, panel.key)
        latencies(client, 200)
        before = Resources(panel.daemon.pid)
        alone, attacked = [], []
        most = before
        for _ in range(rounds):
            alone.append(quantiles(latencies(client, requests)))
            with Attack(panel, kinds or KINDS, again=True):
                attacked.append(quantiles(latencies(client, requests)))
                now = Resources(panel.daemon.pid)
                most = max(most, now, key=lambda one: one.rss_mib)
            until(lambda: Resources(panel.daemon.pid).fds <= before.fds + 10, 90, "the slow ones are gone")
        after = Resources(panel.daemon.pid)
    except BaseException:
        world.abandon()
        raise
    world.stop()
    found = []
    for place, name in enumerate(("p50", "p99", "p99.9")):
        value, spread = median([one[place] for one in attacked])
        found.append(Figure(f"a good client's {name}, alone", median([one[place] for one in alone])[0], "ms"))
        found.append(Figure(f"  beside {sum((kinds or KINDS).values())} slow ones", value, "ms", spread=spread,
                            goal=("<=", 100) if name == "p99" else None))
    found.append(Figure("paneld's memory before", before.rss_mib, "MiB"))
    found.append(Figure("  under attack", most.rss_mib, "MiB"))
    found.append(Figure("  afterwards", after.rss_mib, "MiB"))
    return found
