"""Certificates for peers that a test plays itself: good ones of a panel's CA, and every wrong kind."""
import os
import ssl
import subprocess

from lib import places


def _openssl(*argv, **more):
    done = subprocess.run(["openssl", *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, **more)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(argv)}: {done.stderr}")


def _new_key(path):
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path


class Identity:
    """A key, a certificate for it, and the CA that its owner believes in: paths of PEM files."""

    def __init__(self, key, cert, ca):
        self.key = key
        self.cert = cert
        self.ca = ca

    def server(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self):
        """For a server whose name is given at the connect."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # a refusal shows in the handshake
        context.load_verify_locations(self.ca)
        if self.cert:
            context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """A CA, by the paths of its key and certificate; by default a new one that nobody knows."""

    def __init__(self, key=None, cert=None):
        self.dir = places.fresh_dir("ca")
        self.key = key or _new_key(os.path.join(self.dir, "ca.key"))
        self.cert = cert or os.path.join(self.dir, "ca.crt")
        if not cert:
            _openssl("req", "-x509", "-new", "-key", self.key, "-subj", "/CN=someone", "-days", "9",
                     "-out", self.cert)

    def issue(self, name, usage, days=30, believes=None):
        """usage: clientAuth for a panel, serverAuth for an agent. days: -1 for an expired one."""
        base = os.path.join(self.dir, f"{len(os.listdir(self.dir))}")
        with open(base + ".ext", "w") as extensions:
            extensions.write(f"subjectAltName=DNS:{name}\nextendedKeyUsage={usage}\n"
                             "basicConstraints=critical,CA:FALSE\n")
        _new_key(base + ".key")
        _openssl("req", "-new", "-key", base + ".key", "-subj", f"/CN={name}", "-out", base + ".csr")
        _openssl("x509", "-req", "-in", base + ".csr", "-CA", self.cert, "-CAkey", self.key,
                 "-CAcreateserial", "-CAserial", base + ".srl", "-days", str(days), "-extfile",
                 base + ".ext", "-out", base + ".crt")
        return Identity(base + ".key", base + ".crt", believes or self.cert)


def authority_of(panel):
    """The panel's own: what only somebody who has its data folder can issue."""
    folder = os.path.join(panel.data, "pki")
    return Authority(os.path.join(folder, "ca.key"), os.path.join(folder, "ca.crt"))


def identity_of(agent):
    """What the agent itself shows."""
    return Identity(*(os.path.join(agent.state, name)
                      for name in ("agent.key", "agent.crt", "ca.crt")))
