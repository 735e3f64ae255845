"""What the clients of tests/kill9.py write down: what they sent, what was acknowledged, and in which order.

The order is a count of its own, taken before each request and after each answer, so that "was acknowledged before the
backup was asked for" is a comparison of two numbers. Invariant: a lease token is noted once; a second time is a fault.
"""

import collections
import json
import threading

QUEUE = "mixed"
PARKED_MS = 3_600_000
# Of the newest leases it is known what became of them.
RECENT_LEASES = 400


class Batch:
    """Jobs that were sent together: all of them are there, or none."""

    def __init__(self, ids, options):
        self.ids, self.options = ids, options

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
        self.said, self.sent, self.answered = None, None, None

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

    def counted(self):
        return self.said in ("counted", "already")

    def __str__(self):
        return f"{self.verb} of job {self.number} with token {self.token}"


class Lease:
    """A token that was handed out, and how its worker settled, if it did."""

    def __init__(self, number, token):
        self.number, self.token, self.settlement = number, token, None


class Backup:
    """A backup that was asked for, and when: it has all that was acknowledged before, and nothing sent after `made`."""

    def __init__(self, name, asked):
        self.name, self.asked, self.made, self.path = name, asked, None, None


class Ledger:
    """What clients know. Methods may be called by several threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.order, self.serial = 0, 0
        self.unanswered = []  # batches
        self.jobs = {}  # id -> (number, when it was acknowledged), of those that were not removed
        self.open = 0  # about how many of them are not final
        self.settlements = []  # since the last audit
        self.tokens = set()
        self.leases = collections.deque(maxlen=RECENT_LEASES)
        self.other_tokens = set()  # handed out by servers on restored backups
        self.backups, self.backups_asked = [], set()
        self.completed = {}  # number -> when the completion that counted was acknowledged
        self.parked = []
        self.cancelled = set()
        self.removed, self.perhaps_removed = {}, set()  # number -> when it was acknowledged
        self.faults = []
        self.calls = collections.Counter()

    def now(self):
        with self.lock:
            return self._now()

    def _now(self):
        self.order += 1
        return self.order

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def expect(self, right, text):
        if not right:
            self.fault(text)

    def ids(self, count):
        with self.lock:
            self.serial += count
            return [f"job-{number}" for number in range(self.serial - count, self.serial)]

    def send(self, batch):
        with self.lock:
            self.unanswered.append(batch)

    def enqueued(self, batch, answers):
        with self.lock:
            self.unanswered.remove(batch)
            now = self._now()
            for id, (number, _) in zip(batch.ids, answers, strict=True):
                self.jobs[id] = (number, now)
            self.open += len(batch.ids)
            if batch.options.get("delay_ms") == PARKED_MS:
                self.parked += [number for number, _ in answers]

    def lease(self, jobs):
        """Notes leases as they were answered; those that one may settle."""
        leases = [Lease(job[0], job[1].decode()) for job in jobs]
        with self.lock:
            for lease in leases:
                if lease.token in self.tokens or lease.token in self.other_tokens:
                    self.faults.append(f"token {lease.token} was handed out twice")
                # That they grow from lease to lease is checked on the feed: threads note theirs in any order.
                self.tokens.add(lease.token)
                self.leases.append(lease)
            self.calls["leases"] += len(leases)
        return leases

    def intend(self, lease, settlement):
        with self.lock:
            settlement.sent = self._now()
            lease.settlement = settlement
            self.settlements.append(settlement)

    def settled(self, settlement, said):
        """Notes the server's word: counted, already, or an error's."""
        with self.lock:
            settlement.said, settlement.answered = said, self._now()
            self.calls["settlements"] += 1
            if said not in ("counted", "already", "STALE", "NOJOB"):
                self.faults.append(f"{settlement} answered {said}")
            self.open -= said == "counted" and settlement.verb in ("COMPLETE", "REJECT")
            if said == "counted" and settlement.verb == "COMPLETE":
                if settlement.number in self.completed:
                    self.faults.append(f"job {settlement.number} completed twice")
                self.completed[settlement.number] = settlement.answered

    def removing(self, number):
        with self.lock:
            self.perhaps_removed.add(number)

    def remove(self, number):
        """Notes that a job was removed."""
        with self.lock:
            self.perhaps_removed.discard(number)
            self.cancelled.discard(number)
            self.removed[number] = self._now()

    def ask_backup(self):
        with self.lock:
            self.serial += 1
            backup = Backup(f"backup-{self.serial}", self._now())
            self.backups_asked.add(backup.name)
            return backup

    def backed_up(self, backup, path):
        with self.lock:
            backup.path, backup.made = path, self._now()
            self.backups.append(backup)
            self.calls["backups"] += 1
