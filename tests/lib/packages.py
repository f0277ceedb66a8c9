"""The Debian packages: made, installed where that harms nobody, and their services started as systemd does.

PANEL_PACKAGES names a folder with packages made before, for packaging/test-deb; else they are made of the
build under test."""
import glob
import os
import pwd
import re
import shlex
import shutil
import subprocess

from lib import places
from lib.daemon import Daemon
from lib.supervisor import Supervisor
from lib.wait import until

NAMES = ("panel", "panel-agent")
_made = {}
_staged = False


def run(*argv, check=True, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{shlex.join(argv)} exited with {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def project_version():
    with open(os.path.join(places.ROOT, "CMakeLists.txt")) as file:
        return re.search(r"^project\(panel VERSION ([\d.]+)", file.read(), re.M).group(1)


def make(version=None):
    """A folder with the packages of that version, the project's own by default."""
    version = version or project_version()
    given = os.environ.get("PANEL_PACKAGES")
    if version not in _made and given and glob.glob(f"{given}/panel_{version}_*.deb"):
        _made[version] = given
    if version not in _made and version != project_version():
        _made[version] = _renumber(make(), version)
    if version not in _made:
        folder = places.fresh_dir("debs")
        run(os.path.join(places.ROOT, "packaging", "build-deb"), "--build", os.path.dirname(places.BIN),
            "--output", folder, "--version", version, "--fast")
        _made[version] = folder
    return _made[version]


def others():
    """Names of packages that are made besides, such as one of a command line."""
    return {os.path.basename(path).split("_")[0] for path in glob.glob(make() + "/*.deb")} - set(NAMES)


def _renumber(folder, version):
    """The same packages under another number."""
    renumbered = places.fresh_dir("debs")
    for path in glob.glob(folder + "/*.deb"):
        tree = os.path.join(renumbered, "tree")
        run("dpkg-deb", "--raw-extract", path, tree)
        with open(tree + "/DEBIAN/control") as file:
            control = file.read()
        with open(tree + "/DEBIAN/control", "w") as file:
            file.write(re.sub(r"^Version: .*", f"Version: {version}", control, flags=re.M))
        name, _, rest = os.path.basename(path).split("_", 2)
        run("dpkg-deb", "-Zgzip", "-z1", "--build", tree, f"{renumbered}/{name}_{version}_{rest}")
        shutil.rmtree(tree)
    return renumbered


def file_of(name, version=None):
    found = glob.glob(f"{make(version)}/{name}_{version or project_version()}_*.deb")
    if len(found) != 1:
        raise AssertionError(f"packages of {name}: {found}")
    return found[0]


def stage():
    """From here on this process, and what it starts, sees and changes a copy of /etc, /usr and /var, and an
    empty /run: no systemd to be seen, no state of a panel. Only inside lib/sandbox."""
    global _staged
    if _staged:
        return
    with open("/proc/1/cmdline") as file:
        if "sandbox\0--inside" not in file.read():
            raise AssertionError("stage() belongs into lib/sandbox")
    base = places.fresh_dir("stage")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", base)
    for name in ("etc", "usr", "var"):
        for part in ("up", "work"):
            os.makedirs(f"{base}/{part}/{name}")
        run("mount", "-t", "overlay", "-o",
            f"lowerdir=/{name},upperdir={base}/up/{name},workdir={base}/work/{name}", "overlay", f"/{name}")
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for folder in ("/run/containerd", "/run/lock"):
        os.makedirs(folder, exist_ok=True)
    # Nobody needs an index of manuals here, nor what a power cut would leave of the copy.
    with open("/etc/dpkg/dpkg.cfg.d/tests", "w") as file:
        file.write("force-unsafe-io\n")
    for path in glob.glob("/var/lib/man-db/auto-update"):
        os.unlink(path)
    _staged = True


def install(*files):
    return run("dpkg", "--install", *files, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def status(name):
    return run("dpkg-query", "--showformat=${db:Status-Status} ${Version}", "--show", name, check=False)


def purge_all():
    there = [name for name in (*NAMES, "panelctl") if os.path.exists(f"/var/lib/dpkg/info/{name}.list")]
    if there:
        run("dpkg", "--purge", *there)


class Unit:
    def __init__(self, name, folder="/lib/systemd/system"):
        self.settings = {}
        with open(f"{folder}/{name}") as file:
            for line in file:
                if "=" in line and not line.startswith("#"):
                    key, value = line.strip().split("=", 1)
                    self.settings.setdefault(key, []).append(value)

    def one(self, key):
        return self.settings[key][-1]


class Service:
    """An installed service, started by its unit without systemd: its user and groups, capabilities,
    environment file and options; it counts as started when it says READY=1."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.daemon = None

    def _argv(self, unit):
        words = []
        for word in shlex.split(unit.one("ExecStart")):
            words += self._variable(unit, word[1:]) if word.startswith("$") else [word]
        user = unit.one("User")
        caps = [c.removeprefix("CAP_").lower() for c in unit.one("AmbientCapabilities").split()]
        bounds = ",".join(["-all", *("+" + c for c in caps)])
        return ["setpriv", f"--reuid={user}", f"--regid={unit.one('Group')}", "--init-groups",
                "--no-new-privs", f"--bounding-set={bounds}", f"--inh-caps={bounds}",
                f"--ambient-caps={bounds}", *words]

    def _variable(self, unit, name):
        with open(unit.one("EnvironmentFile").lstrip("-")) as file:
            for line in file:
                if line.startswith(name + "="):
                    return shlex.split(shlex.split(line.split("=", 1)[1])[0])
        return []

    def start(self):
        unit = Unit(self.name + ".service")
        supervisor = Supervisor(int(unit.one("WatchdogSec")))
        self.daemon = Daemon(self.name, self._argv(unit), self.directory, supervisor.env)
        self.daemon.start()

        def ready():
            self.daemon.expect_running()
            return supervisor.next(0.1) == "READY=1"
        try:
            until(ready, 30, f"{self.name} says that it is ready")
        finally:
            supervisor.close()
        return self

    def stop(self):
        if self.daemon:
            self.daemon.stop()

    @property
    def uid(self):
        return os.stat(f"/proc/{self.daemon.pid}").st_uid


def owner(path):
    return pwd.getpwuid(os.lstat(path).st_uid).pw_name
