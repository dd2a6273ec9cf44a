# SPDX-License-Identifier: Apache-2.0
"""Where a secret must not be: values are planted and looked for everywhere outside the command that has them."""

import json
import os
import signal
import stat

import daemon as daemon_module
from harness import b64, exited
from lib import Closed, check, equal, text_of, until
from test_secret_files import CONFIG, TOOL, spelled

# No other run's. The beginning is looked for, for the rest may come later; it is longer than a register, which
# may be left on a stack.
BEGINNING = 90
VALUES = {name: f"planted-{name}-{os.urandom(48).hex()}" for name in ("in_env", "in_file", "in_stdin", "in_error")}
FILES = {**VALUES, "json": json.dumps({"ok": False, "error": VALUES["in_error"]})}
CONFIG += """
[daemon]
log_level = debug
[limits]
pool_memory = 0
[secret in_file]
provider = command
command = /bin/cat TOP/in_file
[secret in_stdin]
provider = command
command = /bin/cat TOP/in_stdin
[secret answers_json]
provider = command
command = /bin/cat TOP/json
[secret fails]
provider = command
command = /bin/grep -e . -e x TOP/in_error TOP/not-there
[secret is_none]
provider = file
path = TOP/in_error/x
"""
USES = ["in_env", {"name": "in_file", "file": "~/.agent/auth.json"}, {"name": "in_stdin", "stdin": True}]
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


def is_inside(pid):
    """In a sandbox, where one command sees the environment of another of its user."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") != os.readlink("/proc/self/ns/pid")
    except OSError:
        return False


def places(d):
    """(where, bytes): the disk, the log, where files are made in passing, what processes tell of how they
    were started."""
    for top in (d.state, d.run):
        for path in files_below(top):
            yield path, path.encode() + contents(path)
    yield d.log, contents(d.log)
    for top in ("/", "/tmp", "/var/tmp", "/dev/shm"):
        for entry in os.scandir(top):
            if entry.is_file(follow_symlinks=False):
                yield entry.path, entry.path.encode() + contents(entry.path)
    ours = daemon_module.descendants(os.getpid())
    for pid, (_, _, comm) in daemon_module.process_table().items():
        yield f"cmdline of {comm}", contents(f"/proc/{pid}/cmdline")
        if pid in ours and not is_inside(pid):
            yield f"environ of {comm}", contents(f"/proc/{pid}/environ")


def memory(pid):
    """What is mapped there, piece by piece."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as f:
        for line in maps:
            where, mode = line.split()[:2]
            start, end = (int(x, 16) for x in where.split("-"))
            try:
                f.seek(start)
                yield line.rstrip(), f.read(end - start) if "r" in mode else b""
            except (OSError, OverflowError):
                pass  # the kernel's own


def found_in(data):
    return [name for name, value in VALUES.items() if value[:BEGINNING].encode() in data]


def search(d, when, heard=()):
    count = 0
    for where, data in [*places(d), ("answers", b"".join(heard))]:
        count += 1
        equal(found_in(data), [], f"{when}: in {where}")
    check(count > 20, f"{when}: looked at {count} places")


def remembered(d):
    """What sandboxd, its keeper and the inits still have in memory of what they handed on."""
    for pid, comm in {d.pid: "sandboxd", **daemon_module.descendants(d.pid)}.items():
        for where, data in memory(pid):
            if found_in(data):
                return f"{found_in(data)} in {comm}, {where}"
    return None


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
    top = t.workspace(FILES)
    d = t.private_daemon(config=CONFIG.replace("TOP", top))
    c = t.connect(daemon=d)
    c.call("secret.set", {"secret": "in_env", "value": {"text": VALUES["in_env"]}})
    return d, c


def listen(c):
    """Every line that C gets from now on."""
    heard = []
    take = c.take_line

    def take_line():
        line = take()
        heard.append(line or b"")
        return line

    c.take_line = take_line
    return heard


def expect_spools(r):
    """The command had all three; what is kept of its output has none."""
    merged = "output" in r
    said = text_of(r["output" if merged else "stdout"]).decode().splitlines()
    expected = []
    for value in list(VALUES.values())[:3]:
        expected += ["*" * len(value)] * (3 if merged else 2) + [spelled(value)]
    equal(said, expected, "what is kept")


def ask_for_everything(c, s, x):
    for method, params in (
        ("exec.get", {"execId": x}), ("exec.list", {}), ("sandbox.get", {"sandbox": s["id"]}), ("sandbox.list", {}),
        ("secret.list", {}), ("audit.list", {}), ("audit.verify", {}), ("loop.list", {}),
        ("system.info", {}), ("system.doctor", {}), ("pool.list", {}), ("template.list", {}),
    ):
        c.call(method, params)


def test_errors(t):
    """Calls that fail with a value in their hands, or in what they were given."""
    d, c = planted(t)
    s = t.sandbox(client=c, tool=TOOL)
    heard = listen(c)
    value = VALUES["in_error"]
    run = {"sandbox": s["name"], "command": ["true"]}
    for name in ("answers_json", "fails", "is_none"):
        lease = {"secret": name, "ttlMs": 1000, "reveal": True}
        check(c.error("secret.lease", lease).code in (-32001, -32005), f"{heard[-1]}")
        check(c.error("exec.run", {**run, "secrets": [name]}).code in (-32001, -32005), f"{heard[-1]}")
    for params in (
        {"secret": "x", "value": value},
        {"secret": "x", "value": [value]},
        {"secret": "x", "value": {"base64": value}},
        {"secret": "x", "value": {"text": value, "more": 1}},
        {"secret": "x", "value": {"text": value, "fd": 0}},
        {"secret": "x", "value": {value: value}},
        {"secret": "x", "value": {"text": [value]}},
        {"secret": "../x", "value": {"text": value}},
        {"secret": "in_file", "value": {"text": value}},
    ):
        c.error("secret.set", params)
    c.error("exec.run", {**run, "secrets": [{"name": "in_env", "value": value}]})
    c.call("secret.set", {"secret": "with_nul", "value": b64(value.encode() + b"\0")})
    e = c.error("exec.run", {**run, "secrets": ["with_nul"]})
    equal((e.code, e.field), (-32602, "secrets[0].env"), f"{e}")
    text = f'{{"jsonrpc":"2.0","id":"bad","method":"secret.set","params":{{"secret":"x","value":{{"text":"{value}"'.encode()
    for end in (b"}", b"\xff\"}}}", b"}}},", b"\x01\"}}}"):
        other = t.connect(daemon=d)
        heard_too = listen(other)
        other.raw(text + end + b"\n")
        until(lambda: other_line(other), 10, "an answer")
        heard += heard_too
    search(d, "after errors", heard)


def other_line(c):
    """An answer, or the end."""
    try:
        return c.line()
    except Closed:
        return b"end"


def crash(t, d):
    d.process.send_signal(signal.SIGKILL)
    d.process.wait(10)
    d.start()
    return t.connect(daemon=d)


def test_search(t):
    """While a command has them, in each way of keeping its output, and afterwards, over a crash."""
    d, c = planted(t)
    heard = listen(c)
    ws = t.workspace()
    s = t.sandbox(client=c, tool=TOOL, workspace=ws)
    for more in ({}, {"capture": "merged"}):
        r = exited(t.run(s, ["sh", "-c", SAY], client=c, secrets=USES, **more))
        expect_spools(r)
        ask_for_everything(c, s, r["execId"])
        search(d, f"after a command with {more}", heard)
    if os.geteuid() == 0 and "ASAN_OPTIONS" not in os.environ:  # which keeps what is freed
        until(lambda: not remembered(d), 10, lambda: f"forgotten: {remembered(d)}", 0.05)
    x = t.run(s, ["sh", "-c", f"{WAIT}; {SAY}"], client=c, secrets=USES, detach=True)
    ask_for_everything(c, s, x["execId"])
    search(d, "while a command has them", heard)
    c = crash(t, d)
    heard = listen(c)
    ask_for_everything(c, s, x["execId"])
    search(d, "under the next daemon", heard)
    t.put(ws, "go", "")
    expect_spools(exited(c.call("exec.wait", {"execId": x["execId"]}, timeout=60)))
    search(d, "after the last command", heard)
    # a core file would be in the directory of the command
    os.unlink(os.path.join(ws, "go"))
    r = t.run(s, ["sh", "-c", "kill -ABRT $$"], client=c, secrets=USES)
    equal((r["cause"], r["signal"]), ("signaled", "SIGABRT"), f"{r}")
    equal([x for x in os.listdir(ws) if "core" in x], [], "core files")
    search(d, "after a crash of a command", heard)


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
