#!/usr/bin/env python3
"""A failing disk under the real server: strace makes its calls fail, without any help of the server.

A sync or write that fails is final: the caller is told UNKNOWN, the server ends with exit code 5, nothing after the failure
is acknowledged, and the next start finds all that was. A file that cannot be allocated is a full disk: new work is refused
with FULL, leases and settlements go on, and the server stays up.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from longshore import Home, Process, program, until  # noqa: E402
from resp import Disconnected, ReplyError  # noqa: E402

QUEUE = "q"
FLAGS = ["--segment-bytes", "64kb"]
LISTENS = "listens on 127.0.0.1:"
# What changes a file, or makes its changes durable.
CHANGES = "pwrite64,write,fdatasync,fsync,ftruncate,fallocate"
CALL = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\(\d+<(?P<file>[^>]*)>")
RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. (?P<call>\w+) resumed>")


def begin_traced(server, inject):
    """Starts the server under strace, which fails its calls as `inject` says."""
    trace = server.folder / "trace"
    listen = ["--listen", "127.0.0.1:0", "--admin", "none"]
    command = [program("longshore-server"), "--data", server.data, *listen, *FLAGS]
    strace = ["strace", "--follow-forks", "--quiet=all", "--decode-fds=path", "--output", trace, f"--trace={CHANGES}"]
    process = Process([*strace, f"--inject={inject}", *command], server.log, stdout=subprocess.PIPE)
    server.process = process
    line = process.line()
    assert LISTENS in line, f"the server did not start: {line!r}"
    server.port = int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])
    until(server._serves, "the server serves")
    return trace


def end_traced(server, how):
    """Sends the signal to the server itself, which would go on without its tracer. Returns its exit code."""
    tracer = server.process.process.pid
    children = pathlib.Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
    os.kill(int(children[0]), how)
    return server.process.ended()


def failed_calls(trace):
    """The calls on segments that were made to fail, as (call, file), and those on the same files that began afterwards."""
    failed, later, open_calls = [], [], {}
    for line in trace.read_text().splitlines():
        if begun := CALL.match(line):
            call = (begun["call"], begun["file"])
            open_calls[begun["thread"]] = call
            later += [call] if any(call[1] == file for _, file in failed) else []
        elif resumed := RESUMED.match(line):
            call = open_calls[resumed["thread"]]
        else:
            continue
        if "(INJECTED)" in line and call[1].endswith(".segment"):
            failed.append(call)
    return failed, later


def enqueue_all(client, count):
    """Enqueues one after the other. What was acknowledged, and the refusal that ended it."""
    acknowledged = []
    for _ in range(count):
        try:
            acknowledged.append(client.call("JOB.ADD", QUEUE, "n", "x" * 500)[0])
        except ReplyError as error:
            return acknowledged, error
    raise AssertionError(f"all {count} were acknowledged")


def check_final(inject, number):
    """After the call that fails nothing is acknowledged; what was is there at the next start."""
    with Home("failing-disk") as home:
        server = home.server(*FLAGS)
        trace = begin_traced(server, f"{inject}:when={number}+")
        with server.client() as client:
            acknowledged, refusal = enqueue_all(client, 2_000)
            assert refusal.word == "UNKNOWN", refusal.text
            assert acknowledged, "the call failed before anything was acknowledged"
            # Nobody gets an answer any more, whatever is asked.
            try:
                late = client.pipeline([["JOB.ADD", QUEUE, "n", "late"]])[0]
                assert isinstance(late, ReplyError) and late.word == "UNKNOWN", late
            except Disconnected:
                pass
        code = server.process.ended()
        assert code == 5, f"exit code {code}"
        failed, later = failed_calls(trace)
        assert failed, "no call on a segment was made to fail"
        assert not later, f"tried again on the file that failed: {later}"
        server.start()
        with server.client() as client:
            replies = client.pipeline([["JOB.GET", job] for job in acknowledged])
            lost = [job for job, reply in zip(acknowledged, replies, strict=True) if isinstance(reply, ReplyError)]
            assert not lost, f"acknowledged and lost: {lost}"
            enqueued = client.json("QUEUE.GET", QUEUE)["counts"]["enqueued"]
            assert enqueued in (len(acknowledged), len(acknowledged) + 1, len(acknowledged) + 2), enqueued
        assert server.stop() == 0
        print(f"{inject}, call {number} and later: {len(acknowledged)} acknowledged, all there; {refusal.text}")


def check_directory():
    """A directory whose names cannot be made durable: no file made ahead counts, new work is refused, nothing is lost."""
    with Home("failing-disk") as home:
        server = home.server(*FLAGS)
        # The first files have their names before any of that fails.
        server.start()
        with server.client() as client:
            acknowledged = [client.call("JOB.ADD", QUEUE, "n", "first")[0]]
        assert server.stop() == 0
        begin_traced(server, "fsync:error=EIO:when=4+")
        with server.client() as client:
            more, refusal = enqueue_all(client, 2_000)
            acknowledged += more
            assert refusal.word == "FULL" and "failed to sync the directory of" in refusal.message, refusal.text
            print(f"fsync:error=EIO: {len(acknowledged)} acknowledged; {refusal.text}")
            number, token = client.call("JOB.LEASE", "w", "QUEUES", QUEUE)[0][:2]
            assert client.call("JOB.COMPLETE", number, token) == b"counted"
        assert server.process.running(), "nothing that was to be written has failed"
        end_traced(server, signal.SIGKILL)
        server.start()
        with server.client() as client:
            replies = client.pipeline([["JOB.GET", job] for job in acknowledged])
            assert not any(isinstance(reply, ReplyError) for reply in replies)
            until(lambda: accepts(client), "new jobs are accepted where names can be made durable")
        assert server.stop() == 0


def check_full():
    """Files that cannot be allocated: refusals by class, and no end of the server."""
    with Home("failing-disk") as home:
        server = home.server(*FLAGS)
        # The store, its next segment and the reserve are made before.
        begin_traced(server, "fallocate:error=ENOSPC:when=9+")
        with server.client() as client:
            acknowledged, refusal = enqueue_all(client, 2_000)
            assert refusal.word == "FULL" and "No space left on device" in refusal.message, refusal.text
            print(f"fallocate:error=ENOSPC: {len(acknowledged)} acknowledged; {refusal.text}")
            number, token = client.call("JOB.LEASE", "w", "QUEUES", QUEUE)[0][:2]
            assert client.call("JOB.COMPLETE", number, token) == b"counted"
            leases = until(lambda: lease_and_release(client), "leases are refused", pause_s=0)
            assert leases.word == "FULL", leases.text
            print(f"leases, in the end: {leases.text}")
            assert client.json("STATS")["counts"]["enqueued"] == len(acknowledged)
        assert server.process.running(), "a full disk ends no server"
        assert end_traced(server, signal.SIGTERM) == 0
        server.start()
        with server.client() as client:
            replies = client.pipeline([["JOB.GET", job] for job in acknowledged])
            assert not any(isinstance(reply, ReplyError) for reply in replies)
            until(lambda: accepts(client), "new jobs are accepted where files can be allocated")
        assert server.stop() == 0


def lease_and_release(client):
    """Some leases, given back. The refusal, if there was one."""
    for _ in range(20):
        try:
            for job in client.call("JOB.LEASE", "w", "COUNT", 50, "QUEUES", QUEUE):
                client.call("JOB.RELEASE", job[0], job[1])
        except ReplyError as error:
            return error
    return None


def accepts(client):
    reply = client.pipeline([["JOB.ADD", QUEUE, "n", "again"]])[0]
    return isinstance(reply, list)


def main():
    begin = time.monotonic()
    # Syncs that come with a frame and with a segment; writes of frames.
    for inject, number in (
        ("fdatasync:error=EIO", 12),
        ("fdatasync:error=EIO", 40),
        ("pwrite64:error=EIO", 30),
        ("pwrite64:error=ENOSPC", 31),
    ):
        check_final(inject, number)
    check_directory()
    check_full()
    print(f"{time.monotonic() - begin:.1f} s")


if __name__ == "__main__":
    main()
