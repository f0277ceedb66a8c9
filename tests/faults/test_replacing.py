"""A container takes another's place × each step of it × what the Engine does wrong once.

An instance for each of these is changed, all at once. Each ends changed or as it was, with one
container that runs, whatever the agent could know of the step."""
import concurrent.futures
import threading
import unittest

from lib.client import Client
from lib.engine_faults import FAULTS
from lib.promises import proves, ran
from lib.wait import until
from lib.world import World

STEPS = ("stop", "rename", "create", "start", "inspect", "remove")
KINDS = ("answers slowly", "loses the answer", "cuts the body", "closes at once", "answers 500", "answers HTML")
WORLD = None


def setUpModule():
    global WORLD
    WORLD = World("scripted").start()


def tearDownModule():
    WORLD.stop()


class Once:
    """The faults of a route, each for one request that is about its instance."""

    def __init__(self, of_instance):
        self.of_instance = of_instance
        self.lock = threading.Lock()

    def __call__(self, handler, respond):
        with self.lock:
            mine = [one for one in self.of_instance if one in self.about(handler.path)]
            fault = self.of_instance.pop(mine[0]) if mine else None
        FAULTS[fault](handler, respond) if fault else respond()

    @staticmethod
    def about(path):
        """The path with what names the container, if it is there."""
        with WORLD.engine.lock:
            return path + "".join(c.name for c in WORLD.engine.containers.values() if c.id in path)


class EachStep(unittest.TestCase):
    def tearDown(self):
        WORLD.clear()

    def change(self, instance, fields):
        api = Client("127.0.0.1", WORLD.panel.port, WORLD.panel.key)
        answer = api.request("PATCH", f"/api/instances/{instance}", fields, timeout=90)
        self.assertIn(answer.status, (200, 500), answer.body)
        if answer.status == 500:
            self.assertEqual(answer.json["code"], "change_undone")
        return answer.status == 200

    def containers(self, instance):
        return [WORLD.engine.find(one) for one in WORLD.containers_of(instance)]

    def change_all(self, cases, fields):
        """cases: {instance: (step, kind)}. {instance: whether it took the change}"""
        faults = {step: Once({instance: kind for instance, (one, kind) in cases.items() if one == step})
                  for step, _ in cases.values()}
        WORLD.engine.broken.update(faults)
        try:
            with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
                changed = dict(zip(cases, pool.map(lambda one: self.change(one, fields), cases)))
        finally:
            WORLD.engine.broken.clear()
        self.assertEqual([cases[one] for fault in faults.values() for one in fault.of_instance], [],
                         "each fault was met")
        WORLD.engine.hang_up()  # the agent lists anew, and finds what it could not remove
        until(lambda: all(len(self.containers(instance)) == 1 for instance in cases), 30,
              lambda: [(cases[one], [c.name for c in self.containers(one)]) for one in cases
                       if len(self.containers(one)) != 1])
        return changed

    def check(self, instance, changed):
        row = WORLD.await_instance(instance, 30, State="running", InternalState="READY")
        container, = self.containers(instance)
        self.assertEqual((container.name, container.running), (f"panel-{instance}", True))
        self.assertEqual(row["ContainerId"], container.id)
        self.assertEqual(row["change"] is None, changed, row["change"])
        return row, container

    @proves("I2", "I4", "I8", fault="an Engine that fails once in the middle of a replacement")
    def test_ends_changed_or_as_it_was(self):
        cases = {WORLD.deploy(memory="16", cpu="0.01")["Id"]: (step, kind) for step in STEPS for kind in KINDS}
        changed = self.change_all(cases, {"env": {"A": "1"}})
        for instance, case in cases.items():
            with self.subTest(": ".join(case)):
                row, container = self.check(instance, changed[instance])
                self.assertEqual("A=1" in row["Env"], changed[instance])
                self.assertEqual(container.body["Env"], row["Env"])
        # A lost answer may be found out; an Engine that is only slow has done all that was asked.
        self.assertEqual({step: changed[one] for one, (step, kind) in cases.items() if kind == "answers slowly"},
                         {step: True for step in STEPS})
        ran(len(cases))

    @proves("I4", "I8", fault="an Engine that fails once as limits are changed in place")
    def test_limits_are_those_of_the_row(self):
        cases = {WORLD.deploy(memory="16", cpu="0.01")["Id"]: ("update", kind) for kind in KINDS}
        changed = self.change_all(cases, {"memory": 32})
        for instance, case in cases.items():
            with self.subTest(": ".join(case)):
                row, container = self.check(instance, changed[instance])
                self.assertEqual(row["Memory"], 32 if changed[instance] else 16)
                self.assertEqual(container.body["HostConfig"]["Memory"], row["Memory"] << 20)
        ran(len(cases))


if __name__ == "__main__":
    unittest.main()
