#!/usr/bin/env python3
"""A real full disk under the real server: a small tmpfs, in a mount namespace of this script's own.

Jobs are enqueued until the disk is full. Then each class of requests has to be refused in its turn and with its words,
a server killed there has to come up again on the full disk, every acknowledged job has to be there, and removing jobs has
to make room for new ones. Needs the right to mount (root, or user namespaces) and fails without it, unless `--may-skip` or
LONGSHORE_MAY_SKIP_MOUNTS=1 allows that: then tests/failing_disk.py, which needs none, remains. `--megabytes N` is the size
of the disk.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from longshore import PATIENCE_S, Home, balanced, until  # noqa: E402
from resp import ReplyError  # noqa: E402

QUEUE = "q"
PAYLOAD = b"x" * 1000
INSIDE = "LONGSHORE_TEST_MOUNTS"
MAY_SKIP = "LONGSHORE_MAY_SKIP_MOUNTS"
FLAGS = ["--segment-bytes", "64kb", "--compact-after", "1mb", "--history", "none"]
FULL = "disk is full: failed to "
# More than the reserve has room for.
ATTEMPTS = 3_000


def full(reply):
    """Whether a reply is the refusal of a full disk; its words are checked."""
    if not isinstance(reply, ReplyError):
        return False
    assert reply.word == "FULL" and reply.message.startswith(FULL), reply.text
    assert "No space left on device (os error 28)" in reply.message, reply.text
    return True


class Books:
    """What was acknowledged."""

    def __init__(self):
        self.there, self.held = set(), {}

    def enqueue(self, client, count):
        """Enqueues one after the other in a pipeline. The first refusal, if there was one."""
        replies = client.pipeline([["JOB.ADD", QUEUE, "n", PAYLOAD]] * count)
        self.there |= {reply[0] for reply in replies if isinstance(reply, list)}
        return next((reply for reply in replies if full(reply)), None)

    def lease(self, client, count=1):
        """Leases; the refusal, if it was one."""
        reply = client.pipeline([["JOB.LEASE", "w", "COUNT", count, "QUEUES", QUEUE]])[0]
        if full(reply):
            return reply
        self.held.update({job[0]: job[1] for job in reply})
        return None

    def release(self, client):
        """Settles one lease so that its job stays; the refusal, if it was one."""
        number, token = next(iter(self.held.items()))
        reply = client.pipeline([["JOB.RELEASE", number, token]])[0]
        if full(reply):
            return reply
        assert reply == b"counted", reply
        del self.held[number]
        return None

    def check(self, client):
        """Every acknowledged job is there, and the counts add up."""
        numbers = sorted(self.there)
        for at in range(0, len(numbers), 500):
            some = numbers[at : at + 500]
            missing = [
                number
                for number, reply in zip(some, client.pipeline([["JOB.GET", number] for number in some]), strict=True)
                if isinstance(reply, ReplyError)
            ]
            assert not missing, f"acknowledged and not there: {missing[:10]}"
        counts = client.json("QUEUE.GET", QUEUE)["counts"]
        assert balanced(counts), counts


def fill(client, books):
    """Enqueues until the disk stays full: what compaction can make room for is accepted again."""
    quiet_since, refusal, begin = None, None, time.monotonic()
    while quiet_since is None or time.monotonic() - quiet_since < 2.5:
        assert time.monotonic() < begin + 2 * PATIENCE_S, f"the disk is not full with {len(books.there)} jobs"
        before = len(books.there)
        refusal = books.enqueue(client, 50) or refusal
        if len(books.there) > before:
            quiet_since = None
        else:
            quiet_since = quiet_since or time.monotonic()
            time.sleep(0.05)  # What is waited for is the absence of something.
    assert refusal.message.endswith("; free space, or settle and remove jobs"), refusal.text
    return refusal


def use_up(client, books):
    """Has one class after the other refused: leases by leasing and releasing, then what sets a queue and what ends work,
    large requests before small ones. The messages."""

    def request(*words):
        reply = client.pipeline([words])[0]
        if full(reply):
            return reply
        assert not isinstance(reply, ReplyError), reply.text
        return None

    def leased_and_released(_):
        refusal = books.lease(client)
        if refusal is None:
            assert books.release(client) is None, "settlements were refused before leases"
        return refusal

    leases = refused(leased_and_released)
    free = sorted(books.there.difference(books.held))
    refused(lambda at: request("QUEUE.SET", QUEUE, json.dumps({"lease_ms": 30_001 + at})))
    return leases, refused(lambda at: request("JOB.CANCEL", free[at]))


def refused(attempt):
    """What refused an attempt in the end."""
    return next(refusal for at in range(ATTEMPTS) if (refusal := attempt(at)))


def run(megabytes):
    with Home("full-disk") as home:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", home.path]
        subprocess.run(mount, check=True, timeout=PATIENCE_S)
        try:
            on_full_disk(home, megabytes)
        finally:
            home.end()
            subprocess.run(["umount", home.path], check=True, timeout=PATIENCE_S)


def on_full_disk(home, megabytes):
    server, books = home.server(*FLAGS), Books()
    # The server's messages are not to be lost to its full disk.
    server.log = pathlib.Path(os.environ[INSIDE]) / "server.log"
    server.start()
    with server.client() as client:
        books.enqueue(client, 1)
        refusal = fill(client, books)
        print(f"{len(books.there)} jobs of {len(PAYLOAD)} bytes on {megabytes} MiB, then: {refusal.text}")
        assert books.lease(client, 10) is None, "leases go on"
        assert books.release(client) is None, "settlements go on"
        # Nothing but this test may take room, or give it.
        left = shutil.disk_usage(home.path).free
        (home.path / "others").write_bytes(b"o" * left)
        leases, ends = use_up(client, books)
        print(f"then leases: {leases.text}\nthen all: {ends.text}")
        assert client.json("STATS")["counts"]["enqueued"] == len(books.there), "reads go on"
        books.check(client)
    for _ in range(3):
        server.kill()
        server.start()
        with server.client() as client:
            books.check(client)
            # Until a file could not be made a start knows of no full disk: what the segment in use has room for is taken.
            before = len(books.there)
            until(lambda: books.enqueue(client, 1), "new work is refused again", pause_s=0)
            print(f"killed and started, {len(books.there) - before} jobs later new work is refused again")
            books.check(client)
    (home.path / "others").unlink()
    with server.client() as client:
        purge(client, books)
        until(lambda: not books.enqueue(client, 1), "new jobs are accepted again", pause_s=0.1)
        books.check(client)
    server.kill()
    server.start()
    with server.client() as client:
        books.check(client)
    assert server.stop() == 0
    levels = server.log.read_text()
    for words in ("new work is refused", "new work and leases are refused", "there is room on the disk again"):
        assert words in levels, f"the log does not say: {words}"


def purge(client, books):
    """Removes all but some jobs, and waits until that is done, which itself needs the room that it makes."""
    keep = max(books.there) - 50
    filter_ = '{"queue":"%s","up_to":%d}' % (QUEUE, keep)
    started = []

    def start():
        for verb in ("cancel", "remove")[len(started) :]:
            reply = client.pipeline([["OPERATION.START", verb, filter_]])[0]
            if full(reply):
                return False
            started.append(verb)
        return True

    until(start, "there is room for a bulk operation", pause_s=0.1)

    def ended():
        return all(one["state"] == "finished" for one in client.json("OPERATION.LIST"))

    until(ended, "the jobs are removed", pause_s=0.1)
    counts = client.json("QUEUE.GET", QUEUE)["counts"]
    books.there = {number for number in books.there if number > keep}
    books.held = {}
    print(f"removed all but {counts['enqueued'] - counts['removed'] - counts['aged_out']}")


def without_mounts(why, may_skip):
    """Says what is missing. The exit code."""
    print(f"no file system can be mounted here: {why}")
    if may_skip:
        print("so a full disk is met by tests/failing_disk.py alone, as was allowed")
        return 0
    print(f"run this as root or where user namespaces are allowed, or allow to skip it: --may-skip, or {MAY_SKIP}=1")
    return 1


def inside(arguments, may_skip):
    """Runs this script again where it may mount what nobody else sees."""
    user = [] if os.getuid() == 0 else ["--map-root-user"]
    logs = Home("full-disk-log")
    with logs:
        environment = {**os.environ, INSIDE: str(logs.path)}
        probe = ["sh", "-c", f"mount -t tmpfs -o size=1m tmpfs {logs.path}"]
        space = ["unshare", "--mount", *user]
        asked = subprocess.run([*space, *probe], capture_output=True, check=False, timeout=PATIENCE_S)
        if asked.returncode != 0:
            return without_mounts(asked.stderr.decode().strip(), may_skip)
        command = [*space, sys.executable, __file__, *arguments]
        return subprocess.run(command, env=environment, check=False, timeout=20 * PATIENCE_S).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--megabytes", type=int, default=8, help="size of the disk (default 8)")
    parser.add_argument("--may-skip", action="store_true", help=f"pass where nothing can be mounted (or {MAY_SKIP}=1)")
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        sys.exit(inside(sys.argv[1:], arguments.may_skip or os.environ.get(MAY_SKIP) == "1"))
    begin = time.monotonic()
    run(arguments.megabytes)
    print(f"{time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
