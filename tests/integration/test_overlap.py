# SPDX-License-Identifier: Apache-2.0
"""Several sandboxes, and the user's own git, on the same repository at the same time."""

import os

import daemon as daemon_module
from gitrepo import INSIDE, Canary, git, repository, worktree
from harness import timeout
from lib import check, equal, until
from test_adopt import daemon, keepers_of, kill_keepers


def steer(file, canary):
    """A script that makes FILE say what would run the canary."""
    return f"printf '[core]\\n\\tfsmonitor = {canary.program}\\n' >>{file}"


def test_worktree_added_while_a_sandbox_has_the_repository(t):
    """The first of its repository: its directory is not the agent's to write."""
    repo = repository(t)
    s = t.sandbox(workspace=repo)
    canary = Canary(t, repo)
    _, tree, gitdir = worktree(t, repo)
    evil = f"git init -q evil; {steer('evil/.git/config', canary)}; "
    for name in ("commondir", "config.worktree"):
        r = t.run(s, ["/bin/sh", "-c", evil + f"echo {repo}/evil/.git >{gitdir}/{name}"])
        check(r["exitCode"] != 0, f"{name} is writable")
    canary.after_host_git(tree)
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    canary.after_host_git(tree, repo)
    git(t, repo, "worktree", "remove", tree)
    check(not os.path.exists(gitdir), "the worktree's directory")


def test_submodule_repository_planted_in_a_worktree(t):
    """`git submodule update` of the user's would take what lies in modules."""
    inner = repository(t, {"in": "x"})
    repo = repository(t)
    allow = ("-c", "protocol.file.allow=always")
    git(t, repo, *allow, "submodule", "add", "-q", inner, "sub")
    git(t, repo, "commit", "-q", "-m", "sub")
    _, tree, gitdir = worktree(t, repo)
    canary = Canary(t, tree)
    s = t.sandbox(workspace=tree)
    plant = f"cp -r {repo}/.git/modules {gitdir}/ && {steer(gitdir + '/modules/sub/config', canary)}"
    check(t.run(s, ["/bin/sh", "-c", plant])["exitCode"] != 0, "modules is writable")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    git(t, tree, *allow, "submodule", "update", "-q", "--init")
    canary.after_host_git(tree, repo)
    s = t.sandbox(workspace=tree)
    equal(t.sh(s, "git -C sub log -1 --format=%s; git status --porcelain"), "first\n?? canary.sh\n", "inside")
    check(t.run(s, ["/bin/sh", "-c", steer(gitdir + "/modules/sub/config", canary)])["exitCode"] != 0, "modules")


def init_in_turn(t, client, ws):
    """The first of two sandboxes on a plain folder makes a repository of it and goes, before the
    second, which found it there."""
    canary = Canary(t, ws)
    a = client.call("sandbox.create", {"workspace": ws})
    t.sh(a, "git init -q .; " + steer(".git/config", canary), client=client)
    b = client.call("sandbox.create", {"workspace": ws})
    client.call("sandbox.remove", {"sandbox": a["name"]})
    return canary, b


def test_a_repository_handed_over(t):
    ws = t.workspace()
    canary, last = init_in_turn(t, t.client, ws)
    t.client.call("sandbox.remove", {"sandbox": last["name"], "force": True})
    canary.after_host_git(ws)
    check(os.path.isdir(ws + "/.git.quarantined"), "it was not set aside")


@timeout(120)
def test_a_repository_handed_over_and_the_keeper_killed(t):
    ws = t.workspace()
    with daemon(t) as d:
        c = t.connect(daemon=d)
        canary, last = init_in_turn(t, c, ws)
        old = kill_keepers(t, d)
        until(lambda: set(keepers_of(t, d)) - set(old), 10, "a new keeper")
        c.call("sandbox.remove", {"sandbox": last["name"], "force": True})
        canary.after_host_git(ws)
        check(os.path.isdir(ws + "/.git.quarantined"), "it was not set aside")


def covered(t, s, path, client):
    return t.run(s, ["grep", "-q", f" {path} ", "/proc/self/mountinfo"], client=client)["exitCode"] == 0


def stays_covered(t, sandboxes, path, file="", client=None):
    """The cover of PATH comes back, and what is FILE in it cannot be written."""
    for s in sandboxes:
        until(lambda: covered(t, s, path, client), 10, f"a cover of {path}")
        r = t.run(s, ["/bin/sh", "-c", f"mkdir -p {os.path.dirname(path + file)}; echo x >>{path}{file}"], client=client)
        check(r["exitCode"] != 0, f"{path}{file} is writable")


def test_the_owners_git_replaces_what_is_covered(t):
    """With the old file its cover goes, in every sandbox that has it."""
    repo = repository(t)
    both = [t.sandbox(workspace=repo) for _ in range(2)]
    for i in range(3):
        git(t, repo, "config", "user.name", f"name {i}")
        stays_covered(t, both, repo + "/.git/config")
    os.unlink(repo + "/.git/commondir")
    os.rename(repo + "/.git/hooks", repo + "/.git/hooks-of-old")
    stays_covered(t, both, repo + "/.git/commondir")
    stays_covered(t, both, repo + "/.git/hooks", "/pre-commit")
    t.client.call("sandbox.remove", {"sandbox": both[0]["name"]})
    git(t, repo, "config", "user.name", "name")
    stays_covered(t, both[1:], repo + "/.git/config")
    t.client.call("sandbox.remove", {"sandbox": both[1]["name"]})
    left = sorted(os.listdir(repo + "/.git"))
    check("commondir" not in left and "config.worktree" not in left, f"left: {left}")
    equal(git(t, repo, "config", "user.name"), "name\n", "what the owner configured")


@timeout(120)
def test_the_owner_configures_while_no_keeper_runs(t):
    """And while the next one does."""
    repo = repository(t)
    with daemon(t) as d:
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"workspace": repo})
        with daemon_module.held([d.pid]):
            old = kill_keepers(t, d)
            git(t, repo, "config", "user.name", "first")
        until(lambda: set(keepers_of(t, d)) - set(old), 10, "a new keeper")
        stays_covered(t, [s], repo + "/.git/config", client=c)
        git(t, repo, "config", "user.name", "second")
        stays_covered(t, [s], repo + "/.git/config", client=c)


def test_worktrees_come_and_go(t):
    """git removes the directory of the last one, and makes it again for the next."""
    repo = repository(t)
    s = t.sandbox(workspace=repo)
    for _ in range(3):
        _, tree, gitdir = worktree(t, repo)
        stays_covered(t, [s], repo + "/.git/worktrees", gitdir[len(repo + "/.git/worktrees") :] + "/commondir")
        git(t, repo, "worktree", "remove", tree)


def test_what_the_owner_adds_to_his_repository_stays(t):
    """Worktrees below the working tree, and submodules, are named by files that are new."""
    inner, repo = repository(t), repository(t)
    s = t.sandbox(workspace=repo)
    tree = repo + "/in/tree"
    git(t, repo, "worktree", "add", "-q", "-b", "side", tree)
    git(t, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, "sub")
    other = t.sandbox(workspace=tree)
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    t.sh(other, INSIDE + "git commit -q --allow-empty -m inside")
    for where in (repo, tree, repo + "/sub"):
        git(t, where, "status")
    equal(git(t, tree, "log", "-1", "--format=%s"), "inside\n", "the commit")


def test_what_the_owner_removes_is_not_made_again(t):
    """The whole of it, under the sandbox; something may be in the way of the first try."""
    repo, tree, gitdir = worktree(t)
    both = [t.sandbox(workspace=path) for path in (repo, tree)]
    git(t, repo, "worktree", "remove", "-f", "-f", tree)
    check(not os.path.lexists(gitdir) and not os.path.lexists(tree), "the worktree is there")
    until(lambda: t.as_owner("sh", "-c", f"rm -rf {repo} || echo again") == "", 10, "all is removed")
    for s in both:
        t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    check(not os.path.lexists(repo), "something was made again")


def test_the_owner_configures_a_worktree(t):
    repo, tree, gitdir = worktree(t)
    git(t, repo, "config", "extensions.worktreeConfig", "true")
    s = t.sandbox(workspace=tree)
    for i in range(3):
        git(t, tree, "config", "--worktree", "user.name", f"name {i}")
        stays_covered(t, [s], gitdir + "/config.worktree")
    t.sh(s, INSIDE + "git commit -q --allow-empty -m x; git status")
    git(t, repo, "worktree", "unlock", tree)
    until(lambda: os.path.exists(gitdir + "/locked"), 10, "it is locked while the sandbox has it")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    check(not os.path.exists(gitdir + "/locked"), "still locked")
