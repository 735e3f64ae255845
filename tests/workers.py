"""Workers ordered from afar, with real processes: server, two workers, and `longshore worker`.

    python3 tests/workers.py

Quiet and resume reach one worker of two and leave the other alone; what a quiet worker runs is finished there; stop ends
the daemons with exit code 0, and what runs has its grace time; one killed by SIGKILL, and one that was told something while the
server was away, are as the documentation says. What the server says is asked of the server, never of the worker's log.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from longshore import Home, cli, until  # noqa: E402

# What a worker is told reaches it with its next beat; those that run nothing would be waited for, five seconds each time.
SOON = ("--beat", "100ms")
HANDLERS = """
[queues]
q = 1
[handlers.hold]
command = ["sh", "-c", "while [ ! -e {home}/go ]; do sleep 0.02; done"]
[handlers.note]
command = ["sh", "-c", "exit 0"]
"""


def worker(url, name):
    """A worker as the engine knows it; None before its first beat."""
    workers = cli(url, "--json", "worker", "list").rows()
    return next((found for found in workers if found["worker"] == name), None)


def in_state(url, name, state):
    return until(lambda: (shown := worker(url, name)) and shown["state"] == state and shown, f"{name} is {state}")


def leases(url):
    """The names of the workers of each lease, by job."""
    jobs = cli(url, "--json", "job", "list", "--queue", "q", "--limit", 1000).rows()
    shown = cli(url, "--json", "job", "show", *(job["number"] for job in jobs)).rows()
    return {job["number"]: [lease["worker"] for lease in job["leases"]] for job in shown}


def orders(home, url):
    one = home.worker("one", url, home.path / "handlers.toml", "--concurrency", "2", "--grace", "30s", *SOON)
    cli(url, "enqueue", "q", "hold", "1")
    held = until(lambda: (shown := in_state(url, "one", "running"))["jobs"] and shown["jobs"], "the job runs")
    assert [(job["queue"], job["name"]) for job in held] == [("q", "hold")], held
    two = home.worker("two", url, home.path / "handlers.toml", "--concurrency", "2", *SOON)
    in_state(url, "two", "running")

    text = cli(url, "worker", "quiet", "one", "--because", "a test").out
    assert text == "worker one is told to go quiet\n", text
    shown = in_state(url, "one", "quiet")
    assert shown["order"]["obeyed"] and shown["order"]["reason"] == "a test", shown
    assert cli(url, "worker", "quiet", "one").out == "worker one is quiet already\n"
    for _ in range(4):
        cli(url, "enqueue", "q", "note", "1", "--wait", "30s")
    workers = {names[-1] for number, names in leases(url).items() if number != held[0]["number"]}
    assert workers == {"two"}, f"while one is quiet: {workers}"
    assert worker(url, "one")["jobs"] == held or worker(url, "one")["leases"] == 1, "what ran goes on"

    rows = cli(url, "--json", "worker", "quiet", "--queue", "q").rows()
    assert [row["worker"] for row in rows] == ["one", "two"], rows
    in_state(url, "two", "quiet")
    cli(url, "enqueue", "q", "note", "1", "--id", "later")
    cli(url, "worker", "resume", "--all")
    cli(url, "job", "wait", "later", "--timeout", "30s")
    in_state(url, "one", "running")
    print("ok    quiet and resume, one and all")
    return one, two


def stops(home, url, one, two):
    cli(url, "worker", "stop", "--all")
    assert two.ended() == 0, "it had nothing to finish"
    in_state(url, "one", "stopping")
    refused = cli(url, "worker", "resume", "one", code=1)
    assert "worker one is stopping" in refused.err, refused.err
    assert cli(url, "worker", "resume", "--all").out == "no workers\n", "those that end anyway are no failure"
    (home.path / "go").touch()
    assert one.ended() == 0
    done = cli(url, "--json", "job", "list", "--queue", "q", "--state", "completed", "--limit", 1000).rows()
    assert len(done) == 6, f"{len(done)} jobs were completed, the one that ran at the stop among them"
    assert cli(url, "worker", "list").out == "no workers\n"
    missing = cli(url, "worker", "show", "one", code=3)
    assert "no worker one" in missing.err and "longshore worker list" in missing.err, missing.err
    print("ok    stop, with the grace time")


def restart(home, server):
    """A quiet worker stays so over a restart of the server, and can be told from there on."""
    three = home.worker("three", server.url, home.path / "handlers.toml", *SOON)
    in_state(server.url, "three", "running")
    cli(server.url, "worker", "quiet", "three")
    in_state(server.url, "three", "quiet")
    server.kill()
    server.start()
    until(lambda: cli(server.url, "--json", "worker", "list").rows(), "it beats again")
    in_state(server.url, "three", "quiet")
    cli(server.url, "worker", "stop", "three")
    assert three.ended() == 0
    print("ok    over a restart of the server")


def main():
    begun = time.monotonic()
    with Home("workers") as home:
        (home.path / "handlers.toml").write_text(HANDLERS.format(home=home.path))
        server = home.server().start()
        one, two = orders(home, server.url)
        stops(home, server.url, one, two)
        restart(home, server)
        assert server.stop() == 0
    print(f"workers: orders reach those they are for, {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
