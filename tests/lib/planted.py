"""A copy of the tree in which one change at a time is planted, built, tested, and taken back.

For the two scripts that show that the tests can fail: `defects/run` and `tests/mutants.py`. The working tree is never
touched. The build is the tests' own, with less optimisation: compiling is most of the work here.

A test has caught a change only if it says so: a runner names the test, which fails again when it is run alone, a script
prints the line that it fails with, or the tests come to no end. What fails in any other way says nothing about the tests,
and is told as such.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import groups

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    **os.environ,
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_DEBUG": "false",
    "CARGO_PROFILE_RELEASE_INCREMENTAL": "true",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "64",
    "CARGO_TERM_COLOR": "never",
}
# The scripts look for the programs in the tree that they stand in.
ENVIRONMENT.pop("CARGO_TARGET_DIR", None)
# nextest names a test that fails, hangs, or dies.
FAILED_TEST = re.compile(r"^ *(?:FAIL|TIMEOUT|ABORT|SIG\w+|LEAK-FAIL) \[[^]]*\] +(?:\([^)]*\) +)?(\S.*?) *$", re.MULTILINE)
# What the scripts print for a case that fails, and what an assertion or a client's call ends them with.
ENDED_BY = r"(?:[\w.]+\.)?(?:AssertionError|ReplyError|Disconnected|TimeoutExpired)\b"
FAILED_LINE = re.compile(rf"^((?:FAULT |fault: |{ENDED_BY}).*)$", re.MULTILINE)
BUILD_SECONDS = 1_800
# nextest ends a test that hangs long before that, and names it.
TEST_SECONDS = 1_200
# Enough for programs that end when they are asked to; nextest gives its tests ten seconds.
GRACE_SECONDS = 30
# How often a test may fail that passes alone.
TRIES = 3
# With less, a failure may be that of a build or a test without room.
FREE_BYTES = 2 << 30


class Unusable(Exception):
    """A change that says nothing about the tests: it cannot be planted, or what fails is no test."""


class NotBuilt(Unusable):
    """It does not compile."""


class Stage:
    """A build, and the tests after it: what fails first has caught the change."""

    def __init__(self, build, *tests):
        self.build, self.tests = build, tests


class Nextest:
    """The tests of a scope, which end with the first that fails."""

    def __init__(self, scope, among):
        self.scope = scope
        self.command = self.only(among)

    def only(self, among):
        run = ["cargo", "nextest", "run", "--release", "--all-features", *self.scope, "--filterset", among]
        return [*run, "--max-fail=1:immediate", "--status-level=fail", "--final-status-level=none"]

    def failed(self, said):
        found = FAILED_TEST.search(said)
        return found and found.group(1)

    def again(self, failed):
        """The one test alone, if it is one: on a busy machine one may fail that waits for something."""
        named = re.fullmatch(r"(\S+) (\S+)", failed)
        return named and self.only(f"binary_id(={named[1]}) & test(={named[2]})")


class Script:
    """A script that starts the programs. It does many things in an order of its own: none can be done again alone."""

    def __init__(self, command):
        self.command = command

    def failed(self, said):
        found = FAILED_LINE.search(said)
        return found and f"{' '.join(self.command)}: {found.group(1)[:300]}"

    def again(self, _failed):
        return None


def nextest(*scope, among="all()"):
    return Stage(["cargo", "nextest", "run", "--release", "--all-features", *scope, "--no-run"], Nextest(scope, among))


def scripts(*commands):
    build = ["cargo", "build", "--release", "--all-features", "--workspace", "--bins"]
    return Stage(build, *map(Script, commands))


def library(floors):
    """The tests of queue-core for a change on these floors of it: what is likeliest to notice it comes first, and only
    what is needed is built."""
    unit = nextest("--package", "queue-core", "--lib")
    behaviour = nextest("--package", "queue-core", "--test", "conformance", "--test", "model")
    others = "not (kind(lib) + binary(conformance) + binary(model))"
    rest = nextest("--package", "queue-core", "--tests", among=others)
    return [behaviour, unit, rest] if "machine" in floors else [unit, rest, behaviour]


class Tree:
    """The copy, in a folder that may be kept from run to run."""

    def __init__(self, place):
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
        self.files = {name for name in names if name and (ROOT / name).is_file()}
        self.restore()
        for old in (path for top in place.iterdir() if top.name != "target" for path in [top, *top.rglob("*")]):
            if old.is_file() and old.relative_to(place).as_posix() not in self.files:
                old.unlink()

    def restore(self):
        """Takes back what was planted. A file that is the same keeps its time, so that nothing is built for it."""
        for name in self.files:
            source, target = ROOT / name, self.place / name
            content = source.read_bytes()
            if not target.is_file() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                shutil.copymode(source, target)

    def caught_by(self, stages, patch=None):
        """The first test that fails with the patch planted; `None` if none does."""
        try:
            if patch:
                apply(patch, self.place)
            return self._first_failure(stages)
        finally:
            self.restore()

    def _first_failure(self, stages):
        for stage in stages:
            code, said = self._run(stage.build, BUILD_SECONDS)
            if code != 0:
                why = "its build does not end" if code is None else "it does not compile"
                raise NotBuilt(f"{why}:\n{said}")
            for tests in stage.tests:
                if caught := self._failure(tests):
                    return caught
        return None

    def _failure(self, tests):
        """What fails of some tests, in their own words."""
        for _ in range(TRIES):
            failed = self._fails(tests, tests.command)
            again = failed and tests.again(failed)
            if not again or self._fails(tests, again):
                return failed
        raise Unusable(f"it failed {TRIES} times, and passed when it was tried again: {failed}")

    def _fails(self, tests, command):
        code, said = self._run(command, TEST_SECONDS)
        if code == 0:
            return None
        if code is None:
            return f"no end within {TEST_SECONDS} s: {' '.join(command)}"
        if failed := tests.failed(said):
            return failed
        raise Unusable(f"`{' '.join(command)}` failed with code {code}, and names no test:\n{said[-2_000:]}")

    def _run(self, command, seconds):
        """A command's exit code, or `None` if it did not end in time; and what it printed."""
        if shutil.disk_usage(self.place).free < FREE_BYTES:
            raise Unusable(f"less than {FREE_BYTES >> 30} GiB are free in {self.place}")
        # A file, not a pipe: what a program left behind would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            ways = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
            running = subprocess.Popen(command, cwd=self.place, env=ENVIRONMENT, start_new_session=True, **ways)
            try:
                code = running.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                groups.end(running, GRACE_SECONDS)
            output.seek(0)
            return code, output.read().decode(errors="replace")


def apply(patch, place, *options):
    """Applies the text of a patch to the files of a folder."""
    done = subprocess.run(["git", "apply", *options], cwd=place, input=patch, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Unusable(f"the patch does not apply:\n{done.stderr}")
