#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole loop of real agents: demo.py --build DIR --cache DIR

A repository with a worktree, a daemon of its own, and a loop on the worktree with claude and codex
in sandboxes without a network; a scripted API takes the place of the real ones. Then everything
goes, and it is looked up that it did. What stays are the tools' layers in --cache, so that a second
run builds nothing.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import leftovers
import play

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(1, os.path.join(HERE, "../integration"))

import tokens  # noqa: E402

LOOP = f"demo-{int(time.time())}"  # an id that was used is remembered for a day
NAME = "by-hand"
TOOLS = ("claude", "codex")
API_LOG = "scripted-api.py-0.log"
PORT = 8421  # of the scripted API, as each sandbox sees it
EXECS = 20
SECRET = "claude_setup_token"
LOGIN = "codex_auth_json"
TOKEN = f"made-up-{os.urandom(8).hex()}"  # the scripted API wants it, and only a lease has it
# The tools' hosts are taken away, for they are not reached, and their API is put in place. What they
# log in with is a secret, which is lent to the agent when it runs. A line of the configuration has at
# most 200 bytes.
CONFIG = f"""\
[tool claude]
hosts =
env = DISABLE_AUTOUPDATER=1
env = ANTHROPIC_BASE_URL=http://127.0.0.1:{PORT}
env = CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1

[tool codex]
hosts =
seed ~/.codex/config.toml =
	model_provider = "demo"
	approval_policy = "never"
	sandbox_mode = "danger-full-access"
	check_for_update_on_startup = false
	chatgpt_base_url = "http://127.0.0.1:{PORT}/backend-api"
	[model_providers.demo]
	name = "demo"
	base_url = "http://127.0.0.1:{PORT}/v1"
	wire_api = "responses"
	requires_openai_auth = true
	[analytics]
	enabled = false
	[projects."/"]
	trust_level = "trusted"
"""


class Failed(Exception):
    pass


def title(text):
    print(f"\n\033[1m== {text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)


def check(what, holds, found=""):
    print(f"   {'ok' if holds else 'FAILED'}: {what}{': ' + str(found) if found and not holds else ''}")
    sys.stdout.flush()
    if not holds:
        raise Failed(what)


def show(text):
    for line in text.splitlines():
        print(f"     {line}")
    sys.stdout.flush()


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
        self.api = None
        self.oauth = tokens.Server()  # takes a refresh token once
        self.base = None  # the commit that the loop begins with
        self.overheads = []
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
    def run(self, *args, stdin=None, quiet=False, mute=False):
        """sandboxctl with ARGS, shown as a person would type it; its stdout. MUTE: stderr, which an
        agent fills with its log, only if it fails."""
        shown = " ".join(a if a.replace("-", "").isalnum() or "/" in a else repr(a) for a in args)
        if not quiet:
            print(f"   $ sandboxctl {shown}", flush=True)
        start = time.monotonic()
        done = subprocess.run(
            [self.ctl, "--socket", os.path.join(self.runtime, "sandboxd.sock"), *args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet or mute else None,
            text=True,
            check=False,
            timeout=1200,
        )
        took = time.monotonic() - start
        if not quiet:
            show(done.stdout)
        if done.returncode:
            raise Failed(f"sandboxctl {shown}: exit status {done.returncode} {done.stderr or ''}")
        return done.stdout, took

    def rpc(self, method, params):
        """The result of a call, and how long it took."""
        said, took = self.run("rpc", method, json.dumps(params), quiet=True)
        return json.loads(said), took

    # ---- the parts ----
    def make_repository(self):
        title("A repository with a worktree")
        git(self.folder, "init", "-q", "-b", "main", self.repository)
        git(self.repository, "config", "user.name", "Demo")
        git(self.repository, "config", "user.email", "demo@example.invalid")
        with open(os.path.join(self.repository, "README.md"), "w", encoding="ascii") as f:
            f.write(play.README)
        git(self.repository, "add", "README.md")
        git(self.repository, "commit", "-q", "-m", "Say what is wanted")
        git(self.repository, "worktree", "add", "-q", "-b", "task", self.worktree)
        print(f"   {self.worktree}")

    def start_daemon(self):
        title("A daemon of its own")
        os.makedirs(self.state, mode=0o711, exist_ok=True)
        for name in ("secrets.vault", "secrets.key"):  # of an earlier demo
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.state, name))
        config = os.path.join(self.folder, "sandboxd.conf")
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG + self.oauth.config())
        command = [self.program("sandboxd"), "--config", config]
        command += ["--state-dir", self.state, "--runtime-dir", self.runtime]
        with open(self.log, "wb") as log:
            self.daemon = subprocess.Popen(
                command,
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
        self.tidy()
        self.run("secret", "set", SECRET, stdin=TOKEN + "\n")

    def tidy(self):
        """Ends what an earlier demo that was killed has left in the cache."""
        for kind, remove in (("loop", ("loop", "rm", "-f")), ("sandbox", ("rm", "-f"))):
            listed = self.rpc(f"{kind}.list", {})[0]
            for item in listed[f"{kind}es" if kind == "sandbox" else f"{kind}s"]:
                if item["state"] != "destroyed":
                    self.run(*remove, item["loopId" if kind == "loop" else "name"])

    def build_layers(self):
        said = self.run("-o", "json", "template", "ls", quiet=True)[0]
        ready = {t.get("tool") for t in json.loads(said)["templates"] if t["state"] == "ready"}
        if not ready.issuperset(TOOLS):
            title("The first time, each tool and its node come from npm into a layer")
        for tool in TOOLS:  # one whose recipe has changed is built now, too
            self.run("template", "build", tool, quiet=tool in ready)

    def try_by_hand(self):
        title("One sandbox by hand, without a network")
        self.times["create"] = self.run(
            "create", "--name", NAME, "--network", "none", "claude", self.worktree
        )[1]
        said, _ = self.run("exec", NAME, "claude", "--version")
        check("claude runs", "Claude Code" in said, said)
        said, _ = self.run("exec", NAME, "claude", "auth", "status", quiet=True)
        check("with a leased token it says loggedIn", json.loads(said)["loggedIn"] is True, said)
        said, _ = self.run("exec", NAME, "env", quiet=True)
        check("no other command has the token", "TOKEN" not in said, said)
        said, _ = self.run("exec", NAME, "sh", "-c", "command -v node", quiet=True)
        check("its node is its own", "/opt/claude" in said, said)
        took = [self.run("exec", NAME, "true", quiet=True)[1] for _ in range(EXECS)]
        self.times["exec"] = statistics.median(took)
        self.times["stop"] = self.run("stop", NAME)[1]
        self.times["remove"] = self.run("rm", NAME)[1]

    def create_loop(self):
        title("A loop on the worktree: a sandbox for each tool")
        self.base = git(self.worktree, "rev-parse", "HEAD")
        tools = [word for tool in TOOLS for word in ("--tool", tool)]
        self.times["loop create"] = self.run("loop", "create", LOOP, "-w", self.worktree, *tools)[1]
        lock = os.path.join(self.repository, ".git/worktrees/worktree/locked")
        check("the worktree is locked while it is in use", os.path.exists(lock))
        with open(os.path.join(self.folder, "play.json"), "w", encoding="ascii") as f:
            json.dump(play.SCENES, f)
        self.api = self.start(sys.executable, os.path.join(HERE, "scripted-api.py"), f.name)
        for tool in TOOLS:
            said = self.run("-o", "json", "inspect", f"loop-{LOOP}-{tool}", quiet=True)[0]
            init = os.path.join(self.runtime, "sandboxes", json.loads(said)["id"], "init.sock")
            self.start(self.program("demo-relay"), init, self.api, str(PORT))
        print(f"   127.0.0.1:{PORT} inside is the scripted API on the host; there is nothing else")

    def start(self, *command):
        """A helper process that prints a port on its first line."""
        name = f"{os.path.basename(command[-2])}-{len(self.children)}.log"
        with open(os.path.join(self.folder, name), "wb") as errors:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "DEMO_TOKEN": TOKEN},
            )
        self.children.append(child)
        line = child.stdout.readline().strip()
        if not line.isdigit():
            raise Failed(f"{command[0]} does not start")
        return line

    # ---- the stages ----
    def stage(self, stage, tool, words):
        """One run, as an orchestrator makes it; its LoopRunResult."""
        title(f"{stage}: {tool}")
        file = os.path.join(self.folder, f"{stage}.json")
        verify = ("--verify", play.RUN_TESTS) if stage == "judge" else ()
        _, took = self.run(
            *("loop", "run", "--stage", stage, "--story", "story-1", "--timeout", "2min"),
            *("--artifacts", "patch", "--base", self.base, "--result-file", file),
            *(*verify, LOOP, tool, "-"),
            stdin=play.prompt(stage, words),
            mute=True,
        )
        with open(file, encoding="utf-8") as f:
            result = json.load(f)
        self.overheads.append(took - result["exec"]["durationMs"] / 1000)
        check(f"it completed, in {took:.1f} s", result["state"] == "completed", result)
        return result

    def expire_login(self):
        """A login as Codex keeps it, whose access token is about to end."""
        self.run("secret", "set", LOGIN, stdin=tokens.login(self.oauth.valid, life=60), quiet=True)

    def look_at_logins(self):
        """What the API was asked with."""
        title("The login of codex was refreshed outside, once for each run")
        with open(os.path.join(self.folder, API_LOG), encoding="utf-8") as f:
            asked = [line for line in f if line.startswith("POST ")]
        runs = sum(tool == "codex" for _, tool, _ in play.STAGES)
        check("the token server was asked once for each", self.oauth.requests == runs, self.oauth.requests)
        check("each time with the next refresh token", self.oauth.reused == 0)
        used = [line.split()[-1] for line in asked if "/responses" in line]
        expected = [f"access-{n + 2}" for n in range(runs)]
        check("the API saw each new access token, in its run alone", sorted(set(used)) == expected and used == sorted(used), used)
        check("and never a refresh token", not [line for line in asked if "refresh" in line], asked)
        check("nor was anything asked without", not [x for x in asked if "/v1/" in x and "refused" in x], asked)

    def work(self):
        results = {}
        for stage in play.STAGES:
            if "codex" in stage:
                self.expire_login()
            results[stage[0]] = self.stage(*stage)
        self.look_at_logins()
        self.times["run overhead"] = statistics.median(self.overheads)
        title("What came of it")
        for stage in ("planner", "test-writer", "reviewer"):
            check(f"the {stage} could not write where it may not", play.REFUSED in results[stage]["output"])
        touched = {stage: r["artifacts"]["touchedFiles"] for stage, r in results.items()}
        check("the planner changed nothing", touched["planner"] == [], touched)
        check(
            "the test-writer wrote only a test",
            touched["test-writer"] == ["tests/test_greet.py"],
            touched,
        )
        verification = results["judge"]["artifacts"]["verification"]
        show(verification["output"].strip())
        check("the tests pass, says the judge", verification["success"] is True, verification)
        head = git(self.worktree, "rev-parse", "HEAD")
        check(
            "the commit is there, seen from the host",
            head != self.base and results["judge"]["artifacts"]["headSha"] == head,
        )
        show(git(self.worktree, "log", "--stat", "-1", "--format=%h %an: %s"))
        check("nothing is uncommitted", not git(self.worktree, "status", "--porcelain"))
        owner = os.stat(os.path.join(self.worktree, "greet.py")).st_uid
        check("the files are yours", owner == os.getuid(), owner)
        self.apply(results["judge"]["artifacts"]["patch"])

    def apply(self, patch):
        """The patch of the run makes the same tree elsewhere."""
        copy = os.path.join(self.folder, "copy")
        git(self.repository, "worktree", "add", "-q", "--detach", copy, self.base)
        subprocess.run(["git", "-C", copy, "apply", "--index", "-"], input=patch, text=True, check=True)
        same = git(copy, "write-tree") == git(self.worktree, "rev-parse", "HEAD^{tree}")
        check("its patch makes the same tree on the base commit", same)
        git(self.repository, "worktree", "remove", "--force", copy)

    def destroy(self):
        title("And away: the receipt")
        self.times["loop rm"] = self.run("loop", "rm", LOOP, "--outcome", "completed")[1]
        receipt, _ = self.rpc("loop.destroy", {"loopId": LOOP})
        check("asked again, it is the same", self.rpc("loop.destroy", {"loopId": LOOP})[0] == receipt)
        for secret in (SECRET, LOGIN):
            self.run("secret", "rm", secret)

    # ---- the end ----
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
        self.children = []
        self.oauth.close()

    def look(self, instance):
        title("What is left")
        lock = os.path.join(self.repository, ".git/worktrees/worktree/locked")
        check("no lock on the worktree", not os.path.exists(lock))
        self.stop_children()
        self.stop_daemon()
        marks = (self.folder, self.state)
        deadline = time.monotonic() + 5  # trash is emptied at idle priority
        while time.monotonic() < deadline:
            if not leftovers.processes(marks) and not leftovers.files(self.state, self.runtime):
                break
            time.sleep(0.05)
        for what, found in (
            ("process", leftovers.processes(marks)),
            ("mount", leftovers.mounts(marks)),
            ("cgroup", leftovers.cgroups(instance)),
            ("file or directory but the tools' layers", leftovers.files(self.state, self.runtime)),
        ):
            check(f"no {what}", not found, found)
        shutil.rmtree(self.folder)
        print(f"   kept: the layers in {self.state}")

    def table(self):
        title("Beside docker sandbox (cached image, as its users report)")
        # It has no loops: a sandbox for each tool, made and removed one after the other.
        theirs = {"create": 14.0, "exec": 0.090, "stop": 11.0, "remove": 0.150}
        theirs["loop create"] = theirs["create"] * len(TOOLS)
        theirs["loop rm"] = (theirs["stop"] + theirs["remove"]) * len(TOOLS)
        theirs["run overhead"] = None
        print(f"   {'':12} {'sandboxd':>12} {'docker sandbox':>16} {'times faster':>14}")
        for what, other in theirs.items():
            mine = self.times[what]
            row = f"   {what:12} {mine * 1000:9.1f} ms"
            print(row + (f" {other * 1000:13.0f} ms {other / mine:14.0f}" if other else f" {'-':>16}"))
        print("   (whole sandboxctl processes; a loop is two sandboxes; what of a run is not the agent is")
        print("   mostly git: head, touched files and patch, from a sandbox of its own)")

    def clean_up(self):
        """After a failure: nothing of ours may stay, then the logs are shown (who reads may be gone)."""
        logs = []
        self.stop_children()
        if self.daemon and self.daemon.poll() is None:
            try:
                if self.base:
                    self.run("loop", "rm", "-f", LOOP, "--outcome", "failed", quiet=True)
                self.stop_daemon()
            except Failed as e:
                logs.append(str(e))
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as f:
                    logs.append(f"{name}:\n" + "".join(f.readlines()[-40:]))
        shutil.rmtree(self.folder, ignore_errors=True)
        print("\n".join(logs))


def perform(demo):
    demo.make_repository()
    demo.start_daemon()
    info, _ = demo.rpc("system.info", {})
    demo.build_layers()
    demo.try_by_hand()
    demo.create_loop()
    demo.work()
    demo.destroy()
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
        perform(demo)
    except (Failed, subprocess.SubprocessError, OSError, KeyError, ValueError) as e:
        demo.clean_up()
        print(f"\ndemo: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        demo.clean_up()
        return 130
    print(f"\nThe demo took {time.monotonic() - start:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
