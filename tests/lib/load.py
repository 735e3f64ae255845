"""The clients of tests/kill9.py: each a thread with a connection of its own, until that breaks or it is told to stop.

They enqueue (one job, batches; some delayed), lease, extend, complete, fail, reject, release, snooze, cancel, promote and
remove, read the feed of events, and make backups; whatever they send and hear goes into the ledger. Invariant: only
once the server is about to be ended may a connection break. None waits for an answer longer than its client does.
"""

import json
import random
import threading

from ledger import PARKED_MS, QUEUE, Batch, Settlement
from resp import Disconnected, ReplyError

# With more jobs to be done nobody enqueues: the backlog of a long run is no longer than a short one's.
OPEN_JOBS = 1_000


class Load:
    """The clients of one round."""

    def __init__(self, server, ledger, feed, chance, quiet=False):
        self.server, self.ledger, self.feed = server, ledger, feed
        self.stop, self.ending = threading.Event(), threading.Event()
        busy = [self.produce] * 2 + [self.work] * 3 + [self.administer, self.follow, self.back_up]
        roles = [self.work] * 3 + [self.follow] if quiet else busy
        self.threads = [
            threading.Thread(target=self._run, args=(role, f"w{at}", random.Random(chance.random())), daemon=True)
            for at, role in enumerate(roles)
        ]
        for thread in self.threads:
            thread.start()

    def end(self):
        """From now on a connection may break."""
        self.ending.set()

    def join(self, patience_s):
        self.stop.set()
        for thread in self.threads:
            thread.join(patience_s)
            assert not thread.is_alive(), f"a client has not ended within {patience_s:.0f} s"

    def _run(self, role, name, chance):
        try:
            with self.server.client() as client:
                while not self.stop.is_set():
                    role(client, name, chance)
        except Disconnected:
            if not self.ending.is_set():
                self.ledger.fault(f"{name} was disconnected by a server that runs")
        except Exception as error:  # A thread's error is the run's.
            self.ledger.fault(f"{role.__name__}: {type(error).__name__} {error}")

    def produce(self, client, _, chance):
        if self.ledger.open > OPEN_JOBS:
            self.stop.wait(0.005)
            return
        options = {"priority": chance.choice([0, 0, 0, 5])}
        if chance.random() < 0.3:
            options["delay_ms"] = chance.choice([30, 100, 300, PARKED_MS])
        count = 1 if chance.random() < 0.7 else chance.randint(2, 25)
        batch = Batch(self.ledger.ids(count), options)
        self.ledger.send(batch)
        reply = client.call(*batch.request())
        self.ledger.enqueued(batch, batch.answers(reply))
        self.ledger.calls["enqueues"] += 1

    def work(self, client, name, chance):
        jobs = client.call("JOB.LEASE", name, "COUNT", chance.randint(1, 20), "BLOCK", 20, "QUEUES", QUEUE)
        together = []
        for lease in self.ledger.lease(jobs):
            if chance.random() < 0.1:
                client.call("JOB.EXTEND", lease.number, lease.token)
            if chance.random() < 0.02:
                continue  # Forgotten: this lease runs out.
            settlement = draw_settlement(lease, chance)
            if chance.random() < 0.5:
                together.append((lease, settlement))
                continue
            self.ledger.intend(lease, settlement)
            self.ledger.settled(settlement, said(client, settlement))
        if together:
            self.settle_together(client, together)

    def settle_together(self, client, together):
        for lease, settlement in together:
            self.ledger.intend(lease, settlement)
        settlements = [settlement for _, settlement in together]
        parts = [part for settlement in settlements for part in settlement.part()]
        answers, _ = client.call("JOB.SETTLE", len(settlements), *parts)
        for settlement, answer in zip(settlements, answers, strict=True):
            self.ledger.settled(settlement, answer[0].decode())

    def administer(self, client, _, chance):
        with self.ledger.lock:
            number = self.ledger.parked.pop() if self.ledger.parked else None
        if number is None:
            client.call("QUEUE.GET", QUEUE)
            self.stop.wait(0.01)
            return
        verb = chance.choice(["CANCEL", "REMOVE", "PROMOTE"])
        if verb == "REMOVE":
            self.ledger.removing(number)
        client.call(f"JOB.{verb}", number, "ACTOR", "kill9", "REASON", "a test")
        if verb == "CANCEL":
            self.ledger.cancelled.add(number)
        if verb == "REMOVE":
            self.ledger.remove(number)
        self.ledger.calls["verbs"] += 1

    def follow(self, client, *_):
        self.feed.read(client, block_ms=20)

    def back_up(self, client, _, chance):
        back_up(client, self.ledger)
        # No snapshot begins while a backup is made: they take turns.
        self.stop.wait(chance.uniform(0.02, 0.2))


def back_up(client, ledger):
    backup = ledger.ask_backup()
    ledger.backed_up(backup, client.json("JOURNAL.BACKUP", backup.name)["path"])


def draw_settlement(lease, chance):
    number, token, draw = lease.number, lease.token, chance.random()
    if draw < 0.6:
        return Settlement("COMPLETE", number, token, [json.dumps({"by": token})] if draw < 0.4 else [])
    if draw < 0.75:
        return Settlement("FAIL", number, token, ["exit", "exit status 1"])
    if draw < 0.8:
        return Settlement("REJECT", number, token, ["rejected", "exit status 65"])
    if draw < 0.9:
        return Settlement("RELEASE", number, token)
    return Settlement("SNOOZE", number, token, [40])


def said(client, settlement):
    """Sends one settlement: the server's word."""
    try:
        return client.call(*settlement.request()).decode()
    except ReplyError as error:
        return error.word
