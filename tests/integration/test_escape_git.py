# SPDX-License-Identifier: Apache-2.0
"""What an agent can plant for the host's git: after each attack plain `git status` is run on the
host, and the planted program must not have run."""

import os
import signal

from gitrepo import INSIDE, Canary, git, repository, worktree
from harness import exited
from lib import check, equal, let_the_clock_tick, until


def attack(t, script, plain=False, user="agent", nested=False):
    """SCRIPT runs inside, with $CANARY, $TREE, $GITDIR, $COMMON; then git runs outside. NESTED: it
    makes a repository of its own, which is set aside only when the sandbox stops."""
    if plain:
        tree = repo = repository(t)
        gitdir = repo + "/.git"
    else:
        repo, tree, gitdir = worktree(t)
    canary = Canary(t, tree)
    s = t.sandbox(workspace=tree)
    env = {"CANARY": canary.program, "TREE": tree, "GITDIR": gitdir, "COMMON": repo + "/.git"}
    t.run(s, ["/bin/sh", "-c", INSIDE + script], env=env, user=user)
    canary.after_host_git(tree, repo, commands=Canary.CAREFUL if nested else Canary.PLAIN)
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    canary.after_host_git(tree, repo)


EVIL = 'printf "[core]\\n\\tfsmonitor = $CANARY\\n\\tbare = false\\n\\trepositoryformatversion = 0\\n" >{} ; '
MAKE_EVIL = (
    "cp -r $COMMON $TREE/evil 2>/dev/null || git init -q $TREE/evil-src && "
    "mv $TREE/evil-src/.git $TREE/evil 2>/dev/null; " + EVIL.format("$TREE/evil/config")
)


GITLINK = (
    INSIDE + "git init -q sub; cd sub; git commit -q --allow-empty -m x; "
    'git config core.fsmonitor "$CANARY"; cd ..; git add sub; git commit -q -m gitlink'
)


def test_the_canary_sings(t):
    """The control: without a sandbox in between, host git does run it."""
    repo = repository(t)
    canary = Canary(t, repo)
    git(t, repo, "config", "core.fsmonitor", canary.program)
    git(t, repo, "status", check_status=False)
    check(os.path.exists(canary.mark), "plain git status did not run core.fsmonitor")


def test_through_a_workspace_around_it(t):
    """An extra workspace that holds the repository does not lie over what is protected in it."""
    for as_worktree in (False, True):
        top = t.workspace({"x": "y"})
        repo = os.path.join(top, "repo")
        git(t, top, "init", "-q", repo)
        git(t, repo, "commit", "-q", "--allow-empty", "-m", "one")
        tree = repo
        if as_worktree:
            tree = os.path.join(top, "tree")
            git(t, repo, "worktree", "add", "-q", tree)
        canary = Canary(t, tree)
        script = (
            f"printf '[core]\n\tfsmonitor = {canary.program}\n' >>{repo}/.git/config; "
            f"echo '{canary.program}' >{repo}/.git/hooks/post-checkout; "
            f"chmod +x {repo}/.git/hooks/post-checkout; git status"
        )
        for first, second in ((tree, top), (top, tree)):
            s = t.sandbox(workspace=first, extraWorkspaces=[second])
            exited(t.run(s, ["/bin/sh", "-c", script], workDir=tree))
            canary.after_host_git(tree, repo)
            t.client.call("sandbox.remove", {"sandbox": s["name"]})
            canary.after_host_git(tree, repo)


def test_git_file_replaced(t):
    for user in ("agent", "root"):
        attack(t, MAKE_EVIL + 'echo "gitdir: $TREE/evil" >$TREE/.git', user=user)
        attack(t, MAKE_EVIL + 'rm -f $TREE/.git; mv $TREE/evil $TREE/.git', user=user)
        attack(t, MAKE_EVIL + 'echo "gitdir: $TREE/evil" >$TREE/n; mv -f $TREE/n $TREE/.git', user=user)


def test_commondir_rewritten(t):
    for user in ("agent", "root"):
        attack(t, MAKE_EVIL + "echo $TREE/evil >$GITDIR/commondir", user=user)
        attack(t, MAKE_EVIL + "rm -f $GITDIR/commondir; echo $TREE/evil >$GITDIR/commondir", user=user)
        attack(t, MAKE_EVIL + "echo $TREE/evil >$GITDIR/n; mv -f $GITDIR/n $GITDIR/commondir", user=user)


def test_commondir_in_a_plain_repository(t):
    attack(t, MAKE_EVIL + "echo $TREE/evil >$GITDIR/commondir", plain=True)


def test_config_worktree(t):
    script = (
        "git config extensions.worktreeConfig true; "
        'git config --worktree core.fsmonitor "$CANARY"; ' + EVIL.format("$GITDIR/config.worktree")
    )
    for user in ("agent", "root"):
        attack(t, script, user=user)
        attack(t, script, plain=True, user=user)


def test_config_worktree_where_the_extension_is_on(t):
    """The user's own repository reads config.worktree: it is made empty and kept so."""
    repo, tree, gitdir = worktree(t)
    git(t, repo, "config", "extensions.worktreeConfig", "true")
    canary = Canary(t, tree)
    s = t.sandbox(workspace=tree)
    for user in ("agent", "root"):
        script = (
            f"printf '[core]\\n\\tfsmonitor = {canary.program}\\n' >{gitdir}/config.worktree; "
            f"rm -f {gitdir}/config.worktree; "
            f"printf '[core]\\n\\tfsmonitor = {canary.program}\\n' >{gitdir}/config.worktree"
        )
        t.run(s, ["/bin/sh", "-c", script], user=user)
    canary.after_host_git(tree, repo)
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    canary.after_host_git(tree, repo)


def test_common_config(t):
    for plain in (False, True):
        attack(t, 'git config core.fsmonitor "$CANARY"; ' + EVIL.format("$COMMON/config"), plain)
        attack(t, 'echo x >$COMMON/n && mv -f $COMMON/n $COMMON/config; ' + EVIL.format("$COMMON/config"), plain, "root")


def test_gitlink_with_its_own_repository(t):
    """A gitlink in the index makes git status look into sub/.git/config. The index and the tree are the
    agent's to write, so this is undone at release (docs/git.md says what to do until then)."""
    attack(t, GITLINK, nested=True)
    attack(t, GITLINK, plain=True, nested=True)


def test_gitlink_through_a_git_file(t):
    script = (
        "mkdir sub; git init -q other; cd other; git commit -q --allow-empty -m x; "
        'git config core.fsmonitor "$CANARY"; git config core.worktree ../../sub; cd ..; '
        'echo "gitdir: ../other/.git" >sub/.git; '
        "git update-index --add --cacheinfo 160000,$(git -C other rev-parse HEAD),sub; "
        "git commit -q -m gitlink"
    )
    attack(t, script, nested=True)
    attack(t, script, plain=True, nested=True)


def test_gitlink_after_stop(t):
    """A stop sets nested repositories aside as a removal does; named back inside, so does the next."""
    repo, tree, _ = worktree(t)
    canary = Canary(t, tree)
    s = t.sandbox(workspace=tree)
    t.run(s, ["/bin/sh", "-c", GITLINK], env={"CANARY": canary.program})
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    canary.after_host_git(tree, repo)
    check(os.path.exists(tree + "/sub/.git.quarantined"), "not set aside")
    t.client.call("sandbox.start", {"sandbox": s["name"]})
    t.run(s, ["/bin/sh", "-c", "mv sub/.git.quarantined sub/.git"])
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    canary.after_host_git(tree, repo)


def test_gitlink_after_kill_of_init(t):
    """The same when the sandbox ends by itself."""
    repo, tree, _ = worktree(t)
    canary = Canary(t, tree)
    s = t.sandbox(workspace=tree)
    t.run(s, ["/bin/sh", "-c", GITLINK], env={"CANARY": canary.program})
    os.kill(s["pid"], signal.SIGKILL)

    def ended():
        return t.client.call("sandbox.get", {"sandbox": s["name"]})["state"] != "running"

    until(ended, 20, "end")
    canary.after_host_git(tree, repo)


def test_repository_with_another_name_moved_later(t):
    """One sandbox leaves a repository under a harmless name, the next moves it to sub/.git."""
    repo, tree, _ = worktree(t)
    canary = Canary(t, tree)
    first = t.sandbox(workspace=tree)
    script = GITLINK + "; mkdir store; mv sub/.git store/evil"
    t.run(first, ["/bin/sh", "-c", script], env={"CANARY": canary.program})
    t.client.call("sandbox.remove", {"sandbox": first["name"]})
    canary.after_host_git(tree, repo)
    second = t.sandbox(workspace=tree)
    t.run(second, ["/bin/sh", "-c", "mv store/evil sub/.git"])
    t.client.call("sandbox.remove", {"sandbox": second["name"]})
    canary.after_host_git(tree, repo)


def test_nested_repository_of_the_user_keeps_its_name(t):
    """It was there before; the agent commits in it, makes files beside it, and switches branches."""
    repo, tree, _ = worktree(t)
    nested = t.workspace({"f": "x"}, where=tree)
    git(t, nested, "init", "-q")
    git(t, nested, "add", "-A")
    git(t, nested, "commit", "-q", "-m", "x")
    let_the_clock_tick()
    s = t.sandbox(workspace=tree)
    script = INSIDE + "echo y >new; git add new; git commit -q -m y; git checkout -q -b other"
    exited(t.run(s, ["/bin/sh", "-c", script], workDir=nested))
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    check(os.path.isdir(nested + "/.git"), "the user's own repository was set aside")
    equal(git(t, nested, "log", "-1", "--format=%s").strip(), "y", "its commit")


def test_a_sandbox_around_another(t):
    """The outer one ends, or begins and ends, while the inner one works on the user's repository:
    what a claim makes in a repository is not taken for the agent's work."""
    top = t.workspace({"x": "y"})
    repo, bare = os.path.join(top, "repo"), os.path.join(top, "no-templates")
    for path, options in ((repo, ()), (bare, ("--template=",))):
        git(t, top, "init", "-q", *options, path)
        git(t, path, "commit", "-q", "--allow-empty", "-m", "one")
    let_the_clock_tick()
    outer = t.sandbox(workspace=top)
    for path in (repo, bare):
        inner = t.sandbox(workspace=path)
        t.client.call("sandbox.remove", {"sandbox": outer["name"]})
        exited(t.run(inner, ["/bin/sh", "-c", INSIDE + "echo z >z; git add z; git commit -q -m z"]))
        outer = t.sandbox(workspace=top)
        t.client.call("sandbox.remove", {"sandbox": inner["name"]})
        check(os.path.isdir(path + "/.git"), f"{path}/.git was set aside")
        equal(git(t, path, "log", "-1", "--format=%s").strip(), "z", "the commit")


def test_the_inner_ones_file_written_by_the_outer_one(t):
    """An empty config.worktree that the inner claim made is within the outer agent's reach."""
    top = t.workspace({"x": "y"})
    repo = os.path.join(top, "repo")
    git(t, top, "init", "-q", repo)
    git(t, repo, "commit", "-q", "--allow-empty", "-m", "one")
    git(t, repo, "config", "extensions.worktreeConfig", "true")
    canary = Canary(t, top)
    let_the_clock_tick()
    outer = t.sandbox(workspace=top)
    inner = t.sandbox(workspace=repo)
    script = f"printf '[core]\n\tfsmonitor = {canary.program}\n' >>repo/.git/config.worktree"
    exited(t.run(outer, ["/bin/sh", "-c", script]))
    t.client.call("sandbox.remove", {"sandbox": outer["name"]})
    canary.after_host_git(repo)
    t.client.call("sandbox.remove", {"sandbox": inner["name"], "force": True})
    canary.after_host_git(repo)


def test_repository_in_a_plain_directory(t):
    """A workspace without .git gets one that the agent made."""
    ws = t.workspace()
    canary = Canary(t, ws)
    s = t.sandbox(workspace=ws)
    script = 'git init -q . && git config core.fsmonitor "$CANARY"'
    t.run(s, ["/bin/sh", "-c", script], env={"CANARY": canary.program})
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    check(os.path.isdir(ws + "/.git.quarantined"), "the repository is still in git's reach")


def test_hooks(t):
    script = (
        "for h in post-index-change post-checkout pre-commit reference-transaction fsmonitor-watchman; do "
        "cp $CANARY $COMMON/hooks/$h; cp $CANARY $GITDIR/hooks/$h; done; "
        "mkdir -p $GITDIR/hooks; mv $COMMON/hooks $COMMON/h; mkdir $COMMON/hooks; "
        "cp $CANARY $COMMON/hooks/post-index-change; touch README"
    )
    for user in ("agent", "root"):
        attack(t, script, user=user)
        attack(t, script, plain=True, user=user)


def test_attributes_and_filters(t):
    """A filter needs config; attributes in info/ and in the tree alone run nothing."""
    script = (
        'echo "* filter=x diff=x" >$COMMON/info/attributes; echo "* filter=x diff=x" >.gitattributes; '
        'git config filter.x.clean "$CANARY"; git config diff.x.textconv "$CANARY"; echo y >>README'
    )
    attack(t, script)
    attack(t, script, plain=True)


def test_alternates(t):
    """Objects from elsewhere: refused, so that host git reads nothing of the agent's choice."""
    repo, tree, _ = worktree(t)
    s = t.sandbox(workspace=tree)
    for user in ("agent", "root"):
        script = (
            f"mkdir -p {repo}/.git/objects/info; echo /root/.git/objects >{repo}/.git/objects/info/alternates || "
            f"mv {repo}/.git/objects/info {repo}/.git/objects/x"
        )
        t.run(s, ["/bin/sh", "-c", script], user=user)
    check(not os.path.exists(repo + "/.git/objects/info/alternates"), "alternates were written")


def test_head_of_the_worktree(t):
    """HEAD, index and their kin are the agent's: host git still runs nothing for it."""
    attack(t, 'echo "ref: refs/heads/../../config" >$GITDIR/HEAD')
    attack(t, "head -c 1000 /dev/urandom >$GITDIR/index")
    attack(t, "rm -f $GITDIR/HEAD $GITDIR/index")


def test_links_in_git_dirs(t):
    """Links where git writes: the host's git must not follow them out to what we planted."""
    attack(t, MAKE_EVIL + "rm -rf $COMMON/refs/heads/x; ln -s $TREE/evil $GITDIR/refs; ln -s $TREE/evil $COMMON/logs/x")


def test_sandbox_with_planted_repository_at_create(t):
    """Everything forged on the host side beforehand, as a first agent would have left it."""
    repo, tree, gitdir = worktree(t)
    first = t.sandbox(workspace=tree)
    canary = Canary(t, tree)
    script = (
        INSIDE + 'git init -q nested; git -C nested config core.fsmonitor "$CANARY"; '
        "git -C nested commit -q --allow-empty -m x; git add -A; git commit -q -m nested"
    )
    t.run(first, ["/bin/sh", "-c", script], env={"CANARY": canary.program})
    t.client.call("sandbox.remove", {"sandbox": first["name"]})
    second = t.sandbox(workspace=tree)
    exited(t.run(second, ["true"]))
    canary.after_host_git(tree, repo)
    check(os.path.exists(gitdir), "gitdir")
