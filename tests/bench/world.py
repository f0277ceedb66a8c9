"""How a benchmark is started: release builds, and a sandbox whose network and processes are nobody else's."""
import os
import resource
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build-bench")
PROGRAMS = os.path.join(BUILD, "bench")


def build():
    """Both daemons as they are released, the floors and the simulated fleet; the folder of the daemons."""
    for command in (["packaging/install-deps", "build", "run", "test"],
                    ["cmake", "--preset", "bench"], ["cmake", "--build", "--preset", "bench"]):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(done.stdout.decode(errors="replace")[-5000:])
    return os.path.join(BUILD, "bin")


def is_inside():
    return os.environ.get("PANEL_BENCH") == "inside"


def outside(script):
    """Start the script again in a sandbox, with its arguments; its exit code."""
    if os.geteuid() != 0:
        sys.exit(f"{os.path.relpath(script)}: needs root, for a network of its own")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two descriptors a simulated node
    with tempfile.TemporaryDirectory(prefix="panel-bench.") as work:
        env = {**os.environ, "PANEL_BENCH": "inside", "PANEL_TEST_DIR": work, "PANEL_BIN": build(),
               "PYTHONPATH": os.path.dirname(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.call([os.path.join(ROOT, "tests", "lib", "sandbox"), work, sys.executable,
                                script, *sys.argv[1:]], env=env)
