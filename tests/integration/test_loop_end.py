# SPDX-License-Identifier: Apache-2.0
"""What is there of a loop's work when it goes: refused if it would be lost, kept if that is forced."""

import json
import os
import shutil

from gitrepo import INSIDE, git, repository, worktree
from harness import timeout
from lib import check, equal, let_the_clock_tick, text_of, until
from test_artifacts import apply, tree_of
from test_loop import loop


def run(t, made, script, client=None):
    params = {"loopId": made["loopId"], "tool": "shell", "prompt": INSIDE + script, "artifacts": "none"}
    r = (client or t.client).call("loop.run", params, timeout=60)
    equal(r["state"], "completed", f"state: {r}")
    return r


def refuses(t, made, *words, client=None):
    """Nothing happens, and the error says what would be lost."""
    client = client or t.client
    e = client.error("loop.destroy", {"loopId": made["loopId"]}, timeout=60)
    equal((e.code, e.kind, e.field), (-32004, "invalid_state", "loopId"), "refused")
    for word in (made["loopId"], *words):
        check(word in e.message, f"{word} is not in: {e.message}")
    check("force" in e.hint, e.hint)
    there = client.call("loop.get", {"loopId": made["loopId"]})
    equal((there["state"], there["sandboxes"]), ("active", made["sandboxes"]), "it is there")


def destroy(t, made, client=None, **params):
    return (client or t.client).call("loop.destroy", {"loopId": made["loopId"], **params}, timeout=60)


@timeout(90)
def test_refuses_what_is_not_committed(t):
    """With force it is kept: a patch from where the loop began, and the logs; also after a restart."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    base = git(t, tree, "rev-parse", "HEAD").strip()
    made = loop(t, tree, client=c)
    run(t, made, "echo 1 >>README; git commit -q -a -m 1; printf 'a\\000b' >binary; echo out; echo err >&2", c)
    head = git(t, tree, "rev-parse", "HEAD").strip()
    refuses(t, made, "uncommitted changes: README, binary", client=c)
    run(t, made, "echo again", c)
    receipt = destroy(t, made, c, force=True)
    a = receipt["artifacts"]
    equal((receipt["headSha"], a["headSha"], a["baseSha"]), (head, head, base), "commits")
    equal((a["touchedFiles"], a["uncommitted"], a["unreachableCommits"]), (["README", "binary"], True, False), "work")
    equal(apply(t, tree, base, a), tree_of(t, tree), "the tree")
    lines = a["logs"]["executionLog"].splitlines()
    check(len(lines) == 2 and all("exited with status 0" in line for line in lines), lines)
    check("\nout\n" in a["logs"]["stdout"] and "\nagain\n" in a["logs"]["stdout"], a["logs"])
    check("\nerr\n" in a["logs"]["stderr"], a["logs"])
    check(not os.path.exists(gitdir + "/locked"), "still locked")
    equal(destroy(t, made, c), receipt, "again")
    d.kill()
    d.start()
    equal(destroy(t, made, t.connect(daemon=d)), receipt, "after a restart")


@timeout(60)
def test_refuses_commits_on_no_branch(t):
    _, tree, _ = worktree(t)
    made = loop(t, tree)
    run(t, made, "git checkout -q --detach; echo 1 >>README; git commit -q -a -m lost")
    refuses(t, made, "commits that are on no branch: README")
    run(t, made, "git branch found")
    receipt = destroy(t, made)
    equal(receipt["artifacts"]["unreachableCommits"], False, "on a branch")
    check(b"+1" in text_of(receipt["artifacts"]["patch"]), receipt["artifacts"])


@timeout(60)
def test_nothing_is_lost(t):
    """A clean worktree, one that is gone, and no repository: it goes without force."""
    _, tree, _ = worktree(t)
    made = loop(t, tree)
    a = destroy(t, made)["artifacts"]
    equal((a["touchedFiles"], a.get("patch")), ([], None), "clean")
    check(a["emptyBecause"].startswith("no_changes:"), a["emptyBecause"])
    a = destroy(t, loop(t))["artifacts"]
    check(a["emptyBecause"].startswith("no_repository:") and a["headSha"] is None, a)
    _, tree, _ = worktree(t)
    made = loop(t, tree)
    run(t, made, "echo x >x")
    shutil.rmtree(tree)
    a = destroy(t, made)["artifacts"]
    check(a["emptyBecause"].startswith("no_repository:"), a)


@timeout(60)
def test_a_broken_repository(t):
    """What cannot be told is not taken for nothing."""
    top = repository(t)
    made = loop(t, top)
    run(t, made, "echo x >x; rm .git/HEAD")
    refuses(t, made, "cannot be told")
    a = destroy(t, made, force=True)["artifacts"]
    check(a["emptyBecause"].startswith("git_failed:"), a)


@timeout(60)
def test_a_command_that_starts_meanwhile(t):
    """Between the question and git's answer: it is not ended."""
    _, tree, _ = worktree(t)
    made = loop(t, tree)
    params = {"sandbox": made["sandboxes"][0], "command": ["sleep", "100"]}
    lines = [
        {"jsonrpc": "2.0", "id": "destroy", "method": "loop.destroy", "params": {"loopId": made["loopId"]}},
        {"jsonrpc": "2.0", "id": "run", "method": "exec.run", "params": params},
    ]
    t.client.raw(b"".join(json.dumps(x).encode() + b"\n" for x in lines))  # both are there at once
    e = t.client.wait_raw("destroy", 60)["error"]
    check("running execs" in e["message"], e)
    destroy(t, made, force=True)
    equal(t.client.wait_raw("run", 60)["result"]["cause"], "cancelled", "it ended with the loop")


@timeout(60)
def test_time_is_over(t):
    """What nobody destroys keeps its patch, too."""
    _, tree, _ = worktree(t)
    t.put(tree, "x", "x\n")
    made = loop(t, tree, ttlMs=1000)
    until(lambda: t.client.call("loop.get", {"loopId": made["loopId"]})["state"] == "destroyed", 30, "ttl")
    receipt = destroy(t, made)
    equal((receipt["outcome"], receipt["artifacts"]["touchedFiles"]), ("expired", ["x"]), "receipt")


@timeout(60)
def test_rm(t):
    _, tree, _ = worktree(t)
    made = loop(t, tree)
    run(t, made, "echo x >x; printf '\\033[2J' >y")
    p = t.ctl("loop", "rm", made["loopId"])
    equal(p.returncode, 1, "status")
    check(b"uncommitted changes: x" in p.stderr and b"--force" in p.stderr, p.stderr)
    p = t.ctl("loop", "rm", "--force", made["loopId"])
    equal(p.returncode, 0, f"{p}")
    shown = dict(line.split(None, 1) for line in p.stdout.decode().splitlines())
    equal((shown["artifacts.touchedFiles"], shown["headSha"]), ("2", git(t, tree, "rev-parse", "HEAD").strip()), "shown")
    check(shown["artifacts.patch"].startswith("kept") and b"\033" not in p.stdout, p.stdout)
    p = t.ctl("loop", "rm", "-o", "json", made["loopId"])
    check(b"+x" in text_of(json.loads(p.stdout)["artifacts"]["patch"]), "with -o json")


@timeout(60)
def test_refs_that_changed(t):
    """The receipt names those that the loop's own branch is not."""
    repo, tree, _ = worktree(t)
    git(t, repo, "branch", "other")
    git(t, repo, "tag", "kept")
    git(t, repo, "pack-refs", "--all")
    made = loop(t, tree)
    run(t, made, "git commit -q --allow-empty -m 1; git branch new; git branch -q -f other; git stash list")
    equal(destroy(t, made)["refsChanged"], ["refs/heads/new", "refs/heads/other"], "of a worktree")
    equal(destroy(t, loop(t, tree))["refsChanged"], [], "of a loop that changed none")
    equal(destroy(t, loop(t))["refsChanged"], None, "of no repository")
    top = repository(t)
    made = loop(t, top)
    run(t, made, "git checkout -q -b mine; git commit -q --allow-empty -m 1; git tag v1")
    equal(destroy(t, made)["refsChanged"], ["refs/heads/mine", "refs/tags/v1"], "of a repository")


@timeout(60)
def test_repositories_inside(t):
    """Those that were made are named, not those that were there."""
    _, tree, _ = worktree(t)
    os.mkdir(tree + "/old")
    t.own(tree + "/old")
    git(t, tree + "/old", "init", "-q")
    let_the_clock_tick()  # what was made within a tick of the claim is named, too
    made = loop(t, tree)
    run(t, made, "mkdir -p a/b; git init -q a/b; echo x >file; cd a; echo gitdir: /x >.git")
    a = destroy(t, made, force=True)["artifacts"]
    equal(a["gitsInside"], ["a/.git", "a/b/.git"], "gitsInside")
