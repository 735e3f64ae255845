"""Keeps the repository's house rules that no compiler checks.

Every Rust file opens with `//!` lines and stays short; lints are switched off only by `expect` with a reason;
nothing that stands in a tracked file names a machine's own folders or is left for later.
"""

import re
import subprocess
import sys

LINES_MAX = 700
NOT_TEXT = {"Cargo.lock", "LICENSE-APACHE", "LICENSE-MIT"}
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|wt|root|Users|home/\w+)/")
LEFT_FOR_LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
SWITCHED_OFF = re.compile(r"#!?\[(cfg_attr\(.*)?allow\(")


def tracked_files():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    return [name for name in subprocess.check_output(command, text=True, timeout=60).split("\0") if name]


def faults_of_line(name, line):
    if MACHINE_PATH.search(line):
        yield "names a folder of one machine"
    if LEFT_FOR_LATER.search(line):
        yield "leaves work behind: do it, or say in words what is not supported"
    if name.endswith(".rs") and SWITCHED_OFF.search(line):
        yield 'switches a lint off: use #[expect(…, reason = "…")]'


def faults_of_file(name):
    try:
        with open(name, encoding="utf-8") as file:
            lines = file.read().split("\n")
    except (FileNotFoundError, UnicodeDecodeError):
        return  # Deleted but not yet committed, or data.
    if name.endswith(".rs"):
        if not lines[0].startswith("//!"):
            yield f"{name}:1: opens without a `//!` line that says what the file is for"
        if len(lines) - 1 > LINES_MAX:
            yield f"{name}: {len(lines) - 1} lines, at most {LINES_MAX}: split it by role"
    for number, line in enumerate(lines, start=1):
        for fault in faults_of_line(name, line):
            yield f"{name}:{number}: {fault}"


def main():
    files = [name for name in tracked_files() if name not in NOT_TEXT]
    faults = [fault for name in files for fault in faults_of_file(name)]
    for fault in faults:
        print(fault)
    print(f"{len(files)} files, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
