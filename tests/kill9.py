"""kill -9 of the real server under mixed load, at random instants, again and again on one directory.

    python3 tests/kill9.py [--kills 20] [--seed N] [--fsync POLICY]

Snapshots and backups are made all the while. After every few kills the newest finished backup is restored to another
directory and a server started on that: see `restored`.


Clients enqueue (one job, batches; some delayed), lease, extend, complete, fail, reject, release, snooze, cancel,
promote and remove, each over its own connection, and write down what they sent and what was acknowledged. After each
kill the server starts again (now and then it is killed once more while it starts), and what it says is compared with
what the clients wrote down: see `Audit`. In the end everything is worked off, and the feed of all events is read.
The seed decides what the clients do and when the kills come; threads and disk decide the rest, so a run is not exactly
repeated by its seed.
"""

import argparse
import collections
import json
import pathlib
import random
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from longshore import Home, Server, balanced, program, run, until  # noqa: E402
from resp import Disconnected, ReplyError  # noqa: E402

QUEUE = "mixed"
# Short, so that much happens between two kills, and long against what a busy machine delays.
LEASE_MS = 1_000
PARKED_MS = 3_600_000
# Kills between two restores.
RESTORE_EVERY = 4
SETTINGS = {
    "attempts": 4,
    "backoff": {"kind": "fixed", "delay_ms": 50},
    "lease_ms": LEASE_MS,
    "stalls": 100,
    "keep_completed": 2**64 - 1,
    "keep_completed_ms": 0,
    "keep_cancelled": 2**64 - 1,
    "keep_cancelled_ms": 0,
}


class Batch:
    """Jobs that were sent together: all of them are there, or none."""

    def __init__(self, ids, options):
        self.ids, self.options = ids, options
        self.acknowledged = False

    def request(self):
        if len(self.ids) == 1:
            return ["JOB.ADD", QUEUE, "work", payload(self.ids[0]), self._options(self.ids[0])]
        jobs = [part for id in self.ids for part in ("work", payload(id), self._options(id))]
        return ["JOB.MADD", QUEUE, len(self.ids), *jobs]

    def _options(self, id):
        return json.dumps({"id": id, **self.options})

    def answers(self, reply):
        """(number, created or existing) of each job."""
        return [(number, added.decode()) for number, added in ([reply] if len(self.ids) == 1 else reply)]


def payload(id):
    return json.dumps({"id": id, "fill": "x" * (len(id) * 13 % 200)})


class Settlement:
    """One answer of a worker for one lease, and what the server said to it."""

    def __init__(self, verb, number, token, arguments=()):
        self.verb, self.number, self.token, self.arguments = verb, number, token, list(arguments)
        self.said = None

    def request(self):
        name = "JOB.FAIL" if self.verb == "REJECT" else f"JOB.{self.verb}"
        final = ["FINAL"] if self.verb == "REJECT" else []
        return [name, self.number, self.token, *self.arguments, *final]

    def part(self):
        """As a part of JOB.SETTLE."""
        verb, arguments = self.verb, self.arguments
        if verb == "COMPLETE" and arguments:
            verb = "RESULT"
        return [verb, self.number, self.token, *arguments]


class Ledger:
    """What clients know: what they sent, and what was acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.batches = []
        self.settlements = []
        self.numbers = {}  # id -> number, of acknowledged jobs
        self.tokens = {}  # token -> number of the job
        self.other_tokens = set()  # handed out by servers on restored backups
        self.backups = []
        self.leased = collections.defaultdict(list)  # number -> its tokens in the order in which they came
        self.completed = collections.Counter()  # number -> completions that counted
        self.parked = []
        self.cancelled, self.removed, self.perhaps_removed = set(), set(), set()
        self.faults = []
        self.calls = collections.Counter()
        self.serial = 0

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def ids(self, count):
        with self.lock:
            self.serial += count
            return [f"job-{number}" for number in range(self.serial - count, self.serial)]

    def send(self, batch):
        with self.lock:
            self.batches.append(batch)

    def enqueued(self, batch, answers):
        with self.lock:
            batch.acknowledged = True
            for id, (number, _) in zip(batch.ids, answers, strict=True):
                if self.numbers.setdefault(id, number) != number:
                    self.faults.append(f"{id} was {self.numbers[id]} and is now {number}")
            if batch.options.get("delay_ms") == PARKED_MS:
                self.parked += [number for number, _ in answers]

    def lease(self, jobs):
        with self.lock:
            for job in jobs:
                number, token = job[0], job[1].decode()
                if token in self.tokens or token in self.other_tokens:
                    self.faults.append(f"token {token} was handed out twice")
                self.tokens[token] = number
                # Threads note their tokens in any order; that they grow from lease to lease is checked on the feed.
                self.leased[number].append(token)

    def intend(self, settlement):
        with self.lock:
            self.settlements.append(settlement)

    def settled(self, settlement, said):
        """Notes the server's word: counted, already, or an error's."""
        with self.lock:
            settlement.said = said
            if said not in ("counted", "already", "STALE", "NOJOB"):
                self.faults.append(f"{settlement.verb} of job {settlement.number} answered {said}")
            if said == "counted" and settlement.verb == "COMPLETE":
                self.completed[settlement.number] += 1
                if self.completed[settlement.number] > 1:
                    self.faults.append(f"job {settlement.number} completed twice")


class Backup:
    """A backup that was asked for, and how much was acknowledged before that."""

    def __init__(self, ledger):
        with ledger.lock:
            ledger.serial += 1
            self.name = f"backup-{ledger.serial}"
            # Both keep their order, so that their lengths tell what they had.
            self.jobs, self.completed = len(ledger.numbers), len(ledger.completed)
        self.path = None


def order(token):
    """A token's place: by epoch, then by counter."""
    epoch, counter = token.split("-")
    return int(epoch), int(counter)


class Load:
    """The clients of one round; each ends when its connection breaks or it is told to."""

    def __init__(self, server, ledger, chance, quiet=False):
        self.server, self.ledger = server, ledger
        self.stop = threading.Event()
        # Set before the server is killed or told to end: only from then on may a connection break.
        self.ending = threading.Event()
        busy = [self.produce] * 2 + [self.work] * 3 + [self.administer, self.back_up]
        roles = [self.work] * 3 if quiet else busy
        self.threads = [
            threading.Thread(target=self._run, args=(role, f"w{at}", random.Random(chance.random())))
            for at, role in enumerate(roles)
        ]
        for thread in self.threads:
            thread.start()

    def join(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

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
        self.ledger.lease(jobs)
        self.ledger.calls["leases"] += len(jobs)
        together = []
        for job in jobs:
            number, token = job[0], job[1].decode()
            if chance.random() < 0.1:
                client.call("JOB.EXTEND", number, token)
            if chance.random() < 0.02:
                continue  # Forgotten: this lease runs out.
            settlement = draw_settlement(number, token, chance)
            if chance.random() < 0.5:
                together.append(settlement)
                continue
            self.ledger.intend(settlement)
            self.ledger.settled(settlement, said(client, settlement))
            self.ledger.calls["settlements"] += 1
        self.settle_together(client, together)

    def settle_together(self, client, settlements):
        if not settlements:
            return
        for settlement in settlements:
            self.ledger.intend(settlement)
        parts = [part for settlement in settlements for part in settlement.part()]
        answers, _ = client.call("JOB.SETTLE", len(settlements), *parts)
        for settlement, answer in zip(settlements, answers, strict=True):
            self.ledger.settled(settlement, answer[0].decode())
        self.ledger.calls["settlements"] += len(settlements)

    def administer(self, client, _, chance):
        with self.ledger.lock:
            number = self.ledger.parked.pop() if self.ledger.parked else None
        if number is None:
            client.call("QUEUE.GET", QUEUE)
            self.stop.wait(0.01)
            return
        verb = chance.choice(["CANCEL", "REMOVE", "PROMOTE"])
        if verb == "REMOVE":
            self.ledger.perhaps_removed.add(number)
        client.call(f"JOB.{verb}", number, "ACTOR", "kill9", "REASON", "a test")
        if verb == "CANCEL":
            self.ledger.cancelled.add(number)
        if verb == "REMOVE":
            self.ledger.removed.add(number)
        self.ledger.calls["verbs"] += 1


    def back_up(self, client, _, chance):
        back_up(client, self.ledger)
        # No snapshot begins while a backup is made: they take turns.
        self.stop.wait(chance.uniform(0.02, 0.2))


def back_up(client, ledger):
    backup = Backup(ledger)
    backup.path = client.json("JOURNAL.BACKUP", backup.name)["path"]
    with ledger.lock:
        ledger.backups.append(backup)
    ledger.calls["backups"] += 1


def draw_settlement(number, token, chance):
    draw = chance.random()
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


class Audit:
    """Compares a server that has just started again with what its clients wrote down."""

    def __init__(self, server, ledger, figures):
        self.server, self.ledger, self.figures = server, ledger, figures
        self.client = server.client()
        self.jobs = {}

    def run(self):
        with self.client:
            self.jobs = self.listed()
            self.batches()
            self.settlements()
            self.verbs()
            self.books()
        faults, self.ledger.faults = self.ledger.faults, []
        return faults

    def expect(self, right, text):
        if not right:
            self.ledger.faults.append(text)

    def listed(self):
        """Every job of the queue by number."""
        jobs, cursor = {}, None
        while True:
            words = ["CURSOR", cursor] if cursor else []
            page = self.client.json("JOB.LIST", json.dumps({"queue": QUEUE}), "COUNT", 1_000, *words)
            jobs.update((job["number"], job) for job in page["jobs"])
            cursor = page["cursor"]
            if cursor is None:
                return self.with_passed_over(jobs)

    def with_passed_over(self, jobs):
        """Pages are read while time goes on: a job that came due in between may have passed from a later page to an
        earlier one. What the pages lack is asked for by its id."""
        listed = {job["id"] for job in jobs.values()}
        missing = [id for batch in self.ledger.batches for id in batch.ids if id not in listed]
        for reply in self.client.pipeline([["JOB.GET", id, "QUEUE", QUEUE] for id in missing]):
            if not isinstance(reply, ReplyError):
                job = json.loads(reply)
                jobs[job["number"]] = job
        return jobs

    def batches(self):
        """Every acknowledged enqueue is there; every other batch is there whole or not at all, and is sent again."""
        numbers = {job["id"]: job["number"] for job in self.jobs.values()}
        self.expect(len(numbers) == len(self.jobs), "two jobs have one id")
        gone = self.ledger.removed | self.ledger.perhaps_removed
        for id, number in self.ledger.numbers.items():
            if numbers.get(id) != number and number not in gone:
                self.expect(False, f"{id} was acknowledged as {number}, and is {numbers.get(id)} after the kill")
        sent = {id for batch in self.ledger.batches for id in batch.ids}
        self.expect(numbers.keys() <= sent, f"jobs that nobody sent: {sorted(numbers.keys() - sent)[:5]}")
        for batch in self.ledger.batches:
            if not batch.acknowledged:
                self.resend(batch, [id for id in batch.ids if id in numbers])

    def resend(self, batch, there):
        whole = len(there) in (0, len(batch.ids))
        self.expect(whole, f"{len(there)} of the {len(batch.ids)} jobs of a batch are there: {batch.ids[0]} …")
        answers = batch.answers(self.client.call(*batch.request()))
        word = "existing" if there else "created"
        self.expect({added for _, added in answers} == {word}, f"{batch.ids[0]} … sent again: {answers[:3]}, not {word}")
        self.ledger.enqueued(batch, answers)
        self.figures["enqueues that were there" if there else "enqueues that were not there"] += 1

    def settlements(self):
        """Every acknowledged settlement is kept: sent again, it counted already. The others are sent again."""
        pending = self.ledger.settlements
        for settlement, reply in zip(pending, self.client.pipeline([one.request() for one in pending]), strict=True):
            word = reply.word if isinstance(reply, ReplyError) else reply.decode()
            if settlement.said in ("counted", "already"):
                self.expect(word == "already", f"{describe(settlement)} counted before the kill, and now is {word}")
                self.kept(settlement)
            elif settlement.said is None:
                self.ledger.settled(settlement, word)
                self.figures[f"settlements that answered {word}"] += 1
        self.ledger.settlements = []

    def kept(self, settlement):
        """What was final before the kill is so after it."""
        final = {"COMPLETE": "completed", "REJECT": "dead"}.get(settlement.verb)
        state = self.jobs.get(settlement.number, {}).get("state")
        self.expect(final in (None, state), f"{describe(settlement)} counted before the kill, and the job is {state}")

    def verbs(self):
        for number in self.ledger.cancelled:
            state = self.jobs.get(number, {}).get("state")
            self.expect(state == "cancelled", f"job {number} was cancelled, and is {state}")
        for number in self.ledger.removed:
            self.expect(number not in self.jobs, f"job {number} was removed, and is there")
        for number in self.ledger.completed:
            state = self.client_state(number)
            self.expect(state == "completed", f"job {number} was completed, and is {state}")

    def client_state(self, number):
        """The state as listed; what was settled since the list is asked for."""
        job = self.jobs.get(number)
        if job and job["state"] == "completed":
            return "completed"
        reply = self.client.pipeline([["JOB.GET", number]])[0]
        return reply.text if isinstance(reply, ReplyError) else json.loads(reply)["state"]

    def books(self):
        counts = self.client.json("QUEUE.GET", QUEUE)["counts"]
        self.expect(balanced(counts), f"the books are not balanced: {counts}")
        total = self.client.json("STATS")["counts"]
        self.expect(balanced(total), f"the store's books are not balanced: {total}")


def describe(settlement):
    return f"{settlement.verb} of job {settlement.number} with token {settlement.token}"


def read_feed(server):
    """All events ever, in order."""
    cursor = "0"
    with server.client() as client:
        while True:
            page = client.json("EVENTS.READ", cursor, "COUNT", 10_000)
            yield from page["events"]
            if not page["events"]:
                return
            cursor = page["cursor"]


def audit_feed(server, ledger):
    """Tokens only grow over the whole life of the store, and no job completes twice."""
    last, completed, leases, starts = (0, 0), collections.Counter(), 0, 0
    for event in read_feed(server):
        if event["event"] == "leased":
            token = order(event["detail"]["token"])
            if token <= last:
                ledger.fault(f"the feed has token {token} after {last}")
            last, leases = token, leases + 1
        if event["event"] == "completed":
            completed[event["number"]] += 1
        starts += event["event"] == "started"
    for number, times in completed.items():
        if times > 1:
            ledger.fault(f"the feed completes job {number} {times} times")
    for number in ledger.completed:
        if number not in completed:
            ledger.fault(f"job {number} was completed, and the feed does not have it")
    for token in ledger.tokens:
        if order(token) > last:
            ledger.fault(f"token {token} was handed out, and the feed does not have it")
    return {"leases": leases, "starts": starts}


def work_off(server, ledger, chance):
    """Cancels what is parked, and works until nothing is left to do."""
    with server.client() as client:
        everything = json.dumps({"queue": QUEUE, "states": ["delayed"], "cause": "scheduled"})
        operation = client.json("OPERATION.START", "cancel", everything, "ACTOR", "kill9")["operation"]
        until(lambda: client.json("OPERATION.GET", operation)["state"] == "finished", "the operation has ended")
        load = Load(server, ledger, chance, quiet=True)

        def idle():
            counts = client.json("QUEUE.GET", QUEUE)["counts"]
            return counts["waiting"] + counts["delayed"] + counts["active"] == 0

        until(lambda: ledger.faults or idle(), "the queue is worked off")
        load.join()
        return client.json("QUEUE.GET", QUEUE)["counts"]


def restored(home, server, ledger, backup, figures):
    """Restores a backup and starts a server on it. It has all that was acknowledged before the backup was asked for, its
    books are balanced, no lease of the original counts there, and no token that it hands out was handed out before."""
    folder = home.path / backup.name
    folder.mkdir()
    ended = run([program("longshore"), "restore", backup.path, folder / "data", "--json"])
    if ended.code != 0:
        return ledger.fault(f"{backup.name} is not restored: {ended.err}")
    other = Server(folder, server.flags)
    home.started.append(other)
    other.start()
    with other.client() as client:
        counts = client.json("QUEUE.GET", QUEUE)["counts"]
        if not balanced(counts) or not balanced(client.json("STATS")["counts"]):
            ledger.fault(f"the books of {backup.name} are not balanced: {counts}")
        if counts["active"]:
            ledger.fault(f"{counts['active']} leases of {backup.name} have not ended")
        check_jobs(client, ledger, backup)
        check_tokens(client, ledger, backup)
    if other.stop() != 0:
        ledger.fault(f"the server on {backup.name} did not stop well")
    home.started.remove(other)
    shutil.rmtree(folder)
    figures["restored backups"] += 1
    return None


def check_jobs(client, ledger, backup):
    gone = ledger.removed | ledger.perhaps_removed
    acknowledged = list(ledger.numbers.items())[: backup.jobs]
    completed = set(list(ledger.completed)[: backup.completed])
    replies = []
    # Not all at once: who does not read its replies is let go.
    for begin in range(0, len(acknowledged), 1_000):
        ids = [id for id, _ in acknowledged[begin : begin + 1_000]]
        replies += client.pipeline([["JOB.GET", id, "QUEUE", QUEUE] for id in ids])
    for (id, number), reply in zip(acknowledged, replies, strict=True):
        if number in gone:
            continue
        if isinstance(reply, ReplyError):
            ledger.fault(f"{id} was acknowledged before {backup.name}, which says {reply.text}")
            continue
        job = json.loads(reply)
        if job["number"] != number:
            ledger.fault(f"{id} was acknowledged as {number}, and is {job['number']} in {backup.name}")
        if number in completed and job["state"] != "completed":
            ledger.fault(f"job {number} was completed before {backup.name}, and is {job['state']} there")


def check_tokens(client, ledger, backup):
    # The newest: some of their leases ran when the backup was made, some were made since.
    newest = list(ledger.tokens.items())[-200:]
    for (token, number), reply in zip(
        newest, client.pipeline([["JOB.COMPLETE", number, token] for token, number in newest]), strict=True
    ):
        if not isinstance(reply, ReplyError) and reply != b"already":
            ledger.fault(f"token {token} of job {number} is {reply.decode()} by {backup.name}")
    for job in client.call("JOB.LEASE", "other", "COUNT", 1_000, "QUEUES", QUEUE):
        token = job[1].decode()
        if token in ledger.tokens or token in ledger.other_tokens:
            ledger.fault(f"token {token} was handed out before, and again by {backup.name}")
        ledger.other_tokens.add(token)
        ledger.calls["leases by restored servers"] += 1


def prune(ledger):
    """Removes all backups but the newest, as whoever makes many does."""
    while len(ledger.backups) > 1:
        shutil.rmtree(ledger.backups.pop(0).path)


def kill_rounds(home, server, ledger, chance, kills, figures):
    """Load, kill, start, audit; as often as told."""
    for kill in range(1, kills + 1):
        load = Load(server, ledger, chance)
        time.sleep(chance.uniform(0.03, 0.3))  # The random instant.
        load.ending.set()
        server.kill()
        load.join()
        if chance.random() < 0.3:
            server.begin()
            time.sleep(chance.uniform(0, 0.03))  # Likewise, while it starts.
            server.kill()
            ledger.calls["kills while starting"] += 1
        server.start()
        if kill % RESTORE_EVERY == 0:
            if not ledger.backups:
                # On a busy machine none may have come to its end between two kills.
                with server.client() as client:
                    back_up(client, ledger)
            restored(home, server, ledger, ledger.backups.pop(), figures)
        prune(ledger)
        faults = Audit(server, ledger, figures).run()
        if faults:
            print(f"kill {kill}: {len(faults)} faults")
            return faults
    return []


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_007)
    # A killed process loses nothing that the kernel has, so every policy keeps these promises.
    parser.add_argument("--fsync", choices=["always", "everysec", "no"], default="always")
    asked = parser.parse_args()
    print(f"seed {asked.seed}, fsync {asked.fsync}")
    chance, ledger, figures = random.Random(asked.seed), Ledger(), collections.Counter()
    begin = time.monotonic()
    with Home("kill9") as home:
        # Small segments, and a snapshot after each: a kill meets their making, too.
        small = ("--segment-bytes", "64kb", "--compact-after", "64kb")
        server = home.server("--fsync", asked.fsync, *small).start()
        with server.client() as client:
            client.call("QUEUE.SET", QUEUE, json.dumps(SETTINGS))
        faults = kill_rounds(home, server, ledger, chance, asked.kills, figures)
        if not faults:
            counts = work_off(server, ledger, chance)
            faults = Audit(server, ledger, figures).run()
            feed = audit_feed(server, ledger)
            faults += ledger.faults
        for fault in faults[:20]:
            print(f"fault: {fault}")
        assert not faults, f"{len(faults)} faults with seed {asked.seed}; see above"
        assert server.stop() == 0, "the server did not stop well"
        snapshots = server.log.read_text(errors="replace").count("covers the log before position")
        # They run at the lowest priority: on a busy machine few come to their end between two kills.
        assert snapshots > asked.kills // 30, f"only {snapshots} snapshots were made"
        tried = figures.pop("restored backups")
        assert tried == asked.kills // RESTORE_EVERY, f"only {tried} backups were restored"
    calls = ", ".join(f"{count} {what}" for what, count in sorted(ledger.calls.items()))
    unknown = ", ".join(f"{count} {what}" for what, count in sorted(figures.items()))
    books = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    print(f"{asked.kills} kills in {time.monotonic() - begin:.1f} s; {calls}")
    print(f"{snapshots} snapshots were made meanwhile, {tried} backups restored and served")
    print(f"sent again after a kill: {unknown}")
    print(f"the feed: {feed['starts']} starts, {feed['leases']} leases, tokens only grew, nothing completed twice")
    print(f"in the end: {books}")
    print(f"{asked.kills} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
