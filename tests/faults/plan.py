"""What a run does, made from its seed before anything runs: each round's requests and faults, with
their times. The same seed gives the same plan; what comes of it is up to the machine."""
import random
from dataclasses import asdict, dataclass

from faults.changes import FIXED_PORTS
from faults.kinds import KINDS

CLIENTS = 4
ROUND_SECONDS = 8.0
OPS = 18  # of each client in a round

# How often each request is made.
WEIGHTS = {
    "deploy": 14, "deploy template": 14, "deploy fixed": 6, "deploy wait": 4, "deploy absent": 2,
    "deploy wrong": 2, "suspend": 8, "unsuspend": 10, "delete": 12, "retry": 4, "start": 8, "stop": 6,
    "restart": 8, "kill": 3, "change": 14, "redeploy": 4, "reinstall": 4, "wipe": 3, "command": 14,
    "give": 3, "take": 2, "drain": 1, "undrain": 3, "list": 8, "get": 8, "user": 3, "user again": 2,
    "image": 2,
}
# What a "change" changes, of changes.KINDS.
CHANGES = ["name", "memory", "cpu", "env", "variables", "image", "ports"]


@dataclass(frozen=True)
class Op:
    at: float
    kind: str
    pick: float  # which of the instances there are
    node: int
    port: int
    keyed: bool  # with an Idempotency-Key, and repeated until there is an answer
    strange: bool  # on anybody's instance, not one of the client's own
    what: str  # of CHANGES
    number: int  # makes the value that it is changed to


@dataclass(frozen=True)
class Fault:
    at: float
    kind: str
    node: int
    lasts: float
    pick: float


@dataclass(frozen=True)
class Round:
    number: int
    clients: tuple
    faults: tuple


def live_restore(seed, nodes):
    """Indices of the nodes whose Engines keep containers up while they are away: about half."""
    return set(random.Random(f"{seed} live-restore").sample(range(nodes), nodes // 2))


def _kinds(seed, number):
    """Two kinds a round from a shuffled deck, so that all come before any comes again."""
    size = len(KINDS)
    for position in (2 * number, 2 * number + 1):
        deck = sorted(KINDS)
        random.Random(f"{seed} deck {position // size}").shuffle(deck)
        yield deck[position % size]


def _faults(chance, seed, number, nodes):
    keeps = live_restore(seed, nodes)
    taken = set()
    for kind in _kinds(seed, number):
        of = KINDS[kind]
        allowed = [i for i in range(nodes) if of.live_restore is None or
                   of.live_restore == (i in keeps)]
        node = chance.choice(allowed) if allowed and not of.of_panel else -1
        lasts = round(chance.uniform(*of.lasts), 2)
        # Half of them end with the round, so that nothing but the healing is left to look at.
        at = ROUND_SECONDS - lasts if chance.random() < 0.5 else \
            chance.uniform(0.5, ROUND_SECONDS - lasts)
        fault = Fault(round(at, 2), kind, node, lasts, chance.random())
        # Two faults of one side at once would only undo each other.
        if (allowed or of.of_panel) and node not in taken:
            taken.add(node)
            yield fault


def _op(chance, at, nodes):
    kind = chance.choices(list(WEIGHTS), WEIGHTS.values())[0]
    return Op(round(at, 2), kind, chance.random(), chance.randrange(nodes),
              chance.choice(FIXED_PORTS), chance.random() < 0.5, chance.random() < 0.15,
              chance.choice(CHANGES), chance.randrange(1000))


def make_round(seed, number, nodes):
    chance = random.Random(f"{seed} round {number}")
    clients = tuple(
        tuple(_op(chance, at, nodes)
              for at in sorted(chance.uniform(0, ROUND_SECONDS) for _ in range(OPS)))
        for _ in range(CLIENTS))
    return Round(number, clients, tuple(_faults(chance, seed, number, nodes)))


def as_lines(of_round):
    """The round for a person, and to compare two plans."""
    yield f"round {of_round.number}"
    for fault in of_round.faults:
        yield f"  {asdict(fault)}"
    for number, ops in enumerate(of_round.clients):
        for op in ops:
            yield f"  client {number}: {asdict(op)}"
