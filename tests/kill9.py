"""kill -9 of the real server under mixed load, again and again on one directory, while snapshots and backups are made.

    python3 tests/kill9.py [--kills 20] [--seed N] [--fsync POLICY]

Clients do what clients do (tests/lib/load.py) and write down what they sent and what was acknowledged (ledger.py). A kill
comes at a random instant, or where a snapshot or a backup begins or ends: see `Moment`. After each the server starts
again (now and then it is killed once more while it starts), and what it says is compared with what was written down
(audit.py). After every few kills the newest finished backup is restored elsewhere and served. In the end everything is
worked off. It fails as well if too few kills found a snapshot or a backup in the making or just made. The seed decides
what the clients do and when the kills come; threads and disk decide the rest, so a run is not exactly repeated by it.
"""

import argparse
import collections
import json
import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from audit import Audit, Feed, Restored, check_books  # noqa: E402
from ledger import QUEUE, Ledger  # noqa: E402
from load import Load, back_up  # noqa: E402
from longshore import PATIENCE_S, Home, Server, program, run, until  # noqa: E402

# Kills between two restores.
RESTORE_EVERY = 4
# Seconds between two lines that say how far it is.
PROGRESS_S = 30
# What a kill may cost on average, however slow the machine is; with that the whole run ends.
KILL_SECONDS_MAX = 10
SETTINGS = {
    "attempts": 4,
    "backoff": {"kind": "fixed", "delay_ms": 50},
    # Short, so that much happens between two kills, and long against what a busy machine delays.
    "lease_ms": 1_000,
    "stalls": 100,
    "keep_completed": 2**64 - 1,
    "keep_completed_ms": 0,
    "keep_cancelled": 2**64 - 1,
    "keep_cancelled_ms": 0,
    # The ids of what was removed would be most of each snapshot.
    "remember_ids_ms": 1_000,
}
# Small segments, and a snapshot after each: kills meet their making, too. The feed is read while it is written.
FLAGS = ("--segment-bytes", "64kb", "--compact-after", "64kb", "--history", "8mb")


class Background:
    """What the server does beside its clients: told by the files that it makes and by the lines of its log."""

    # Of all kills, at least this share finds a snapshot in the making or made since the kill before; likewise backups.
    # Two in six kills wait for each: see `Moment`.
    SHARE = 1 / 4
    MADE = "covers the log before position"

    def __init__(self, server, ledger):
        self.server, self.ledger, self.figures = server, ledger, collections.Counter()
        self.backups = server.data.with_name(f"{server.data.name}-backups")
        self.read_bytes, self.snapshots, self.before = 0, 0, (0, 0)

    def made(self):
        """Snapshots and backups that were made up to now."""
        with open(self.server.log, "rb") as log:
            log.seek(self.read_bytes)
            text = log.read()
        # The last line may not be whole yet.
        whole = text[: text.rfind(b"\n") + 1]
        self.read_bytes += len(whole)
        self.snapshots += whole.count(self.MADE.encode())
        return self.snapshots, self.ledger.calls["backups"]

    def makes_snapshot(self):
        return any(path.name.endswith(".new") for path in self.server.data.glob("snapshot-*"))

    def makes_backup(self):
        """What a kill left is there until the next backup begins."""
        if not self.backups.is_dir():
            return False
        names = (path.name.removeprefix(".backup-") for path in self.backups.glob(".backup-*"))
        return any(name in self.ledger.backups_asked for name in names)

    def begin(self):
        """A round begins."""
        self.before = self.made()
        self.ledger.backups_asked = set()

    def killed(self):
        """A kill: what did it find?"""
        making, now = (self.makes_snapshot(), self.makes_backup()), self.made()
        for at, what in enumerate(("snapshot", "backup")):
            self.figures[f"{what} in the making"] += making[at]
            self.figures[f"{what} at all"] += making[at] or now[at] > self.before[at]

    def check(self, kills):
        # One kill in seven finds one in the making: of twenty it may be none, of hundreds it is not.
        for what in ("snapshot", "backup"):
            for found, least in (("at all", kills * self.SHARE), ("in the making", kills // 50)):
                had = self.figures[f"{what} {found}"]
                assert had >= least, f"only {had} of {kills} kills found a {what} {found}, not {least:.0f}"


class Moment:
    """When a kill comes: in turn at any instant, and where a snapshot or a backup begins or has been made, so that these are
    met on every machine, however fast or slow."""

    # On a machine that is so slow that it takes longer the kill comes all the same.
    PATIENCE_S = 5.0

    def __init__(self, background, chance):
        self.background, self.chance = background, chance
        self.turns = [
            lambda: True,
            background.makes_snapshot,
            background.makes_backup,
            lambda: True,
            lambda: background.made()[0] > background.before[0],
            lambda: background.made()[1] > background.before[1],
        ]

    def wait(self, kill):
        begin = time.monotonic()
        # The random instant. What a turn waits for must be met soon after it is there.
        time.sleep(self.chance.uniform(0.03, 0.3))
        turn = self.turns[kill % len(self.turns)]
        while not turn() and time.monotonic() < begin + self.PATIENCE_S:
            time.sleep(0.001)
        time.sleep(self.chance.choice([0, self.chance.uniform(0, 0.02)]))


class Run:
    """One directory, its server, and the kills."""

    def __init__(self, home, asked):
        self.home, self.asked, self.chance = home, asked, random.Random(asked.seed)
        self.server = home.server("--fsync", asked.fsync, *FLAGS)
        self.ledger, self.figures = Ledger(), collections.Counter()
        self.feed = Feed(self.ledger)
        self.background = Background(self.server, self.ledger)
        self.begin = time.monotonic()

    def rounds(self):
        """Load, kill, start, audit; as often as told."""
        self.server.start()
        with self.server.client() as client:
            client.call("QUEUE.SET", QUEUE, json.dumps(SETTINGS))
        moment, told = Moment(self.background, self.chance), time.monotonic()
        for kill in range(1, self.asked.kills + 1):
            self.kill(moment, kill)
            if kill % RESTORE_EVERY == 0:
                self.restore()
            for old in self.ledger.backups[:-1]:
                shutil.rmtree(old.path)
            del self.ledger.backups[:-1]
            self.audit(f"kill {kill}")
            if time.monotonic() > told + PROGRESS_S:
                told = time.monotonic()
                print(f"{kill} kills in {told - self.begin:.0f} s, {len(self.ledger.tokens)} leases", flush=True)
            assert time.monotonic() - self.begin < PATIENCE_S + kill * KILL_SECONDS_MAX, f"{kill} kills took too long"

    def kill(self, moment, kill):
        self.background.begin()
        load = Load(self.server, self.ledger, self.feed, self.chance)
        moment.wait(kill)
        load.end()
        self.server.kill()
        load.join(2 * PATIENCE_S)
        self.background.killed()
        if self.chance.random() < 0.3:
            self.server.begin()
            time.sleep(self.chance.uniform(0, 0.03))  # A random instant, while it starts.
            self.server.kill()
            self.figures["kills while starting"] += 1
        self.server.start()

    def audit(self, when):
        faults = Audit(self.server, self.ledger, self.feed, self.figures).run()
        for fault in faults[:20]:
            print(f"fault: {fault}")
        assert not faults, f"{len(faults)} faults with seed {self.asked.seed} at {when}; see above"

    def restore(self):
        """Restores the newest backup, and looks at a server on that."""
        if not self.ledger.backups:
            # On a busy machine none may have come to its end between two kills.
            with self.server.client() as client:
                back_up(client, self.ledger)
        backup = self.ledger.backups[-1]
        folder = self.home.path / backup.name
        folder.mkdir()
        ended = run([program("longshore"), "restore", backup.path, folder / "data", "--json"])
        assert ended.code == 0, f"{backup.name} is not restored: {ended.err}"
        other = Server(folder, self.server.flags)
        self.home.started.append(other)
        other.start()
        with other.client() as client:
            Restored(client, self.ledger, backup).check()
        assert other.stop() == 0, f"the server on {backup.name} did not stop well"
        self.home.started.remove(other)
        shutil.rmtree(folder)
        self.figures["restored backups"] += 1

    def work_off(self):
        """Cancels what is parked, and works until nothing is left to do. Returns the counts."""
        with self.server.client() as client:
            parked = json.dumps({"queue": QUEUE, "states": ["delayed"], "cause": "scheduled"})
            operation = client.json("OPERATION.START", "cancel", parked, "ACTOR", "kill9")["operation"]
            until(lambda: client.json("OPERATION.GET", operation)["state"] == "finished", "the operation has ended")
            load = Load(self.server, self.ledger, self.feed, self.chance, quiet=True)

            def idle():
                counts = client.json("QUEUE.GET", QUEUE)["counts"]
                return counts["waiting"] + counts["delayed"] + counts["active"] == 0

            until(lambda: self.ledger.faults or idle(), "the queue is worked off")
            load.join(2 * PATIENCE_S)
            check_books(client, self.ledger, "the server")
            counts = client.json("QUEUE.GET", QUEUE)["counts"]
        self.audit("the end")
        assert self.server.stop() == 0, "the server did not stop well"
        return counts

    def report(self, counts):
        def told(figures):
            return ", ".join(f"{count} {what}" for what, count in sorted(figures.items()) if count)

        kills, found, events = self.asked.kills, self.background.figures, self.feed.figures
        print(f"{kills} kills in {time.monotonic() - self.begin:.1f} s; {told(self.ledger.calls)}")
        for at, what in enumerate(("snapshot", "backup")):
            all_, making = found[f"{what} at all"], found[f"{what} in the making"]
            print(f"{self.background.made()[at]} {what}s were made; {all_} of {kills} kills found one, {making} in the making")
        print(f"after kills: {told(self.figures)}")
        print(f"the feed: {events['started']} starts, {events['leased']} leases, tokens only grew, nothing completed twice")
        print(f"in the end: {told(counts)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000_007)
    # A killed process loses nothing that the kernel has, so every policy keeps these promises.
    parser.add_argument("--fsync", choices=["always", "everysec", "no"], default="always")
    asked = parser.parse_args()
    print(f"seed {asked.seed}, fsync {asked.fsync}", flush=True)
    with Home("kill9") as home:
        tried = Run(home, asked)
        tried.rounds()
        counts = tried.work_off()
        tried.report(counts)
        tried.background.check(asked.kills)
        restored = tried.figures["restored backups"]
        assert restored == asked.kills // RESTORE_EVERY, f"only {restored} backups were restored"
    print(f"{asked.kills} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
