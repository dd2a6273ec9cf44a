# SPDX-License-Identifier: Apache-2.0
"""crun run of true with the configuration that a sandbox is made with, in the keeper's namespaces.

The configuration is what a keeper really gives its runtime: a "runtime" that only writes down what it
gets is configured in a daemon for that, and the create fails, as it must. The root file system is an
overlay over the keeper's skeleton, as a sandbox's is, but mounted once for all runs of a turn (in
directories of its own each time: a volatile overlay is not mounted twice).
"""

import json
import os

import daemon as daemon_module  # of tests/integration
import lib
from peers import need

TREE = "/sys/fs/cgroup"  # where the keeper has its own directories: daemon/keeper/tree.h

RECORDER = """#!/bin/sh
while [ $# -gt 0 ]; do
	[ "$1" = --bundle ] && cat "$2/config.json" >{to}
	shift
done
exit 1
"""

MOUNT_ROOT = (
    "set -e; mkdir -p {top}/upper-$$ {top}/work-$$ {top}/merged; mount -t overlay bench {top}/merged "
    "-o lowerdir={tree}/skeleton,upperdir={top}/upper-$$,workdir={top}/work-$$,volatile,userxattr; "
    'exec "$@"'
)


class SameConfig:
    def __init__(self, bench):
        self.bench = bench
        self.top = os.path.join(bench.top, "same")
        self.prefix = None

    def record(self):
        """The configuration, and the keeper that made it; a sandbox keeps that one alive."""
        recorder, to = self.top + "/recorder", self.top + "/recorded"
        with open(recorder, "w", encoding="ascii") as f:
            f.write(RECORDER.format(to=to))
        os.chmod(recorder, 0o755)
        d = self.bench.start_daemon("record", {"runtime record": {"type": "crun", "path": recorder}})
        with d.client() as client:
            client.call("sandbox.create", {"name": "hold"}, timeout=60)
            try:
                client.call("sandbox.create", {"name": "recorded", "runtime": "record"}, timeout=60)
            except lib.RpcError as e:
                if e.kind != "runtime_failed":
                    raise
        keepers = [
            pid for pid, name in daemon_module.descendants(d.pid).items() if name == "sandbox-keeper"
        ]
        with open(to, encoding="utf-8") as f:
            return json.load(f), keepers[0]

    def prepare(self):
        os.mkdir(self.top)
        os.chmod(self.top, 0o777)  # the keeper's root is nobody here
        spec, keeper = self.record()
        spec["process"]["args"] = ["/bin/true"]
        spec["root"]["path"] = self.top + "/merged"
        with open(self.top + "/config.json", "w", encoding="utf-8") as f:
            json.dump(spec, f)
        script = MOUNT_ROOT.format(top=self.top, tree=TREE)
        self.prefix = [
            *f"nsenter -t {keeper} -U -m -S 0 -G 0 -- unshare -m sh -c".split(), script, "sh"
        ]

    def run(self, n):
        crun = need("crun")
        if not self.prefix:
            self.prepare()
        options = ["--root", self.top + "/run", "--cgroup-manager=disabled"]
        return self.bench.numbers(
            "process", n, crun, *options, "run", "-b", self.top, "bench-same", prefix=self.prefix
        )
