# SPDX-License-Identifier: Apache-2.0
"""Another sandboxd, with another keeper and init, takes over from one that works: nothing is lost."""

import os
import shutil
import threading
import time

import lib
from harness import timeout
from lib import check, equal, until

LINES = 120
# Says a number and its time of day now and then, so that a gap would show.
COMMAND = f"i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo $NAME $i; sleep 0.05; done; exit 7"
AT_ONCE = 12


class Release:
    """What one version installs, as the daemon looks for it: beside itself."""

    def __init__(self, tools, top):
        for name, place in (
            ("sandboxd", "sandboxd"),
            ("sandbox-keeper", "keeper/sandbox-keeper"),
            ("sandbox-init", "init/sandbox-init"),
        ):
            path = os.path.join(top, place)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            shutil.copy(tools[name], path)
            os.chmod(path, 0o755)
        os.chmod(top, 0o755)
        self.tools = tools
        self.daemon = os.path.join(top, "sandboxd")

    def __getitem__(self, name):
        return self.daemon if name == "sandboxd" else self.tools[name]


def upgrade(d, release, how):
    getattr(d, how)()
    d.tools = release
    d.start()


@timeout(180)
def test_under_load(t):
    """Three upgrades, one after a crash, while commands run, begin and end."""
    tops = [t.workspace() for _ in range(4)]
    releases = [Release(t.suite.tools, top) for top in tops]
    ws = t.workspace()
    d = t.private_daemon({"daemon": {"on_stop": "keep"}}, start=False)
    d.tools = releases[0]
    d.start()
    t.suite.instances.add(d.instance)
    c = t.connect(daemon=d)
    boxes = [c.call("sandbox.create", {"workspace": ws}) for _ in range(3)]
    execs = {}
    for i in range(AT_ONCE):
        e = c.call(
            "exec.run",
            {
                "sandbox": boxes[i % len(boxes)]["name"],
                "command": ["sh", "-c", COMMAND],
                "env": {"NAME": f"n{i}"},
                "detach": True,
            },
        )
        execs[e["execId"]] = f"n{i}"
    answers, problems = {}, []

    def retry():
        """A client that knows its keys and calls until it is answered."""
        for k in range(40):
            key = f"k{k}"
            params = {
                "sandbox": boxes[k % len(boxes)]["id"],
                "command": ["sh", "-c", f"echo {key} >>keys; echo {key}; sleep 0.1"],
                "idempotencyKey": key,
            }
            deadline = time.monotonic() + 60
            while key not in answers and time.monotonic() < deadline:
                try:
                    with d.client() as own:
                        answers[key] = lib.text_of(own.call("exec.run", params, timeout=60)["stdout"])
                except (lib.Closed, OSError):
                    time.sleep(0.02)
                except lib.RpcError as e:
                    if e.kind != "unavailable":  # "the daemon is stopping"
                        problems.append(f"{key}: {e}")
                        return
                    time.sleep(0.02)

    caller = threading.Thread(target=retry)
    caller.start()
    try:
        for release, how in zip(releases[1:], ("stop", "kill", "stop")):
            time.sleep(1)
            upgrade(d, release, how)
    finally:
        caller.join()
    equal(problems, [], "calls that failed")
    c = t.connect(daemon=d)
    for e, name in execs.items():
        r = c.call("exec.wait", {"execId": e}, timeout=60)
        equal((r["exitCode"], r["cause"], r["truncated"]), (7, "exited", False), name)
        said = lib.text_of(r["stdout"]).decode().split("\n")
        equal(said, [f"{name} {i}" for i in range(1, LINES + 1)] + [""], f"what {name} said")
    equal(answers, {f"k{k}": f"k{k}\n".encode() for k in range(40)}, "answers")
    with open(os.path.join(ws, "keys"), encoding="utf-8") as f:
        ran = f.read().split()
    equal(sorted(ran), sorted(answers), "each ran once")
    pids = [c.call("sandbox.get", {"sandbox": b["name"]})["pid"] for b in boxes]
    equal(pids, [b["pid"] for b in boxes], "the same sandboxes")
    s = c.call("sandbox.create", {"name": "new", "workspace": ws})
    t.sh(s, "true", client=c)
    program = os.readlink(f"/proc/{d.pid}/exe") if os.getuid() == 0 else releases[3].daemon
    equal(program, releases[3].daemon, "the last version")
    for b in [*boxes, s]:
        c.call("sandbox.remove", {"sandbox": b["name"], "force": True})
    until(lambda: not c.call("sandbox.list")["sandboxes"], 30, "all are removed")
    check(d.alive(), "it lives")
