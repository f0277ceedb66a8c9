"""A process of ours: started, watched, stopped; its output kept in files.

A daemon built with sanitizers writes their reports beside its log. stop() fails when there is
one, when the exit code isn't 0, or when stopping takes too long."""
import glob
import os
import shutil
import signal
import subprocess

from lib import secrecy
from lib.places import ROOT
from lib.wait import until

_live = []


def _sanitizer_env(path):
    common = f"halt_on_error=1:exitcode=99:log_path={path}"
    env = dict(os.environ)
    env["ASAN_OPTIONS"] = f"{common}:detect_leaks=1:strict_string_checks=1"
    env["LSAN_OPTIONS"] = f"suppressions={ROOT}/tests/lib/lsan.supp:print_suppressions=0"
    env["UBSAN_OPTIONS"] = f"{common}:print_stacktrace=1"
    env["TSAN_OPTIONS"] = f"{env.get('TSAN_OPTIONS', '')}:log_path={path}"  # see tests/tsan
    return env


def _reports(path):
    """What sanitizers wrote since the last look."""
    texts = []
    for name in sorted(glob.glob(path + ".*")):
        with open(name, errors="replace") as report:
            texts.append(report.read())
        os.rename(name, name.replace(path, path + "-seen"))
    return "\n".join(texts)


def tail(path, lines=10):
    try:
        with open(path, errors="replace") as log:
            return "".join(log.readlines()[-lines:])
    except FileNotFoundError:
        return ""


def live_logs():
    """(name, last lines) of every daemon that runs: shown when a test fails."""
    return [(d.name, tail(d.log_path)) for d in _live]


def kill_leftovers():
    for daemon in list(_live):
        daemon.kill()


class Daemon:
    def __init__(self, name, argv, directory, env=None):
        self.name = name
        self.argv = argv
        self.log_path = os.path.join(directory, name + ".log")
        self.out_path = os.path.join(directory, name + ".out")
        self.report_path = os.path.join(directory, name + ".sanitizer")
        self.extra_env = env or {}
        self.descriptors = None  # how many it may have open, where that is a fault's part
        self.process = None

    def start(self):
        assert not self.running(), f"{self.name} runs already"
        env = _sanitizer_env(self.report_path)
        env.update(self.extra_env)
        # The output of each start begins anew; the log goes on.
        with open(self.log_path, "ab") as log, open(self.out_path, "wb") as out:
            limits = ["prlimit", f"--nofile={self.descriptors}", "--"] if self.descriptors else []
            self.process = subprocess.Popen(limits + self.argv, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=log, env=env, start_new_session=True)
        _live.append(self)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def output(self):
        with open(self.out_path, errors="replace") as out:
            return out.read()

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def expect_running(self):
        if not self.running():
            raise AssertionError(f"{self.name} ended by itself, exit code {self.process.returncode}"
                                 f"\n{_reports(self.report_path)}\n{tail(self.log_path)}")

    def wait_exit(self, timeout):
        """Exit code, after it ended by itself."""
        until(lambda: not self.running(), timeout, f"{self.name} ends")
        self._forget()
        return self.process.returncode

    def stop(self, timeout=10):
        if self.process is None or self not in _live:
            return
        self.expect_running_or_forget()
        self.process.send_signal(signal.SIGTERM)
        try:
            until(lambda: not self.running(), timeout, f"{self.name} stops on SIGTERM")
        except AssertionError as late:
            stacks = self.stacks()
            self.kill()
            raise AssertionError(f"{late}\n{stacks}") from None
        self._forget()
        self.check_end()

    def expect_running_or_forget(self):
        try:
            self.expect_running()
        except AssertionError:
            self._forget()
            raise

    def expect_clean(self):
        report = _reports(self.report_path)
        if report:
            raise AssertionError(f"sanitizer report of {self.name}:\n{report}")

    def check_end(self):
        self.expect_clean()
        with open(self.log_path, "rb") as log:
            secrecy.check(log.read(), self.name)
        if self.process.returncode != 0:
            raise AssertionError(f"{self.name} exited with {self.process.returncode}\n"
                                 f"{tail(self.log_path)}")

    def kill(self):
        """SIGKILL: what a power cut does to it."""
        if self.process is None:
            return
        if self.running():
            self.process.kill()
            self.process.wait()
        self._forget()

    def stacks(self):
        """Where each thread stands, for a person; "" where there is no debugger."""
        if not shutil.which("gdb"):
            return ""
        done = subprocess.run(["gdb", "-p", str(self.pid), "-batch", "-ex", "thread apply all bt 16"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        threads = done.stdout.split("\n\n")
        # Those of libraries that only wait are no news.
        return "\n\n".join(t for t in threads if f"{ROOT}/" in t)[-8000:]

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def _forget(self):
        if self in _live:
            _live.remove(self)


class ToolResult:
    def __init__(self, code, out, err, report):
        self.code = code
        self.out = out
        self.err = err
        self.report = report


def run_tool(argv, directory, timeout=20, env=None, said=None):
    """Run a short command of ours to its end; a sanitizer report is a failure whatever it did. said:
    a text for its stdin."""
    path = os.path.join(directory, "tool.sanitizer")
    full_env = _sanitizer_env(path)
    full_env.update(env or {})
    given = {"stdin": subprocess.DEVNULL} if said is None else {"input": said.encode()}
    done = subprocess.run(argv, **given, capture_output=True, timeout=timeout, env=full_env)
    report = _reports(path)
    if report:
        raise AssertionError(f"sanitizer report of {' '.join(argv)}:\n{report}")
    return ToolResult(done.returncode, done.stdout.decode(errors="replace"),
                      done.stderr.decode(errors="replace"), report)
