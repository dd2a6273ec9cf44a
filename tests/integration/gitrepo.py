# SPDX-License-Identifier: Apache-2.0
"""Repositories and worktrees to test with, and the question whether host git ran what an agent
planted."""

import os

from lib import check

IDENTITY = {
    "GIT_AUTHOR_NAME": "T",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def git(t, where, *args, check_status=True):
    """Host git as the owner of the workspaces."""
    return t.as_owner("git", *args, cwd=where, env=IDENTITY, check_status=check_status)


def repository(t, files=None):
    """A plain repository with one commit."""
    top = t.workspace(files or {"README": "hello\n"})
    git(t, top, "init", "-q", "-b", "main")
    git(t, top, "add", "-A")
    git(t, top, "commit", "-q", "-m", "first")
    return top


def worktree(t, repo=None):
    """(repository, worktree, gitdir) with branch `work`."""
    repo = repo or repository(t)
    tree = os.path.join(t.suite.work, t.unique("wt"))
    t.dirs.append(tree)
    git(t, repo, "worktree", "add", "-q", "-b", t.unique("work"), tree)
    with open(tree + "/.git", encoding="utf-8") as f:
        gitdir = f.read().strip()[len("gitdir: ") :]
    return repo, tree, gitdir


# One that runs something: of one made in the first tick of a sandbox nothing else says whose it is.
STEERED = "git init -q {0} && git -C {0} config core.fsmonitor /bin/false"

INSIDE = (
    "export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b; "
)


class Canary:
    """A program that leaves a file when somebody runs it, and the check that nobody did."""

    def __init__(self, t, where):
        self.t = t
        self.mark = os.path.join(t.suite.work, t.unique("canary-ran"))
        self.program = os.path.join(where, "canary.sh")
        with open(self.program, "w", encoding="ascii") as f:
            f.write(f"#!/bin/sh\ntouch {self.mark} 2>/dev/null\nexit 0\n")
        os.chmod(self.program, 0o755)
        t.own(self.program)
        os.chmod(t.suite.work, 0o1777)  # as /tmp: the work of others is not theirs

    PLAIN = (("status",), ("diff",), ("log", "-1"), ("status", "--ignored"))
    # what docs/git.md tells programs to say while a sandbox runs
    CAREFUL = (
        ("status", "--ignore-submodules=all"),
        ("diff", "--ignore-submodules=all", "--no-ext-diff", "--no-textconv"),
        ("log", "-1"),
    )

    def after_host_git(self, *places, commands=PLAIN):
        """Git on the host, as a person would use it, must not run the program."""
        for place in places:
            for command in commands:
                git(self.t, place, *command, check_status=False)
        ran = os.path.exists(self.mark)
        if ran:
            os.unlink(self.mark)
        check(not ran, f"host git ran what the sandbox planted ({places})")
