"""The runner of documents must notice what is wrong: each case is a document that lies, and what the runner says."""

import contextlib
import io
import pathlib
import tempfile
import unittest

import readme


def run(document):
    """Runs the text as a document; returns ((passed, failed), what was said)."""
    said = io.StringIO()
    with tempfile.NamedTemporaryFile("w", suffix=".md", encoding="utf-8") as file, contextlib.redirect_stdout(said):
        file.write(document)
        file.flush()
        return readme.run_document(pathlib.Path(file.name)), said.getvalue()


def console(content, mark="<!-- test -->"):
    return f"{mark}\n```console\n{content}\n```\n"


class Lies(unittest.TestCase):
    def check(self, document, counts, says):
        result, said = run(document)
        self.assertEqual(result, counts)
        self.assertIn(says, said)

    def test_other_output(self):
        self.check(console("$ true\n$ echo a\nb"), (1, 1), "| a")

    def test_more_output_than_shown(self):
        self.check(console("$ printf 'a\\nb\\n'\na"), (0, 1), "| b")

    def test_placeholder_stays_within_its_line(self):
        self.check(console("$ printf 'a 1\\nb\\n'\na … b"), (0, 1), "| a 1")

    def test_other_exit_status(self):
        self.check(console("$ false"), (0, 1), "exit status 1")
        self.check(console("$ true  # exit 3"), (0, 1), "exit status 0")

    def test_failing_line_inside_a_script(self):
        self.check("<!-- test -->\n```sh\nfalse\ntrue\n```\n", (0, 1), "exit status 1")

    def test_server_that_ends_before_it_is_ready(self):
        self.check(console("$ echo starting &\nready"), (0, 1), "| starting")

    def test_language_that_cannot_be_run(self):
        self.check("<!-- test -->\n```rust\nfn main() {}\n```\n", (0, 1), "not rust")

    def test_unmarked_blocks_are_left_alone(self):
        self.check("```console\n$ false\n```\n", (0, 0), "")


if __name__ == "__main__":
    unittest.main()
