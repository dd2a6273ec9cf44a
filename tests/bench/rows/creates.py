# SPDX-License-Identifier: Apache-2.0
"""A sandbox from nothing: until init answers, and whole processes that run one command in one."""

import os

import peers
from same_config import SameConfig


def cold(bench):
    """A daemon that keeps no spares."""
    return bench.start_daemon("cold", {"limits": {"pool_memory": 0}})


def until_running(bench):
    def ours(n):
        return bench.numbers("sandbox", cold(bench).socket, n, "cold", "")

    what = "cold create until init answers"
    bench.turns(
        "create-crun", what, "crun run of true, same config", 200, ours, bench.peer(SameConfig).run, 1.25
    )
    bench.turns(
        "create-crun-spec", what, "crun run of true, crun spec's config", 200, ours,
        peers.oci_run(bench, "crun"),
    )
    bench.turns(
        "create-runc", what, "runc run of true, crun spec's config", 60, ours,
        peers.oci_run(bench, "runc"),
    )
    bench.turns(
        "create-bwrap", what, "bwrap true", 200, ours,
        lambda n: bench.numbers("process", n, peers.need("bwrap"), *peers.BWRAP[1:]), 1.5,
    )


def one_command(bench):
    """create, exec, rm: three processes against one of the peer's."""

    def ours(n):
        env = {"SANDBOXD_SOCKET": cold(bench).socket}
        work = os.path.join(bench.top, "empty")
        os.makedirs(work, exist_ok=True)
        script = (
            f"{bench.ctl} create -q --name one shell {work} && {bench.ctl} exec one true && "
            f"{bench.ctl} rm --force one"
        )
        return bench.numbers("process", n, "sh", "-c", script, env=env)

    what = "sandboxctl create, exec of true, rm: a shell and three processes"
    bench.turns("once-srt", what, "srt true (sandbox-runtime)", 60, ours, peers.sandbox_runtime(bench))
    bench.turns("once-docker", what, "docker run --rm of true", 30, ours, bench.peer(peers.Docker).run_true)


ROWS = (until_running, one_command)
