"""Runs the commands that documents show, and compares what they print with what the document says.

    tests/readme.py README.md docs/*.md

A fenced block is run when the line before it is one of these comments (a reader never sees them):

    <!-- test -->              run the block in the document's directory
    <!-- test: fresh -->       first stop what runs in the background and change to a new, empty directory
    <!-- test: background -->  leave the block's last command running, as a second terminal would
    <!-- test: file NAME -->   write the block to the file NAME (any language)

A `sh` block is a script that must exit 0; what it prints is not compared. In a `console` block a line `$ command`
(continued on lines that begin `> `) is a command, and the lines up to the next one are all that it prints on both
streams. A command must exit 0, or with N if it ends in `# exit N`; one that ends in ` &` keeps running, and what is
printed of it need only be its beginning.

`…` matches anything within a line; a line that is only `…` matches any number of lines, none as well.

Each document has a throw-away directory, which holds `target` and a copy of `examples`; the built programs come first
on PATH, and `cargo run --release --bin P --` runs the built P. `$!` is the last command left running; after a command
that kills it, the runner waits for its end. `cd` lasts until the next `fresh`. Longshore's default ports stand for
free ones, so documents can be run beside a server and beside each other.
"""

import dataclasses
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

import groups  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND_SECONDS = 60
STOP_SECONDS = 10
PORTS = {"listen": 7600, "admin": 7601, "dashboard": 7610}

MARK = re.compile(r"<!--\s*test(?::\s*(fresh|background|file)(?:\s+(\S+))?)?\s*-->")
FENCE = re.compile(r"(`{3,})\s*(\w*)")
CARGO_RUN = re.compile(r"cargo run --release --bin ([\w-]+)(?: --(?=\s|$))?")
EXIT_NOTE = re.compile(r"#\s*exit (\d+)\s*$")


@dataclasses.dataclass
class Block:
    """A marked fenced block: `line` is that of its first content line."""

    line: int
    language: str
    option: str | None
    name: str | None
    content: list[str]


@dataclasses.dataclass
class Step:
    """One command with what it should print; `expected` is None where output is not compared."""

    line: int
    command: str
    expected: list[str] | None
    background: bool


class Mismatch(Exception):
    """The document and the program disagree; the text says how."""


def marked_blocks(text):
    lines, mark, index = text.split("\n"), None, 0
    while index < len(lines):
        line = lines[index]
        fence = FENCE.match(line)
        if fence:
            end = index + 1
            while end < len(lines) and lines[end].strip() != fence[1]:
                end += 1
            if mark:
                yield Block(index + 2, fence[2], mark[1], mark[2], lines[index + 1 : end])
            mark, index = None, end
        elif line.strip():
            mark = MARK.fullmatch(line.strip())
        index += 1


def steps_of(block):
    if block.language == "sh":
        script = "set -euo pipefail\n" + "\n".join(block.content)
        return [Step(block.line, script, None, block.option == "background")]
    if block.language != "console":
        raise Mismatch(f"line {block.line}: only sh and console blocks can be run, not {block.language or 'plain ones'}")
    steps = []
    for offset, line in enumerate(block.content):
        if line.startswith("$ "):
            steps.append(Step(block.line + offset, line[2:], [], False))
        elif not steps:
            raise Mismatch(f"line {block.line + offset}: output before the first `$ command`")
        elif line.startswith("> ") and not steps[-1].expected:
            steps[-1].command += "\n" + line[2:]
        else:
            steps[-1].expected.append(line)
    for step in steps:
        if step.command.rstrip().endswith(" &"):
            step.command, step.background = step.command.rstrip()[:-2], True
    if steps and block.option == "background":
        steps[-1].background = True
    return steps


def pattern_of(expected):
    """A regular expression for whole lines, each with its line feed."""
    parts = []
    for line in expected:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n")
    return re.compile("".join(parts))


def free_ports():
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return dict(zip(PORTS.values(), ports))


class Session:
    """The directory, the environment and the running programs of one document."""

    def __init__(self):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="longshore-readme-"))
        self.count = 0
        self.running = []
        self.start_fresh()

    def start_fresh(self):
        self.stop()
        self.count += 1
        self.directory = self.base / str(self.count)
        self.directory.mkdir()
        (self.directory / "target").symlink_to(ROOT / "target")
        if (ROOT / "examples").is_dir():
            shutil.copytree(ROOT / "examples", self.directory / "examples")
        self.ports = free_ports()
        self.environment = {
            **{name: os.environ[name] for name in ("HOME", "USER", "LANG", "TERM") if name in os.environ},
            "PATH": f"{ROOT / 'target/release'}:{os.environ['PATH']}",
            "LONGSHORE_LISTEN": f"127.0.0.1:{self.ports[7600]}",
            "LONGSHORE_DASHBOARD_LISTEN": f"127.0.0.1:{self.ports[7610]}",
            "LONGSHORE_ADMIN": f"127.0.0.1:{self.ports[7601]}",
            "LONGSHORE_ENGINE": f"longshore://127.0.0.1:{self.ports[7600]}",
        }

    def stop(self):
        for process, _ in self.running:
            groups.end(process, STOP_SECONDS)
        self.running = []

    def close(self):
        self.stop()
        shutil.rmtree(self.base, ignore_errors=True)

    def translated(self, command):
        command = CARGO_RUN.sub(r"target/release/\1", command)
        if self.running:
            command = command.replace("$!", str(self.running[-1][0].pid))
        for default, port in self.ports.items():
            command = re.sub(rf"(\b(?:127\.0\.0\.1|localhost):|-p ){default}\b", rf"\g<1>{port}", command)
        return command

    def read_back(self, path):
        text = path.read_text(encoding="utf-8", errors="replace")
        for default, port in self.ports.items():
            text = text.replace(f":{port}", f":{default}")
        return text if not text or text.endswith("\n") else text + "\n"

    def write_file(self, block):
        target = self.directory / block.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("\n".join(block.content) + "\n", encoding="utf-8")

    def start(self, command):
        """Starts a shell in a process group of its own, its output in a file: nobody waits for whoever keeps a pipe."""
        descriptor, path = tempfile.mkstemp(dir=self.base)
        with os.fdopen(descriptor, "wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", command], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )
        return process, pathlib.Path(path)

    def run(self, step):
        if step.background:
            self.run_in_background(step)
        else:
            self.run_to_the_end(step)

    def run_in_background(self, step):
        process, path = self.start(self.translated(step.command))
        self.running.append((process, path))
        pattern, limit = pattern_of(step.expected or []), time.monotonic() + COMMAND_SECONDS
        while not pattern.match(self.read_back(path)):
            if process.poll() is not None or time.monotonic() > limit:
                raise Mismatch(difference(step.expected, self.read_back(path)))
            time.sleep(0.02)

    def run_to_the_end(self, step):
        where = self.base / "where"
        process, path = self.start(f"trap 'pwd > {where}' EXIT\n{self.translated(step.command)}")
        try:
            status = process.wait(COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            groups.end(process, STOP_SECONDS)
            raise Mismatch(f"still running after {COMMAND_SECONDS} s; it printed\n{self.read_back(path)}") from None
        self.directory = pathlib.Path(where.read_text().strip())
        if re.search(r"\bkill (?!-0 ).*\$!", step.command):
            self.await_end(self.running[-1][0])
        printed, note = self.read_back(path), EXIT_NOTE.search(step.command)
        if status != (int(note[1]) if note else 0):
            raise Mismatch(f"exit status {status}; it printed\n{printed}")
        if step.expected is not None and not pattern_of(step.expected).fullmatch(printed):
            raise Mismatch(difference(step.expected, printed))

    def await_end(self, process):
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Mismatch(f"the killed program still runs after {STOP_SECONDS} s") from None


def difference(expected, printed):
    def indented(lines):
        return "\n".join(f"    | {line}" for line in lines)

    return f"the document says\n{indented(expected or [])}\n  it printed\n{indented(printed.splitlines())}"


def run_document(path):
    """Runs one document up to its first fault, since later commands build on earlier ones; returns (passed, failed)."""
    session, passed, line = Session(), 0, 0
    try:
        for block in marked_blocks(path.read_text(encoding="utf-8")):
            line = block.line
            if block.option == "fresh":
                session.start_fresh()
            if block.option == "file":
                session.write_file(block)
                continue
            for step in steps_of(block):
                line = step.line
                session.run(step)
                passed += 1
        return passed, 0
    except Mismatch as fault:
        print(f"{path}:{line}: {fault}")
        return passed, 1
    finally:
        session.close()


def main(names):
    passed = failed = 0
    for name in names:
        good, bad = run_document(pathlib.Path(name))
        print(f"{name}: {good} commands as shown, {bad} not")
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
