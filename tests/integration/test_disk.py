# SPDX-License-Identifier: Apache-2.0
"""What may be written, and what stays free: the floor below which nothing is made."""

import lib
from harness import exited, modes, refused, timeout
from lib import check, equal
from test_faults import drop_disk, small_disk, until_unused

MIB = 1 << 20


def floor_refuses(e):
    refused(e, "limit_reached")
    check("min_free" in e.hint, f"hint {e.hint}")


@timeout(120)
def test_floor(t):
    """Nothing is made below it, and what is there goes on: it runs commands, stops and starts."""
    ws = t.workspace({"file": "x"})
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "before"}, timeout=60)
    d.stop()
    d.write_config({"limits": {"min_free": "8000000T"}})
    d.start()
    c = t.connect(daemon=d)
    for method, params in (
        ("sandbox.create", {"name": "x"}),
        ("loop.create", {"loopId": "x", "workDir": ws, "tools": ["shell"]}),
        ("template.build", {"tool": "claude@0.0.1-none"}),
        ("sandbox.save", {"sandbox": "before", "template": "saved"}),
    ):
        floor_refuses(c.error(method, params, timeout=60))
    equal([x["name"] for x in c.call("sandbox.list")["sandboxes"]], ["before"], "sandboxes")
    equal(c.call("loop.list")["loops"], [], "loops")
    c.call("sandbox.start", {"sandbox": "before"}, timeout=60)
    equal(exited(t.run(s, ["echo", "on"], client=c))["stdout"], "on\n", "exec")
    found = [x for x in c.call("system.doctor", timeout=60)["checks"] if x["name"] == "disk space"]
    check(not found[0]["ok"] and "nothing is made below" in found[0]["detail"], f"doctor {found}")
    c.call("sandbox.remove", {"sandbox": "before", "force": True}, timeout=60)
    d.stop()


@modes("root", "owner")
@timeout(120)
def test_floor_of_a_small_disk(t):
    """The default one is a tenth of 200 MiB; the error names the mount; room that is made counts."""
    disk = small_disk(t, "200m")
    d = None
    try:
        d = t.private_daemon(state=disk + "/state")
        c = t.connect(daemon=d)
        s = c.call("sandbox.create", {"name": "filler"}, timeout=60)
        exited(t.run(s, ["sh", "-c", "head -c 195000000 /dev/zero >/home/agent/fill"], client=c))
        e = c.error("sandbox.create", {"name": "second"}, timeout=60)
        floor_refuses(e)
        check(f"{disk} has" in e.message and "below 20 MiB" in e.message, e.message)
        exited(t.run(s, ["rm", "/home/agent/fill"], client=c))
        c.call("sandbox.create", {"name": "second"}, timeout=60)
        for name in ("filler", "second"):
            c.call("sandbox.remove", {"sandbox": name, "force": True}, timeout=60)
        d.stop(30)
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)
