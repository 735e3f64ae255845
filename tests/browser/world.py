"""What the browser finds: a server, a worker with a real handler, a dashboard, and jobs in every state.

Jobs get where they are by being run, not by being written: they complete, fail with several messages, wait for another
attempt, are delayed, are cancelled, lose their worker. What the tests change they add themselves, in queues of their own.
"""

import itertools
import json
import pathlib
import subprocess
import time

from longshore import Process, cli, program, run, tail, until

HERE = pathlib.Path(__file__).resolve().parent
LISTENS = "listens on http://"
PASSWORD = "correct horse battery"
SERVED = ("emails", "invoices", "images", "tests")
SOON = {"attempts": 2, "backoff": {"kind": "fixed", "delay_ms": 20}}
LATER = {"attempts": 5, "backoff": {"kind": "fixed", "delay_ms": 3_600_000}}
PEOPLE = ("ann", "bob", "cy", "dee", "eve", "finn", "gus", "hal", "ida", "jo", "kim", "lou")


class World:
    """The programs, and the numbers of the jobs that were prepared."""

    def __init__(self, home):
        self.server = home.server("--fsync", "no").start()
        self.worker = self._worker(home, "worker-1", SERVED)
        # One that the tests may stop.
        self._worker(home, "worker-2", ["spare"])
        self.address, self.guarded = self._dashboard(home, "open"), self._guarded(home)
        with self.server.client() as client:
            self.jobs = Jobs(client).prepared()
        # One that does no harm: all there is on the page of operations.
        cli(self.server.url, "dead", "redrive", "--queue", "imports", "--name", "none", "--actor", "ann", "--because", "mended")

    def told(self):
        """What the tests need to know."""
        routes = run([program("longshore-dashboard"), "routes"]).out
        return {
            "dashboard": self.address,
            "guarded": self.guarded,
            "password": PASSWORD,
            "engine": self.server.url,
            "cli": program("longshore"),
            "routes": json.loads(routes),
            "jobs": self.jobs,
        }

    def busy(self, seconds):
        """Enqueues jobs for so long, now more and now fewer of them, so that the pictures of the last minutes show something."""
        with self.server.client() as client:
            jobs, ends = Jobs(client), time.monotonic() + seconds
            for at in itertools.count():
                if time.monotonic() >= ends:
                    return
                jobs.usual(at)
                # The pace of the load: from eight jobs a second down to two, and again.
                time.sleep(0.125 * (1 + at // 40 % 4))

    def stop(self):
        """The worker is asked, so that it ends its handlers."""
        self.worker.stop()

    def _worker(self, home, name, served):
        queues = "\n".join(f"{queue} = 1" for queue in served)
        path = home.path / f"{name}.toml"
        path.write_text(f'[queues]\n{queues}\n[handlers."*"]\ncommand = ["{HERE / "handler"}"]\n')
        return home.worker(name, self.server.url, path, "--grace", "1s", "--beat", "100ms")

    def _dashboard(self, home, name, *flags):
        """Starts a dashboard, and answers its address."""
        arguments = [program("longshore-dashboard"), "--engine", self.server.url, "--listen", "127.0.0.1:0", *flags]
        process = Process(arguments, home.path / f"{name}.log", stdout=subprocess.PIPE)
        home.started.append(process)
        line = process.line()
        if LISTENS not in line:
            raise AssertionError(f"the dashboard did not start: {line!r}; its messages: {tail(process.log)}")
        return "http://" + line.split(LISTENS)[1].split("/")[0]

    def _guarded(self, home):
        """A dashboard with one viewer."""
        made = run([program("longshore-dashboard"), "password", "vera", "--role", "viewer"], f"{PASSWORD}\n".encode())
        assert made.code == 0, made.err
        path = home.path / "passwords"
        path.write_text(made.out)
        return self._dashboard(home, "guarded", "--password-file", path)


class Jobs:
    """Puts jobs where the pages show them."""

    def __init__(self, client):
        self.client = client

    def add(self, queue, name, payload, **options):
        options = {"attempts": 3, **options}
        return self.client.call("JOB.ADD", queue, name, json.dumps(payload), json.dumps(options))[0]

    def usual(self, at):
        """One job of many, of which a few fail."""
        person = PEOPLE[at % len(PEOPLE)]
        if at % 9 == 4:
            error = {"error": "gateway"} if at % 45 == 4 else {}
            self.add("invoices", "charge", {"order": 100 + at, **error}, **SOON)
        elif at % 3 == 1:
            self.add("images", "resize", {"file": f"{person}-{at}.png", "width": 320})
        else:
            error = {"error": "once"} if at % 40 == 0 else {}
            self.add("emails", "send", {"to": f"{person}@example.org", **error}, **SOON)

    def prepared(self):
        """One number for each kind of job, once each is where it should be."""
        jobs = self._failing()
        for at, person in enumerate(PEOPLE):
            jobs["completed"] = self.add("emails", "send", {"to": f"{person}@example.org"}, tags=["vip"] if at % 3 else [])
            self.add("images", "resize", {"file": f"{person}.png", "width": 320})
        jobs["active"] = self.add("images", "encode", {"file": "talk.mov"}, id="talk.mov")
        jobs["delayed"] = self.add("emails", "remind", {"to": "ann@example.org"}, delay_ms=5_400_000)
        jobs["cancelled"] = self.add("invoices", "send", {"order": 7}, delay_ms=60_000)
        self.client.call("JOB.CANCEL", jobs["cancelled"], "ACTOR", "ann", "REASON", "the order was withdrawn")
        jobs["waiting"] = self.add("reports", "build", {"month": "2026-10", "pages": 12}, priority=5)
        self.client.call("QUEUE.PAUSE", "reports", "ACTOR", "ann", "REASON", "the warehouse is being moved")
        self.add("imports", "read", {"file": "customers.csv"})
        jobs["poison"] = self._poison()
        self._settled(jobs)
        return jobs

    def _failing(self):
        jobs = {"retrying": self.add("invoices", "charge", {"order": 12, "error": "card"}, **LATER)}
        for order in range(20, 24):
            jobs["dead"] = self.add("invoices", "charge", {"order": order, "error": "gateway"}, **SOON)
        self.add("emails", "send", {"to": "nobody", "error": "address"}, **SOON)
        jobs["crashed"] = self.add("images", "resize", {"file": "huge.tiff", "error": "crash"}, **SOON)
        jobs["flaky"] = self.add("emails", "send", {"to": "mia@example.org", "error": "once"}, **SOON)
        return jobs

    def _poison(self):
        """A job whose worker goes away with it and never says a word."""
        self.client.call("QUEUE.SET", "imports", json.dumps({"stalls": 0}))
        number = self.add("imports", "read", {"file": "broken.csv"}, priority=9)
        leased = self.client.call("JOB.LEASE", "worker-gone", "COUNT", 1, "LEASE", 100, "QUEUES", "imports")
        assert len(leased) == 1, leased
        return number

    def _settled(self, jobs):
        where = {
            "completed": "completed", "flaky": "completed", "active": "active", "delayed": "delayed", "retrying": "delayed",
            "dead": "dead", "crashed": "dead", "poison": "dead", "cancelled": "cancelled", "waiting": "waiting",
        }
        for kind, state in where.items():
            number = jobs[kind]
            until(lambda: self._state(number) == (state, kind == "retrying"), f"job {number} is {state}: {kind}")

    def _state(self, number):
        job = self.client.json("JOB.GET", number)
        return job["state"], job["state"] == "delayed" and bool(job["leases"])
