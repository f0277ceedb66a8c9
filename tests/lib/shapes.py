"""The wire shapes of the contract, member by member."""
import re

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

NODE_STATUSES = {"Unconfigured", "Online", "Suspect", "Offline", "Maintenance"}
INTERNAL_STATES = {"INSTALLING", "READY", "FAILED", "DELETING"}
STATES = {"pulling", "creating", "installing", "starting", "running", "stopping", "stopped",
          "crashed", "suspended", "failed", "deleting", "unknown"}


def _is_time(value):
    return isinstance(value, str) and bool(ISO.match(value))


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(value):
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _text(value):
    return isinstance(value, str)


def _maybe(check):
    return lambda value: value is None or check(value)


def _dict(value):
    return isinstance(value, dict)


def _bool(value):
    return isinstance(value, bool)


USER = {"userId": _text, "username": _text, "email": _text,
        "accessTo": _texts, "admin": _bool, "createdAt": _is_time}

NODE = {"id": _text, "name": _text, "tags": _text, "ram": _text, "disk": _text,
        "processor": _text, "address": _text, "port": _text,
        "status": lambda v: v in NODE_STATUSES, "lastSeen": _maybe(_is_time),
        "agentVersion": _maybe(_text), "docker": _dict, "capacity": _maybe(_dict),
        "allocated": _dict, "usage": _maybe(_dict), "createdAt": _is_time,
        # Beyond the contract: the latter are containers with our label that the panel doesn't know.
        "maintenance": lambda v: isinstance(v, bool), "orphans": lambda v: isinstance(v, int),
        "portRange": _maybe(lambda v: bool(re.fullmatch(r"[0-9]+-[0-9]+", v))),
        "overcommit": lambda v: set(v) == {"memory", "cpu"} and all(
            x is None or _is_number(x) for x in v.values()),
        "drain": _maybe(lambda v: set(v) == {"running", "stopping", "stopped"})}

IMAGE = {"Id": _text, "Name": _text}

INSTANCE = {"Id": lambda v: _text(v) and bool(re.fullmatch(r"[0-9a-z]{8,36}", v)), "Name": _text,
            "User": _text, "Node": _dict, "Image": _text, "AltImages": _texts,
            "Memory": lambda v: isinstance(v, int) and not isinstance(v, bool), "Cpu": _is_number,
            "Disk": _maybe(_is_number), "Ports": _text, "Primary": _text, "Env": _texts,
            "variables": _dict, "StopCommand": _maybe(_text), "ContainerId": _maybe(_text),
            "VolumeId": _text, "InternalState": lambda v: v in INTERNAL_STATES,
            "State": lambda v: v in STATES, "suspended": _bool, "Error": _maybe(_dict),
            "imageData": _maybe(_dict), "createdAt": _is_time, "updatedAt": _is_time,
            # Beyond the contract: percent of a pull; how it last ended.
            "Progress": _maybe(_is_number), "exits": lambda v: isinstance(v, list),
            "change": _maybe(lambda v: set(v) == ({"state"} if v["state"] == "pending" else
                                                  {"state", "reason"}))}

INSTANCE_NODE = {"id": _text, "name": _text, "address": _text, "port": _text,
                 "status": lambda v: v in NODE_STATUSES}


def check(value, shape, name, exact=False):
    """Each member of the shape is there and of its kind; with exact, there is none besides."""
    assert isinstance(value, dict), f"{name} is no object: {value!r}"
    for member, is_right in shape.items():
        assert member in value, f"{name} has no {member}: {value}"
        assert is_right(value[member]), f"{name}.{member} is {value[member]!r}"
    if exact:
        more = set(value) - set(shape)
        assert not more, f"{name} shows {sorted(more)} besides"


def check_user(value):
    check(value, USER, "user", exact=True)


def check_node(value):
    check(value, NODE, "node", exact=True)


def check_image(value):
    check(value, IMAGE, "image")


def check_instance(value):
    check(value, INSTANCE, "instance", exact=True)
    check(value["Node"], INSTANCE_NODE, "instance.Node", exact=True)
    if value["Error"] is not None:
        assert set(value["Error"]) == {"code", "message"}, value["Error"]
