"""Rules of the tree that a compiler doesn't know. One test a rule.

Include arrows point one way; each third-party library is touched by one file a daemon; some
functions are banned. Data flows http -> api -> (store | fleet) -> http and, in the agent,
rpc -> instance -> docker -> rpc, so a lower room never includes an upper one."""
import argparse
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Room: which rooms it may include from. The files right under panel/ put the rooms together.
ARROWS = {
    "common": {"common"},
    "panel/metrics": {"panel/metrics", "common"},
    "panel/store": {"panel/store", "panel/domain", "panel/metrics", "common"},
    "panel/pki": {"panel/pki", "common"},
    "panel/auth": {"panel/auth", "common"},
    "panel/http": {"panel/http", "panel/metrics", "common"},
    "panel/domain": {"panel/domain", "common"},
    "panel/live": {"panel/live", "panel/metrics", "common"},
    "panel/import": {"panel/import", "panel/store", "panel/domain", "panel/auth", "common"},
    "panel/fleet": {"panel/fleet", "panel/store", "panel/pki", "panel/live", "panel/domain",
                    "panel/metrics", "common"},
    "panel/ctl": {"panel/ctl", "common"},  # a client: it knows the API and nothing behind it
    "panel/api": {"panel/api", "panel/domain", "panel/auth", "panel/http", "panel/store",
                  "panel/fleet", "panel/live", "panel/pki", "panel/metrics", "common"},
    "panel": {"panel", "panel/import", "panel/api", "panel/auth", "panel/http", "panel/store", "panel/fleet",
              "panel/pki", "common"},
    "agent": {"agent", "common"},
}

# Inside the agent, which is one folder: the first may not include any of the others.
AGENT_BELOW = {
    "http_client": {"docker", "docker_watch", "container_spec", "instance", "rpc", "sync"},
    "docker": {"instance", "rpc", "sync"},
    "docker_json": {"instance", "rpc", "sync"},
    "docker_watch": {"instance", "rpc", "sync"},
    "instance": {"rpc"},
}

SEAMS = ["microhttpd.h", "gnutls/gnutls.h", "sqlite3.h", "nng/nng.h", "curl/curl.h", "pcre2.h",
         "histedit.h", "crypt.h"]

BANNED = {
    "strcpy": "snprintf, memcpy or strbuf", "strcat": "strbuf", "strncpy": "snprintf or memcpy",
    "strncat": "strbuf", "stpcpy": "strbuf", "sprintf": "snprintf or strbuf_fmt",
    "vsprintf": "vsnprintf", "gets": "fgets", "scanf": "a parser",
    "fscanf": "a parser", "atoi": "a bounded parser", "atol": "a bounded parser",
    "atoll": "a bounded parser", "atof": "a bounded parser", "strtok": "strcspn",
    "strtok_r": "strcspn", "system": "posix_spawn", "popen": "posix_spawn", "alloca": "malloc",
    "tmpnam": "mkstemp", "mktemp": "mkstemp", "rand": "crypto_random", "srand": "crypto_random",
    "random": "crypto_random", "gmtime": "gmtime_r", "localtime": "localtime_r",
    "ctime": "clock_format_iso", "asctime": "clock_format_iso", "strerror_r": "strerror",
    "fork": "posix_spawn", "vfork": "posix_spawn", "setlocale": "the C locale",
    "usleep": "nanosleep", "gethostbyname": "getaddrinfo", "inet_ntoa": "inet_ntop",
}


def sources():
    for top in ("common", "panel", "agent"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as text:
                        yield os.path.relpath(path, ROOT), text.read()


def code_of(text):
    """The text with comments and string contents blanked out, line numbers kept."""
    def blank(found):
        piece = found.group(0)
        if piece.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", piece)
        return piece[0] + " " * (len(piece) - 2) + piece[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if found:
            yield number, found.group(2), found.group(1) == '"'


def check_arrows(files):
    for path, text in files:
        room = os.path.dirname(path)
        for number, target, ours in includes(text):
            to = os.path.dirname(target)
            if not ours or to == "" or to not in ARROWS:
                continue
            if to not in ARROWS.get(room, set()):
                yield f"{path}:{number}: {room} may not include {target}"


def check_agent_arrows(files):
    for path, text in files:
        if not path.startswith("agent/"):
            continue
        module = os.path.splitext(os.path.basename(path))[0]
        for number, target, _ in includes(text):
            below = os.path.splitext(os.path.basename(target))[0]
            if target.startswith("agent/") and below in AGENT_BELOW.get(module, set()):
                yield f"{path}:{number}: {module} is below {below}"


def check_paths(files):
    """Ours are included by their whole path in quotes, so that every arrow can be seen."""
    for path, text in files:
        for number, target, ours in includes(text):
            if ours and "/" not in target and not target.endswith(".pb-c.h"):
                yield f"{path}:{number}: \"{target}\" without its folder"
            if not ours and target.split("/")[0] in ("common", "panel", "agent"):
                yield f"{path}:{number}: <{target}> is ours and wants quotes"


def check_rooms_known(files):
    for path, _ in files:
        if os.path.dirname(path) not in ARROWS:
            yield f"{path}: a room that tests/lint/check.py has no arrows for"


def program_of(path):
    """panelctl has a folder in panel/, and is a program of its own."""
    return "panel/ctl" if path.startswith("panel/ctl/") else path.split("/")[0]


def check_seam(files, header):
    family = header.split("/")[0] if "/" in header else header
    for daemon in ("common", "panel", "panel/ctl", "agent"):
        users = sorted({path for path, text in files if program_of(path) == daemon
                        for _, target, _ in includes(text)
                        if target == header or ("/" in header and target.startswith(family + "/"))})
        if len(users) > (0 if daemon == "common" else 1):
            yield f"{daemon}: {header} is included by {', '.join(users)}"


def check_banned(files):
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for path, text in files:
        for number, line in enumerate(code_of(text).splitlines(), 1):
            for found in pattern.finditer(line):
                name = found.group(1)
                yield f"{path}:{number}: {name}() is banned; use {BANNED[name]}"


_LOG_CALL = re.compile(
    r'\blog_(?:write\([^,"]*(?:\([^)]*\))?[^,"]*,|(?:debug|info|warn|error)\()\s*("(?:\\.|[^"\\])*")\s*,\s*'
    r'((?:"(?:\\.|[^"\\])*"|PRI[du]64|\s)+)')
_LOG_FIELD = r'[a-z][a-z0-9_]*=("?)%(?:\.\d+)?(?:ll?|z)?[sdu]\1'


def log_format(pieces):
    """The text of adjacent literals, with what PRIu64 and PRId64 stand for."""
    text = re.sub(r"PRI([du])64", r'"l\1"', pieces)
    return "".join(re.findall(r'"((?:\\.|[^"\\])*)"', text)).replace('\\"', '"')


def check_log_calls(files):
    """log.h's language: fields, each key=%s or key="%s". What it doesn't know it can't escape."""
    for path, text in files:
        if path.startswith("common/log"):
            continue
        calls = re.findall(r"\blog_(?:write|debug|info|warn|error)\(", code_of(text))
        found = list(_LOG_CALL.finditer(text))
        if len(calls) != len(found):
            yield f"{path}: of {len(calls)} calls of the log {len(found)} can be read"
        for call in found:
            number = text.count("\n", 0, call.start()) + 1
            fmt = log_format(call.group(2))
            fields = [field.partition("=")[0] for field in fmt.split(" ")]
            if not all(re.fullmatch(_LOG_FIELD, field) for field in fmt.split(" ")):
                yield f"{path}:{number}: {fmt!r} is no list of fields as common/log.h has them"
            if len(set(fields)) != len(fields):
                yield f"{path}:{number}: {fmt!r} has a field twice"
            for other, name in (("request", "req"), ("error", "reason"), ("message", "reason")):
                if other in fields:
                    yield f"{path}:{number}: {other}= is called {name}= everywhere"


def check_guards(files):
    for path, text in files:
        if path.endswith(".h"):
            guard = re.sub(r"[^A-Za-z0-9]", "_", path).upper()
            if f"#ifndef {guard}\n#define {guard}\n" not in text:
                yield f"{path}: its include guard is not {guard}"


def check_purpose(files):
    for path, text in files:
        if not text.startswith("/*"):
            yield f"{path}: doesn't open with what it is for"


def check_length(files):
    """Past a thousand lines there is a second role to be found."""
    for path, text in files:
        lines = text.count("\n")
        if lines > 1000:
            yield f"{path}: {lines} lines"


def rules():
    yield "every room has its arrows", check_rooms_known
    yield "include arrows of the rooms", check_arrows
    yield "include arrows inside the agent", check_agent_arrows
    yield "includes name their folder", check_paths
    for header in SEAMS:
        yield f"one file a daemon includes {header}", lambda files, h=header: check_seam(files, h)
    yield "banned functions", check_banned
    yield "calls of the log are in its language", check_log_calls
    yield "include guards", check_guards
    yield "files open with their purpose", check_purpose
    yield "no file over a thousand lines", check_length


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts")
    args = parser.parse_args()
    files = list(sources())
    passed = failed = 0
    for name, check in rules():
        problems = list(check(files))
        print(f"{'FAILED' if problems else 'ok':6} lint: {name}")
        for problem in problems:
            print(f"    | {problem}")
        passed += not problems
        failed += bool(problems)
    if args.counts:
        with open(args.counts, "w") as counts:
            counts.write(f"{passed} {failed}\n")
    sys.exit(1 if failed else 0)


main()
