"""Images made on the spot from the static busybox: no network needed.

Each is written in the format of `docker save`, since `docker import` knows no STOPSIGNAL."""
import functools
import hashlib
import io
import json
import tarfile

BUSYBOX = "/bin/busybox"
PAGE = "hello from the container\n"


def _add(tar, name, data, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = mode
    tar.addfile(entry, io.BytesIO(data))


@functools.lru_cache(maxsize=None)
def _layer(marker):
    """A root file system with busybox in it, as tar. Another marker is another layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "www", "tmp", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o755
            tar.addfile(entry)
        with open(BUSYBOX, "rb") as busybox:
            _add(tar, "bin/busybox", busybox.read(), 0o755)
        link = tarfile.TarInfo("bin/sh")
        link.type = tarfile.SYMTYPE
        link.linkname = "busybox"
        tar.addfile(link)
        _add(tar, "www/index.html", PAGE.encode())
        _add(tar, "etc/marker", marker.encode())
    return out.getvalue()


def make(docker, tag, cmd, stop_signal="SIGKILL", env=(), marker=""):
    """Load an image test:TAG into that Engine; its reference.

    Process 1 of a container ignores SIGTERM unless it asks for it, so most of ours are stopped
    by SIGKILL, at once."""
    layer = _layer(marker)
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Cmd": cmd, "Env": ["PATH=/bin", *env], "StopSignal": stop_signal},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests"}]}).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": [f"test:{tag}"], "Layers": ["layer.tar"]}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, config_name, config)
        _add(tar, "layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    docker.load(out.getvalue())
    return f"test:{tag}"


def httpd(docker, tag="httpd", marker=""):
    """Serves PAGE on 8080."""
    return make(docker, tag, [BUSYBOX, "httpd", "-f", "-p", "8080", "-h", "/www"],
                env=["FROM_IMAGE=yes"], marker=marker)


def crasher(docker, tag="crasher"):
    """Ends with exit code 3 as soon as it has begun."""
    return make(docker, tag, [BUSYBOX, "sh", "-c", "exit 3"])


def sleeper(docker, tag="sleeper"):
    """Does nothing for long."""
    return make(docker, tag, [BUSYBOX, "sleep", "1000000"])


def stubborn(docker, tag="stubborn"):
    """Ignores its stop signal."""
    return make(docker, tag, [BUSYBOX, "sleep", "1000000"], stop_signal="SIGTERM")
