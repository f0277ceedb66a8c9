"""What is in the packages: files and modes, settings that are kept, units, manuals, completion."""
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import PurePath

from lib import places
from lib.packages import NAMES, Unit, file_of, others, project_version, run
from lib.places import ROOT

DOCUMENTS = [name for name in os.listdir(os.path.join(ROOT, "docs"))
             if name.endswith((".md", ".svg")) or name == "openapi.yaml"]
# Everything but folders: what may be there, and how.
FILES = {
    "panel": {
        "/etc/default/paneld": "-rw-r--r--",
        "/etc/panel/paneld.json": "-rw-r--r--",
        "/lib/systemd/system/paneld.service": "-rw-r--r--",
        "/usr/bin/paneld": "-rwxr-xr-x",
        "/usr/share/bash-completion/completions/paneld": "-rw-r--r--",
        "/usr/share/doc/panel/CHANGELOG.md": "-rw-r--r--",
        "/usr/share/doc/panel/README.md": "-rw-r--r--",
        "/usr/share/doc/panel/changelog.gz": "-rw-r--r--",
        "/usr/share/doc/panel/copyright": "-rw-r--r--",
        **{f"/usr/share/doc/panel/docs/{name}": "-rw-r--r--" for name in DOCUMENTS},
        "/usr/share/doc/panel/examples/grafana/panel.json": "-rw-r--r--",
        "/usr/share/doc/panel/examples/prometheus/panel.rules.test.yml": "-rw-r--r--",
        "/usr/share/doc/panel/examples/prometheus/panel.rules.yml": "-rw-r--r--",
        "/usr/share/man/man8/paneld.8.gz": "-rw-r--r--",
    },
    "panel-agent": {
        "/etc/default/panel-agent": "-rw-r--r--",
        "/etc/panel/panel-agent.json": "-rw-r--r--",
        "/lib/systemd/system/panel-agent.path": "-rw-r--r--",
        "/lib/systemd/system/panel-agent.service": "-rw-r--r--",
        "/usr/bin/panel-agent": "-rwxr-xr-x",
        "/usr/share/bash-completion/completions/panel-agent": "-rw-r--r--",
        "/usr/share/doc/panel-agent/changelog.gz": "-rw-r--r--",
        "/usr/share/doc/panel-agent/copyright": "-rw-r--r--",
        "/usr/share/lintian/overrides/panel-agent": "-rw-r--r--",
        "/usr/share/man/man8/panel-agent.8.gz": "-rw-r--r--",
    },
}
DAEMONS = {"paneld": places.PANELD, "panel-agent": places.AGENT}
UNITS = os.path.join(ROOT, "packaging", "deb")
EXPOSURE_MAX = 2.0


def help_of(daemon):
    return run(DAEMONS[daemon], "--help")


def options_of(daemon):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", help_of(daemon)))


def field(package, name):
    return run("dpkg-deb", "--field", file_of(package), name).strip()


class Contents(unittest.TestCase):
    def test_files_and_modes(self):
        for package in NAMES:
            with self.subTest(package=package):
                found, folders = {}, set()
                for line in run("dpkg-deb", "--contents", file_of(package)).splitlines():
                    mode, who, _, _, _, path = line.split(None, 5)
                    self.assertEqual(who, "root/root", path)
                    if mode.startswith("d"):
                        self.assertEqual(mode, "drwxr-xr-x", path)
                        folders.add(path.strip("./"))
                    else:
                        found[path[1:]] = mode
                self.assertEqual(found, FILES[package])
                wanted = {str(parent) for path in found for parent in PurePath(path[1:]).parents}
                self.assertEqual(folders - {""}, wanted - {"."})

    def test_links_between_the_documents_hold(self):
        """Those to documents; what else of the source they name is not on a panel's machine."""
        there = {path.removeprefix("/usr/share/doc/panel/") for path in FILES["panel"]}
        for name in sorted(name for name in there if name.endswith(".md")):
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                targets = re.findall(r"\]\(([^()\s:#]+\.(?:md|svg|yaml))[)#]", file.read())
            found = {os.path.normpath(os.path.join(os.path.dirname(name), target)) for target in targets}
            self.assertLessEqual(found - {"CONTRIBUTING.md", "tests/README.md"}, there, name)

    def test_the_changelog_names_each_package(self):
        with open(os.path.join(UNITS, "changelog")) as file:
            first = file.read().split("\n -- ")[-2]
        for package in [*NAMES, *others()]:
            self.assertRegex(first, rf"\b{package}\b(?!-)")

    def test_any_other_package_has_a_program_a_manual_and_its_papers(self):
        for package in others():
            with self.subTest(package=package):
                found = run("dpkg-deb", "--contents", file_of(package))
                self.assertRegex(found, rf"-rwxr-xr-x root/root .* \./usr/bin/{package}\n")
                self.assertRegex(found, rf"-rw-r--r-- root/root .* \./usr/share/man/man[18]/{package}\.[18]\.gz\n")
                for name in ("copyright", "changelog.gz"):
                    self.assertIn(f"./usr/share/doc/{package}/{name}\n", found)

    def test_what_is_kept_of_an_administrators(self):
        for package in NAMES:
            kept = set(run("dpkg-deb", "--info", file_of(package), "conffiles").split())
            self.assertEqual(kept, {path for path in FILES[package] if path.startswith("/etc/")})

    def test_control(self):
        for package in NAMES:
            self.assertEqual(field(package, "Version"), project_version())
            needs = field(package, "Depends")
            for name in ("libc6", "libnng1", "libsodium23", "adduser", "init-system-helpers"):
                self.assertIn(name, needs)
        self.assertIn("libsqlite3-0", field("panel", "Depends"))
        self.assertIn("libcurl4", field("panel-agent", "Depends"))
        self.assertIn("docker.io", field("panel-agent", "Recommends"))

    def test_the_changelog_is_of_this_version(self):
        with open(os.path.join(UNITS, "changelog")) as file:
            self.assertIn(f"({project_version()})", file.readline())
        for daemon in DAEMONS:
            self.assertEqual(run(DAEMONS[daemon], "--version").split(), [daemon, project_version()])

    def test_lintian_has_nothing_to_say(self):
        said = run("lintian", "--tag-display-limit=0",
                   # A build with sanitizers is no package for anybody.
                   "--suppress-tags=hardening-no-fortify-functions,hardening-no-pie,custom-library-search-path",
                   *map(file_of, [*NAMES, *others()]), check=False)
        self.assertEqual([line for line in said.splitlines() if re.match("[EW]: ", line)], [], said)

    def test_settings_that_come_with_it_are_right(self):
        for daemon, program in DAEMONS.items():
            run(program, "--config", os.path.join(UNITS, daemon + ".json"), "--check-config")


class Units(unittest.TestCase):
    def test_systemd_understands_them(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name in ("paneld.service", "panel-agent.service", "panel-agent.path"):
                with open(os.path.join(UNITS, name)) as file:
                    text = file.read().replace("/usr/bin/", places.BIN + "/")
                paths.append(os.path.join(folder, name))
                with open(paths[-1], "w") as file:
                    file.write(text)
            said = run("systemd-analyze", "verify", "--man=no", *paths,
                       env={**os.environ, "SYSTEMD_UNIT_PATH": folder + ":/lib/systemd/system"})
            # Of other units of the machine it may say what it likes.
            self.assertEqual([line for line in said.splitlines() if "panel" in line], [], said)

    def test_they_are_closed(self):
        for daemon in DAEMONS:
            said = run("systemd-analyze", "security", "--offline=yes", f"{UNITS}/{daemon}.service")
            exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", said).group(1))
            self.assertLessEqual(exposure, EXPOSURE_MAX, said)

    def test_they_restart_and_are_watched(self):
        for daemon in DAEMONS:
            unit = Unit(daemon + ".service", UNITS)
            for key, value in (("Type", "notify"), ("Restart", "always"), ("StartLimitIntervalSec", "0"),
                               ("StateDirectoryMode", "0700"), ("UMask", "0077")):
                self.assertEqual(unit.one(key), value, f"{daemon}: {key}")
            self.assertGreaterEqual(int(unit.one("WatchdogSec")), 30)
            self.assertEqual(unit.settings["ExecReload"], [
                unit.one("ExecStart").replace(".json ", ".json --check-config "), "/bin/kill -HUP $MAINPID"])
            self.assertGreaterEqual(int(unit.one("LimitNOFILE")), 65536)

    def test_nothing_ties_containers_to_them(self):
        """Docker's stop may not stop the agent, and the agent's may not stop Docker."""
        for daemon in DAEMONS:
            settings = Unit(daemon + ".service", UNITS).settings
            for key in ("PartOf", "BindsTo", "Requires", "Requisite", "Conflicts", "PropagatesStopTo"):
                self.assertNotIn(key, settings)
            self.assertNotIn("Delegate", settings)

    def test_maintainer_scripts_are_shell(self):
        for package in NAMES:
            for script in ("postinst", "prerm", "postrm"):
                run("sh", "-n", os.path.join(UNITS, package, script))


class Manuals(unittest.TestCase):
    def test_each_option_and_command_is_there_and_no_other(self):
        for daemon in DAEMONS:
            with self.subTest(daemon=daemon):
                with open(f"{ROOT}/docs/man/{daemon}.8") as file:
                    page = file.read().replace("\\-", "-")
                self.assertEqual(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)), options_of(daemon))
                for command in re.findall(rf"^  {daemon} ((?:[a-z]+ ?)+)", help_of(daemon), re.M):
                    self.assertIn(command.strip().replace(" ", " "), page)

    def test_that_of_panelctl_tells_its_nouns_and_the_options_of_all(self):
        with open(f"{ROOT}/docs/man/panelctl.1") as file:
            page = file.read().replace("\\-", "-")
        told = run(places.PANELCTL, "--help")
        options = set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z-]+)", told, re.M))
        self.assertIn("--key-file", options)
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page))
        self.assertLessEqual(options, named)
        of_verbs = re.findall(r"(?<![\w-])--[a-z][a-z-]+", run(places.PANELCTL, "completion", "bash"))
        self.assertLessEqual(named - options, set(of_verbs), "what else it names is an option of some verb")
        for noun in re.findall(r"^  ([a-z]+) {3,}", told, re.M):
            self.assertIn(f"\n.B {noun}\n", page)

    def test_they_are_sound(self):
        for page in (*(f"{daemon}.8" for daemon in DAEMONS), "panelctl.1"):
            done = subprocess.run(["man", "--warnings", "--local-file", f"{ROOT}/docs/man/{page}"],
                                  env={**os.environ, "MANWIDTH": "80"}, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("EXIT STATUS", done.stdout)

    def test_defaults_are_as_in_the_help(self):
        for daemon, values in (("paneld", ("/var/lib/panel", "127.0.0.1:3001")),
                               ("panel-agent", ("/var/lib/panel-agent", "unix:///var/run/docker.sock",
                                                "4096", "1200"))):
            with open(f"{ROOT}/docs/man/{daemon}.8") as file:
                page = file.read().replace("\\-", "-")
            for value in values:
                self.assertIn(value, page)
                self.assertIn(value, help_of(daemon))


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = ('source /usr/share/bash-completion/bash_completion\nsource "$1"\nshift\n'
                  'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}\n'
                  'function=$(complete -p "$1" | sed "s/.*-F \\([^ ]*\\).*/\\1/")\n'
                  '"$function" "$1" "${@: -1}" "${@: -2:1}"\nprintf "%s\\n" "${COMPREPLY[@]}"')
        path = f"{ROOT}/packaging/completion/{words[0]}"
        return set(run("bash", "-c", script, "bash", path, *words).split())

    def test_each_option_is_offered(self):
        offered = self.complete("paneld", "--")
        for words in (("key", "create"), ("backup",), ("config",), ("ca", "retire"), ("import-skyport",)):
            offered |= self.complete("paneld", *words, "--")
        self.assertEqual(offered, options_of("paneld"))
        offered = self.complete("panel-agent", "--")
        for command in ("join", "doctor", "config"):
            offered |= self.complete("panel-agent", command, "--")
        self.assertEqual(offered, options_of("panel-agent"))

    def test_commands_are_offered(self):
        self.assertEqual(self.complete("paneld", ""), {"key", "config", "ca", "backup", "restore", "import-skyport"})
        self.assertEqual(self.complete("paneld", "ca", ""), {"status", "rotate", "retire"})
        self.assertEqual(self.complete("paneld", "key", ""), {"create", "list", "revoke"})
        self.assertLessEqual({"join", "doctor", "config"}, self.complete("panel-agent", ""))
        self.assertEqual(self.complete("paneld", "--log-level", "w"), {"warn"})
