# SPDX-License-Identifier: Apache-2.0
"""The play: a repository without what is wanted, and what each stage's agent does about it.

Each scene is one shell command of an agent. Those that may not write try it: that it fails is part
of the play.
"""

README = "# greet\n\nWanted: greet(name) in greet.py.\n"

TEST = """\
import sys
import unittest

sys.path.insert(0, ".")

from greet import greet


class Greet(unittest.TestCase):
    def test_greets_by_name(self):
        self.assertEqual(greet("world"), "Hello, world!")
"""

GREET = """\
def greet(name):
    return f"Hello, {name}!"
"""

RUN_TESTS = "python3 -B -m unittest discover -s tests"
REFUSED = "refused, as it should be"


def write(path, text):
    return f"cat >{path} <<'END'\n{text}END\n"


def refuses(command):
    return f"if ({command}) 2>/dev/null; then echo NOT REFUSED; else echo {REFUSED}; fi"


SCENES = {
    "planner": {
        "command": "cat README.md; echo '$ touch plan.md'; " + refuses("touch plan.md"),
        "says": "The plan: a test of greet(name) first, then greet.py.",
    },
    "test-writer": {
        "command": write("tests/test_greet.py", TEST)
        + f"{RUN_TESTS} 2>&1 | tail -1; echo '$ touch greet.py'; "
        + refuses("touch greet.py"),
        "says": "The test is written, and fails as it must.",
    },
    "implementor": {
        "command": write("greet.py", GREET)
        + f"{RUN_TESTS} 2>&1 | tail -1 && git add greet.py tests && "
        "git commit -q -m 'Greet by name' && git log --oneline -1",
        "says": "greet.py is written and committed, its test passes.",
    },
    "reviewer": {
        "command": "git show --stat --format=%s HEAD; echo '$ echo >>greet.py'; "
        + refuses("echo >>greet.py"),
        "says": "It does what was asked, and no more.",
    },
    "judge": {"command": "git status --short | wc -l", "says": "The tests decide."},
}

# stage, tool, what its agent is told
STAGES = [
    ("planner", "claude", "Plan what README.md wants."),
    ("test-writer", "claude", "Write the test."),
    ("implementor", "codex", "Make the test pass and commit."),
    ("reviewer", "codex", "Review the commit."),
    ("judge", "claude", "Judge it."),
]


def prompt(stage, words):
    """The scripted API finds the scene by the mark in front."""
    return f"[stage {stage}] {words}\n"
