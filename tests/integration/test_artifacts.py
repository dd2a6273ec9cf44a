# SPDX-License-Identifier: Apache-2.0
"""What loop.run says of the workspace: touched files, a patch, or why there is none. git looks at it
from a sandbox of its own, and nothing that a repository names is run on the host."""

import os

from gitrepo import INSIDE, Canary, git, repository, worktree
from harness import exited, invalid, modes
from lib import RpcError, check, equal, text_of
from test_loop import loop

MISSING = "0" * 39 + "1"


def run(t, made, script, **params):
    """A run of the shell tool; its LoopRunResult."""
    params = {"loopId": made["loopId"], "tool": "shell", "prompt": script, **params}
    return t.client.call("loop.run", params, timeout=60)


def patched(t, where, script, **params):
    """The artifacts of a run with a patch in a new loop on WHERE."""
    r = run(t, loop(t, where), INSIDE + script, artifacts="patch", **params)
    exited(r["exec"])
    equal(r["state"], "completed", "state")
    return r["artifacts"]


def apply(t, repo, base, artifacts):
    """The tree that the patch makes of BASE."""
    copy = os.path.join(t.suite.work, t.unique("copy"))
    t.dirs.append(copy)
    git(t, repo, "clone", "-q", "-n", repo, copy)
    git(t, copy, "checkout", "-q", base)
    patch = t.put(copy, ".git/patch", text_of(artifacts["patch"]))
    git(t, copy, "apply", "--index", patch)
    return git(t, copy, "write-tree").strip()


def tree_of(t, where):
    """The tree that the working tree would be if all of it were committed."""
    git(t, where, "add", "-A")
    return git(t, where, "write-tree").strip()


def test_a_patch_makes_the_same_tree(t):
    """Committed, staged, unstaged, untracked, binary, deleted; of a worktree and a repository."""
    for where in (worktree(t)[1], repository(t)):
        base = git(t, where, "rev-parse", "HEAD").strip()
        a = patched(
            t,
            where,
            "echo 1 >>README; git commit -q -a -m 1; echo 2 >>README; echo s >staged; git add staged; "
            "printf 'a\\000b' >binary; mkdir d; echo u >'d/u v'; ln -s README link; chmod +x staged",
            baseSha=base,
        )
        head = git(t, where, "rev-parse", "HEAD").strip()
        equal(a["headSha"], head, "headSha")
        equal(a["touchedFiles"], ["README", "binary", "d/u v", "link", "staged"], "touchedFiles")
        check("emptyBecause" not in a or a["emptyBecause"] is None, a)
        equal(apply(t, where, base, a), tree_of(t, where), "the tree")


def test_since_head_when_no_base_is_given(t):
    _, tree, _ = worktree(t)
    a = patched(t, tree, "git commit -q --allow-empty -m x; echo x >x")
    equal(a["touchedFiles"], ["x"], "touchedFiles")
    a = patched(t, tree, "rm x")
    equal(a["touchedFiles"], [], "touchedFiles")
    check(a["emptyBecause"].startswith("no_changes"), a["emptyBecause"])
    check(a.get("patch") is None, "there is a patch")


def test_summary_has_no_patch_and_none_nothing(t):
    _, tree, _ = worktree(t)
    made = loop(t, tree)
    a = run(t, made, "echo x >x", artifacts="summary")["artifacts"]
    equal((a["touchedFiles"], a.get("patch"), a.get("emptyBecause")), (["x"], None, None), "summary")
    equal(a["headSha"], git(t, tree, "rev-parse", "HEAD").strip(), "headSha")


def test_says_why_there_is_no_patch(t):
    a = patched(t, t.workspace(), "echo x >x")
    check(a["emptyBecause"].startswith("no_repository"), a)
    equal((a["headSha"], a["touchedFiles"]), (None, []), "of no repository")
    _, tree, _ = worktree(t)
    a = patched(t, tree, "head -c 5000000 /dev/urandom >big")
    check(a["emptyBecause"].startswith("too_large"), a["emptyBecause"])
    equal(a["touchedFiles"], ["big"], "touchedFiles")
    a = patched(t, tree, "true", baseSha=MISSING)
    check(a["emptyBecause"].startswith("bad_base"), a["emptyBecause"])
    for bad in ("HEAD", "--help", "abc", "0" * 65):
        try:
            run(t, loop(t, t.workspace()), "true", baseSha=bad, artifacts="patch")
        except RpcError as e:
            invalid(e, "baseSha")
        else:
            check(False, f"baseSha {bad} is taken")


def test_a_repository_that_the_agent_broke(t):
    """The run keeps its result."""
    for breaks in ("rm .git/HEAD", "rm -rf .git/refs .git/objects/??", "echo '[' >.git/HEAD",
                   "rm -rf .git/index; mkdir .git/index"):
        a = patched(t, repository(t), f"echo x >x; {breaks}")
        # an index is only one witness of several
        check((a.get("emptyBecause") or "").startswith("git_failed") or a["touchedFiles"] == ["x"], a)
        if "HEAD" in breaks:
            check((a.get("emptyBecause") or "").startswith("git_failed"), a)


def test_before_the_first_commit(t):
    top = t.workspace({"a": "a\n"})
    git(t, top, "init", "-q", "-b", "main")
    a = patched(t, top, "echo b >b; git add b")
    equal((a["headSha"], a["touchedFiles"]), (None, ["a", "b"]), "unborn")
    check(a["patch"], "no patch")


def test_names_are_any_bytes(t):
    _, tree, _ = worktree(t)
    a = patched(t, tree, "touch \"$(printf 'n\\nl')\" \"$(printf 'x\\377')\" -- -d '\"q\"'")
    names = [n if isinstance(n, str) else text_of(n) for n in a["touchedFiles"]]
    equal(names, ['"q"', "-d", "n\nl", b"x\xff"], "touchedFiles")
    base = git(t, tree, "rev-parse", "HEAD").strip()
    equal(apply(t, tree, base, a), tree_of(t, tree), "the tree")


def test_an_index_that_lies_is_not_believed(t):
    _, tree, _ = worktree(t)
    a = patched(t, tree, "git update-index --assume-unchanged README; echo x >>README")
    equal(git(t, tree, "status", "--porcelain"), "", "git is deceived")
    equal(a["touchedFiles"], ["README"], "touchedFiles")
    check(text_of(a["patch"]).count(b"+x"), a["patch"])


def plant(t, where, canary):
    """All that a configuration can name is the canary."""
    hooks = where + "-hooks"
    os.mkdir(hooks)
    t.dirs.append(hooks)
    for name in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction"):
        os.symlink(canary.program, os.path.join(hooks, name))
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "diff.external",
                "filter.f.clean", "filter.f.smudge", "filter.f.process", "diff.d.textconv",
                "diff.d.command", "gpg.program", "core.alternateRefsCommand", "alias.diff-index"):
        git(t, where, "config", key, canary.program)
    git(t, where, "config", "filter.f.required", "true")
    git(t, where, "config", "core.hooksPath", hooks)


def test_nothing_that_is_planted_runs(t):
    """In the user's own configuration, and by the agent where he can: attributes, a repository inside."""
    repo, tree, _ = worktree(t)
    canary = Canary(t, t.workspace())
    plant(t, repo, canary)
    a = patched(
        t,
        tree,
        "printf '* filter=f diff=d\\n' >.gitattributes; echo x >>README; echo y >y; mkdir sub; cd sub; "
        "env -i PATH=$PATH git init -q .; git config core.fsmonitor 'touch ../ran'; echo s >s",
    )
    equal(a["touchedFiles"], [".gitattributes", "README", "sub/", "y"], "touchedFiles")
    check(a["patch"], "no patch")
    check(not os.path.exists(canary.mark), "it ran on the host")
    check(not os.path.exists(tree + "/ran"), "it ran")


def test_the_sandbox_of_git_is_nobodys(t):
    """It is not shown, does not count, leaves nothing, and the worktree stays locked as it was."""
    d = t.private_daemon(config="[limits]\nsandboxes_per_user = 1\n")
    client = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    made = loop(t, tree, client=client)
    params = {"loopId": made["loopId"], "tool": "shell", "prompt": "echo x >x", "artifacts": "patch"}
    r = client.call("loop.run", params, timeout=60)
    check(r["artifacts"]["patch"], "no patch: " + str(r["artifacts"]))
    listed = client.call("sandbox.list", {})["sandboxes"]
    equal([s["name"] for s in listed], made["sandboxes"], "sandbox.list")
    execs = client.call("exec.list", {})["execs"]
    equal({e["sandbox"] for e in execs}, set(made["sandboxes"]), "exec.list")
    check(os.path.exists(gitdir + "/locked"), "the lock is gone")
    client.call("loop.destroy", {"loopId": made["loopId"], "force": True}, timeout=60)
    check(not os.path.exists(gitdir + "/locked"), "still locked")


def test_submodules(t):
    """A commit in one is a change, what else happens in one is its own."""
    sub, top = repository(t), repository(t)
    allow = ("-c", "protocol.file.allow=always")
    git(t, top, *allow, "submodule", "--quiet", "add", sub, "s")
    git(t, top, "commit", "-q", "-m", "submodule")
    a = patched(t, top, "echo x >>s/README")
    check("s" not in a["touchedFiles"], a["touchedFiles"])
    base = git(t, top, "rev-parse", "HEAD").strip()
    git(t, top + "/s", "commit", "-q", "-a", "-m", "in it")
    a = patched(t, top, "git commit -q -a -m moved", baseSha=base)
    equal(a["touchedFiles"], ["s"], "touchedFiles")
    check(b"Subproject commit" in text_of(a["patch"]), a["patch"])


def test_daemon_stops_and_runs_end_while_git_looks(t):
    """The look at a workspace is given up, and nothing of it stays."""
    d = t.private_daemon()
    client = t.connect(daemon=d)
    _, tree, gitdir = worktree(t)
    made = loop(t, tree, client=client)
    params = {"loopId": made["loopId"], "tool": "shell", "artifacts": "patch"}
    params["prompt"] = "mkdir -p new; cd new; for i in $(seq 300); do echo $i $$ >$i; done"

    def looking():
        """A run whose command has ended, and which has not answered."""
        rid = client.send("loop.run", params)
        exec_id = client.note("exec.started")["execId"]
        client.call("exec.wait", {"execId": exec_id, "timeoutMs": 30000})
        return rid

    rid = looking()
    client.call("loop.destroy", {"loopId": made["loopId"], "force": True}, timeout=60)
    r = client.wait(rid, timeout=60)
    check(r["state"] in ("completed", "cancelled"), r["state"])
    made = loop(t, tree, client=client, loopId=t.unique("l"))
    params["loopId"] = made["loopId"]
    looking()
    t.sandboxes = [s for s in t.sandboxes if s[0] is not client]
    equal(d.stop(), 0, "exit status")
    check(not os.path.exists(gitdir + "/locked"), "still locked")


@modes("owner", "user")  # the runtime host does not run as root
def test_of_a_loop_without_isolation(t):
    """What ran on the host itself is looked at from a sandbox all the same."""
    repo, tree, _ = worktree(t)
    canary = Canary(t, t.workspace())
    made = loop(t, tree, runtime="host")
    equal(t.client.call("sandbox.get", {"sandbox": made["sandboxes"][0]})["runtime"], "host", "runtime")
    script = f"git -C {repo} config core.fsmonitor {canary.program}; echo x >x"
    a = run(t, made, script, artifacts="patch")["artifacts"]
    equal(a["touchedFiles"], ["x"], "touchedFiles")
    check(a["patch"], "no patch")
    check(not os.path.exists(canary.mark), "it ran on the host")
