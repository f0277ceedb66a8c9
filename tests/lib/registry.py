"""A registry without TLS: Docker trusts one on 127.0.0.1 by itself, others where it is told to."""
import os
import socket

from lib import places
from lib.daemon import Daemon
from lib.wait import until


class Registry:
    def __init__(self, directory, address="127.0.0.1"):
        self.address = address
        self.port = places.free_port()
        config = os.path.join(directory, "registry.yml")
        with open(config, "w") as text:
            text.write(f"""version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {os.path.join(directory, 'registry')}}}
http: {{addr: '{address}:{self.port}'}}
""")
        self.daemon = Daemon("registry", ["docker-registry", "serve", config], directory)

    @property
    def host(self):
        return f"{self.address}:{self.port}"

    def start(self):
        self.daemon.start()
        until(self._up, 20, "the registry answers")
        return self

    def _up(self):
        self.daemon.expect_running()
        try:
            socket.create_connection((self.address, self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def stop(self):
        # It ends by the signal and not with 0; nothing of it is worth keeping.
        self.daemon.kill()

    def publish(self, docker, image, name, tag="latest", keep=False):
        """Push a local image; then forget it on that Engine. Returns its reference."""
        reference = f"{self.host}/{name}:{tag}"
        docker.tag(image, f"{self.host}/{name}", tag)
        docker.push(reference)
        if not keep:
            docker.remove_image(reference)
        return reference
