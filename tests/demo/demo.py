#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One whole task of a real agent: demo.py --build DIR --cache DIR

A repository with a worktree, a daemon of its own, a sandbox without a network, claude in it, and a
scripted API in place of the real one. Then everything goes, and it is looked up that it did. What
stays is the template in --cache, so that a second run builds nothing.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "demo-claude"
COMMAND = (
    "printf 'Written in a sandbox.\\n' > from-the-sandbox.txt && "
    "git add from-the-sandbox.txt && git commit -q -m 'Add a file from the sandbox' && "
    "git log --oneline | head -1"
)
PROMPT = "Write from-the-sandbox.txt and commit it.\n"
EXECS = 20


class Failed(Exception):
    pass


def title(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def check(what, holds, found=""):
    print(f"   {'ok' if holds else 'FAILED'}: {what}{': ' + str(found) if found and not holds else ''}")
    sys.stdout.flush()
    if not holds:
        raise Failed(what)


def git(where, *args):
    return subprocess.run(
        ["git", "-C", where, *args], check=True, capture_output=True, text=True
    ).stdout.strip()


class Demo:
    def __init__(self, build, cache):
        self.build = build
        self.state = os.path.join(cache, "state")
        self.folder = tempfile.mkdtemp(prefix="sandboxd-demo-")
        self.runtime = os.path.join(self.folder, "run")
        self.repository = os.path.join(self.folder, "repository")
        self.worktree = os.path.join(self.folder, "worktree")
        self.log = os.path.join(self.folder, "sandboxd.log")
        self.ctl = self.program("sandboxctl")
        self.children = []
        self.daemon = None
        self.times = {}

    def program(self, name):
        for top, directories, files in os.walk(self.build):
            directories[:] = [d for d in directories if not d.endswith(".p")]
            if name in files and os.access(os.path.join(top, name), os.X_OK):
                return os.path.join(top, name)
        raise Failed(f"{name} is not built in {self.build}")

    # ---- the client ----
    def run(self, *args, stdin=None, quiet=False):
        """sandboxctl with ARGS, shown as a person would type it; its stdout."""
        shown = " ".join(a if a.replace("-", "").isalnum() or "/" in a else repr(a) for a in args)
        if not quiet:
            print(f"   $ sandboxctl {shown}", flush=True)
        start = time.monotonic()
        done = subprocess.run(
            [self.ctl, "--socket", os.path.join(self.runtime, "sandboxd.sock"), *args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
            check=False,
            timeout=1200,
        )
        took = time.monotonic() - start
        if not quiet:
            for line in done.stdout.splitlines():
                print(f"     {line}", flush=True)
        if done.returncode:
            raise Failed(f"sandboxctl {shown}: exit status {done.returncode} {done.stderr or ''}")
        return done.stdout, took

    # ---- the parts ----
    def make_repository(self):
        title("A repository with a worktree")
        git(self.folder, "init", "-q", "-b", "main", self.repository)
        git(self.repository, "config", "user.name", "Demo")
        git(self.repository, "config", "user.email", "demo@example.invalid")
        git(self.repository, "commit", "-q", "--allow-empty", "-m", "Begin")
        git(self.repository, "worktree", "add", "-q", "-b", "task", self.worktree)
        print(f"   {self.worktree}")

    def start_daemon(self):
        title("A daemon of its own")
        os.makedirs(self.state, mode=0o711, exist_ok=True)
        with open(self.log, "wb") as log:
            self.daemon = subprocess.Popen(
                [
                    self.program("sandboxd"),
                    "--state-dir",
                    self.state,
                    "--runtime-dir",
                    self.runtime,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.runtime, "sandboxd.sock")):
            if self.daemon.poll() is not None or time.monotonic() > deadline:
                raise Failed("sandboxd does not start")
            time.sleep(0.02)
        self.run("rpc", "system.ping")

    def layers(self):
        """When each layer of claude that is ready was made."""
        said = self.run("-o", "json", "template", "ls", quiet=True)[0]
        return [
            t["createdAt"]
            for t in json.loads(said)["templates"]
            if t.get("tool") == "claude" and t["state"] == "ready"
        ]

    def create(self):
        title("A sandbox for claude, without a network")
        create = ("create", "--name", NAME, "--network", "none", "claude", self.worktree)
        before = self.layers()
        if not before:
            print("   the first time, claude and its node come from npm into a layer")
        took = self.run(*create)[1]
        if self.layers() != before:  # none was there, or its recipe has changed since
            print(f"   with the layer: {took:.1f} s; once more with what is there now:")
            self.run("rm", "-f", NAME)
            took = self.run(*create)[1]
        self.times["create"] = took
        check(
            "the worktree is locked while it is in use",
            os.path.exists(os.path.join(self.repository, ".git/worktrees/worktree/locked")),
        )

    def try_claude(self):
        title("claude in it")
        said, _ = self.run("exec", NAME, "claude", "--version")
        check("it runs", "Claude Code" in said, said)
        said, _ = self.run(
            "exec", "-e", "CLAUDE_CODE_OAUTH_TOKEN=made-up", NAME, "claude", "auth", "status"
        )
        check("with a made-up token it says loggedIn", json.loads(said)["loggedIn"] is True, said)
        said, _ = self.run("exec", NAME, "node", "--version")
        check("its node is its own", "/opt/claude" in self.run(
            "exec", NAME, "sh", "-c", "command -v node", quiet=True)[0], said)

    def start(self, *command):
        """A helper process that prints a port on its first line."""
        errors = open(os.path.join(self.folder, os.path.basename(command[-2]) + ".log"), "wb")
        with errors:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.children.append(child)
        line = child.stdout.readline().strip()
        if not line.isdigit():
            raise Failed(f"{command[0]} does not start")
        return line

    def work(self):
        title("A whole task, its prompt by stdin")
        sandbox = json.loads(self.run("-o", "json", "inspect", NAME, quiet=True)[0])
        init = os.path.join(self.runtime, "sandboxes", sandbox["id"], "init.sock")
        api = self.start(sys.executable, os.path.join(HERE, "scripted-api.py"), COMMAND)
        port = self.start(self.program("demo-relay"), init, api)
        print(f"   127.0.0.1:{port} inside is the scripted API on the host; there is nothing else")
        before = git(self.worktree, "rev-parse", "HEAD")
        self.run(
            "exec",
            "-i",
            "-e",
            f"ANTHROPIC_BASE_URL=http://127.0.0.1:{port}",
            "-e",
            "CLAUDE_CODE_OAUTH_TOKEN=made-up",
            "-e",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
            "--timeout",
            "120s",
            NAME,
            "claude",
            "-p",
            "--dangerously-skip-permissions",
            stdin=PROMPT,
        )
        after = git(self.worktree, "rev-parse", "HEAD")
        check("the commit is there, seen from the host", before != after)
        print("     " + git(self.worktree, "log", "--stat", "-1", "--format=%h %an: %s").replace("\n", "\n     "))
        owner = os.stat(os.path.join(self.worktree, "from-the-sandbox.txt")).st_uid
        check("the file is yours", owner == os.getuid(), owner)

    def measure(self):
        took = [self.run("exec", NAME, "true", quiet=True)[1] for _ in range(EXECS)]
        self.times["exec"] = statistics.median(took)

    def remove(self):
        title("And away")
        self.times["stop"] = self.run("stop", NAME)[1]
        self.times["remove"] = self.run("rm", NAME)[1]

    def stop_daemon(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                raise Failed("sandboxd did not stop within 20 s") from None

    def stop_children(self):
        for child in self.children:
            child.terminate()
            child.wait()
            child.stdout.close()

    # ---- what is left ----
    def processes(self):
        """Living processes that belong to this daemon: its sandboxes, keepers, helpers."""
        found = []
        marks = (self.folder.encode(), self.state.encode())
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read()
                with open(f"/proc/{pid}/stat", "rb") as f:
                    zombie = f.read().rpartition(b")")[2].split()[0] == b"Z"
            except OSError:
                continue
            if int(pid) != os.getpid() and not zombie and any(m in line for m in marks):
                found.append(f"{pid} {line.replace(bytes(1), b' ').decode(errors='replace')}")
        return found

    def cgroups(self, instance):
        return [
            os.path.join(top, d)
            for top, directories, _ in os.walk("/sys/fs/cgroup")
            for d in directories
            if instance in d
        ]

    def mounts(self):
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as f:
            return [line for line in f if self.folder in line or self.state in line]

    def files(self):
        """Names below the state directory, but the database, locks and templates."""
        found = []
        for top, directories, files in os.walk(self.state):
            if os.path.basename(top) == "templates":
                directories[:] = []
                continue
            leaf = os.path.basename(top)
            if leaf in ("upper", "spool", "trash"):
                found += [os.path.join(top, n) for n in directories + files]
                directories[:] = []
        found += [
            os.path.join(self.runtime, d, n)
            for d in ("sandboxes", "keepers")
            if os.path.isdir(os.path.join(self.runtime, d))
            for n in os.listdir(os.path.join(self.runtime, d))
        ]
        return found

    def look(self, instance):
        title("What is left")
        lock = os.path.join(self.repository, ".git/worktrees/worktree/locked")
        check("no lock on the worktree", not os.path.exists(lock))
        self.stop_children()
        self.stop_daemon()
        deadline = time.monotonic() + 5  # trash is emptied at idle priority
        while (self.processes() or self.files()) and time.monotonic() < deadline:
            time.sleep(0.05)
        check("no process", not self.processes(), self.processes())
        check("no mount", not self.mounts(), self.mounts())
        check("no cgroup", not self.cgroups(instance), self.cgroups(instance))
        check("no file or directory but the template cache", not self.files(), self.files())
        shutil.rmtree(self.folder)
        print(f"   kept: the template in {self.state}")

    def table(self):
        title("Beside docker sandbox (cached image, as its users report)")
        theirs = {"create": 14.0, "exec": 0.090, "stop": 11.0, "remove": 0.150}
        print(f"   {'':8} {'sandboxd':>12} {'docker sandbox':>16} {'times faster':>14}")
        for what, other in theirs.items():
            mine = self.times[what]
            print(f"   {what:8} {mine * 1000:9.1f} ms {other * 1000:13.0f} ms {other / mine:14.0f}")
        print("   (whole sandboxctl processes)")

    def clean_up(self):
        """After a failure: nothing of ours may stay, the log is shown."""
        self.stop_children()
        if self.daemon and self.daemon.poll() is None:
            try:
                self.stop_daemon()
            except Failed as e:
                print(e)
        if os.path.exists(self.log):
            with open(self.log, encoding="utf-8", errors="replace") as f:
                print("the daemon's log:\n" + "".join(f.readlines()[-40:]))
        shutil.rmtree(self.folder, ignore_errors=True)


def play(demo):
    demo.make_repository()
    demo.start_daemon()
    info = json.loads(demo.run("rpc", "system.info", quiet=True)[0])
    demo.create()
    demo.try_claude()
    demo.work()
    demo.measure()
    demo.remove()
    demo.look(info["instanceId"])
    demo.table()


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", required=True)
    p.add_argument("--cache", required=True)
    args = p.parse_args()
    start = time.monotonic()
    demo = Demo(args.build, args.cache)
    try:
        play(demo)
    except (Failed, subprocess.SubprocessError, OSError, KeyError, ValueError) as e:
        print(f"\ndemo: {e}", file=sys.stderr)
        demo.clean_up()
        return 1
    except KeyboardInterrupt:
        demo.clean_up()
        return 130
    print(f"\nThe demo took {time.monotonic() - start:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
