# SPDX-License-Identifier: Apache-2.0
"""A claim of a spare that is ready: a git worktree, environment and limits bound. No other work is going on:
the pool is full again before each. tests/bench/pool measures streams of claims."""

import json
import os
import subprocess
import time

from rows import secrets
from runner import Unmeasurable

SPARES = 4
MEMORY, PIDS = 2 << 30, 512
COMMITTER = ("-c", "user.name=b", "-c", "user.email=b@b")


def git(*args):
    subprocess.run(["git", *args], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def worktree(bench):
    """The path of a worktree of a repository of its own."""
    path = os.path.join(bench.top, "worktree")
    if not os.path.exists(path):
        repo = os.path.join(bench.top, "repository")
        git("init", "-q", repo)
        git("-C", repo, *COMMITTER, "commit", "-q", "--allow-empty", "-m", "x")
        git("-C", repo, "worktree", "add", "-q", "-b", "bench", path)
    return path


def pooled(bench):
    """A daemon with spares."""
    return bench.start_daemon("pool", {"pool host": {"min": SPARES, "max": SPARES}})


def params(bench):
    """What bench-loop sandbox adds to a name."""
    p = {
        "workspace": worktree(bench),
        "env": {"CI": "1", "STORY": "bench"},
        "limits": {"memoryBytes": MEMORY, "pids": PIDS},
    }
    return "," + json.dumps(p, separators=(",", ":"))[1:-1]


def on_one_connection(bench):
    def claim(*more):
        return lambda n: bench.numbers(
            "sandbox", pooled(bench).socket, n, "warm", params(bench), *more
        )

    bench.alone("claim", "claim with worktree, env, limits, on one connection", 300, claim(), 1)
    secrets.store(pooled(bench).client())
    bench.alone(
        "claim-exec",
        "claim, lease of a secret, first exec of true, on one connection (no policy yet)",
        300,
        claim("exec", "," + json.dumps({"secrets": secrets.LEND})[1:-1]),
        3,
    )


def await_pool(client):
    for _ in range(2000):
        pools = client.call("pool.list")["pools"]
        if pools and all(p["ready"] and not p["starting"] for p in pools):
            return
        time.sleep(0.005)
    raise Unmeasurable("the pool is not refilled")


def whole_process(bench):
    def ours(n):
        out = []
        env = {"SANDBOXD_SOCKET": pooled(bench).socket}
        options = f"-q --name cli --memory 2G --pids {PIDS} -e CI=1 -e STORY=bench".split()
        with pooled(bench).client() as client:
            for _ in range(n):
                await_pool(client)
                out += bench.numbers(
                    "process", 1, bench.ctl, "create", *options, "shell", worktree(bench), env=env
                )
                if client.call("sandbox.get", {"sandbox": "cli"})["launchType"] != "warm":
                    raise Unmeasurable("the sandbox was started cold")
                client.call("sandbox.remove", {"sandbox": "cli", "force": True}, timeout=60)
        return out

    bench.alone("claim-cli", "the same claim by sandboxctl create, whole process", 200, ours, 2.5)


ROWS = (on_one_connection, whole_process)
