"""A copy of the tree in which one change at a time is planted, built, tested, and taken back.

For the two scripts that show that the tests can fail: `defects/run` and `tests/mutants.py`. The working tree is never
touched. The build is the tests' own, with less optimisation: compiling is most of the work here.
"""

import os
import pathlib
import re
import shutil
import subprocess

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
FAILED_TEST = re.compile(r"^ *(?:FAIL|TIMEOUT|ABORT|SIG\w+|LEAK-FAIL) \[[^]]*\] +(?:\([^)]*\) +)?(\S.*?) *$", re.MULTILINE)


class Unusable(Exception):
    """A change that says nothing about the tests: it cannot be planted, or does not compile."""


class Stage:
    """A build, and the tests after it: what fails first has caught the change."""

    def __init__(self, build, *tests):
        self.build, self.tests = build, tests


def nextest(*scope):
    """The tests of a scope, which end with the first that fails."""
    run = ["cargo", "nextest", "run", "--release", "--all-features", *scope]
    return Stage([*run, "--no-run"], [*run, "--max-fail=1:immediate", "--status-level=fail", "--final-status-level=none"])


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
            built, said = self._run(stage.build)
            if not built:
                raise Unusable(f"it does not compile:\n{said}")
            for command in stage.tests:
                passed, said = self._run(command)
                if not passed:
                    found = FAILED_TEST.search(said)
                    return found.group(1) if found else " ".join(command)
        return None

    def _run(self, command):
        done = subprocess.run(
            command,
            cwd=self.place,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return done.returncode == 0, done.stdout


def apply(patch, place, *options):
    """Applies the text of a patch to the files of a folder."""
    done = subprocess.run(["git", "apply", *options], cwd=place, input=patch, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Unusable(f"the patch does not apply:\n{done.stderr}")
