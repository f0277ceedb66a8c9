"""Load from another process: wrk, with requests of ours."""
import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def lines(requests):
    """(method, path, body or None) → the text of load.lua's file."""
    return "".join(f"{method} {path} {json.dumps(body) if body is not None else ''}".rstrip() + "\n"
                   for method, path, body in requests)


def write_requests(path, requests):
    with open(path, "w") as out:
        out.write(lines(requests))
    return path


def run(port, requests_file, key=None, connections=1, seconds=3, headers=()):
    """Figures of one run: rate (a second), p50_ms, p99_ms, p999_ms, bytes, bad, requests."""
    wanted = [f"x-api-key: {key}"] if key else []
    wanted += ["Content-Type: application/json", *headers]
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s",
                           os.path.join(HERE, "load.lua"), f"http://127.0.0.1:{port}", "--",
                           requests_file, *wanted], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("JSON "):
            figures = json.loads(line[5:])
            figures["rate"] = figures["requests"] / figures["seconds"]
            return figures
    raise AssertionError(f"wrk said nothing: {done.stdout}{done.stderr}")
