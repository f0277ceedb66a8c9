"""Metrics, health, logs, alerts and the dashboard: what a person looks at when something is wrong."""
import errno
import json
import os
import re
import sqlite3
import unittest

from lib import metrics, places, prometheus, raw, secrecy
from lib.client import Client
from lib.daemon import run_tool
from lib.faulty import WRITE, Faulty
from lib.metrics import scrape
from lib.paneld import Paneld, create_key
from lib.places import ROOT
from lib.prometheus import Prometheus, promtool
from lib.wait import until
from lib.world import World

RULES = os.path.join(ROOT, "packaging", "prometheus", "panel.rules.yml")
DASHBOARD = os.path.join(ROOT, "packaging", "grafana", "panel.json")
PAGE = os.path.join(ROOT, "docs", "watching.md")

WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Format(unittest.TestCase):
    def test_both_formats_keep_their_rules_and_say_the_same(self):
        WORLD.api.nodes()
        plain, opened = scrape(WORLD.api), scrape(WORLD.api, openmetrics=True)
        self.assertEqual({name.removesuffix("_total").removesuffix("_info") for name in plain.families},
                         set(opened.families))
        for name, family in opened.families.items():
            if "_bytes" in name or "_seconds" in name or "_ratio" in name:
                self.assertEqual(family.unit, name.rpartition("_")[2])
            self.assertRegex(family.help, r"^[A-Z1].*\.$")

    def test_promtool_finds_nothing_to_say(self):
        text = WORLD.api.get("/metrics").expect(200).body.decode()
        self.assertEqual(promtool("check", "metrics", text=text), (0, ""))

    def test_the_page_lists_what_there_is(self):
        with open(PAGE) as page:
            table = re.search(r"<!-- metrics.*?-->\n(.*?)<!-- end of metrics -->", page.read(), re.S).group(1)
        documented = re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]* \| (.*) \|$", table, re.M)
        plain = scrape(WORLD.api)
        self.assertEqual(documented, [(f.name, f.type, f.help) for f in plain.families.values()])
        for name, labels in re.findall(r"^\| `(\w+)` \| \w+ \| ([^|]*) \|", table, re.M):
            said = set(re.findall(r"`(\w+)`", labels))
            for _, have, _ in plain.families[name].samples:
                self.assertEqual(set(have) - {"le"}, said, name)

    def test_no_name_breaks_a_line(self):
        name = 'a"b\\c\nd' + "ü" * 300
        node = WORLD.api.post("/api/nodes/create", {
            "name": "odd", "tags": "t", "ram": "1", "disk": "1", "processor": "p",
            "address": "127.0.0.1", "port": str(places.free_port())}).expect(201).json["id"]
        with sqlite3.connect(f"{WORLD.panel.data}/panel.db") as db:  # as an older version may have let in
            db.execute("UPDATE nodes SET name = ?, joined = 1 WHERE id = ?", (name, node))
        db.close()
        for openmetrics in (False, True):
            rows = [labels for _, labels, _ in scrape(WORLD.api, openmetrics).families[
                "panel_node" if openmetrics else "panel_node_info"].samples if labels["node"] == node]
            self.assertEqual(len(rows), 1)
            self.assertTrue(name.startswith(rows[0]["name"]) and len(rows[0]["name"]) > 60, rows)
        WORLD.api.delete("/api/nodes/delete", {"nodeId": node}).expect(201)


class Access(unittest.TestCase):
    def status(self, **headers):
        return Client("127.0.0.1", self.panel.port).get("/metrics", headers=headers).status

    def start(self, **config):
        panel = Paneld(places.fresh_dir("m"), config=config)
        self.addCleanup(panel.stop)
        self.panel = panel.start()

    def test_a_key_by_either_header(self):
        self.start()
        key = self.panel.key
        before = scrape(self.panel.client())
        self.assertEqual(self.status(), 401)
        self.assertEqual(self.status(**{"x-api-key": key}), 200)
        self.assertEqual(self.status(Authorization=f"Bearer {key}"), 200)
        self.assertEqual(self.status(Authorization=f"bearer  {key}"), 200)
        for bad in (f"Basic {key}", f"Bearer x{key}", "Bearer", "Bearer ", key):
            self.assertEqual(self.status(Authorization=bad), 401, bad)
        self.assertEqual(self.status(**{"x-api-key": "wrong", "Authorization": f"Bearer {key}"}), 401)
        after = scrape(self.panel.client())
        for reason, count in (("missing", 5), ("invalid", 2)):
            name = "panel_auth_failures_total"
            self.assertEqual(after.value(name, reason=reason) - before.value(name, reason=reason), count)

    def test_a_scrapers_key_is_good_for_nothing_else(self):
        self.start()
        scraper = create_key(self.panel.data, "prometheus", "--scope", "metrics:read")
        other = create_key(self.panel.data, "shop", "--scope", "nodes:read")
        self.assertEqual(self.status(Authorization=f"Bearer {scraper}"), 200)
        self.panel.client().get("/api/users", key=scraper).refused(403, "forbidden", says="users:read")
        self.panel.client().get("/metrics", key=other).refused(403, "forbidden", says="metrics:read")

    def test_open_to_this_machine_or_to_all(self):
        for access in ("loopback", "open"):
            with self.subTest(access=access):
                self.start(metricsAccess=access)
                self.assertEqual(self.status(), 200)
                Client("127.0.0.1", self.panel.port).get("/api/users").refused(401)

    def test_another_word_is_refused(self):
        for setting, value, says in (("metricsAccess", "all", "must be key, loopback or open"),
                                     ("logFormat", "xml", "must be logfmt or json")):
            path = os.path.join(places.fresh_dir("m"), "c.json")
            with open(path, "w") as file:
                json.dump({setting: value}, file)
            done = run_tool([places.PANELD, "--config", path, "--check-config"], os.path.dirname(path))
            self.assertEqual(done.code, 1)
            self.assertIn(f'{setting} {says}, not "{value}"', done.err)


class Figures(unittest.TestCase):
    def test_each_answer_is_counted_once_under_its_pattern(self):
        def counts():
            now = scrape(WORLD.api)
            return {(labels["method"], labels["route"], labels["code"]): number
                    for _, labels, number in now.families["panel_http_requests_total"].samples}, now
        before, _ = counts()
        for n in range(7):
            WORLD.api.get(f"/api/instances/nothing{n}").expect(400)
        WORLD.api.get(f"/api/nodes/{WORLD.node_id}").expect(200)
        WORLD.api.get("/api/none").expect(404)
        WORLD.api.get("/api/users", key="wrong").expect(401)
        WORLD.api.request("HEAD", "/api/users").expect(200)
        WORLD.api.post("/api/getUser", raw=b"x" * (2 << 20)).expect(413)
        raw.exchange("127.0.0.1", WORLD.panel.port, b"GET /api/users HTTP/1.1\r\nA : b\r\n\r\n")
        after, now = counts()
        after[("GET", "/metrics", "2xx")] -= 1  # the one that looked before
        grown = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
        self.assertEqual(grown, {("GET", "/api/instances/:id", "4xx"): 7, ("GET", "/api/nodes/:id", "2xx"): 1,
                                 ("GET", "/api/users", "2xx"): 1, ("other", "none", "4xx"): 3,
                                 ("POST", "/api/getUser", "4xx"): 1})
        for method, route in {key[:2] for key in after}:
            answers = sum(number for key, number in after.items() if key[:2] == (method, route))
            timed = now.value("panel_http_request_duration_seconds_count", method=method, route=route)
            self.assertEqual(timed, answers + (route == "/metrics"))

    def test_more_ids_make_no_more_series(self):
        def series():
            return sum(len(family.samples) for family in scrape(WORLD.api).families.values())
        WORLD.api.get("/api/instances/nothing").expect(400)
        WORLD.api.get("/api/unknown").expect(404)
        before = series()
        for n in range(50):
            WORLD.api.get(f"/api/instances/nothing{n}").expect(400)
            WORLD.api.get(f"/api/unknown{n}").expect(404)
        self.assertEqual(series(), before)

    def test_the_fleet_as_the_api_has_it(self):
        self.addCleanup(WORLD.clear)
        one = WORLD.deploy(memory="128", cpu="0.5")["Id"]
        other = WORLD.deploy()["Id"]
        WORLD.api.post(f"/api/instances/suspend/{other}").expect(200)
        now = until(lambda: self.settled(running=1, suspended=1), 5, "both are counted")
        self.assertEqual(sum(now.values("panel_instances")), 2)
        self.assertEqual(now.value("panel_instances_internal", internal_state="READY"), 2)
        node = WORLD.api.node(WORLD.node_id)
        mine = {"node": WORLD.node_id}
        self.assertEqual(now.value("panel_nodes", status="Online"), 1)
        self.assertEqual(now.value("panel_links", state="up"), 1)
        self.assertEqual(now.value("panel_node_up", **mine), 1)
        self.assertEqual(now.value("panel_node_docker_up", **mine), 1)
        self.assertEqual(now.value("panel_node_instances", **mine), 2)
        self.assertEqual(now.value("panel_node_memory_allocated_bytes", **mine),
                         node["allocated"]["memoryMiB"] << 20)
        self.assertEqual(now.value("panel_node_cpus_allocated", **mine), 1.5)
        self.assertEqual(now.value("panel_node_memory_bytes", **mine), node["capacity"]["memoryMiB"] << 20)
        self.assertEqual(now.value("panel_node_cpus", **mine), node["capacity"]["cpus"])
        days = (now.value("panel_node_certificate_end_timestamp_seconds", **mine) -
                now.value("panel_node_last_seen_timestamp_seconds", **mine)) / 86400
        self.assertAlmostEqual(days, 90, delta=1)
        self.assertEqual(now.value("panel_node_info", name="node", agent_version=node["agentVersion"]), 1)
        self.assertGreater(now.value("panel_beats_total"), 0)
        for instance in (one, other):
            WORLD.delete(instance)
        until(lambda: self.settled(running=0, suspended=0, deleting=0), 5, "none is")

    def settled(self, **states):
        now = scrape(WORLD.api)
        return now if all(now.value("panel_instances", state=s) == n for s, n in states.items()) else None

    def test_a_crash_is_seen(self):
        self.addCleanup(WORLD.clear)
        instance = WORLD.deploy()["Id"]
        before = scrape(WORLD.api).value("panel_instance_crashes_total")
        WORLD.engine.die(WORLD.containers_of(instance)[0], 7)
        until(lambda: self.settled(crashed=1), 5, "it is counted as crashed")
        self.assertEqual(scrape(WORLD.api).value("panel_instance_crashes_total"), before + 1)
        until(lambda: self.settled(crashed=0, running=1), 10, "it runs again")
        self.assertEqual(scrape(WORLD.api).value("panel_instances_crash_looping"), 0)

    def test_the_store_and_its_commits(self):
        commits = ("panel_store_commits_total", "panel_store_commit_changes_count",
                   "panel_store_commit_duration_seconds_count")

        def between_commits():
            """The audit log's come when they like, also in the middle of a scrape."""
            seen = scrape(WORLD.api)
            return seen if len({seen.value(name) for name in commits}) == 1 else None
        before = until(between_commits, 5, "each commit is counted the same in all three")
        for n in range(2):
            WORLD.add_user(f"counted{n}")
        WORLD.api.delete("/api/nodes/delete", {"nodeId": "nobody"}).expect(400)
        after = until(between_commits, 5, "each commit is counted the same in all three")

        def grown(name, **labels):
            return after.value(name, **labels) - before.value(name, **labels)
        self.assertGreaterEqual(grown("panel_store_changes_total", result="committed"), 2)
        self.assertGreaterEqual(grown("panel_store_changes_total", result="refused"), 1)
        self.assertGreaterEqual(grown("panel_store_commits_total"), 2)
        self.assertEqual(grown("panel_store_commits_total"), grown("panel_store_commit_changes_count"))
        self.assertEqual(grown("panel_store_commits_total"), grown("panel_store_commit_duration_seconds_count"))
        size = after.value("panel_store_size_bytes")  # with what is in the log alone, yet
        self.assertGreaterEqual(size, os.path.getsize(f"{WORLD.panel.data}/panel.db"))
        self.assertTrue(size < 10 << 20 and size % 4096 == 0, size)
        self.assertGreater(after.value("panel_store_wal_bytes"), 0)
        disk = os.statvfs(WORLD.panel.data)
        self.assertEqual(after.value("panel_store_disk_bytes"), disk.f_blocks * disk.f_frsize)
        self.assertGreater(grown("panel_loop_busy_seconds_total", loop="store"), 0)

    def test_the_process_as_the_system_has_it(self):
        pid = WORLD.panel.daemon.pid
        now = scrape(WORLD.api)
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        self.assertEqual(now.value("process_threads"), int(fields[17]))
        self.assertAlmostEqual(now.value("process_open_fds"), len(os.listdir(f"/proc/{pid}/fd")), delta=3)
        with open("/proc/uptime") as uptime:
            age = float(uptime.read().split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        self.assertAlmostEqual(now.value("process_start_time_seconds") + age,
                               now.value("panel_node_last_seen_timestamp_seconds", node=WORLD.node_id), delta=5)


class Large(unittest.TestCase):
    def test_a_thousand_nodes_on_either_thread(self):
        world = World().start()
        self.addCleanup(world.stop)
        node = world.create_node()["id"]
        world.panel.stop()
        with sqlite3.connect(f"{world.panel.data}/panel.db") as db:
            names = [row[1] for row in db.execute("PRAGMA table_info(nodes)")
                     if row[1] not in ("seq", "id", "port", "name")]
            db.execute("UPDATE nodes SET joined = 1, maintenance = 1, capacity_cpus = 4, capacity_memory_mib = 8192")
            fields = ", ".join(names)
            db.execute("WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
                       f" INSERT INTO nodes(id, port, name, {fields}) SELECT printf('node-%d', i),"
                       f" CAST(i AS TEXT), printf('node \"%d\"', i), {fields} FROM nodes JOIN n WHERE id = ?", (node,))
        db.close()
        world.panel.start()
        api = world.panel.client()
        for openmetrics in (False, True, True, False):  # the first is made here, the others by the lister
            now = scrape(api, openmetrics)
            self.assertEqual(len(now.values("panel_node_up")), 1000)
            self.assertEqual(now.value("panel_nodes", status="Maintenance"), 1000)
            self.assertEqual(sum(now.values("panel_node_cpus")), 4000)


class Health(unittest.TestCase):
    def setUp(self):
        self.world = World()
        self.addCleanup(self.world.stop)

    def anonymous(self, path):
        return Client("127.0.0.1", self.world.panel.port).get(path)

    def test_alive_and_ready_without_a_key(self):
        self.world.start()
        until(lambda: self.anonymous("/readyz").status == 200, 20, "it has loaded its fleet")
        self.assertEqual(self.anonymous("/healthz").expect(200).json,
                         {"status": "alive", "checks": {"fleet": "ok", "store": "ok", "lists": "ok"}})
        self.assertEqual(self.anonymous("/readyz").expect(200).json,
                         {"status": "ready", "checks": {"store": "ok", "fleet": "ok"}})

    def test_a_full_disk_is_known_before_a_client_meets_it_and_passes(self):
        faulty = Faulty(places.fresh_dir("h"), "paneld")
        self.world.start()
        self.world.panel.stop()
        self.world.panel.daemon.extra_env.update(faulty.env)
        self.world.panel.start()
        until(lambda: self.anonymous("/readyz").status == 200, 20, "it has loaded its fleet")
        faulty.fail(WRITE, "panel.db-wal", error=errno.ENOSPC)
        refused = until(lambda: (answer := self.anonymous("/readyz")).status == 503 and answer, 10,
                        "it is not ready")
        refused.refused(503, code="not_ready", says="store: the disk is full")
        self.assertEqual(refused.json["details"], {"store": "the disk is full", "fleet": "ok"})
        self.anonymous("/healthz").expect(200)
        self.assertGreater(scrape(self.world.panel.client()).value("panel_store_commit_failures_total"), 0)
        faulty.heal()
        self.anonymous("/readyz").expect(200)

    def test_a_store_that_can_t_be_written_is_no_reason_to_be_killed(self):
        self.world.start()
        with sqlite3.connect(f"{self.world.panel.data}/panel.db", isolation_level=None) as db:
            db.execute("BEGIN IMMEDIATE")  # the panel waits five seconds for whoever has it
            refused = until(lambda: (answer := self.anonymous("/readyz")).status == 503 and answer, 20,
                            "it is not ready")
            refused.refused(503, code="not_ready", says="store: it can't be written")
            self.anonymous("/healthz").expect(200)
            db.execute("ROLLBACK")
        db.close()
        self.anonymous("/readyz").expect(200)

    def test_to_ask_often_is_not_to_write_often(self):
        self.world.start()
        until(lambda: self.anonymous("/readyz").status == 200, 20, "it has loaded its fleet")
        before = scrape(self.world.api).value("panel_store_commits_total")
        for _ in range(300):
            self.anonymous("/readyz").expect(200)
        self.assertLess(scrape(self.world.api).value("panel_store_commits_total") - before, 30)


class Logs(unittest.TestCase):
    @staticmethod
    def lines_of(daemon):
        for line in daemon.log().splitlines():
            yield {key: json.loads(value) if value.startswith('"') else value
                   for key, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "=\\]+)', line)}

    def test_a_hostile_run_as_logfmt_and_as_json(self):
        for form in ("logfmt", "json"):
            with self.subTest(form=form):
                panel = Paneld(places.fresh_dir("l"), config={"logFormat": form, "logLevel": "debug"})
                self.addCleanup(panel.stop)
                api = panel.start().client()
                api.get("/api/x%0a%1b%5b31m%20level=error%22%c2%9b%e2%80%ae%e2%80%8f%ff").expect((400, 404))
                api.get("/api/instances/nothing", headers={"X-Request-Id": "mine"}).expect(400)
                api.post("/api/auth/create-user", {"username": "a", "email": "a@example.test",
                                                   "password": "a\u202e secret \u0007word"}).expect(201)
                panel.stop()
                with open(panel.daemon.log_path, "rb") as file:
                    log = file.read()
                secrecy.check(log, "paneld")
                for hidden in ("\u009b", "\u202e", "\u200f"):
                    self.assertNotIn(hidden.encode(), log)
                rows = [json.loads(line) for line in log.splitlines()] if form == "json" else \
                    list(self.lines_of(panel.daemon))
                self.assertEqual([row["level"] for row in rows if row["level"] == "error"], [])
                mine = [row for row in rows if row.get("req") == "mine"]
                self.assertEqual([(row["op"], row["instance"]) for row in mine],
                                 [("GET /api/instances/:id", "nothing")])
                for row in rows:
                    self.assertLessEqual({"ts", "level", "msg"}, set(row))

    def test_every_line_of_an_agent_has_its_node(self):
        instance = WORLD.deploy()["Id"]
        WORLD.delete(instance)
        rows = list(self.lines_of(WORLD.agent.daemon))
        self.assertGreater(len(rows), 3)
        for row in rows:
            self.assertEqual(row["node"], WORLD.node_id, row)
        self.assertIn(instance, [row.get("instance") for row in rows])
        for row in self.lines_of(WORLD.panel.daemon):
            if row["msg"].startswith("instance "):
                self.assertLessEqual({"instance", "node"}, set(row), row)
            if row["msg"] == "request":
                self.assertLessEqual({"req", "op", "status"}, set(row), row)


class Answers(unittest.TestCase):
    """What the log says of an answer that is an error: the request id that a client has finds why."""

    def setUp(self):
        self.world = World("scripted", config={"heartbeatMs": 200}).start()
        self.addCleanup(self.world.stop)

    def row(self, request_id):
        rows = [row for row in Logs.lines_of(self.world.panel.daemon)
                if row.get("req") == request_id and row["msg"] == "request"]
        self.assertEqual(len(rows), 1, rows)
        return rows[0]

    def asked(self, method, path, **more):
        answer = self.world.api.request(method, path, timeout=90, **more)
        return answer, self.row(answer.headers["X-Request-Id"])

    def test_code_and_reason_and_what_it_is_about(self):
        spec, node = self.world.spec(), self.world.node_id
        answer, row = self.asked("POST", "/api/instances/deploy", body=dict(spec, memory="1 TiB"))
        answer.refused(400, "insufficient_memory")
        self.assertEqual((row["level"], row["code"], row["node"]), ("info", "insufficient_memory", node))
        self.assertNotIn("instance", row)
        answer, row = self.asked("POST", "/api/instances/deploy", body=dict(spec, image="test:missing"),
                                 query={"wait": 60})
        answer.refused(500, "image_not_found")
        self.assertEqual((row["level"], row["code"], row["instance"]),
                         ("warn", "image_not_found", answer.json["details"]["instanceId"]))
        self.assertIn("test:missing", row["reason"])
        audited = self.world.api.get("/api/audit?limit=1").expect(200).json[0]
        self.assertEqual((audited["status"], audited["code"]), (500, "image_not_found"))
        self.world.agent.stop()
        self.world.await_status(node, "Offline", timeout=30)
        answer, row = self.asked("POST", "/api/instances/deploy", body=spec)
        answer.refused(500, "node_offline")
        self.assertEqual((row["level"], row["status"], row["code"], row["node"]),
                         ("warn", "500", "node_offline", node))
        self.assertNotIn("instance", row)
        self.assertIn("Offline", row["reason"])

    def test_a_read_that_fails_is_told_without_debug(self):
        instance = self.world.deploy()["Id"]
        self.world.agent.stop()
        self.world.await_status(self.world.node_id, "Offline", timeout=30)
        answer, row = self.asked("GET", f"/api/instances/{instance}/logs")
        answer.refused(503, "node_unreachable")
        self.assertEqual((row["level"], row["code"], row["instance"]), ("info", "node_unreachable", instance))

    def test_a_node_that_does_not_tell_its_stats(self):
        world = World("scripted", config={"heartbeatMs": 60000}).start()
        self.addCleanup(world.stop)
        path = f"/api/instances/{world.deploy()['Id']}/stats"
        world.agent.daemon.freeze()
        try:
            world.api.get(path).refused(503, "no_stats", says="has not told")
        finally:
            world.agent.daemon.thaw()

    def test_where_there_is_nothing_a_person_is_told_where_to_go(self):
        for path in ("/", "/users", "/index.html"):
            self.world.api.get(path, key=None).refused(404, "not_found", says=("/api", "/docs"))


def names_in(expression):
    """Names of series in it: words that are no function, label, keyword or number."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|group_left|without|ignoring)\s*\([^)]*\)', " ",
                  expression)
    return set(re.findall(r"\b(?:panel|process)_\w+\b|\bup\b", bare))


class WithPrometheus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.instance = WORLD.deploy()["Id"]
        cls.prometheus = Prometheus(places.fresh_dir("p"), WORLD.panel, rules=RULES).start()
        cls.names = scrape(WORLD.api).names() | {"up"}

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        WORLD.delete(cls.instance)

    def test_it_scrapes_the_panel(self):
        until(lambda: self.prometheus.query('up{job="panel"} == 1'), 10,
              lambda: json.dumps(self.prometheus.ask("targets"))[:2000])
        target = self.prometheus.ask("targets")["activeTargets"][0]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        until(lambda: self.prometheus.query('panel_instances{state="running"} == 1'), 10, "it knows one that runs")
        (labels, value), = self.prometheus.query(
            "panel_node_up * on (node) group_left (name) panel_node_info")
        self.assertEqual((labels["name"], labels["node"], value), ("node", WORLD.node_id, 1))
        quantile = 'histogram_quantile(0.99, sum by (le) (panel_http_request_duration_seconds_bucket))'
        (_, seconds), = self.prometheus.query(quantile)
        self.assertTrue(0 < seconds <= 10, seconds)
        kinds = self.prometheus.ask("targets/metadata", metric="panel_store_commit_duration_seconds")
        self.assertEqual((kinds[0]["type"], kinds[0]["unit"]), ("histogram", "seconds"))
        samples = self.prometheus.query("scrape_samples_scraped")[0][1]
        self.assertGreater(samples, 200)

    def test_the_rules_are_loaded_and_name_what_there_is(self):
        until(lambda: all(rule["health"] == "ok" for rule in self.rules()), 10,
              lambda: [rule.get("lastError") for rule in self.rules()])
        self.assertGreater(len(self.rules()), 10)
        for rule in self.rules():
            self.assertEqual(names_in(rule["query"]) - self.names, set(), rule["name"])
            self.assertEqual(set(rule["annotations"]), {"summary", "description"})
            self.assertIn(rule["labels"]["severity"], ("page", "ticket"))

    def rules(self):
        return [rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]]

    def test_the_dashboard_names_what_there_is_and_parses(self):
        with open(DASHBOARD) as file:
            dashboard = json.load(file)
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertEqual(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]))
        expressions = [target["expr"] for panel in panels for target in panel["targets"]]
        expressions += [note["expr"] for note in dashboard["annotations"]["list"]]
        self.assertGreater(len(expressions), 40)
        until(lambda: self.prometheus.query("count_over_time(panel_beats_total[1m]) >= 3"), 10, "some scrapes")
        empty = []
        for expression in expressions:
            self.assertNotEqual(names_in(expression), set(), expression)
            self.assertEqual(names_in(expression) - self.names, set(), expression)
            query = expression.replace("$job", "panel").replace("$node", ".*").replace("$__rate_interval", "1m")
            if not self.prometheus.query(query):
                empty.append(expression)
        # All but those that show something only when there is something to be seen.
        self.assertEqual([e for e in empty if not e.endswith(" > 0")], [])
        shown = set().union(*map(names_in, expressions))
        self.assertGreater(len(shown), 40)
        for panel in panels:  # nothing on top of something else
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)


class Alerts(unittest.TestCase):
    def test_they_fire_when_they_should_and_not_before(self):
        folder = os.path.dirname(RULES)
        code, said = promtool("check", "rules", RULES)
        self.assertEqual(code, 0, said)
        code, said = promtool("test", "rules", "panel.rules.test.yml", cwd=folder)
        self.assertEqual(code, 0, said)

    def test_each_has_its_test_and_its_line_on_the_page(self):
        with open(RULES) as file:
            alerts = re.findall(r"- alert: (\w+)", file.read())
        with open(RULES.replace(".yml", ".test.yml")) as file:
            tests = file.read()
        with open(PAGE) as page:
            listed = re.search(r"<!-- alerts -->\n(.*?)<!-- end of alerts -->", page.read(), re.S).group(1)
        self.assertEqual(re.findall(r"^\| `(\w+)`", listed, re.M), alerts)
        for alert in alerts:
            self.assertRegex(tests, rf"alertname: {alert}, eval_time: \w+ }}")  # silent
            self.assertRegex(tests, rf"alertname: {alert}\n +eval_time: \w+\n +exp_alerts:")
