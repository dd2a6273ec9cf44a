# SPDX-License-Identifier: Apache-2.0
"""Sandboxes on overlapping workspaces begin and end in any order, while agents, the owner's git and
kill -9 do what they like. Afterwards nothing of it may be left in the repositories.

By hand, longer and with keepers killed, too:
    SANDBOXD_TEST_SEED=$RANDOM SANDBOXD_TEST_STEPS=200 run.py … --only overlap_random
"""

import fnmatch
import os
import random

import lib
from gitrepo import INSIDE, Canary, git
from harness import timeout
from lib import check, equal, until
from test_adopt import daemon, keepers_of, kill_keepers

ALLOW = ("-c", "protocol.file.allow=always")


class World:
    """top/main with a submodule and the worktrees main/in/a and top/b, top/nested, top/plain, and
    top/link to main; and the sandboxes on them."""

    def __init__(self, t, d):
        self.t, self.d = t, d
        self.client = t.connect(daemon=d)
        self.by_hand = "SANDBOXD_TEST_SEED" in os.environ
        self.seed = int(os.environ.get("SANDBOXD_TEST_SEED", 7))
        self.steps = int(os.environ.get("SANDBOXD_TEST_STEPS", 30))
        self.random = random.Random(self.seed)
        self.sandboxes = {}  # name: its state
        self.done = []
        self.make()

    def make(self):
        t = self.t
        self.top = t.workspace({"file": "x"})
        self.main, self.nested, self.plain = (os.path.join(self.top, n) for n in ("main", "nested", "plain"))
        self.a, self.b = self.main + "/in/a", self.top + "/b"
        origin = t.workspace({"o": "x"})
        for path in (origin, self.main, self.nested):
            git(t, self.top, "init", "-q", "-b", "trunk", path)
            git(t, path, "commit", "-q", "--allow-empty", "-m", "first")
        t.put(self.main, ".gitignore", "in/\n")
        git(t, self.main, *ALLOW, "submodule", "add", "-q", origin, "sub")
        git(t, self.main, "add", "-A")
        git(t, self.main, "commit", "-q", "-m", "sub")
        git(t, self.main, "config", "extensions.worktreeConfig", "true")
        for name, path in (("a", self.a), ("b", self.b)):
            git(t, self.main, "worktree", "add", "-q", "-b", name, path)
        t.put(self.plain, "file", "x")
        os.symlink("main", self.top + "/link")
        t.own(self.top + "/link")
        self.places = [self.top, self.main, self.a, self.b, self.nested, self.plain, self.top + "/link"]
        self.repositories = [self.main, self.a, self.b, self.nested, self.main + "/sub"]

    def told(self):
        return "\n".join([f"seed {self.seed}, {self.steps} steps:", *self.done])

    def do(self, operations):
        """One of OPERATIONS, by weight, that can be done now."""
        while True:
            (op,) = self.random.choices(list(operations), operations.values())
            if op():
                return

    def one(self, *states):
        names = [n for n, s in self.sandboxes.items() if s in states]
        return self.random.choice(names) if names else None

    def note(self, *words):
        self.done.append(" ".join(words))
        return True

    # ---- sandboxes ----
    def create(self):
        if len(self.sandboxes) == 5:
            return False
        places = self.random.sample(self.places, self.random.choice((1, 1, 1, 2)))
        if len({os.path.realpath(p) for p in places}) < len(places):
            return False
        spaces = [{"path": p, "readOnly": self.random.random() < 0.2} for p in places]
        name = self.t.unique("sb")
        self.note("create", name, *(p["path"][len(self.top) :] + (":ro" if p["readOnly"] else "") for p in spaces))
        params = {"name": name, "workspace": spaces[0], "extraWorkspaces": spaces[1:]}
        try:
            self.client.call("sandbox.create", params, timeout=60)
        except lib.RpcError as e:
            check(e.kind == "denied" and self.may_be_denied, f"create: {e}")
            return True
        self.sandboxes[name] = "running"
        return True

    may_be_denied = False

    def call(self, method, name, state):
        if not name:
            return False
        self.note(method, name)
        try:
            self.client.call("sandbox." + method, {"sandbox": name}, timeout=60)
        except lib.RpcError as e:
            check(e.kind == "denied" and self.may_be_denied, f"{method}: {e}")
            return True
        self.sandboxes[name] = state
        return True

    def remove(self):
        name = self.one("running", "stopped", "paused")
        if not name:
            return False
        self.note("remove", name)
        self.client.call("sandbox.remove", {"sandbox": name, "force": True}, timeout=60)
        del self.sandboxes[name]
        return True

    def stop(self):
        return self.call("stop", self.one("running"), "stopped")

    def start(self):
        return self.call("start", self.one("stopped"), "running")

    def pause(self):
        return self.call("pause", self.one("running"), "paused")

    def resume(self):
        return self.call("resume", self.one("paused"), "running")

    def inside(self, script, user="agent"):
        """In a random sandbox, in a random folder that it may or may not have."""
        name = self.one("running")
        if not name:
            return False
        place = self.random.choice(self.repositories + [self.plain, self.top])
        self.note(name, "in", place[len(self.top) :] + ":", script)
        self.t.run(name, ["/bin/sh", "-c", f"cd {place} && {{ {INSIDE} {script}; }}"], client=self.client, user=user)
        return True

    def kill_keeper(self):
        if not any(s != "stopped" for s in self.sandboxes.values()):
            return False
        self.note("kill keeper")
        old = kill_keepers(self.t, self.d)
        until(lambda: set(keepers_of(self.t, self.d)) - set(old), 20, "a new keeper")
        return True

    def kill_daemon(self):
        self.note("kill daemon")
        self.d.kill()
        self.d.start()
        self.client = self.t.connect(daemon=self.d)
        return True

    def life(self):
        return {
            self.create: 8, self.remove: 4, self.stop: 2, self.start: 4, self.pause: 1, self.resume: 4,
            self.kill_daemon: 0.5, self.kill_keeper: 0.5 if self.by_hand else 0,
        }  # fmt: skip

    # ---- the end ----
    def files(self, pattern):
        found = []
        for where, dirs, files in os.walk(self.top):
            found += [os.path.join(where, n) for n in dirs + files if fnmatch.fnmatch(n, pattern)]
        return found

    def run(self, operations):
        try:
            for _ in range(self.steps):
                self.do(operations)
            while self.sandboxes:
                self.remove()
            self.check_nothing_left()
        except Exception as e:
            print(self.told(), flush=True)
            raise AssertionError(f"{e}; seed {self.seed}") from e

    def check_nothing_left(self):
        for own in [self.main + "/.git", self.nested + "/.git"] + self.files("worktrees/*"):
            check(not os.path.lexists(own + "/commondir"), f"{own}/commondir")
        gits = self.main + "/.git"
        for own in (gits + "/worktrees/a", gits + "/worktrees/b"):
            check(not os.path.lexists(own + "/locked"), f"{own} is locked")
            check(not os.path.lexists(own + "/modules"), f"{own}/modules")
        equal(self.files("config.worktree"), [], "config.worktree")
        uid = self.t.suite.owner
        others = [p for p in self.files("*") if os.lstat(p).st_uid != uid]
        equal(others, [], "files of others")


class Peaceful(World):
    """Agents commit, and the owner works as he does; nobody is to notice."""

    def agent(self):
        commit = "echo $$ >file-$$; git add file-$$; git commit -q -m inside"
        other = "git stash -q -u; git status; git checkout -q -b branch-$$"
        return self.inside(self.random.choice((commit, commit, other)))

    def owner(self):
        where = self.random.choice(self.repositories)
        args = self.random.choice(
            (
                ("commit", "-q", "--allow-empty", "-m", "outside"),
                ("config", "user.name", f"name {len(self.done)}"),
                ("config", f"branch.x{len(self.done)}.merge", "refs/heads/x"),
                ("status",),
                ("pack-refs", "--all"),
                ("gc", "-q"),
                ("worktree", "prune"),
            )
        )
        self.note("owner in", where[len(self.top) :] + ":", *args)
        git(self.t, where, *args)
        return True

    def tree(self):
        """Another worktree comes and goes."""
        self.note("a worktree")
        path = self.top + "/other"
        git(self.t, self.main, "worktree", "add", "-q", "--detach", path)
        git(self.t, self.main, "worktree", "remove", path)
        return True

    def check_nothing_left(self):
        super().check_nothing_left()
        equal(self.files("*.quarantined*"), [], "set aside")
        equal(self.files("*.lock"), [], "locks")
        for where in self.repositories:
            git(self.t, where, "status")
            git(self.t, where, "fsck", "--no-progress")
        trees = git(self.t, self.main, "worktree", "list", "--porcelain")
        check("locked" not in trees and "prunable" not in trees, trees)


class Hostile(World):
    """Agents try to steer git; when all sandboxes are gone, none does."""

    may_be_denied = True

    def make(self):
        super().make()
        self.canary = Canary(self.t, self.top)

    def attack(self):
        evil = f"printf '[core]\\n\\tfsmonitor = {self.canary.program}\\n'"
        find = "g=.git; [ -f .git ] && g=$(sed 's/gitdir: //' .git);"
        scripts = (
            f"{find} {evil} >>$g/config",
            f"{find} {evil} >>$g/config.worktree",
            f"{find} c=$(dirname $(dirname $g)); {evil} >>$c/config",
            f"{find} cp {self.canary.program} $g/hooks/post-index-change",
            f"{find} rm -rf $g/hooks; mkdir $g/hooks; cp {self.canary.program} $g/hooks/post-index-change",
            f"{find} cp -r $g evil; {evil} >>evil/config; echo $PWD/evil >$g/commondir",
            f"{find} cp -r $g evil; {evil} >>evil/config; echo $PWD/evil >$g/worktrees/a/commondir",
            f"{find} cp -r $g evil; {evil} >>evil/config; rm -f .git; echo 'gitdir: evil' >.git",
            f"git init -q .; {evil} >>.git/config",
            f"git init -q s$$; cd s$$; git commit -q --allow-empty -m x; {evil} >>.git/config; cd ..; git add s$$",
            f"git init -q s; {evil} >>s/.git/config; mkdir store; mv s/.git store/evil; rm -rf s",
            "mkdir s; mv store/evil s/.git; git add s",
            "mv .git.quarantined .git",
            "mv s/.git.quarantined s/.git",
            f"{find} mkdir -p $g/modules; cp -r $g/../sub $g/modules/x; {evil} >>$g/modules/sub/config",
            f"{find} ln -sf {self.top}/precious $g/FETCH_HEAD; ln -sf {self.top}/precious $g/index",
            "git commit -q --allow-empty -m inside",
        )
        return self.inside(self.random.choice(scripts), self.random.choice(("agent", "agent", "root")))

    def check_nothing_left(self):
        equal([p for p in self.files("locked") if "/worktrees/" in p], [], "locks")
        places = {os.path.dirname(p) for p in self.files(".git")}
        self.canary.after_host_git(*(p for p in places if os.path.isdir(p)))


@timeout(120)
def test_peaceful(t):
    with daemon(t) as d:
        w = Peaceful(t, d)
        w.run({**w.life(), w.agent: 8, w.owner: 5, w.tree: 1})


@timeout(120)
def test_hostile(t):
    with daemon(t) as d:
        w = Hostile(t, d)
        w.run({**w.life(), w.attack: 14})
