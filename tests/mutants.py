"""Do the tests notice a change of what matters most? Mutants of the state machine and of recovery, a drawn sample.

    python3 tests/mutants.py [--seed 1] [--count 100] [--in DIR]
    python3 tests/mutants.py --only 'recovery.rs:100:' 'replace rest_is_zero'   # those whose names contain a text

cargo-mutants lists every mutant of `machine/`, of recovery, snapshots and compaction in `journal/`, and of the engine's
part of recovery. As many as asked for are drawn by the seed, planted one at a time in a copy of the tree, and the
ordinary tests of queue-core are run on each: unit tests, the conformance suite, the model, crash images with the counts
of every run. `machine/invariants.rs` is left out: it is a check that tests alone turn on. A mutant that does not compile
is drawn again. The tree as it is goes through the tests first (not with `--at-once`). `--in DIR` keeps copy and build.

What is not caught is printed, and the run fails if that is more than a tenth. `defects/survivors.md` keeps what
survived the drawn samples, with the reason. Needs cargo-mutants (`cargo install --locked cargo-mutants`) and nextest.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
from planted import ROOT, NotBuilt, Tree, Unusable, library  # noqa: E402

PACKAGE = "queue-core"
SOURCES = [
    "machine/**",
    "journal/recovery.rs",
    "journal/scan.rs",
    "journal/cut.rs",
    "journal/snapshot.rs",
    "journal/compaction.rs",
    "engine/local/recover.rs",
]
CHECKS = "machine/invariants.rs"
CAUGHT_AT_LEAST = 0.9


def all_mutants():
    """Every mutant as (name, file, patch)."""
    files = [argument for source in SOURCES for argument in ("--file", f"{PACKAGE}/src/{source}")]
    command = ["cargo", "mutants", "--list", "--json", "--diff", "--package", PACKAGE, "--all-features"]
    command += [*files, "--exclude", f"{PACKAGE}/src/{CHECKS}"]
    listed = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=600).stdout)
    return sorted((mutant["name"], mutant["file"], patch(mutant)) for mutant in listed)


def patch(mutant):
    """Its difference, with the file's name alone in the head."""
    lines = mutant["diff"].split("\n")
    return "\n".join([f"--- a/{mutant['file']}", f"+++ b/{mutant['file']}", *lines[2:]])


def outcome(tree, file, patch):
    """`caught`, `missed`, `unviable` or `unclear`, and the test that caught it or what failed instead of one."""
    floor = pathlib.Path(file).relative_to(PACKAGE).parts[1]
    try:
        test = tree.caught_by(library({floor}), patch)
    except NotBuilt:
        return "unviable", None
    except Unusable as error:
        return "unclear", str(error)
    return ("caught", test) if test else ("missed", None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="no sample, but every mutant whose name contains TEXT")
    parser.add_argument("--in", dest="place", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--at-once", action="store_true")
    options = parser.parse_args()
    mutants = all_mutants()
    print(f"{len(mutants)} mutants", flush=True)
    if options.only:
        drawn = [mutant for mutant in mutants if any(text in mutant[0] for text in options.only)]
        options.count = len(drawn)
    else:
        drawn = random.Random(options.seed).sample(mutants, len(mutants))
    if options.place:
        return run(drawn, options, options.place.resolve())
    with tempfile.TemporaryDirectory(prefix="longshore-mutants-") as scratch:
        return run(drawn, options, pathlib.Path(scratch))


def run(drawn, options, place):
    tree = Tree(place)
    if not options.at_once and (failing := tree.caught_by(library({"machine"}))):
        sys.exit(f"without any change a test fails already: {failing}")
    of = {"caught": [], "missed": [], "unclear": [], "unviable": []}
    for name, file, patch in drawn:
        if viable(of) == options.count:
            break
        word, test = outcome(tree, file, patch)
        of[word].append(name)
        print(f"{word}  {name}" + (f"\n    {test}" if test else ""), flush=True)
    print("\n".join(["", *(f"{word}  {name}" for word in ("missed", "unclear") for name in of[word])]))
    print(", ".join(f"{len(names)} {word}" for word, names in of.items()))
    return 0 if len(of["caught"]) >= CAUGHT_AT_LEAST * viable(of) else 1


def viable(of):
    """How many count: where no test failed and something else did, none has caught the change."""
    return sum(len(names) for word, names in of.items() if word != "unviable")


if __name__ == "__main__":
    sys.exit(main())
