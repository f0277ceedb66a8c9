#!/usr/bin/python3
"""What the documents say is there: links, anchors, files, commands with their flags, requests.

    tests/lint/documents.py [--bin DIR]

Each Markdown file of the project is one test; ends with 0 when all are right. DIR (build-asan/bin) has
the programs, whose --help is what flags and commands are looked up in."""
import argparse
import functools
import json
import os
import re
import subprocess
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = ("paneld", "panel-agent", "panelctl")
TREES = ("tests", "docs", "packaging", "panel", "agent", "common", "proto")
BIN = os.path.join(ROOT, "build-asan", "bin")


def documents():
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard", "*.md"],
        cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return sorted(path for path in listed if os.path.exists(os.path.join(ROOT, path)))


@functools.lru_cache(None)
def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def split(text):
    """(prose, lines of code blocks): fenced ones, and those that are indented after a blank line."""
    prose, code, fenced, before = [], [], False, ""
    for line in text.split("\n"):
        if re.match(r"\s*```", line):
            fenced = not fenced
        elif fenced:
            code.append(line.strip())
        elif line.startswith("    ") and (not before.strip() or before.startswith("    ")) \
                and not re.match(r"\s*([-*]|\d+\.) ", line):
            code.append(line.strip())
        else:
            prose.append(line)
        before = line
    return "\n".join(prose), code


@functools.lru_cache(None)
def anchors(path):
    """The names that a heading can be linked to by: its words, lower case, with hyphens."""
    found, prose = set(), split(read(path))[0]
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        unique, number = name, 0
        while unique in found:
            number += 1
            unique = f"{name}-{number}"
        found.add(unique)
    return found


def check_links(path):
    prose = re.sub(r"`[^`\n]*`", "", split(read(path))[0])
    for target in re.findall(r"\]\(([^()\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        if not os.path.exists(os.path.join(ROOT, to)):
            yield f"a link to {target}, which isn't there"
        elif anchor and to.endswith(".md") and anchor not in anchors(to):
            yield f"a link to {target}; {to} has no such heading"


def check_files(path):
    """Files of the tree that are named in `code`."""
    for name in re.findall(r"`([\w][\w./-]*)`", split(read(path))[0]):
        if name.split("/")[0] in TREES and "/" in name and \
                not os.path.exists(os.path.join(ROOT, name)):
            yield f"`{name}` isn't there"


@functools.lru_cache(None)
def help_of(program):
    """What its --help says, or the text of a script of ours; None: it isn't there."""
    if program in PROGRAMS:
        file = os.path.join(BIN, program)
        if not os.path.exists(file):
            return None
        return subprocess.run([file, "--help"], capture_output=True, text=True, timeout=20,
                              check=True).stdout
    file = os.path.join(ROOT, program)
    if not os.path.isfile(file):
        return None
    with open(file, encoding="utf-8") as script:
        text = script.read()
    # What a script only hands on is looked up where that goes.
    for module in re.findall(r"(?:-m |import )([\w.]+)", text):
        other = os.path.join(ROOT, "tests", *module.split(".")) + ".py"
        if os.path.isfile(other):
            with open(other, encoding="utf-8") as more:
                text += more.read()
    return text


@functools.lru_cache(None)
def help_of_command(*names):
    return subprocess.run([os.path.join(BIN, "panelctl"), *names, "--help"], capture_output=True,
                          text=True, timeout=20, check=False).stdout


def commands(code):
    """(program, its words) of each command of ours in the lines."""
    for line in " \n".join(code).replace("\\ \n", " ").split("\n"):
        line = re.sub(r"\s#.*|^#.*", "", line)
        for piece in re.split(r"\||;|&&|\$\(|\)", line):
            words = piece.split()
            while words and (words[0] in ("sudo", "-E", "exec", "time") or
                             re.match(r"[A-Z_]+=", words[0])):
                words.pop(0)
            if words and words[0].removeprefix("build/bin/") in PROGRAMS:
                yield words[0].removeprefix("build/bin/"), words[1:]
            elif words and re.match(r"(tests|packaging|docs)/[\w/.-]+$", words[0]):
                yield words[0], words[1:]
            elif words and words[0] == "cmake":
                yield "cmake", words[1:]


def check_command(program, words):
    if program == "cmake":
        with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as file:
            presets = {preset["name"] for preset in json.load(file)["configurePresets"]}
        for flag, value in zip(words, words[1:]):
            if flag == "--preset" and value not in presets:
                yield f"cmake --preset {value}: there is no such preset"
        return
    told = help_of(program)
    if told is None:
        yield f"{program} isn't there"
        return
    if program == "panelctl":  # each of its commands tells of its own flags
        names = [word for word in words if re.match(r"[a-z][a-z-]*$", word)]
        told += "".join(help_of_command(*names[:count]) for count in (1, 2))
    for word in words:
        flag = re.match(r"--[a-z][a-z-]*", word)
        if flag and not re.search(re.escape(flag.group(0)) + r"(?![a-z-])", told) and \
                flag.group(0) not in ("--help", "--version"):
            yield f"{program} has no {flag.group(0)}"
    if program in PROGRAMS and words and re.match(r"[a-z][a-z-]+$", words[0]):
        if not re.search(rf"\b{words[0]}\b", told):
            yield f"{program} has no command {words[0]}"
        elif words[1:] and words[0] == "key" and f"{program} key {words[1]}" not in told:
            yield f"{program} has no command key {words[1]}"


def check_commands(path):
    prose, code = split(read(path))
    inline = re.findall(r"`([^`\n]+)`", prose)
    for program, words in commands(code + [one for one in inline if " " in one]):
        yield from check_command(program, words)


@functools.lru_cache(None)
def operations():
    document = yaml.safe_load(read("docs/openapi.yaml"))
    return [(method.upper(), re.compile("^" + re.sub(r"\\\{[^}]*\\\}|\{[^}]*\}", "[^/]+", path) + "$"))
            for path, item in document["paths"].items() for method in item]


def check_requests(path):
    for method, target in re.findall(r"\b(GET|POST|PUT|PATCH|DELETE) (/(?:api|docs|join)[\w/{}.:-]*)",
                                     read(path)):
        plain = target.rstrip(".:").replace("{id}", "x").replace(":id", "x")
        if not any(method == known and pattern.match(plain) for known, pattern in operations()):
            yield f"{method} {target} isn't in docs/openapi.yaml"


def main():
    global BIN
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=BIN)
    BIN = parser.parse_args().bin
    failed = 0
    for path in documents():
        problems = [problem for check in (check_links, check_files, check_commands, check_requests)
                    for problem in check(path)]
        for problem in dict.fromkeys(problems):
            print(f"{path}: {problem}")
        failed += bool(problems)
    sys.exit(1 if failed else 0)


main()
