# SPDX-License-Identifier: Apache-2.0
"""A command in a sandbox that runs: over one connection, from Node, and as a whole process."""

import os
import shutil
import subprocess

import peers

HERE = os.path.dirname(os.path.abspath(__file__))
OWN_FDS = {"fds": 3, "stdin": {"fd": 0}, "stdout": {"fd": 1}, "stderr": {"fd": 2}}


def spawn(bench, mode):
    return lambda n: bench.numbers(mode, n, "/bin/true")


def own_fds(bench):
    line = bench.exec_line(**OWN_FDS)
    bench.turns(
        "exec-fds",
        "exec of true, one connection, own descriptors",
        "posix_spawn",
        2000,
        lambda n: bench.numbers("rpc", bench.daemon.socket, n, line, "fd"),
        spawn(bench, "process"),
        1.4,
    )


def captured(bench):
    bench.turns(
        "exec-captured",
        "exec of true, captured",
        "posix_spawn with two pipes",
        2000,
        lambda n: bench.numbers("rpc", bench.daemon.socket, n, bench.exec_line()),
        spawn(bench, "piped"),
        1.8,
    )


def node(bench):
    def ours(n):
        if not shutil.which("node"):
            raise RuntimeError("no node on this machine")
        script = os.path.join(HERE, "..", "node-exec.mjs")
        command = ["node", script, bench.daemon.socket, "bench", str(n)]
        p = subprocess.run(command, capture_output=True, check=False, timeout=600)
        if p.returncode != 0:
            raise RuntimeError(f"node: {p.stderr.decode(errors='replace')[-600:]}")
        return [int(x) for x in p.stdout.split()]

    bench.turns(
        "exec-node",
        "exec of true, captured, from Node",
        "posix_spawn with two pipes",
        2000,
        ours,
        spawn(bench, "piped"),
        1.0,
        "+",
    )


def stage(bench):
    bench.turns(
        "exec-stage",
        "exec of true in a read-only stage",
        "in no stage",
        1000,
        lambda n: bench.numbers("rpc", bench.daemon.socket, n, bench.exec_line(stage="reviewer")),
        lambda n: bench.numbers("rpc", bench.daemon.socket, n, bench.exec_line()),
        1.0,
        "+",
    )


def whole_process(bench):
    command = [bench.ctl, "exec", "bench", "/bin/true"]
    nsenter = peers.nsenter(bench.sandbox["pid"])

    def row(key, against, n, peer, budget=None):
        bench.turns(
            key, "sandboxctl exec of true, whole process", against, n,
            lambda n: bench.numbers("process", n, *command), peer, budget, command=command,
        )

    row(
        "ctl-nsenter", "nsenter into the same sandbox", 500,
        lambda n: bench.numbers("process", n, *nsenter, "/bin/true"), 0.75,
    )
    row("ctl-crun", "crun exec", 300, bench.peer(peers.CrunExec, "crun").run, 0.35)
    row("ctl-runc", "runc exec", 60, bench.peer(peers.CrunExec, "runc").run)
    row("ctl-docker", "docker exec", 60, bench.peer(peers.Docker).exec_true)


ROWS = (own_fds, captured, node, stage, whole_process)
