"""A real Prometheus that scrapes a panel, and its promtool."""
import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request

from lib import places
from lib.wait import until

# None: not installed (packaging/install-deps test installs it).
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")


def promtool(*args, text=None, cwd=None):
    """(exit code, output)"""
    done = subprocess.run([PROMTOOL, *args], input=text, capture_output=True, text=True, cwd=cwd,
                          timeout=60)
    return done.returncode, done.stdout + done.stderr


class Prometheus:
    def __init__(self, directory, panel, rules=None):
        self.dir = os.path.join(directory, "prometheus")
        os.makedirs(self.dir)
        self.port = places.free_port()
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms",
                       "evaluation_interval": "500ms"},
            "rule_files": [rules] if rules else [],
            "scrape_configs": [{"job_name": "panel", "authorization": {"credentials": panel.key},
                                "static_configs": [{"targets": [f"127.0.0.1:{panel.port}"]}]}]}
        self.config = os.path.join(self.dir, "prometheus.yml")
        with open(self.config, "w") as file:
            json.dump(config, file)  # YAML enough
        self.log = os.path.join(self.dir, "log")
        self.process = None

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [PROMETHEUS, f"--config.file={self.config}", f"--storage.tsdb.path={self.dir}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        until(self._is_ready, 30, self._why)
        return self

    def _why(self):
        with open(self.log, errors="replace") as log:
            return f"Prometheus is ready: {log.read()[-2000:]}"

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(self._why())
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def ask(self, path, **query):
        """The data of an answer of its HTTP API; AssertionError with what it says otherwise."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise AssertionError(f"{path} {query}: {refused.read().decode()}") from None

    def query(self, expression):
        """[({label: value}, number)] of now."""
        return [(row["metric"], float(row["value"][1]))
                for row in self.ask("query", query=expression)["result"]]
