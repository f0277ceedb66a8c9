"""Another certificate for a panel that serves: no request fails, and a broken pair keeps the old."""
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading
import unittest

from lib import pki, places
from lib.client import Client
from lib.daemon import run_tool
from lib.metrics import scrape
from lib.paneld import QUICK, Paneld
from lib.wait import until


def make_pair(folder, name):
    """The paths of a certificate for 127.0.0.1, and of its key."""
    cert, key = os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "9" if name == "first" else "8", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    return cert, key


def end_of(cert):
    """Seconds since 1970."""
    said = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-enddate"], check=True,
                          capture_output=True, text=True).stdout
    return ssl.cert_time_to_seconds(said.strip().partition("=")[2])


class Reload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = places.fresh_dir("pairs")
        cls.pairs = {name: make_pair(cls.made, name) for name in ("first", "second")}
        cls.trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        cls.bundle = os.path.join(cls.made, "both.pem")
        with open(cls.bundle, "w") as bundle:
            for cert, _ in cls.pairs.values():
                with open(cert) as text:
                    bundle.write(text.read())
        cls.trust.load_verify_locations(cls.bundle)

    @classmethod
    def tearDownClass(cls):
        places.drop_dir(cls.made)

    def setUp(self):
        self.dir = places.fresh_dir("tls")
        self.cert, self.key = os.path.join(self.dir, "tls.crt"), os.path.join(self.dir, "tls.key")
        self.put("first")

    def tearDown(self):
        places.drop_dir(self.dir)

    def put(self, name, cert=True, key=True):
        """As renewers do: another file in its place."""
        for wanted, source, target in zip((cert, key), self.pairs[name], (self.cert, self.key)):
            if wanted:
                shutil.copy(source, target + ".new")
                os.rename(target + ".new", target)

    def panel(self, watch_ms=0):
        panel = Paneld(self.dir, config={**QUICK, "tlsCert": self.cert, "tlsKey": self.key,
                                         "tlsWatchMs": watch_ms}, tls=self.trust).start()
        self.addCleanup(panel.kill)
        return panel

    def shown(self, panel, version="-tls1_3"):
        """The name in the certificate that openssl is shown."""
        done = subprocess.run(["openssl", "s_client", version, "-connect", f"127.0.0.1:{panel.port}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        found = re.search(r"^subject=CN = (\w+)$", done.stdout, re.M)
        self.assertTrue(found, done.stdout + done.stderr)
        return found.group(1)

    def hang_up(self, panel, says):
        before = len(panel.daemon.log())
        panel.daemon.process.send_signal(signal.SIGHUP)
        until(lambda: says in panel.daemon.log()[before:], 10, f"the log says {says}")
        return panel.daemon.log()[before:]

    def test_sighup_takes_another_pair(self):
        panel = self.panel()
        for name in ("second", "first"):
            self.put(name)
            self.assertNotEqual(self.shown(panel), name)
            self.hang_up(panel, "certificate taken")
            for version in ("-tls1_2", "-tls1_3"):
                self.assertEqual(self.shown(panel, version), name)
            self.assertEqual(scrape(panel.client()).values("panel_https_certificate_end_timestamp_seconds"),
                             [end_of(self.pairs[name][0])])
        self.assertNotIn("certificate taken", self.hang_up(panel, "settings read again"))  # the same
        panel.stop()

    def test_a_broken_pair_keeps_the_old(self):
        panel = self.panel()
        broken = {
            "no file": lambda: os.unlink(self.cert),
            "no certificate in it": lambda: open(self.cert, "w").close(),
            "half a certificate": lambda: os.truncate(self.cert, 300),
            "no key in it": lambda: open(self.key, "w").close(),
            "another's key": lambda: self.put("second", cert=False),
            "another's certificate": lambda: self.put("second", key=False),
        }
        for name, spoil in broken.items():
            with self.subTest(name):
                self.put("first")
                spoil()
                told = self.hang_up(panel, "the old ones stay")
                self.assertRegex(told, "reason=.*(tlsCert|tlsKey) must be ")
                self.assertEqual(self.shown(panel), "first")
                done = run_tool([places.PANELD, "--check-config", "--tls-cert", self.cert, "--tls-key",
                                 self.key], self.dir)
                self.assertEqual(done.code, 1)
                self.assertRegex(done.err, r"paneld: --tls-(cert|key) must be .*, not \"/")
        self.put("second")
        self.hang_up(panel, "certificate taken")
        self.assertEqual(self.shown(panel), "second")
        panel.stop()

    def test_other_files_by_the_settings(self):
        panel = self.panel()
        cert, key = self.pairs["second"]
        panel.config.update(tlsCert=cert, tlsKey=key)
        with open(os.path.join(self.dir, panel.name + ".json"), "w") as out:
            out.write(re.sub("'", '"', str(panel.config)))
        told = self.hang_up(panel, "settings read again")
        self.assertIn('taken="tlsCert tlsKey"', told)
        self.assertEqual(self.shown(panel), "second")
        with open(os.path.join(self.dir, panel.name + ".json"), "w") as out:
            out.write("{}")
        told = self.hang_up(panel, "wait for a restart")
        self.assertRegex(told, 'names="tlsCert tlsKey')
        self.assertEqual(self.shown(panel), "second")
        panel.stop()

    def test_changed_files_are_noticed(self):
        panel = self.panel(watch_ms=100)
        self.put("second", key=False)
        until(lambda: "the old one stays" in panel.daemon.log(), 10, "half a change is refused")
        self.assertEqual(self.shown(panel), "first")
        self.put("second", cert=False)
        until(lambda: "certificate taken" in panel.daemon.log(), 10, "the whole one is taken")
        self.assertEqual(self.shown(panel), "second")
        self.assertEqual(panel.daemon.log().count("the old one stays"), 1)
        panel.stop()

    def test_what_came_while_it_started_is_noticed(self):
        """Files that look as those it found did, as if they had been replaced before it looked at all."""
        texts = {}
        for name in ("first", "second"):
            for path in self.pairs[name]:
                with open(path) as file:
                    texts[path] = file.read()
        longest = max(map(len, texts.values()))

        def overwrite(name):
            for source, target in zip(self.pairs[name], (self.cert, self.key)):
                with open(target, "w") as file:
                    file.write(texts[source].ljust(longest, "\n"))
                os.utime(target, ns=(1, 1))
        overwrite("first")
        panel = self.panel(watch_ms=2000)
        overwrite("second")
        until(lambda: "certificate taken" in panel.daemon.log(), 20, "the first look takes them")
        self.assertEqual(self.shown(panel), "second")
        panel.stop()

    def test_one_that_has_ended_is_told(self):
        ended = pki.Authority().issue("ended", "serverAuth", days=-1)
        self.pairs["ended"] = (ended.cert, ended.key)
        self.put("ended")
        done = run_tool([places.PANELD, "--check-config", "--tls-cert", self.cert, "--tls-key", self.key],
                        self.dir)
        self.assertEqual(done.code, 1)
        self.assertRegex(done.err, r"--tls-cert must be a certificate that is valid now; .* ended at 20")
        self.put("first")
        panel = self.panel()
        self.put("ended")
        self.assertIn("isn't valid now", self.hang_up(panel, "certificate taken"))
        panel.stop()

    def test_no_request_fails_meanwhile(self):
        """Clients that connect anew each time, one that stays, curl, and a stream; 20 changes."""
        panel = self.panel()
        over, faults, counts = threading.Event(), [], [0, 0, 0]

        def ask(number, connection=None):
            client = Client("127.0.0.1", panel.port, panel.key, tls=self.trust)
            kept = client.connect() if connection else None
            while not over.is_set():
                try:
                    client.get("/api/nodes", connection=kept).expect(200)
                    counts[number] += 1
                except Exception as error:  # pylint: disable=broad-except
                    faults.append(repr(error))
                    return

        def curl():
            while not over.is_set():
                done = subprocess.run(["curl", "-sS", "--fail", "--cacert", self.bundle, "-H",
                                       f"x-api-key: {panel.key}", f"{panel.url}/api/nodes"],
                                      capture_output=True, text=True)
                counts[2] += 1
                if done.returncode != 0:
                    faults.append(done.stderr)
                    return
        threads = [threading.Thread(target=ask, args=(0,)) for _ in range(3)]
        threads += [threading.Thread(target=ask, args=(1, True)), threading.Thread(target=curl)]
        stream = subprocess.Popen(["curl", "-sSN", "--max-time", "60", "--cacert", self.bundle, "-H", f"x-api-key: {panel.key}",
                                   f"{panel.url}/api/events"], stdout=subprocess.PIPE, text=True)
        for thread in threads:
            thread.start()
        for number in range(20):
            self.put(("second", "first")[number % 2])
            self.hang_up(panel, "certificate taken")
        asked = list(counts)
        until(lambda: faults or all(now > then for now, then in zip(counts, asked)), 10, "they go on")
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        self.assertIsNone(stream.poll(), "the stream goes on")
        panel.client().post("/api/auth/create-user", {"userId": "the-late-one", "username": "late", "email": "late@example.test",
                                                      "password": "long enough"}).expect(201)
        for line in stream.stdout:
            if "the-late-one" in line:
                break
        else:
            self.fail("the stream ended")
        stream.kill()
        stream.wait()
        stream.stdout.close()
        panel.stop()
