"""The messages between panel and agent, as dicts: read from proto/panel.proto itself, so that what a
scripted peer says is what the schema says. Absent fields are absent; enums are their numbers."""
import os
import re

from lib.places import ROOT

_VARINT, _BYTES = 0, 2


class Malformed(ValueError):
    pass


def _schema():
    """message → {field's name: (number, type, repeated)}; the names of all enums."""
    with open(os.path.join(ROOT, "proto", "panel.proto")) as source:
        text = re.sub(r"//[^\n]*", "", source.read())
    messages, message = {}, None
    for line in text.splitlines():
        begin = re.match(r"message (\w+)", line)
        if begin:
            message = messages.setdefault(begin.group(1), {})
        elif line.startswith("enum"):
            message = {}
        field = re.match(r"\s+(repeated )?(\w+) (\w+) = (\d+);", line)
        if field:
            message[field.group(3)] = (int(field.group(4)), field.group(2), bool(field.group(1)))
    return messages, re.findall(r"^enum (\w+)", text, re.M)


MESSAGES, _ENUMS = _schema()
_NUMBERS = ("uint32", "uint64", "int32", "bool", *_ENUMS)

(ABSENT, PULLING, CREATING, STARTING, RUNNING, STOPPING, STOPPED, FAILED, REMOVING,
 REMOVED) = range(1, 11)
DESIRED_RUNNING, DESIRED_STOPPED = 1, 2


def _varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _one(kind, value):
    if kind in _NUMBERS:
        return _VARINT, _varint(int(value))
    data = encode(kind, value) if kind in MESSAGES else value
    data = data.encode() if isinstance(data, str) else data
    return _BYTES, _varint(len(data)) + data


def encode(message, fields):
    """Texts may be bytes, to be wrong; so may whole messages."""
    if isinstance(fields, bytes):
        return fields
    out = []
    for name, value in fields.items():
        number, kind, repeated = MESSAGES[message][name]
        for item in value if repeated else (value,):
            wire_type, data = _one(kind, item)
            out.append(_varint(number << 3 | wire_type) + data)
    return b"".join(out)


def _read_varint(data, at):
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a number without end")
        number |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return number, at


def decode(message, data):
    names = {number: (name, kind, repeated)
             for name, (number, kind, repeated) in MESSAGES[message].items()}
    fields, at = {}, 0
    while at < len(data):
        key, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if key & 7 == _BYTES:
            value, at = data[at:at + value], at + value
        elif key & 7 != _VARINT:
            raise Malformed(f"wire type {key & 7}")
        name, kind, repeated = names[key >> 3]
        if kind in MESSAGES:
            value = decode(kind, value)
        elif kind == "string":
            value = value.decode()
        if repeated:
            fields.setdefault(name, []).append(value)
        else:
            fields[name] = value
    return fields


def body_of(envelope):
    """The name of the body that it carries."""
    return next((name for name, (_, kind, _) in MESSAGES["Envelope"].items()
                 if kind in MESSAGES and name in envelope), None)
