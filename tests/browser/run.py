"""The dashboard in a real browser: the programs, real jobs that run, and Chromium, which looks and acts as people do.

    python3 tests/browser/run.py [tests | screenshots] [PART OF A NAME]

Brings what package-lock.json pins into target/browser, finds a Chromium, starts what world.py describes, and hands over
to node: `main.mjs` for the tests, `screenshots.mjs` for docs/screenshots. Whatever was started is ended with it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import groups  # noqa: E402
from longshore import PATIENCE_S, ROOT, Home  # noqa: E402
from world import World  # noqa: E402

PACKAGES = ROOT / "target" / "browser"
PINNED = ("package.json", "package-lock.json")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NODE_MAJOR = 20
INSTALL_SECONDS = 300
RUN_SECONDS = 600
# Somewhat more than the five minutes that the small pictures show.
BUSY_SECONDS = 330


def installed():
    """What the lock file pins is there, as it says, and not installed again while it stays."""
    lock = HERE / "package-lock.json"
    done = PACKAGES / "installed.json"
    if done.is_file() and done.read_bytes() == lock.read_bytes():
        return
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in PINNED:
        shutil.copy(HERE / name, PACKAGES / name)
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run(command, cwd=PACKAGES, check=True, timeout=INSTALL_SECONDS, stdout=subprocess.DEVNULL)
    shutil.copy(lock, done)


def found(names, what):
    """The path of the first of these programs, or the end with what to install."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise SystemExit(f"missing: {what}")


def node():
    path = found(["node"], f"node {NODE_MAJOR} or newer; install the package nodejs")
    version = subprocess.check_output([path, "--version"], text=True, timeout=PATIENCE_S).strip()
    if int(version.lstrip("v").split(".")[0]) < NODE_MAJOR:
        raise SystemExit(f"node is {version}; the browser tests need {NODE_MAJOR} or newer")
    return path


def main():
    task, part = (sys.argv[1:] + ["tests", ""])[0], (sys.argv[2:] + [""])[0]
    if task not in ("tests", "screenshots"):
        raise SystemExit(__doc__)
    program = [node()]
    chromium = found(BROWSERS, "a Chromium; install the package chromium, or Chrome")
    installed()
    script = "main.mjs" if task == "tests" else "screenshots.mjs"
    if task == "tests":
        program += ["--test-reporter", HERE / "reporter.mjs", "--test-name-pattern", part or "."]
    with Home("browser") as home:
        world = World(home)
        if task == "screenshots":
            print(f"jobs run for {BUSY_SECONDS} s, so that there is something to see", flush=True)
            world.busy(BUSY_SECONDS)
        told = home.path / "world.json"
        told.write_text(json.dumps({**world.told(), "chromium": chromium, "packages": str(PACKAGES)}))
        # A group of its own, so that the browser ends with it.
        process = subprocess.Popen([*program, HERE / script, told], start_new_session=True, env={**os.environ})
        try:
            code = process.wait(RUN_SECONDS)
        finally:
            groups.end(process, patience_s=10)
            world.stop()
        assert code == 0, f"{script} ended with {code}"


if __name__ == "__main__":
    try:
        main()
    except AssertionError as error:
        sys.exit(str(error))
