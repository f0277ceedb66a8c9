"""What PATCH /api/instances/{id} can change: how a value is asked for, where the instance shows it, and
how its container tells that it has it. plan.CHANGES says which of them a run asks for."""
from dataclasses import dataclass

TALKERS = ("talker", "talker-too")  # images of the run's own registry; see workload.py
FIXED_PORTS = range(15000, 15012)  # few enough to be taken at times
KEY = "FAULTS"  # a variable of the environment that nothing else has


@dataclass(frozen=True)
class Change:
    """value(instance's root name, number, registry): the instance's value once it is changed; body(value):
    what is sent; shown(row): the value that it has; held(container): what Docker says of it, or None where
    it is no matter of the container's."""
    value: object
    body: object
    shown: object
    held: object = None


def _environment(container):
    return dict(pair.partition("=")[::2] for pair in container["Config"]["Env"])


def _bound(container):
    """As `8080:15001`: the first port that is published."""
    for port, bindings in sorted((container["HostConfig"]["PortBindings"] or {}).items()):
        return f"{port.partition('/')[0]}:{bindings[0]['HostPort']}"
    return None


def _shown_env(row):
    return dict(pair.partition("=")[::2] for pair in row["Env"]).get(KEY)


KINDS = {
    "name": Change(lambda root, number, _registry: f"{root}.{number}",
                   lambda value: {"name": value}, lambda row: row["Name"]),
    "memory": Change(lambda _root, number, _registry: 16 + number % 32,
                     lambda value: {"memory": value}, lambda row: row["Memory"],
                     lambda container: container["HostConfig"]["Memory"] >> 20),
    "cpu": Change(lambda _root, number, _registry: (10 + number % 10) / 100,
                  lambda value: {"cpu": value}, lambda row: row["Cpu"],
                  lambda container: container["HostConfig"]["NanoCpus"] / 1e9),
    # By a new container of the same volume.
    "env": Change(lambda _root, number, _registry: f"env-{number}",
                  lambda value: {"env": {KEY: value}}, _shown_env,
                  lambda container: _environment(container).get(KEY)),
    "variables": Change(lambda _root, number, _registry: f"variable-{number}",
                        lambda value: {"variables": {KEY + "_V": value}},
                        lambda row: row["variables"].get(KEY + "_V"),
                        lambda container: _environment(container).get(KEY + "_V")),
    "image": Change(lambda _root, number, registry: f"{registry}/{TALKERS[number % len(TALKERS)]}:latest",
                    lambda value: {"image": value}, lambda row: row["Image"],
                    lambda container: container["Config"]["Image"]),
    "ports": Change(lambda _root, number, _registry: f"8080:{FIXED_PORTS[number % len(FIXED_PORTS)]}",
                    lambda value: {"ports": value, "primary": value.partition(":")[2]},
                    lambda row: row["Ports"], _bound),
}


def root(name):
    """The part of a name that no change touches."""
    return name.partition(".")[0]
