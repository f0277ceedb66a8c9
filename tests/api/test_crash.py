"""What a 2xx said is there after a power cut; files that a crash left broken are no end."""
import concurrent.futures
import os
import threading
import unittest

from lib.world import World


class PowerCut(unittest.TestCase):
    def setUp(self):
        self.world = World().start()

    def tearDown(self):
        self.world.stop()

    def test_all_that_was_answered_is_kept(self):
        names = [f"kept-{n}" for n in range(30)]
        for name in names:
            self.world.add_user(name)
        node = self.world.create_node()["id"]
        self.world.panel.crash()
        self.assertTrue(set(names) <= {u["username"] for u in self.world.api.users()})
        self.assertEqual([n["id"] for n in self.world.api.nodes()], [node])

    def test_in_the_middle_of_writing(self):
        answered = []
        stop = threading.Event()

        def write(worker):
            client = self.world.panel.client()
            for number in range(10000):
                name = f"w{worker}-{number}"
                try:
                    answer = client.post("/api/images/create", {"Name": name, "Image": "x"})
                except OSError:
                    return
                if answer.status == 201:
                    answered.append(name)
                if stop.is_set():
                    return
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for worker in range(8):
                pool.submit(write, worker)
            while len(answered) < 200:
                stop.wait(0.01)
            self.world.panel.kill()
            stop.set()
        self.world.panel.start()
        stored = {i["Name"] for i in self.world.api.images()}
        self.assertEqual([name for name in answered if name not in stored], [])

    def test_a_journal_cut_short_is_no_end(self):
        self.world.add_user("before")
        self.world.panel.kill()
        journal = self.world.panel.data + "/panel.db-wal"
        if os.path.exists(journal):
            os.truncate(journal, max(0, os.path.getsize(journal) - 1000))
        self.world.panel.start()
        self.world.api.users()
        self.world.add_user("after")


class Stop(unittest.TestCase):
    def test_requests_under_way_are_answered(self):
        world = World().start()
        answers = []

        def one(number):
            answers.append(world.panel.client().post("/api/auth/create-user", {
                "username": f"late-{number}", "email": f"late-{number}@example.test",
                "password": "long enough"}))
        threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        # They are at the hashing of passwords, which takes long enough to be caught at it.
        threading.Event().wait(0.03)
        world.panel.stop()
        for thread in threads:
            thread.join()
        for answer in answers:
            self.assertIn(answer.status, (201, 503))
        world.panel.start()
        stored = {u["username"] for u in world.api.users()}
        self.assertEqual(sum(a.status == 201 for a in answers), len(stored) - 1)
        world.stop()
