"""Starts the real programs for tests, on free ports of the loopback, and ends them again by their process ids.

Looks for the programs in this repository's release folder. A test uses `Home` as a context: whatever was started in it
is ended with it, and its folder removed. Only where an assertion failed the folder stays, as evidence, and is named.
Invariant: nothing here waits without an end, so that a program that hangs fails its test.
"""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from resp import Client, Disconnected, ReplyError

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
# A program that takes longer than this to do what takes milliseconds has failed, however busy the machine is.
PATIENCE_S = 60.0
LISTENS = "listens on 127.0.0.1:"
# What steers the programs comes from the tests alone, never from the environment they run in.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LONGSHORE_")}


def program(name):
    """The path of one of our programs, or the end of the test with what to do."""
    path = PROGRAMS / name
    if not path.is_file():
        raise SystemExit(f"missing: {path}; build it: cargo build --workspace --all-features --release --bins")
    return str(path)


def until(condition, what, pause_s=0.02, patience_s=PATIENCE_S):
    """Asks again until the condition holds, and returns what it answered."""
    end = time.monotonic() + patience_s
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"gave up after {patience_s:.0f} s waiting until {what}")
        time.sleep(pause_s)
    return answer


class Process:
    """A program that runs until it is ended. Its messages go to a file."""

    def __init__(self, arguments, log, **options):
        self.log = log
        with open(log, "ab") as messages:
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stderr=messages, env=ENVIRONMENT, **options
            )
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def kill(self):
        """kill -9, and waits for the end. A program that had ended by itself before was not killed, but fell."""
        self.process.send_signal(signal.SIGKILL)
        code = self.ended()
        assert code == -signal.SIGKILL, f"ended by itself with {code}: {tail(self.log)}"

    def stop(self):
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.ended()

    def line(self):
        """The next line of its output; an empty one at its end, or where none comes in time."""
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        return self.process.stdout.readline().decode() if ready else ""

    def ended(self):
        """Waits for its end: the exit code."""
        code = self.process.wait(PATIENCE_S)
        if self.process.stdout:
            self.process.stdout.close()
        return code


class Server:
    """A server on a directory and a port, which both stay the same over its restarts."""

    def __init__(self, folder, flags=()):
        self.folder, self.flags = pathlib.Path(folder), list(flags)
        self.log = self.folder / "server.log"
        self.data = self.folder / "data"
        self.port, self.process, self.starts = 0, None, 0

    @property
    def url(self):
        return f"longshore://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def begin(self):
        """Starts it, and waits for nothing."""
        listen = f"127.0.0.1:{self.port}"
        arguments = [program("longshore-server"), "--data", self.data, "--listen", listen, "--admin", "none"]
        self.process = Process([*arguments, *self.flags], self.log, stdout=subprocess.PIPE)
        self.starts += 1

    def launch(self):
        """Starts it, and waits until it listens; it may still be recovering then."""
        self.begin()
        line = self.process.line()
        if LISTENS not in line:
            self.process.stop()
            raise AssertionError(f"the server did not start: {line!r}; its messages: {tail(self.log)}")
        self.port = int(line.split(LISTENS)[1].split(",")[0].split(";")[0])
        return self

    def start(self):
        """Starts it, and waits until it serves."""
        self.launch()
        until(self._serves, f"the server serves; its messages: {self.log}", pause_s=0.005)
        return self

    def _serves(self):
        try:
            with Client(self.port) as client:
                return client.json("STATS")
        except ReplyError as error:
            if error.word != "LOADING":
                raise
        except Disconnected:
            if not self.process.running():
                raise AssertionError(f"the server ended while it started: {tail(self.log)}") from None
        return None

    def client(self, timeout=PATIENCE_S):
        return Client(self.port, timeout)

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop()


class Home:
    """A folder for one test, and all that was started there."""

    def __init__(self, name):
        # Whoever ends a test early gets it ended like any other.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"longshore-{name}-"))
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.end()
        if kind and issubclass(kind, AssertionError):
            print(f"the folder of this run stays: {self.path}")
        else:
            remove(self.path)

    def end(self):
        """Ends whatever still runs."""
        for process in self.started:
            process = process.process if isinstance(process, Server) else process
            if process and process.running():
                process.process.kill()
                process.process.wait(PATIENCE_S)

    def server(self, *flags):
        """A server on this folder, not yet started."""
        server = Server(self.path, flags)
        self.started.append(server)
        return server

    def worker(self, name, url, config, *flags):
        """Starts a worker."""
        arguments = [program("longshore-worker"), "--config", config, "--engine", url, "--name", name, *flags]
        # A session of its own, as a service has: what kills the worker's group later is not ours.
        worker = Process(arguments, self.path / f"{name}.log", start_new_session=True)
        self.started.append(worker)
        return worker


def remove(folder):
    """Removes a folder, also where a test took away the right to."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(f"{path}/{name}"):
                os.chmod(f"{path}/{name}", 0o755)
    shutil.rmtree(folder)


class Ended:
    """What a program that has ended said."""

    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout.decode()
        self.err = completed.stderr.decode()

    def rows(self):
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(arguments, stdin=b"", cwd=None, extra=None):
    """Runs a program to its end."""
    options = {"input": stdin, "cwd": cwd, "env": {**ENVIRONMENT, **(extra or {})}}
    return Ended(subprocess.run(arguments, capture_output=True, timeout=10 * PATIENCE_S, check=False, **options))


def cli(url, *arguments, code=0):
    """Runs `longshore` against a server; any other exit code than `code` fails the test."""
    ended = run([program("longshore"), "--engine", url, *map(str, arguments)])
    if ended.code != code:
        raise AssertionError(f"longshore {' '.join(map(str, arguments[:6]))}: exit code {ended.code}: {ended.err}")
    return ended


def balanced(counts):
    """Whether a queue's books are: each job ever enqueued is in one state, or gone and counted."""
    kept = ("waiting", "delayed", "active", "waiting_children", "completed", "dead", "cancelled")
    return counts["enqueued"] == sum(counts[name] for name in (*kept, "removed", "aged_out"))


def tail(path, lines=5):
    """The last lines of a file, for a message."""
    try:
        return " | ".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)
