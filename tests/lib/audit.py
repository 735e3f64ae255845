"""Compares a server that tests/kill9.py has just started again with what its clients wrote down.

`Audit` looks at jobs, settlements and books after each kill, `Feed` at the events, which it reads once each, and
`Restored` at a server on a restored backup. Invariants that they check: what was acknowledged is there, what was sent in
one request is there whole or not at all, no token is handed out twice, no job completes twice, none that was removed
returns, and the books add up.
"""

import collections
import json

from ledger import QUEUE
from longshore import balanced
from resp import ReplyError

# More than that are not kept: then what is final is removed, the oldest first. So every snapshot and audit of a long run
# is as short as the first.
KEPT_JOBS = 1_500
FINAL = ("completed", "dead", "cancelled")
# One reply of JOB.LIST or EVENTS.READ has at most this many rows, and this many replies come to an end.
PAGE, PAGES_MAX = 1_000, 10_000
PIPELINE = 500


def in_pieces(client, requests):
    """The replies to many requests. Not all at once: who does not read its replies is let go."""
    for begin in range(0, len(requests), PIPELINE):
        yield from client.pipeline(requests[begin : begin + PIPELINE])


def list_jobs(client, ids):
    """Every job of the queue by number.

    Pages are read while time goes on: a job that came due in between may have passed from a later page to an earlier one.
    What the pages lack of `ids` is asked for."""
    jobs, cursor = {}, None
    for _ in range(PAGES_MAX):
        words = ["CURSOR", cursor] if cursor else []
        page = client.json("JOB.LIST", json.dumps({"queue": QUEUE}), "COUNT", PAGE, *words)
        jobs.update((job["number"], job) for job in page["jobs"])
        cursor = page["cursor"]
        if cursor is None:
            break
    else:
        raise AssertionError("the list of jobs has no end")
    listed = {job["id"] for job in jobs.values()}
    missing = [id for id in ids if id not in listed]
    for reply in in_pieces(client, [["JOB.GET", id, "QUEUE", QUEUE] for id in missing]):
        if not isinstance(reply, ReplyError):
            job = json.loads(reply)
            jobs[job["number"]] = job
    return jobs


def check_books(client, ledger, whose):
    for counts in (client.json("QUEUE.GET", QUEUE)["counts"], client.json("STATS")["counts"]):
        ledger.expect(balanced(counts), f"the books of {whose} are not balanced: {counts}")


class Audit:
    """What has to be true after a kill."""

    def __init__(self, server, ledger, feed, figures):
        self.server, self.ledger, self.feed, self.figures = server, ledger, feed, figures
        self.client = server.client()
        self.jobs = {}

    def run(self):
        """The faults that were found, by now and before."""
        ledger = self.ledger
        with self.client:
            sent = [*ledger.jobs, *(id for batch in ledger.unanswered for id in batch.ids)]
            self.jobs = list_jobs(self.client, sent)
            self.removals()
            self.batches()
            self.verbs()
            self.settlements()
            check_books(self.client, ledger, "the server")
            self.feed.catch_up(self.client)
            self.retire()
        faults, ledger.faults = ledger.faults, []
        return faults

    def removals(self):
        """What was removed stays so; of what may have been it is known now."""
        back = self.ledger.removed.keys() & self.jobs.keys()
        self.ledger.expect(not back, f"jobs were removed, and are there: {sorted(back)[:5]}")
        for number in sorted(self.ledger.perhaps_removed - self.jobs.keys()):
            self.ledger.remove(number)
        self.ledger.perhaps_removed = set()
        self.ledger.jobs = {id: job for id, job in self.ledger.jobs.items() if job[0] not in self.ledger.removed}

    def batches(self):
        """Every acknowledged enqueue is there; every other batch is there whole or not at all, and is sent again."""
        ledger, numbers = self.ledger, {job["id"]: job["number"] for job in self.jobs.values()}
        ledger.expect(len(numbers) == len(self.jobs), "two jobs have one id")
        for id, (number, _) in ledger.jobs.items():
            if numbers.get(id) != number:
                ledger.fault(f"{id} was acknowledged as {number}, and is {numbers.get(id)} after the kill")
        unanswered = {id for batch in ledger.unanswered for id in batch.ids}
        unsent = numbers.keys() - ledger.jobs.keys() - unanswered
        ledger.expect(not unsent, f"jobs that nobody sent: {sorted(unsent)[:5]}")
        for batch in list(ledger.unanswered):
            self.resend(batch, [id for id in batch.ids if id in numbers])

    def resend(self, batch, there):
        whole = len(there) in (0, len(batch.ids))
        self.ledger.expect(whole, f"{len(there)} of the {len(batch.ids)} jobs of a batch are there: {batch.ids[0]} …")
        answers = batch.answers(self.client.call(*batch.request()))
        word = "existing" if there else "created"
        as_before = {added for _, added in answers} == {word}
        self.ledger.expect(as_before, f"{batch.ids[0]} … sent again: {answers[:3]}, not {word}")
        self.ledger.enqueued(batch, answers)
        self.figures["enqueues that were there" if there else "enqueues that were not there"] += 1

    def verbs(self):
        """What was cancelled or completed is so still."""
        for number, job in self.jobs.items():
            if number in self.ledger.completed:
                self.ledger.expect(job["state"] == "completed", f"job {number} was completed, and is {job['state']}")
            if number in self.ledger.cancelled:
                self.ledger.expect(job["state"] == "cancelled", f"job {number} was cancelled, and is {job['state']}")

    def settlements(self):
        """Every acknowledged settlement is kept: sent again, it counted already. The others are sent again."""
        pending, self.ledger.settlements = self.ledger.settlements, []
        replies = in_pieces(self.client, [one.request() for one in pending])
        for settlement, reply in zip(pending, replies, strict=True):
            word = reply.word if isinstance(reply, ReplyError) else reply.decode()
            if settlement.counted():
                self.ledger.expect(word == "already", f"{settlement} counted before the kill, and now is {word}")
                self.kept(settlement)
            elif settlement.said is None:
                self.ledger.settled(settlement, word)
                self.figures[f"settlements that answered {word}"] += 1

    def kept(self, settlement):
        """What was final before the kill is so after it."""
        final = {"COMPLETE": "completed", "REJECT": "dead"}.get(settlement.verb)
        state = self.jobs.get(settlement.number, {}).get("state")
        self.ledger.expect(final in (None, state), f"{settlement} counted before the kill, and the job is {state}")

    def retire(self):
        """Removes what has been final since before the kill, and is more than is kept."""
        final = [job for job in self.jobs.values() if job["state"] in FINAL]
        self.ledger.open = len(self.jobs) - len(final)
        surplus = sorted(final, key=lambda job: job["number"])[: max(len(self.jobs) - KEPT_JOBS, 0)]
        replies = in_pieces(self.client, [["JOB.REMOVE", job["number"]] for job in surplus])
        for job, reply in zip(surplus, replies, strict=True):
            if isinstance(reply, ReplyError) or [job["number"], job["state"].encode()] != reply:
                self.ledger.fault(f"job {job['number']} was {job['state']}, and its removal says {reply}")
            self.ledger.remove(job["number"])
            self.ledger.jobs.pop(job["id"], None)
            self.ledger.calls["verbs"] += 1


def order(token):
    """A token's place: by epoch, then by counter."""
    epoch, counter = token.split("-")
    return int(epoch), int(counter)


class Feed:
    """All events, each read once, while they come or after a kill. Tokens only grow over the whole life of the store, and no
    job completes twice."""

    def __init__(self, ledger):
        self.ledger, self.cursor, self.last = ledger, "0", (0, 0)
        self.completed, self.tokens = set(), set()
        self.figures = collections.Counter()

    def read(self, client, block_ms=0):
        """The next page; whether there was something."""
        page = client.json("EVENTS.READ", self.cursor, "COUNT", 10 * PAGE, "BLOCK", block_ms)
        for event in page["events"]:
            self._event(event)
        self.cursor = page["cursor"]
        return bool(page["events"])

    def _event(self, event):
        self.figures[event["event"]] += 1
        if event["event"] == "leased":
            token = event["detail"]["token"]
            self.ledger.expect(order(token) > self.last, f"the feed has token {token} after {self.last}")
            self.last = order(token)
            self.tokens.add(token)
        if event["event"] == "completed":
            number = event["number"]
            self.ledger.expect(number not in self.completed, f"the feed completes job {number} twice")
            self.completed.add(number)

    def catch_up(self, client):
        """Reads what there is. It has all that the clients know of."""
        if not any(not self.read(client) for _ in range(PAGES_MAX)):
            raise AssertionError("the feed has no end")
        tokens = self.ledger.tokens - self.tokens
        self.ledger.expect(not tokens, f"the feed has no lease with the tokens {sorted(tokens)[:5]}")
        completed = self.ledger.completed.keys() - self.completed
        self.ledger.expect(not completed, f"the feed does not complete the jobs {sorted(completed)[:5]}")


class Restored:
    """What has to be true of a server on a restored backup: it has all that was acknowledged before the backup was asked for
    and nothing that was removed by then, its books are balanced, no lease of the original counts there, and no token that
    it hands out was handed out before."""

    def __init__(self, client, ledger, backup):
        self.client, self.ledger, self.backup = client, ledger, backup

    def check(self):
        counts = self.client.json("QUEUE.GET", QUEUE)["counts"]
        check_books(self.client, self.ledger, self.backup.name)
        self.ledger.expect(not counts["active"], f"{counts['active']} leases of {self.backup.name} have not ended")
        self.jobs()
        self.settlements()
        self.tokens()

    def jobs(self):
        ledger, name, asked = self.ledger, self.backup.name, self.backup.asked
        jobs = list_jobs(self.client, ledger.jobs)
        for id, (number, acknowledged) in ledger.jobs.items():
            gone = number in ledger.perhaps_removed or number in ledger.removed
            if acknowledged < asked and not gone and jobs.get(number, {}).get("id") != id:
                ledger.fault(f"{id} was acknowledged as {number} before {name}, which does not have it")
        for number, job in jobs.items():
            if ledger.removed.get(number, asked) < asked:
                ledger.fault(f"job {number} was removed before {name}, which has it")
            if ledger.completed.get(number, asked) < asked and job["state"] != "completed":
                ledger.fault(f"job {number} was completed before {name}, and is {job['state']} there")

    def settlements(self):
        """Settles with tokens of the original: some of their leases ran when the backup was made, some were made since."""
        leases = [lease for lease in self.ledger.leases if lease.number not in self.ledger.removed]
        leases = [lease for lease in leases if lease.number not in self.ledger.perhaps_removed]
        requests = [
            lease.settlement.request() if lease.settlement else ["JOB.COMPLETE", lease.number, lease.token]
            for lease in leases
        ]
        for lease, reply in zip(leases, in_pieces(self.client, requests), strict=True):
            word, right = reply.word if isinstance(reply, ReplyError) else reply.decode(), self.right(lease)
            if word not in right:
                self.ledger.fault(
                    f"{self.backup.name} answers {word} to token {lease.token} of job {lease.number}"
                    f" ({lease.settlement or 'never settled'}), and not {' or '.join(sorted(right))}"
                )
            if len(right) == 1:
                self.ledger.calls[f"tokens that a restored server called {word}"] += 1

    def right(self, lease):
        """What a restored server may answer: a restore ends all leases, so their tokens are void; what was settled before the
        backup is so in it."""
        settlement, backup = lease.settlement, self.backup
        if settlement is None or settlement.sent > backup.made or settlement.said == "STALE":
            return {"STALE"}
        if settlement.counted() and settlement.answered < backup.asked:
            return {"already"}
        return {"already", "STALE"}

    def tokens(self):
        for job in self.client.call("JOB.LEASE", "other", "COUNT", PAGE, "QUEUES", QUEUE):
            token = job[1].decode()
            known = token in self.ledger.tokens or token in self.ledger.other_tokens
            self.ledger.expect(not known, f"token {token} was handed out before, and again by {self.backup.name}")
            self.ledger.other_tokens.add(token)
            self.ledger.calls["leases by restored servers"] += 1
