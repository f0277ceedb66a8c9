"""Every secret of a run, as the harness learns them, and the daemons' logs, which must hold none.

Keys, passwords and tokens are noted where they are made or used (lib/client.py, lib/paneld.py); each
log is searched when its daemon ends."""
import re

_secrets = {}  # text: what it is
MOST = 1000  # a run that makes more has shown enough with the first

# What nobody has to know to see that it is one.
_SHAPES = [(re.compile(pattern), what) for pattern, what in [
    (rb"panel_[0-9A-Za-z]{36}", "an API key"),
    (rb"pj1\.[0-9A-Za-z.-]+\.[0-9A-Za-z_-]{20}", "a join token"),
    (rb"\$argon2|\$2[aby]\$\d\d\$", "a password's hash"),
    (rb"PRIVATE KEY", "a private key"),
    (rb"[\x00-\x08\x0b-\x1f\x7f]", "a control character")]]


def learn(text, what):
    """Those that are short, or one letter again and again, are left out: they are parts of other words."""
    if isinstance(text, str) and len(text) >= 8 and len(set(text)) >= 4 and len(_secrets) < MOST:
        _secrets.setdefault(text.encode(), what)


def learn_from(value):
    """The secrets that a request's or an answer's JSON holds."""
    if isinstance(value, list):
        for item in value:
            learn_from(item)
    if not isinstance(value, dict):
        return
    for name, member in value.items():
        if name == "password":
            learn(member, "a password")
        elif name == "joinToken":
            learn(member, "a join token")
            if isinstance(member, str):
                learn(member.rpartition(".")[2], "a join token's secret")
        else:
            learn_from(member)


def check(log, name):
    """log: bytes. AssertionError where it holds a secret; the line is shown without it."""
    for pattern, what in _SHAPES:
        found = pattern.search(log)
        if found:
            raise AssertionError(f"the log of {name} holds {what}: {_line(log, found.start())}")
    for text, what in _secrets.items():
        at = log.find(text)
        if at >= 0:
            raise AssertionError(f"the log of {name} holds {what}: {_line(log, at)}")


def _line(log, at):
    start = log.rfind(b"\n", 0, at) + 1
    return repr(log[start:log.find(b"\n", at) if b"\n" in log[at:] else len(log)][:600])
