# SPDX-License-Identifier: Apache-2.0
"""Where a secret must not be: values are planted and looked for everywhere outside the command that has them."""

import os
import signal
import stat

import daemon as daemon_module
from harness import exited
from lib import check, equal, text_of, until
from test_secret_files import CONFIG, TOOL, spelled

VALUES = {
    "in_env": "planted-in-env-0123456789abcdef",
    "in_file": "planted-in-file-fedcba9876543210",
    "in_stdin": "planted-in-stdin-00112233445566",
}
PROVIDERS = "".join(
    f"""
[secret {name}]
provider = command
command = /bin/cat TOP/{name}
"""
    for name in VALUES
    if name != "in_env"  # the store's
)
USES = ["in_env", {"name": "in_file", "file": "~/.agent/auth.json"}, {"name": "in_stdin", "stdin": True}]
OURS = ("sandboxd", "sandbox-keeper", "sandbox-init", "sandbox-broker")
# Everything is printed as it is, in two pieces, and last so that the spool does not know it: that it was there.
SAY = """
read -r in
at() { printf %s "$1" | sed 's/./&-/g'; echo; }
for v in "$IN_ENV" "$(cat ~/.agent/auth.json)" "$in"; do
	echo "$v" >&2; echo "$v"
	printf %s "${v%????????????}"; sleep 0.1; printf '%s\\n' "${v#${v%????????????}}"
	at "$v"
done
"""
WAIT = "n=0; while [ ! -e go ]; do sleep 0.02; n=$((n + 1)); [ $n -lt 3000 ] || exit 9; done"


def contents(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def files_below(top):
    for path, _, names in os.walk(top):
        for name in names:
            full = os.path.join(path, name)
            try:
                if stat.S_ISREG(os.lstat(full).st_mode):
                    yield full
            except OSError:
                pass


def places(d):
    """(where, bytes): the disk, the log, and what every process tells of how it was started."""
    for top in (d.state, d.run):
        for path in files_below(top):
            yield path, path.encode() + contents(path)
    yield d.log, contents(d.log)
    for pid, (_, _, comm) in daemon_module.process_table().items():
        yield f"cmdline of {comm}", contents(f"/proc/{pid}/cmdline")
        if any(comm.startswith(name[:15]) for name in OURS):
            yield f"environ of {comm}", contents(f"/proc/{pid}/environ")


def search(d, when):
    count = 0
    for where, data in places(d):
        count += 1
        for name, value in VALUES.items():
            check(value.encode() not in data, f"{when}: the value of {name} is in {where}")
    check(count > 20, f"{when}: looked at {count} places")


def keeper_of(d):
    """The daemon's only one; its workers are called like it."""
    table = daemon_module.process_table()
    found = [pid for pid in daemon_module.descendants(d.pid) if pid in table]
    (keeper,) = [
        pid
        for pid in found
        if table[pid][2].startswith("sandbox-keeper"[:15]) and table.get(table[pid][0], (0, 0, ""))[2] != table[pid][2]
    ]
    return keeper


def dumpable(pid):
    """The files of one that is not are root's."""
    uid = os.stat(f"/proc/{pid}/mem").st_uid
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        real = next(int(line.split()[1]) for line in f if line.startswith("Uid:"))
    return None if real == 0 else uid == real


def planted(t):
    top = t.workspace(VALUES)
    config = CONFIG + PROVIDERS.replace("TOP", top) + "[limits]\npool_memory = 0\n"
    d = t.private_daemon(config=config)
    c = t.connect(daemon=d)
    c.call("secret.set", {"secret": "in_env", "value": {"text": VALUES["in_env"]}})
    return d, c


def expect_spools(r):
    """The command had all three; what is kept of its output has none."""
    merged = "output" in r
    said = text_of(r["output" if merged else "stdout"]).decode().splitlines()
    expected = []
    for value in VALUES.values():
        expected += ["*" * len(value)] * (3 if merged else 2) + [spelled(value)]
    equal(said, expected, "what is kept")


def crash(t, d):
    d.process.send_signal(signal.SIGKILL)
    d.process.wait(10)
    d.start()
    return t.connect(daemon=d)


def test_search(t):
    """While a command has them, in each way of keeping its output, and afterwards, over a crash."""
    d, c = planted(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    for more in ({}, {"capture": "merged"}):
        r = exited(t.run(s, ["sh", "-c", SAY], client=c, secrets=USES, **more))
        expect_spools(r)
        search(d, f"after a command with {more}")
    x = t.run(s, ["sh", "-c", f"{WAIT}; {SAY}"], client=c, secrets=USES, detach=True)
    search(d, "while a command has them")
    if d.can_come_back():
        c = crash(t, d)
        search(d, "under the next daemon")
    t.put(ws, "go", "")
    expect_spools(exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60)))
    search(d, "after the last command")
    # a core file would be in the directory of the command
    os.unlink(os.path.join(ws, "go"))
    r = t.run(s, ["sh", "-c", "kill -ABRT $$"], client=c, secrets=USES)
    equal((r["cause"], r["signal"]), ("signaled", "SIGABRT"), f"{r}")
    equal([x for x in os.listdir(ws) if "core" in x], [], "core files")
    search(d, "after a crash of a command")


def test_keeper_leaves_no_core(t):
    """It is not dumpable while it looks for values, and makes sandboxes all the same."""
    d, c = planted(t)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    t.sh(s, "true", client=c)
    keeper = keeper_of(d)
    check(dumpable(keeper) is not False, "it is, without any")
    check(not dumpable(d.pid), "the daemon never is")
    x = t.run(s, ["sh", "-c", WAIT], client=c, secrets=USES, detach=True)
    check(not dumpable(keeper), "not with some")
    other = t.sandbox(client=c, workspace=t.workspace())
    equal(t.sh(other, "cat /proc/1/status >/dev/null; id -u", client=c), "1000\n", "another sandbox")
    c.call("sandbox.stop", {"sandbox": other["name"]})
    c.call("sandbox.start", {"sandbox": other["name"]})
    c.call("sandbox.pause", {"sandbox": other["name"]})
    c.call("sandbox.resume", {"sandbox": other["name"]})
    t.sh(other, "true", client=c, stage="reviewer")
    check(not dumpable(keeper), "still not")
    t.put(ws, "go", "")
    exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60))
    until(lambda: dumpable(keeper) is not False, 30, "it is again", 0.02)
