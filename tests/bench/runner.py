# SPDX-License-Identifier: Apache-2.0
"""What rows are measured with: daemons, bench-loop, turns, and the results."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import daemon as daemon_module  # of tests/integration
import lib
from figures import Row

TURNS = 10
QUICK_TURNS = 2
QUICK_PART = 10  # of the repetitions


class Unmeasurable(Exception):
    """A row cannot be measured on this machine; says why."""


def note(text):
    print(text, file=sys.stderr, flush=True)


def reason(text):
    """What a program has said before it failed; of a JSON-RPC error its message."""
    message = re.search(r'"message":"([^"]*)"', text)
    return message[1] if message else text.strip()[-600:]


def spread(folder):
    """What is in FOLDER is put where the disk has room. ext4 without a journal does not use an inode again
    for a minute, and looks at all of them around: beside what others have just removed in /tmp, each new file
    of the measured repository could cost half a millisecond."""
    subprocess.run(["chattr", "+T", folder], check=False, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # not ext4: nothing to be done


FAILURES = (Unmeasurable, RuntimeError, lib.RpcError, lib.Closed, AssertionError, OSError, subprocess.SubprocessError)


class Bench:
    """ONLY: words, of which one must be in a row's key; empty: all rows. OWN_DOCKER: whether a docker
    engine is to be started for its rows."""

    def __init__(self, build, quick=False, only=(), profiler=None, own_docker=False):
        self.tools = daemon_module.Tools(build)
        self.build = os.path.abspath(build)
        self.quick = quick
        self.only = only
        self.profiler = profiler
        self.own_docker = own_docker
        self.rows = []
        self.missing = []
        self.taken = []  # JSON rows of programs of their own
        self.loop = self.tools["bench-loop"]
        self.ctl = self.tools["sandboxctl"]
        self.top = tempfile.mkdtemp(prefix="sbt-bench-", dir="/tmp")
        os.chmod(self.top, 0o755)
        spread(self.top)
        self.daemons = {}
        self.closers = []
        self.peers = {}

    def peer(self, make, *args):
        """MAKE(bench, ARGS): the same one in every load, for what it starts runs on."""
        key = (make, *args)
        if key not in self.peers:
            self.peers[key] = make(self, *args)
        return self.peers[key]

    # ---- daemons ----
    def start_daemon(self, name, config=None):
        """A daemon of that name; started once, ended by close()."""
        if name not in self.daemons:
            top = os.path.join(self.top, name)
            self.daemons[name] = daemon_module.Daemon(self.tools, top, config=config)
            self.daemons[name].start()
        return self.daemons[name]

    def prepare(self):
        """The main daemon, with a sandbox `bench` that stays."""
        self.daemon = self.start_daemon("d")
        self.client = self.daemon.client()
        self.work = os.path.join(self.top, "work")
        os.mkdir(self.work)
        shutil.copy(self.loop, self.work + "/bench-loop")
        self.sandbox = self.client.call(
            "sandbox.create", {"name": "bench", "workspace": self.work}, timeout=60
        )
        os.environ["SANDBOXD_SOCKET"] = self.daemon.socket

    def close(self):
        """Everything that was started ends, whatever the one before it says."""
        for closer in [d.destroy for d in self.daemons.values()] + self.closers[::-1]:
            try:
                closer()
            except FAILURES as e:
                note(f"while ending: {e}")
        shutil.rmtree(self.top, ignore_errors=True)

    # ---- measuring ----
    def attempt(self, row):
        """One function of rows/: what fails in preparing it costs its own rows only."""
        try:
            row(self)
        except FAILURES as e:
            self.skip(row.__name__, e)

    def numbers(self, *args, prefix=(), env=None, cwd=None):
        """What bench-loop prints; stdin is an empty pipe, for crun and runc give what they get to the
        container's user."""
        p = subprocess.run(
            [*prefix, self.loop, *map(str, args)],
            input=b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            check=False,
            timeout=600,
        )
        if p.returncode != 0:
            raise RuntimeError(f"{args[0]}: {reason(p.stderr.decode(errors='replace'))}")
        return [int(x) for x in p.stdout.split(b"\n") if x.isdigit()]

    def inside(self, work_dir, *args, env=None):
        """numbers() inside the sandbox `bench`: only what the sandbox itself costs is measured."""
        r = self.client.call(
            "exec.run",
            {
                "sandbox": "bench",
                "command": [self.work + "/bench-loop", *map(str, args)],
                "workDir": work_dir,
                "env": env or {},
            },
            timeout=600,
        )
        if r["exitCode"] != 0:
            raise RuntimeError(f"inside: {str(r)[:600]}")
        return [int(x) for x in lib.text_of(r["stdout"]).split(b"\n") if x.isdigit()]

    def wanted(self, key):
        return not self.only or any(word in key for word in self.only)

    def skip(self, key, why):
        self.missing.append({"row": key, "why": str(why).strip()})
        note(f"{key}: not measured: {why}")

    def turns(self, key, what, against, n, ours, peer, budget=None, sense="<", command=None):
        """Ours and the peer's in turns of a tenth of N each, so that both see the same machine. OURS
        and PEER take a count and return as many samples; PEER is None for a row without.
        COMMAND: what OURS runs, if that is one process."""
        if not self.wanted(key):
            return
        rounds = QUICK_TURNS if self.quick else TURNS
        each = max(1, n // rounds // (QUICK_PART if self.quick else 1))
        a, b = [], []
        try:
            for measure in filter(None, (ours, peer)):
                measure(min(each, 5))
            for _ in range(rounds):
                a += ours(each)
                b += peer(each) if peer else []
        except FAILURES as e:
            self.skip(key, e)
            return
        self.add(Row(key, what, against, a, b, budget, sense))
        self.rows[-1].command = command
        try:
            if self.profiler:
                self.profiler.look_at(self, self.rows[-1], lambda: ours(each))
        except FAILURES as e:
            note(f"{key}: no profile: {e}")

    def alone(self, key, what, n, ours, budget):
        """A row without a peer: its budget is in milliseconds."""
        self.turns(key, what, "", n, ours, None, budget, "=")

    def add(self, row):
        self.rows.append(row)
        note(f"{row.key}: {row.value():.2f} ({row.met()})")

    def request(self, method, **params):
        """A line for bench-loop rpc."""
        return json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, separators=(",", ":")
        )

    def exec_line(self, **params):
        return self.request("exec.run", **{"sandbox": "bench", "command": ["/bin/true"], **params})
