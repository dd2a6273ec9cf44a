# SPDX-License-Identifier: Apache-2.0
"""Worktrees and plain repositories: what works inside, what is protected, what is refused."""

import os

from gitrepo import INSIDE, git, repository, worktree
from harness import exited, modes, refused
from lib import check, equal


def test_commit_in_a_worktree(t):
    """The whole work of an agent: status, add, commit, log, diff, branch, stash, seen outside."""
    repo, tree, _ = worktree(t)
    s = t.sandbox(workspace=tree)
    equal(t.sh(s, "git status --porcelain"), "", "status")
    t.sh(s, INSIDE + "echo more >>README; git diff --stat; git add -A; git commit -q -m inside")
    equal(git(t, tree, "log", "-1", "--format=%s").strip(), "inside", "log outside")
    equal(git(t, tree, "status", "--porcelain"), "", "status outside")
    t.sh(s, INSIDE + "echo x >x; git add x; git stash -q; git stash pop -q; git commit -q -m two")
    t.sh(s, INSIDE + "git checkout -q -b side; git commit -q --allow-empty -m three; git tag v1")
    t.sh(s, INSIDE + "git reset -q --hard HEAD~1; git rebase -q HEAD~1; git log --oneline")
    check("side" in git(t, repo, "branch", "--list", "side"), "the branch is seen outside")
    git(t, repo, "fsck", "--no-progress")


def test_commit_in_a_repository(t):
    repo = repository(t)
    s = t.sandbox(workspace=repo)
    t.sh(s, INSIDE + "echo more >>README; git commit -q -a -m inside; git checkout -q -b other")
    equal(git(t, repo, "log", "-1", "--format=%s").strip(), "inside", "log outside")
    equal(git(t, repo, "rev-parse", "--abbrev-ref", "HEAD").strip(), "other", "branch outside")


def test_commit_in_a_shared_repository_of_two_worktrees(t):
    repo = repository(t)
    _, a, _ = worktree(t, repo)
    _, b, _ = worktree(t, repo)
    sa, sb = t.sandbox(workspace=a), t.sandbox(workspace=b)
    t.sh(sa, INSIDE + "echo a >a; git add a; git commit -q -m from-a")
    t.sh(sb, INSIDE + "echo b >b; git add b; git commit -q -m from-b")
    log = git(t, repo, "log", "--all", "--format=%s")
    check("from-a" in log and "from-b" in log, log)
    listed = t.sh(sa, "git worktree list --porcelain || true")
    check(b not in listed, "the other worktree's dir is shown")


def test_lock_goes_when_both_sandboxes_of_a_worktree_go_at_once(t):
    repo, tree, gitdir = worktree(t)
    for _ in range(4):
        two = [t.sandbox(workspace=tree)["name"] for _ in range(2)]
        check(os.path.exists(gitdir + "/locked"), "not locked")
        sent = [t.client.send("sandbox.remove", {"sandbox": name, "force": True}) for name in two]
        for rid in sent:
            t.client.wait(rid)
        check(not os.path.exists(gitdir + "/locked"), "still locked")


def test_worktree_is_locked_while_claimed(t):
    """With a reason that says how to free it; unlocked by stop and by remove."""
    repo, tree, gitdir = worktree(t)
    s = t.sandbox(workspace=tree)
    check(os.path.exists(gitdir + "/locked"), "not locked")
    with open(gitdir + "/locked", encoding="utf-8") as f:
        reason = f.read()
    check("sandbox" in reason and s["name"] in reason, f"reason {reason!r}")
    git(t, repo, "worktree", "prune")
    check(os.path.exists(gitdir), "pruned")
    out = git(t, repo, "worktree", "remove", "--force", tree, check_status=False)
    check(os.path.exists(tree), f"removed while claimed: {out}")
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    check(not os.path.exists(gitdir + "/locked"), "locked after stop")
    t.client.call("sandbox.start", {"sandbox": s["name"]})
    check(os.path.exists(gitdir + "/locked"), "not locked after start")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    check(not os.path.exists(gitdir + "/locked"), "locked after remove")
    git(t, repo, "worktree", "remove", tree)


def test_users_own_lock_stays(t):
    """A worktree that its user had locked is still locked afterwards, with the user's reason."""
    repo, tree, gitdir = worktree(t)
    git(t, repo, "worktree", "lock", "--reason", "mine", tree)
    s = t.sandbox(workspace=tree)
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    with open(gitdir + "/locked", encoding="utf-8") as f:
        equal(f.read().strip(), "mine", "reason")
    git(t, repo, "worktree", "unlock", tree)


def test_two_sandboxes_on_one_worktree(t):
    """The lock goes with the last."""
    _, tree, gitdir = worktree(t)
    a, b = t.sandbox(workspace=tree), t.sandbox(workspace=tree)
    t.client.call("sandbox.remove", {"sandbox": a["name"]})
    check(os.path.exists(gitdir + "/locked"), "unlocked while one still works there")
    t.client.call("sandbox.remove", {"sandbox": b["name"]})
    check(not os.path.exists(gitdir + "/locked"), "locked after the last")


PROTECTED_WORKTREE = """
.git                         echo 'gitdir: /tmp/x' >{tree}/.git
.git-remove                  rm -f {tree}/.git
.git-replace                 echo x >{tree}/n && mv {tree}/n {tree}/.git
commondir                    echo /tmp >{gitdir}/commondir
commondir-replace            echo x >{gitdir}/n && mv {gitdir}/n {gitdir}/commondir
gitdir                       echo /tmp >{gitdir}/gitdir
locked                       rm -f {gitdir}/locked
config.worktree              echo '[core]' >>{gitdir}/config.worktree
config.worktree-replace      echo x >{gitdir}/n && mv {gitdir}/n {gitdir}/config.worktree
config                       echo '[core]' >>{common}/config
config-replace               echo x >{common}/n && mv {common}/n {common}/config
config-by-git                git config core.fsmonitor /bin/true
config-worktree-by-git       git config --worktree core.fsmonitor /bin/true
hooks                        echo x >{common}/hooks/pre-commit
hooks-replace                mv {common}/hooks {common}/h
info                         echo x >{common}/info/attributes
alternates                   mkdir -p {common}/objects/info; echo /x >{common}/objects/info/alternates
alternates-replace           mv {common}/objects/info {common}/objects/i
HEAD-of-common               echo x >{common}/HEAD
modules                      mkdir {common}/modules
packed-refs                  echo x >{common}/packed-refs
worktrees                    mkdir {common}/worktrees/other
commondir-dir                mv {gitdir} {gitdir}-x
"""


def protected(t, s, table, **names):
    holes = []
    for line in table.strip().splitlines():
        what, script = line.split(None, 1)
        for user in ("agent", "root"):
            r = t.run(s, ["/bin/sh", "-c", script.format(**names)], user=user)
            if r["exitCode"] == 0:
                holes.append(f"{what} as {user}")
    check(not holes, f"not protected: {', '.join(holes)}")


def test_protected_in_a_worktree(t):
    repo, tree, gitdir = worktree(t)
    s = t.sandbox(workspace=tree)
    protected(t, s, PROTECTED_WORKTREE, tree=tree, gitdir=gitdir, common=repo + "/.git")
    equal(git(t, tree, "status", "--porcelain").replace("?? n\n", ""), "", "status outside")


PROTECTED_REPOSITORY = """
config               echo '[core]' >>{top}/.git/config
config-replace       echo x >{top}/.git/n && mv {top}/.git/n {top}/.git/config
config-by-git        git config core.fsmonitor /bin/true
config.worktree      echo '[core]' >>{top}/.git/config.worktree
hooks                echo x >{top}/.git/hooks/pre-commit
hooks-replace        mv {top}/.git/hooks {top}/.git/h
info                 echo x >{top}/.git/info/attributes
modules              mkdir -p {top}/.git/modules/x
git-move             mv {top}/.git {top}/g
git-remove           rm -rf {top}/.git/hooks
alternates           mkdir -p {top}/.git/objects/info; echo /x >{top}/.git/objects/info/alternates
commondir            echo /tmp >{top}/.git/commondir
"""


def test_protected_in_a_repository(t):
    repo = repository(t)
    s = t.sandbox(workspace=repo)
    protected(t, s, PROTECTED_REPOSITORY, top=repo)
    t.sh(s, INSIDE + "echo x >x; git add x; git commit -q -m after")
    equal(git(t, repo, "log", "-1", "--format=%s").strip(), "after", "log outside")


def test_git_config_writable(t):
    """Lifted by name only."""
    repo = repository(t)
    s = t.sandbox(workspace={"path": repo, "gitConfig": "writable"})
    t.sh(s, "git config my.key value")
    equal(git(t, repo, "config", "my.key").strip(), "value", "outside")


def test_read_only_worktree(t):
    _, tree, _ = worktree(t)
    s = t.sandbox(workspace={"path": tree, "readOnly": True})
    equal(t.sh(s, "git status --porcelain; git log -1 --format=%s"), "first\n", "reading")
    check(t.run(s, ["/bin/sh", "-c", INSIDE + "git commit --allow-empty -m x"])["exitCode"] != 0, "commit")


def test_subdirectory_of_a_repository(t):
    """No `.git` at its top: a plain folder, and nothing of the repository above is shown."""
    repo = repository(t, {"sub/file": "x", "secret": "y"})
    s = t.sandbox(workspace=repo + "/sub")
    check(t.run(s, ["ls", repo + "/secret"])["exitCode"] != 0, "the parent is shown")
    exited(t.run(s, ["touch", "new"]))


def test_no_auto_gc(t):
    _, tree, _ = worktree(t)
    s = t.sandbox(workspace=tree)
    equal(t.sh(s, "git config gc.auto; git config maintenance.auto"), "0\n0\n", "by environment")


def test_safe_directory(t):
    """git inside does not call the workspace dubious, for the agent nor for its root."""
    _, tree, _ = worktree(t)
    s = t.sandbox(workspace=tree)
    exited(t.run(s, ["git", "status"]))


def test_forged_worktrees_are_refused(t):
    """What `.git` says is not believed: every wrong link in the chain is denied."""
    repo, tree, gitdir = worktree(t)
    evil = t.workspace()
    os.makedirs(evil + "/common/worktrees/x")

    def forged(text, what):
        ws = t.workspace()
        t.put(ws, ".git", text)
        e = t.client.error("sandbox.create", {"name": t.unique(), "workspace": ws})
        refused(e, "denied")
        equal(e.field, "workspace", f"{what}: field")

    forged("gitdir: " + gitdir, "another worktree's gitdir")
    forged("gitdir: " + repo + "/.git", "a common dir")
    forged("gitdir: /root", "any directory")
    forged("gitdir: /no/such", "nothing")
    forged("gitdir: ../../../../etc", "relative")
    forged(f"gitdir: {evil}/common/worktrees/x", "a made-up common dir")
    forged("nonsense", "no gitdir line")
    forged("gitdir: " + "a" * 10000, "a long one")
    forged("gitdir: " + gitdir + "/../" + os.path.basename(gitdir), "dots")
    forged("gitdir: a\0b", "NUL")
    forged("", "empty")


def test_git_as_a_link_or_odd_kind_is_refused(t):
    repo = repository(t)
    for target in (repo + "/.git", "/etc", "nowhere"):
        ws = t.workspace()
        os.symlink(target, ws + "/.git")
        refused(t.client.error("sandbox.create", {"name": t.unique(), "workspace": ws}), "denied")
    ws = t.workspace()
    os.mkfifo(ws + "/.git")
    refused(t.client.error("sandbox.create", {"name": t.unique(), "workspace": ws}), "denied")


def test_gitdir_inside_the_workspace_is_refused(t):
    """The agent could write it."""
    ws = t.workspace({"c/worktrees/w/commondir": "../..\n", "c/HEAD": "ref: refs/heads/m\n"})
    t.put(ws, "c/worktrees/w/gitdir", ws + "/.git\n")
    t.put(ws, ".git", f"gitdir: {ws}/c/worktrees/w\n")
    refused(t.client.error("sandbox.create", {"name": t.unique(), "workspace": ws}), "denied")


def test_links_in_the_chain_are_refused(t):
    repo, tree, gitdir = worktree(t)
    moved = gitdir + "-real"
    os.rename(gitdir, moved)
    os.symlink(moved, gitdir)
    refused(t.client.error("sandbox.create", {"name": t.unique(), "workspace": tree}), "denied")
    os.unlink(gitdir)
    os.rename(moved, gitdir)
    t.sandbox(workspace=tree)


def test_worktree_that_was_moved(t):
    """gitdir does not point back any more: denied, with a hint."""
    _, tree, _ = worktree(t)
    moved = tree + "-moved"
    os.rename(tree, moved)
    t.dirs.append(moved)
    e = t.client.error("sandbox.create", {"name": t.unique(), "workspace": moved})
    refused(e, "denied")
    check(e.hint, "no hint (git worktree repair)")


@modes("root", "owner")
def test_somebody_elses_gitdir_is_refused(t):
    _, tree, gitdir = worktree(t)
    os.chown(gitdir, 65534, 65534)
    refused(t.client.error("sandbox.create", {"name": t.unique(), "workspace": tree}), "denied")
    os.chown(gitdir, t.suite.owner, t.suite.group)


def test_empty_and_bare_git_dirs(t):
    ws = t.workspace()
    os.mkdir(ws + "/.git")
    t.own(ws + "/.git")
    try:
        s = t.sandbox(workspace=ws)
    except Exception as e:
        refused(e, "denied")
    else:
        exited(t.run(s, ["true"]))


def test_git_directories_are_not_lent(t):
    """A bare repository, a .git and what is in them: their configuration would lie open."""
    repo = repository(t)
    bare = t.workspace()
    git(t, bare, "init", "-q", "--bare")
    for path in (bare, bare + "/refs", repo + "/.git", repo + "/.git/hooks"):
        refused(t.client.error("sandbox.create", {"name": t.unique(), "workspace": path}), "denied")
    tree = worktree(t, repo)[1]
    params = {"name": t.unique(), "workspace": tree, "extraWorkspaces": [repo + "/.git"]}
    e = t.client.error("sandbox.create", params)
    refused(e, "denied")
    equal(e.field, "extraWorkspaces[0]", "field")
    s = t.sandbox(workspace=tree, extraWorkspaces=[{"path": repo + "/.git", "readOnly": True}])
    t.sh(s, INSIDE + "git commit -q --allow-empty -m inside")
    s = t.sandbox(workspace={"path": bare, "gitConfig": "writable"})
    t.sh(s, "git config a.b c")


def test_worktrees_of_one_repository_together(t):
    """Alone with each other, and with the repository itself."""
    repo = repository(t)
    trees = [worktree(t, repo)[1] for _ in range(2)]
    for places in (trees, [repo, *trees], [trees[0], repo, trees[1]]):
        s = t.sandbox(workspace=places[0], extraWorkspaces=places[1:])
        for place in places:
            t.sh(s, INSIDE + f"cd {place}; git commit -q --allow-empty -m x; git status")
        r = t.run(s, ["git", "config", "a.b", "c"])
        check(r["exitCode"] != 0, "the configuration is writable")
        t.client.call("sandbox.remove", {"sandbox": s["name"]})
    git(t, repo, "fsck", "--no-progress")


def test_submodule(t):
    """A repository with a submodule: works, and the submodule's git dir is not writable config."""
    inner = repository(t, {"in": "x"})
    repo = repository(t)
    git(t, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner, "sub")
    git(t, repo, "commit", "-q", "-m", "sub")
    s = t.sandbox(workspace=repo)
    equal(t.sh(s, "git status --porcelain"), "", "status")
    r = t.run(s, ["/bin/sh", "-c", "echo '[core]' >>.git/modules/sub/config"])
    check(r["exitCode"] != 0, "the submodule's config is writable")
