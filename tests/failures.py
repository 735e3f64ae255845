"""A directory that cannot be opened, over every program: each says which file, why and what to do, and changes nothing.

    python3 tests/failures.py [PART OF A LINE]

A case spoils a copy of one good directory in one way, and runs `longshore-server`, `longshore-worker`, `longshore` with
`log:DIR`, `longshore journal dump` and `verify` on it. Each must end with the case's exit code and say its words, and
every file but LOCK must be what it was. What is said must stand in docs/operations.md, but for the names in it. Run by
root it runs the programs as another user, whom permission bits bind. Prints a line for each case.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))
from longshore import ENVIRONMENT, PATIENCE_S, ROOT, Ended, Home, program  # noqa: E402
from resp import Client  # noqa: E402

NOBODY = 65_534
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
FIRST = "00000001.segment"
# What only a programmer could read.
FOREIGN = re.compile(r"Some\(|Err\(|os error|panick|\.rs\b|::|\bu64\b")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def change(path, offset, data, checksum=None):
    """Writes over a part of a file, and perhaps the checksum of a header of that length."""
    bytes_ = bytearray(path.read_bytes())
    bytes_[offset : offset + len(data)] = data
    if checksum:
        bytes_[checksum : checksum + 4] = crc32c(bytes_[:checksum]).to_bytes(4, "little")
    path.write_bytes(bytes_)


def snapshot(data):
    return max(path for path in data.iterdir() if path.name.startswith("snapshot-"))


def begun_segments(data):
    """The segments that hold something, oldest first; a start reads at least the last three."""
    return sorted(path for path in data.glob("*.segment") if path.read_bytes()[:8] != bytes(8))


def directory_instead(path):
    path.unlink()
    path.mkdir()


def file_instead(data):
    shutil.rmtree(data)
    data.write_text("not a directory\n")


def other_program(data):
    shutil.rmtree(data)
    data.mkdir()
    (data / "notes.txt").write_text("hello\n")


def below_a_file(data):
    shutil.rmtree(data.parent)
    data.parent.write_text("not a directory\n")


def no_parent(data):
    shutil.rmtree(data.parent)
    data.parent.parent.chmod(0o555)


# What is wrong, how it comes about, and what must be said; DIR stands for the directory.
CASES = [
    (
        "manifest missing",
        lambda data: (data / "MANIFEST").unlink(),
        "MANIFEST in DIR cannot be used: the file is missing; nothing was changed",
    ),
    (
        "manifest damaged",
        lambda data: change(data / "MANIFEST", 20, b"\xff"),
        "MANIFEST in DIR cannot be used: the manifest's checksum or length differs",
    ),
    (
        "manifest of another version",
        lambda data: change(data / "MANIFEST", 8, b"\2"),
        "MANIFEST in DIR has format version 2, this program knows version 1",
    ),
    (
        "manifest unreadable",
        lambda data: (data / "MANIFEST").chmod(0),
        "failed to open DIR/MANIFEST: permission denied; whoever runs this",
    ),
    (
        "manifest a directory",
        lambda data: directory_instead(data / "MANIFEST"),
        "DIR/MANIFEST: is a directory; a directory stands",
    ),
    (
        "segment missing",
        lambda data: begun_segments(data)[-2].unlink(),
        "SEGMENT in DIR cannot be used: the file is missing; nothing was changed",
    ),
    (
        # Behind it stands the one that is prepared.
        "newest segment missing",
        lambda data: begun_segments(data)[-1].unlink(),
        "SEGMENT in DIR cannot be used: the file is missing; nothing was changed",
    ),
    (
        "segment of another version",
        lambda data: change(begun_segments(data)[-1], 8, b"\2", 60),
        "SEGMENT in DIR has format version 2, this program",
    ),
    (
        "segment unreadable",
        lambda data: begun_segments(data)[-1].chmod(0),
        "failed to open DIR/SEGMENT: permission denied",
    ),
    ("segment a directory", lambda data: directory_instead(begun_segments(data)[-1]), "DIR/SEGMENT: is a directory"),
    (
        "segment damaged",
        lambda data: change(begun_segments(data)[-2], 200, b"\xff\xff\xff\xff"),
        "SEGMENT is damaged at offset 64 (position ",
    ),
    ("snapshot missing", lambda data: snapshot(data).unlink(), "SNAPSHOT in DIR cannot be used: the file is missing"),
    (
        "snapshot of another version",
        lambda data: change(snapshot(data), 8, b"\2", 60),
        "SNAPSHOT in DIR has format version 2, this program",
    ),
    ("snapshot unreadable", lambda data: snapshot(data).chmod(0), "failed to open DIR/SNAPSHOT: permission denied"),
    (
        "snapshot damaged",
        lambda data: change(snapshot(data), 100, b"\xff\xff\xff\xff"),
        "SNAPSHOT is damaged at offset 64",
    ),
    (
        "directory of another program",
        other_program,
        "DIR is not a longshore data directory: it has no MANIFEST but contains notes.txt",
    ),
    ("directory unreadable", lambda data: data.chmod(0), "failed to list DIR: permission denied"),
    ("directory a file", file_instead, ": file exists; a file stands where a directory should"),
    ("parent a file", below_a_file, ": not a directory; a file stands where a directory should"),
    ("parent cannot be made", no_parent, "failed to make the directory DIR: permission denied"),
]
# What a reader may do with the directory all the same, or is told otherwise.
READING = {
    # It begins with the snapshot before the newest.
    "snapshot missing": (0, ""),
    "snapshot of another version": (0, ""),
    "snapshot unreadable": (0, ""),
    "snapshot damaged": (0, ""),
    "segment a directory": (1, "is a directory; a directory stands"),
    "directory a file": (1, "not a directory"),
    "parent cannot be made": (1, "no such file or directory"),
}
# Of these nothing is known to be lost: no repair is offered.
UNREAD = re.compile(r"(segment|snapshot) (of another version|unreadable|a directory)")
KEPT = "nothing is to be given up yet"


class World:
    """A good directory with snapshots, and the programs where everybody may run them."""

    def __init__(self, home):
        self.home = home.path
        self.home.chmod(0o755)
        self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        if not shutil.which("strace"):
            raise SystemExit("missing: strace; install the package strace")
        # What comes before each program's command line.
        self.prefix, self.programs = [], {}
        for name in ("longshore", "longshore-server", "longshore-worker"):
            self.programs[name] = self.home / name
            shutil.copy(program(name), self.programs[name])
        self.handlers = self.home / "handlers.toml"
        self.handlers.write_text('[queues]\nq = 1\n[handlers.send]\ncommand = ["true"]\n')
        self.good = self.home / "data"
        server = home.server("--segment-bytes", "64kb", "--compact-after", "64kb")
        self.fill(server, 900)
        # What is written now stays behind the last snapshot.
        server.flags = ["--segment-bytes", "64kb"]
        self.fill(server, 300)
        assert snapshot(self.good) and len(begun_segments(self.good)) > 3, sorted(self.good.iterdir())

    @staticmethod
    def fill(server, jobs):
        server.start()
        with Client(server.port) as client:
            for number in range(jobs):
                client.call("JOB.ADD", "q", "send", '"' + "x" * 700 + f'{number}"')
        assert server.stop() == 0

    def copied(self, name):
        """A copy of the good directory."""
        data = self.home / name.replace(" ", "-") / "parent/data"
        shutil.copytree(self.good, data)
        return data

    def give(self, path):
        """Has the programs' user own a copy, and what it lies in."""
        if self.user:
            for owned in [path.parent.parent, path.parent, path, *(path.iterdir() if path.is_dir() else [])]:
                os.chown(owned, NOBODY, NOBODY)

    def spoiled(self, name, spoil):
        """A copy that was changed, and what stands for the names in a case's words."""
        data = self.copied(name)
        shown = self.names(data)
        self.give(data)
        spoil(data)
        if data.exists():
            self.give(data)
        return data, shown

    @staticmethod
    def names(data):
        """What stands for the names in a case's words."""
        last, before = begun_segments(data)[-1].name, begun_segments(data)[-2].name
        return {"DIR": str(data), "SEGMENT": f"({last}|{before})", "SNAPSHOT": snapshot(data).name}

    def run(self, name, *arguments):
        command = [*self.prefix, self.programs[name], *arguments]
        options = {"capture_output": True, "timeout": PATIENCE_S, "cwd": self.home, "env": ENVIRONMENT, "check": False}
        return Ended(subprocess.run(command, stdin=subprocess.DEVNULL, **options, **self.user))

    def surfaces(self, data):
        """Each program on the directory."""
        url = f"log:{data}"
        listen = ("--listen", "127.0.0.1:0", "--admin", "none")
        yield "server", lambda: self.run("longshore-server", "--data", data, *listen)
        yield "worker", lambda: self.run("longshore-worker", "--engine", url, "--config", self.handlers)
        yield "longshore", lambda: self.run("longshore", "--engine", url, "queue", "list")
        yield "journal dump", lambda: self.run("longshore", "journal", "dump", data, "--event", "started")
        yield "journal verify", lambda: self.run("longshore", "journal", "verify", data)


def contents(path):
    """Every file below with its bytes, as far as there is one; LOCK is made and written by whoever looks."""
    if path.is_file():
        return path.read_bytes() if os.access(path, os.R_OK) else b"unreadable"
    if not path.is_dir() or not os.access(path, os.R_OK | os.X_OK):
        return None
    return {file.name: contents(file) for file in path.iterdir() if file.name != "LOCK"}


def faults(ended, code, words, names):
    """What is wrong with the answer."""
    if ended.code != code:
        yield f"exit code {ended.code}, and not {code}"
    pattern = re.escape(words)
    for name, stands_for in names.items():
        pattern = pattern.replace(name, stands_for if name == "SEGMENT" else re.escape(stands_for))
    if not re.search(pattern, ended.err):
        yield f"it does not say: {words}"
    if FOREIGN.search(ended.err):
        yield "it says what only a programmer could read"


def documented(words):
    """Whether the page for operators has the sentence: names apart, what a case says stands there."""
    pieces = [piece.strip(": ") for piece in re.split(r"DIR/?|SEGMENT|SNAPSHOT|MANIFEST|\d+|; nothing.*", words)]
    return all(piece in PAGE for piece in pieces if len(piece) > 5)


def check(world, name, spoil, words):
    data, names = world.spoiled(name, spoil)
    before = contents(data)
    for surface, call in world.surfaces(data):
        code, said = READING.get(name, (1, words)) if surface == "journal dump" else (1, words)
        if surface == "journal verify":
            # It tells what it found as its answer.
            said = KEPT if UNREAD.fullmatch(name) else ""
        ended = call()
        wrong = list(faults(ended, code, said, names))
        if contents(data) != before:
            wrong.append("something was changed")
        if not documented(words):
            wrong.append("docs/operations.md does not have it")
        yield surface, wrong, ended


def two_owners(world, home):
    """While a server has the directory, nobody else gets it."""
    server, user = home.server(), world.user
    server.data, world.user = world.good, {}
    server.start()
    for surface, call in world.surfaces(world.good):
        words = f"DIR is in use by process {server.pid}; one directory has one owner at a time"
        ended = call()
        yield surface, list(faults(ended, 1, words, {"DIR": str(world.good)})), ended
    world.user = user
    wrong = [] if server.stop() == 0 else ["the owner did not stop well"]
    yield "the owner", wrong, Ended(subprocess.CompletedProcess([], 0, b"", b""))


def failing_reads(world):
    """A disk that fails to read the last segment."""
    data = world.copied("failing-reads")
    world.give(data)
    traced = begun_segments(data)[-1]
    world.prefix = ["strace", "-f", "-qq", "-o", str(data.parent / "trace"), "-P", str(traced)]
    world.prefix += ["-e", "trace=pread64", "-e", "inject=pread64:error=EIO"]
    words = "failed to read DIR/SEGMENT: at offset 0: input/output error; look at the disk and at the system's log"
    names = {"DIR": str(data), "SEGMENT": traced.name}
    for surface, call in world.surfaces(data):
        ended = call()
        yield surface, list(faults(ended, 1, KEPT if surface == "journal verify" else words, names)), ended
    world.prefix = []


def parents_missing(world):
    """Whatever is missing above a new directory is made."""
    data = world.home / "parents"
    data.mkdir()
    if world.user:
        os.chown(data, NOBODY, NOBODY)
    ended = world.run("longshore", "--engine", f"log:{data}/a/b/c", "enqueue", "q", "send", "1")
    again = world.run("longshore", "journal", "dump", data / "a/b/c", "--event", "enqueued")
    yield "longshore", list(faults(ended, 0, "", {})), ended
    missing = [] if '"number":1' in again.out else ["nothing was dumped"]
    yield "journal dump", [*faults(again, 0, "", {}), *missing], again


def read_only(world):
    """A disk that is mounted read-only: it can be dumped, and nothing else. Where no name space of its own is given, a
    directory in which nothing may be written stands for it."""
    user, data = world.user, world.copied("read-only")
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    mounted = ["unshare", "-rm", "sh", "-c", script, str(data)]
    tried = subprocess.run([*mounted, "true"], capture_output=True, check=False, timeout=PATIENCE_S)
    if tried.returncode == 0:
        words = "failed to open DIR/MANIFEST: read-only file system; a read-only disk can be looked at"
        world.prefix, world.user = mounted, {}
    else:
        words = "failed to lock DIR/LOCK: permission denied"
        world.give(data)
        (data / "LOCK").chmod(0o444)
        data.chmod(0o555)
    for surface, call in world.surfaces(data):
        reads, ended = surface.startswith("journal"), call()
        wrong = list(faults(ended, 0 if reads else 1, "" if reads else words, {"DIR": str(data)}))
        if reads and not re.search('"event":"started"|^sound: ', ended.out):
            wrong.append("nothing was read")
        yield surface, wrong, ended
    world.prefix, world.user = [], user


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    passed = failed = 0
    with Home("failures") as home:
        world = World(home)
        cases = [(name, lambda case=case: check(world, *case)) for case in CASES for name in [case[0]]]
        cases.append(("read-only disk", lambda: read_only(world)))
        cases.append(("failing reads", lambda: failing_reads(world)))
        cases.append(("parents missing", lambda: parents_missing(world)))
        cases.append(("two owners", lambda: two_owners(world, home)))
        for name, answers in cases:
            for surface, wrong, ended in answers():
                if part not in f"{surface} {name}":
                    continue
                failed, passed = failed + bool(wrong), passed + (not wrong)
                print(f"{'FAULT' if wrong else 'ok':5} {surface:12} {name}")
                for fault in wrong:
                    print(f"      {fault}\n      in: {ended.err.strip()[:600]}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
