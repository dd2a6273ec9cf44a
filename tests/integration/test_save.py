# SPDX-License-Identifier: Apache-2.0
"""sandbox.save: templates of sandboxes, what they stand on, and who keeps which layer alive."""

import json
import os
import signal
import subprocess
import time

import daemon as daemon_module
import lib
from harness import modes, refused, timeout
from lib import check, equal, until
from test_faults import drop_disk, small_disk, until_unused

MAKE = r"""
set -e
mkdir -p /home/agent/.cache/x /home/agent/d/e; echo no >/home/agent/.cache/x/y; echo no >/tmp/no
echo no >/home/agent/.bash_history; mkdir -p /home/agent/.codex; echo no >/home/agent/.codex/auth.json
echo secret >/run/no; echo one >/home/agent/d/e/one; ln /home/agent/d/e/one /home/agent/d/two
ln -s ../nowhere /home/agent/d/link; mkfifo /home/agent/d/fifo
truncate -s 5G /home/agent/d/sparse; echo end >>/home/agent/d/sparse
rm /etc/host.conf; rm -rf /etc/profile.d /var; mkdir -p /var/tmp; chmod 1777 /var/tmp; echo x >/var/mine
install -d -o 33 -g 33 -m 0750 /var/www; echo closed >/var/www/f; chown 33:34 /var/www/f; chmod 0 /var/www/f
touch -d '2001-02-03 04:05:06 UTC' /home/agent/d/e/one /home/agent/d/e
chown -R -h 1000:1000 /home/agent
"""

SEE = r"""
set -e
cat /home/agent/d/e/one; stat -c '%h %Y %u' /home/agent/d/two; stat -c %Y /home/agent/d/e
readlink /home/agent/d/link; test -p /home/agent/d/fifo
stat -c %s /home/agent/d/sparse; tail -c 4 /home/agent/d/sparse
test "$(stat -c %b /home/agent/d/sparse)" -lt 100
test ! -e /etc/host.conf; test ! -e /etc/profile.d; ls -A /var; stat -c %a /var/tmp; stat -c '%u:%g %a' /var/www /var/www/f
cat /var/www/f
for f in /tmp/no /run/no /home/agent/.cache /home/agent/.bash_history /home/agent/.codex/auth.json; do
  test ! -e $f || echo "$f is there"
done
"""

SEEN = (
    "one\n2 981173106 1000\n981173106\n../nowhere\n5368709124\nend\nmine\ntmp\nwww\n1777\n"
    "33:33 750\n33:34 0\nclosed\n"
)


def single_id(t, s):
    """Without subordinate ids there is one owner for all."""
    return t.sh(s, "cat /proc/self/uid_map").split()[2] == "1"


def save(t, s, name, client=None):
    c = client or t.client
    return c.call("sandbox.save", {"sandbox": s["name"], "template": name}, timeout=60)


def drop(t, *names):
    for name in names:
        t.client.call("template.remove", {"template": name})


def layer_dir(t, daemon=None):
    state = (daemon or t.daemon).state
    return os.path.join(state, "owners", str(os.getuid()), "templates")


def layers(t, daemon=None):
    """Directories of layers of sandboxes without workspace, unfinished ones too."""
    path = layer_dir(t, daemon)
    return set(os.listdir(path)) if os.path.isdir(path) else set()


def gone_by(t, seconds, before, daemon=None):
    deadline = time.monotonic() + seconds
    while layers(t, daemon) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(layers(t, daemon) - before, set(), "layers left")


def test_running_and_stopped(t):
    """Everything is in it as it was, and nothing else; and the sandbox goes on."""
    ws = t.workspace({"mine": "x"})
    s = t.sandbox(workspace=ws)
    if single_id(t, s):
        t.skip("owners need subordinate ids")
    t.sh(s, MAKE, user="root")
    t.sh(s, "echo ws >in-workspace")
    ticks = t.client.call(
        "exec.run",
        {
            "sandbox": s["name"],
            "command": ["/bin/sh", "-c", "while sleep 0.02; do echo .; done"],
            "detach": True,
        },
    )
    name = t.unique("full") + ":1"
    made = save(t, s, name)
    equal((made["name"], made["state"], made["base"]), (name, "ready", "host"), "facts")
    check(made["sizeBytes"] > 0 and len(made["digest"]) == 64, f"{made}")
    equal(t.client.call("template.get", {"template": name}), made, "get")
    listed = [x for x in t.client.call("template.list")["templates"] if x["name"] == name]
    equal(listed, [made], "list")
    before = t.client.call("exec.get", {"execId": ticks["execId"]})
    equal(before["state"], "running", "the command goes on")
    start = t.client.call("exec.read", {"execId": ticks["execId"], "stream": "stdout"})["nextOffset"]
    until(
        lambda: t.client.call("exec.read", {"execId": ticks["execId"], "stream": "stdout"})["nextOffset"] > start,
        20,
        "it goes on ticking",
    )
    equal(t.sh(s, SEE.replace("test ! -e $f || ", "true || "), user="root"), SEEN, "the saved one")
    a = t.sandbox(template=name, workspace=t.workspace())
    equal(a["template"], name, "template")
    equal(t.sh(a, SEE, user="root"), SEEN, "files")
    check(t.run(a, ["ls", ws])["exitCode"] != 0 or t.sh(a, f"ls -A {ws}") == "", "the workspace")
    t.client.call("exec.cancel", {"execId": ticks["execId"]})
    t.client.call("sandbox.stop", {"sandbox": s["name"], "force": True})
    stopped = t.unique("stopped")
    check(save(t, s, stopped)["digest"] != made["digest"], "digest")
    t.client.call("sandbox.start", {"sandbox": s["name"]})
    equal(t.sh(s, "cat ~/d/two"), "one\n", "after a save while it was stopped")
    b = t.sandbox(template=stopped, workspace=t.workspace())
    equal(t.sh(b, SEE, user="root"), SEEN, "files of the stopped one")
    for x in (a, b):
        t.client.call("sandbox.remove", {"sandbox": x["name"], "force": True})
    if t.mode == "owner":  # layers are per owner of the workspaces
        e = t.client.error("sandbox.create", {"template": name})
        equal((e.kind, e.field), ("not_found", "template"), f"{e}")
        check(str(t.suite.owner) in e.hint, e.hint)
    drop(t, name, stopped)


def test_held_still(t):
    """Files that are written one after the other are seen as they were at one moment."""
    s = t.sandbox()
    writer = (
        "import os\nos.makedirs('/home/agent/n')\nf=[open(f'/home/agent/n/{i}','w') for i in range(300)]\n"
        "n=0\nwhile True:\n n+=1\n for x in f:\n  os.pwrite(x.fileno(), b'%09d' % n, 0)\n"
    )
    t.client.call(
        "exec.run", {"sandbox": s["name"], "command": ["python3", "-c", writer], "detach": True}
    )
    t.sh(s, "until [ -s ~/n/299 ]; do sleep 0.01; done")
    name = t.unique("still")
    save(t, s, name)
    a = t.sandbox(template=name)
    values = [int(x) for x in t.sh(a, "cd ~/n; for i in $(seq 0 299); do cat $i; echo; done").split()]
    check(values == sorted(values, reverse=True), "written in turn, seen out of turn")
    check(values[0] - values[-1] <= 1, f"{values[0]} and {values[-1]} at one moment")
    t.client.call("sandbox.remove", {"sandbox": a["name"], "force": True})
    drop(t, name)


def test_paused(t):
    """It is still already, and stays so."""
    s = t.sandbox()
    t.sh(s, "echo 1 >~/x")
    t.client.call("sandbox.pause", {"sandbox": s["name"]})
    name = t.unique("paused")
    save(t, s, name)
    equal(t.client.call("sandbox.get", {"sandbox": s["name"]})["state"], "paused", "state")
    t.client.call("sandbox.resume", {"sandbox": s["name"]})
    equal(t.sh(s, "cat ~/x"), "1\n", "resumed")
    drop(t, name)


def test_stack(t):
    """Saves of saves; a layer lives as long as somebody stands on it."""
    before = layers(t)
    one, two, three = (t.unique("stack") for _ in range(3))
    s = t.sandbox(name=t.unique("s1"))
    t.sh(s, "echo 1 >~/a; echo 1 >~/b")
    first = save(t, s, one)
    s2 = t.sandbox(template=one)
    t.sh(s2, "rm ~/a; echo 2 >~/b; echo 2 >~/c")
    second = save(t, s2, two)
    equal((second["base"], first["digest"] != second["digest"]), (one, True), "base")
    equal(len(layers(t) - before), 2, "layers")
    s3 = t.sandbox(template=two)
    equal(t.sh(s3, "cd; cat b c; ls"), "2\n2\nb\nc\n", "files")
    refused(t.client.error("template.remove", {"template": two}), "conflict")
    t.client.call("sandbox.stop", {"sandbox": s3["name"], "force": True})
    refused(t.client.error("template.remove", {"template": two}), "conflict")
    t.client.call("sandbox.remove", {"sandbox": s2["name"], "force": True})
    e = t.client.error("template.remove", {"template": one})
    refused(e, "conflict")
    check(two in e.message or s3["name"] in e.message, e.message)
    # by force: the name is free, the layer stays for those who stand on it
    t.client.call("template.remove", {"template": one, "force": True})
    refused(t.client.error("template.get", {"template": one}), "not_found")
    refused(t.client.error("sandbox.create", {"template": one}), "not_found")
    equal(len(layers(t) - before), 2, "layers of one that is used")
    save(t, s, one)
    t.client.call("sandbox.start", {"sandbox": s3["name"]})
    equal(t.sh(s3, "cd; cat b c; ls"), "2\n2\nb\nc\n", "files after that")
    s4 = t.sandbox(template=two)
    equal(save(t, s4, three)["base"], two, "base")
    for x in (s3, s4):
        t.client.call("sandbox.remove", {"sandbox": x["name"], "force": True})
    drop(t, three, two, one)
    gone_by(t, 10, before)


def test_orphan_outlives_the_daemon(t):
    """A removed template's layer goes with its last sandbox, even if the daemon ends in between."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    c.call("sandbox.create", {"name": "a"}, timeout=60)
    t.sh("a", "echo 1 >~/x", client=c)
    c.call("sandbox.save", {"sandbox": "a", "template": "x"})
    c.call("sandbox.remove", {"sandbox": "a", "force": True})
    c.call("sandbox.create", {"name": "b", "template": "x"}, timeout=60)
    c.call("sandbox.stop", {"sandbox": "b", "force": True})
    c.call("template.remove", {"template": "x", "force": True})
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    equal([x["name"] for x in c.call("template.list")["templates"]], ["host"], "templates")
    c.call("sandbox.start", {"sandbox": "b"}, timeout=60)
    equal(t.sh("b", "cat ~/x", client=c), "1\n", "files")
    c.call("sandbox.remove", {"sandbox": "b", "force": True})
    path = os.path.join(d.state, "owners", str(os.getuid()), "templates")
    deadline = time.monotonic() + 10
    while os.listdir(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(os.listdir(path), [], "layers")


def test_template_outlives_the_daemon(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    c.call("sandbox.create", {"name": "a", "tool": "shell"}, timeout=60)
    t.sh("a", "echo 1 >~/x", client=c)
    made = c.call("sandbox.save", {"sandbox": "a", "template": "x:2"})
    equal(made["tool"], "shell", "tool")
    d.stop()
    d.start()
    c = t.connect(daemon=d)
    equal(c.call("template.get", {"template": "x:2"}), made, "facts")
    b = c.call("sandbox.create", {"name": "b", "template": "x:2"}, timeout=60)
    equal((b["tool"], b["template"]), ("shell", "x:2"), "tool of the template")
    equal(t.sh("b", "cat ~/x", client=c), "1\n", "files")


def test_bad_input(t):
    s = t.sandbox()
    taken = t.unique("taken")
    save(t, s, taken)
    rows = [
        ({"template": "x"}, "invalid_params", "sandbox"),
        ({"sandbox": s["name"]}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": 1}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": ""}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": ".x"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "../x"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "x:"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "x:y:z"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "x" * 129}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "x@1"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "host"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "host:1"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "debian:12"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "claude"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "shell:x"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "codex"}, "invalid_params", "template"),
        ({"sandbox": s["name"], "template": "x", "force": True}, "invalid_params", "force"),
        ({"sandbox": "no-such", "template": "x"}, "not_found", "sandbox"),
        ({"sandbox": s["name"], "template": taken}, "already_exists", "template"),
    ]
    for params, kind, field in rows:
        e = t.client.error("sandbox.save", params)
        equal((e.kind, e.field), (kind, field), f"{params}: {e}")
    check(t.client.error("sandbox.save", rows[-1][0]).hint, "a hint")
    drop(t, taken)


def test_two_at_once(t):
    """One name, one save: the second is told so; two names wait for each other."""
    s = t.sandbox()
    t.sh(s, "head -c 30000000 /dev/urandom >~/big")
    a, b = t.unique("a"), t.unique("b")
    ids = [t.client.send("sandbox.save", {"sandbox": s["name"], "template": n}) for n in (a, a, b)]
    made = t.client.send("sandbox.create", {"name": t.unique("w"), "template": a})
    equal(t.client.wait(ids[0])["name"], a, "first")
    try:
        t.client.wait(ids[1])
        check(False, "saved twice under one name")
    except lib.RpcError as e:
        refused(e, "already_exists")
    equal(t.client.wait(ids[2])["name"], b, "other name")
    w = t.client.wait(made, 60)
    equal((w["state"], w["template"]), ("running", a), "waited for the save")
    t.client.call("sandbox.remove", {"sandbox": w["name"], "force": True})
    drop(t, a, b)


def test_states(t):
    """What is not whole cannot be saved; a removed sandbox's save says so."""
    s = t.sandbox()
    os.kill(s["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while t.client.call("sandbox.get", {"sandbox": s["name"]})["state"] == "running":
        check(time.monotonic() < deadline, "it does not end")
        time.sleep(0.02)
    e = t.client.error("sandbox.save", {"sandbox": s["name"], "template": t.unique("x")})
    equal((e.kind, e.field), ("invalid_state", "sandbox"), "failed")
    s = t.sandbox()
    gone = t.client.send("sandbox.remove", {"sandbox": s["name"]})
    name = t.unique("x")
    late = t.client.send("sandbox.save", {"sandbox": s["name"], "template": name})
    t.client.wait(gone)
    try:
        t.client.wait(late)
        check(False, "saved what is removed")
    except lib.RpcError as e:
        refused(e, "not_found", "invalid_state")
    refused(t.client.error("template.get", {"template": name}), "not_found")


@modes("owner", "user")
def test_runtime_without_files_of_its_own(t):
    s = t.sandbox(runtime="host", workspace=t.workspace())
    e = t.client.error("sandbox.save", {"sandbox": s["name"], "template": t.unique("x")})
    equal((e.kind, e.field, bool(e.hint)), ("unavailable", "sandbox", True), f"{e}")


TINY = """
[tool tiny]
version = 1
install =
	mkdir -p "$TOOL_PREFIX/bin"
	printf '#!/bin/sh\\necho %s\\n' "$TOOL_VERSION" >"$TOOL_PREFIX/bin/tiny"
	chmod 755 "$TOOL_PREFIX/bin/tiny"
check = echo "$TOOL_VERSION"
"""


@timeout(120)
def test_with_a_tool(t):
    """A tool that is not in the template is added below it; one that is stays as it is."""
    d = t.private_daemon(config=TINY)
    c = t.connect(daemon=d)
    c.call("sandbox.create", {"name": "a"}, timeout=60)
    t.sh("a", "echo 1 >~/x", client=c)
    c.call("sandbox.save", {"sandbox": "a", "template": "web:1"})
    b = c.call("sandbox.create", {"name": "b", "template": "web:1", "tool": "tiny"}, timeout=60)
    equal((b["template"], b["tool"]), ("web:1", "tiny"), "both")
    equal(t.sh("b", "tiny; cat ~/x", client=c), "1\n1\n", "tool and files")
    made = c.call("sandbox.save", {"sandbox": "b", "template": "web:2"})
    equal((made["base"], made["tool"], made["version"]), ("web:1", "tiny", "1"), "saved")
    e = c.error("template.remove", {"template": "tiny@1"})
    refused(e, "conflict")
    e = c.error("sandbox.create", {"template": "web:2", "tool": "tiny@2"})
    equal((e.kind, e.field, bool(e.hint)), ("unavailable", "tool", True), f"{e}")
    c.call("sandbox.remove", {"sandbox": "b", "force": True})
    c.call("template.remove", {"template": "tiny@1", "force": True})
    e = c.call("sandbox.create", {"name": "e", "template": "web:2", "tool": "tiny"}, timeout=60)
    equal(t.sh("e", "tiny; cat ~/x", client=c), "1\n1\n", "the tool that was saved")
    names = [x["name"] for x in c.call("template.list")["templates"]]
    equal(sorted(names), ["host", "web:1", "web:2"], "no second layer of the tool")
    f = c.call("sandbox.create", {"name": "f", "template": "web:2"}, timeout=60)
    equal((f["tool"], t.sh("f", "tiny", client=c)), ("tiny", "1\n"), "its own tool")
    # a create that is given up while it waits for the tool
    rid = c.send("sandbox.create", {"name": "g", "template": "web:1", "tool": "tiny"}, request_id="g")
    c.notify("rpc.cancel", {"id": "g"})
    reply = c.wait_raw(rid, 30)
    check(reply.get("error", {}).get("code") == -32009 or "result" in reply, f"{reply}")


@timeout(120)
def test_too_many_layers(t):
    names = []
    template = "host"
    for _ in range(8):
        s = t.sandbox(template=template)
        t.sh(s, "echo x >>~/x")
        names.append(t.unique("deep"))
        save(t, s, names[-1])
        t.client.call("sandbox.remove", {"sandbox": s["name"]})
        template = names[-1]
    s = t.sandbox(template=template)
    equal(t.sh(s, "wc -l <~/x"), "8\n", "files")
    e = t.client.error("sandbox.save", {"sandbox": s["name"], "template": t.unique("x")})
    equal((e.kind, bool(e.hint)), ("limit_reached", True), f"{e}")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    drop(t, *reversed(names))


@modes("root")
def test_disk_full(t):
    """Typed, nothing left, and the sandbox goes on."""
    disk = small_disk(t, "64m")
    d = None
    try:
        d = t.private_daemon(state=disk + "/state")
        c = t.connect(daemon=d)
        c.call("sandbox.create", {"name": "a"}, timeout=60)
        t.sh("a", "head -c 40000000 /dev/zero | tr '\\0' x >~/big", client=c)
        e = c.error("sandbox.save", {"sandbox": "a", "template": "x"})
        equal(e.kind, "limit_reached", f"{e}")
        gone_by(t, 5, set(), d)
        equal(t.sh("a", "wc -c <~/big", client=c), "40000000\n", "the sandbox")
        refused(c.error("template.get", {"template": "x"}), "not_found")
        t.sh("a", "rm ~/big; echo small >~/small", client=c)
        deadline = time.monotonic() + 10
        while os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize < 20000000:
            check(time.monotonic() < deadline, "the half copy still takes its place")
            time.sleep(0.1)
        while True:
            try:
                c.call("sandbox.save", {"sandbox": "a", "template": "x"})
                break
            except lib.RpcError as again:
                check(time.monotonic() < deadline, f"{again}")
            time.sleep(0.1)
        equal(c.call("template.get", {"template": "x"})["state"], "ready", "then")
    finally:
        if d:
            d.destroy()
        until_unused(d)
        drop_disk(disk)


def children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(entry))
    return found


def killed_save(t, s, name):
    """Saves S and kills the keeper's worker at it; the error, or None where the worker was faster."""
    keepers = [
        p
        for p, comm in daemon_module.descendants(t.daemon.pid).items()
        if comm.startswith("sandbox-keeper")
    ]
    known = {p: set(children(p)) for p in keepers}
    rid = t.client.send("sandbox.save", {"sandbox": s["name"], "template": name})
    deadline = time.monotonic() + 10
    while not any(x.startswith(".saved") for x in layers(t)):
        check(time.monotonic() < deadline, "no copy begins")
    daemon_module.end_pids(w for p in keepers for w in set(children(p)) - known[p])
    try:
        t.client.wait(rid, 20)
    except lib.RpcError as e:
        return e
    return None


def test_worker_killed(t):
    """The keeper's worker is killed in the middle: an error, the sandbox goes on, nothing is left."""
    s = t.sandbox()
    before = layers(t)
    make = "import os\nfor i in range(6000):\n os.makedirs(f'/home/agent/m/{i}')\n open(f'/home/agent/m/{i}/f','w').write('x')"
    check(t.run(s, ["python3", "-c", make])["exitCode"] == 0, "files")
    for _ in range(5):  # a copy may be faster than the kill
        name = t.unique("killed")
        e = killed_save(t, s, name)
        if e:
            break
        drop(t, name)
    check(e, "five copies were faster than the kill")
    refused(e, "runtime_failed")
    equal(t.sh(s, "ls ~/m | wc -l"), "6000\n", "the sandbox goes on")
    refused(t.client.error("template.get", {"template": name}), "not_found")
    gone_by(t, 5, before)
    save(t, s, name)
    drop(t, name)


def test_command_line(t):
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    t.sh(s, "echo x >~/x")
    name = t.unique("cli") + ":v1"
    p = t.ctl("save", s["name"], name)
    equal((p.returncode, p.stdout.decode()), (0, name + "\n"), f"save: {p.stderr}")
    p = t.ctl("save", s["name"], name)
    equal((p.returncode, p.stdout), (1, b""), "again")
    check(b"remove it first" in p.stderr, p.stderr)
    p = t.ctl("template", "ls")
    check(name in p.stdout.decode(), p.stdout)
    p = t.ctl("create", "-t", name, "shell", ws)
    equal(p.returncode, 0, f"create: {p.stderr}")
    other = p.stdout.decode().strip()
    t.sandboxes.append((t.client, other))
    p = t.ctl("exec", other, "cat", "/home/agent/x")
    equal(p.stdout, b"x\n", f"{p.stderr}")
    equal(t.ctl("rm", "-f", other).returncode, 0, "rm")
    equal(t.ctl("template", "rm", name).returncode, 0, "template rm")


def registry():
    """What the host's npm would ask; None without npm or without an answer."""
    try:
        p = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, timeout=30, check=True
        )
        url = p.stdout.decode().strip()
        subprocess.run(
            ["npm", "view", "semver", "version"], capture_output=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return url


@timeout(180)
def test_npm_install_globally(t):
    """`npm install -g` as the agent just works, and what it installed is in the template."""
    url = registry()
    if not url:
        t.skip("no npm registry")
    s = t.sandbox(network="host")
    env = {k: v for k, v in os.environ.items() if k.lower().endswith("_proxy")}
    env["npm_config_registry"] = url
    env["npm_config_cafile"] = "/etc/ssl/certs/ca-certificates.crt"
    r = t.run(s, ["npm", "install", "-g", "semver@7.6.3"], env=env, timeout=150, client=t.client)
    check(r["exitCode"] == 0, json.dumps(r)[:2000])
    equal(t.sh(s, "command -v semver; semver 1.2.3"), "/home/agent/.local/bin/semver\n1.2.3\n", "here")
    name = t.unique("npm") + ":1"
    save(t, s, name)
    a = t.sandbox(template=name)
    equal(t.sh(a, "semver 1.2.3; ls -A ~/.npm 2>/dev/null || true"), "1.2.3\n", "in the other")
    t.client.call("sandbox.remove", {"sandbox": a["name"], "force": True})
    drop(t, name)
