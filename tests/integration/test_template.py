# SPDX-License-Identifier: Apache-2.0
"""Templates: the embedded one and the tools' layers as far as they need no network (the layers
themselves are built by the demo)."""

import shutil
import socket
import subprocess

import daemon as daemon_module
import lib
from harness import modes, refused, result_text, timeout
from lib import check, equal
from test_save import children


def test_host_template(t):
    listed = t.client.call("template.list")["templates"]
    host = [x for x in listed if x["name"] == "host"]
    equal((len(host), host[0]["state"]), (1, "ready"), "host")
    equal(t.client.call("template.get", {"template": "host"})["name"], "host", "get")


def test_host_template_stays(t):
    e = t.client.error("template.remove", {"template": "host"})
    refused(e, "denied", "invalid_params", "invalid_state", "conflict")


def test_build_of_shell(t):
    """A tool without a layer: nothing to build."""
    try:
        r = t.client.call("template.build", {"tool": "shell"})
    except Exception as e:
        refused(e, "invalid_params", "invalid_state", "not_found", "unavailable")
        return
    equal(r["state"], "ready", "state")


def test_what_is_inside(t):
    """Nothing of the host's home, /root, /run, /srv, /mnt, /opt; the tools of /usr are."""
    s = t.sandbox()
    out = t.sh(s, "ls -A /root /run /srv /mnt /opt /home 2>/dev/null || true", user="root")
    names = [x for x in out.split() if not x.endswith(":")]
    check(set(names) <= {"agent", "lock", "user", "sandboxd", ".bashrc", ".profile"}, f"{names}")
    equal(t.sh(s, "for p in git python3 sh; do command -v $p; done | wc -l"), "3\n", "tools")
    out = t.sh(s, "cat /etc/passwd")
    check("agent:" in out and "root:" in out, out)
    check(len(out.splitlines()) < 30, "the host's passwd")
    check("localhost" in t.sh(s, "getent hosts localhost"), "localhost")
    t.sh(s, "test ! -e /etc/shadow || test ! -r /etc/shadow")


def test_home_is_writable_and_private(t):
    a, b = t.sandbox(), t.sandbox()
    t.sh(a, "echo x >~/x; mkdir -p ~/.config/y /var/tmp/z; echo x >/var/x || true")
    check(t.run(b, ["test", "-e", "/home/agent/x"])["exitCode"] == 1, "shared home")


def test_upper_is_gone_after_remove(t):
    s = t.sandbox(name=t.unique("reuse"))
    t.sh(s, "echo old >~/mark; rm -f /etc/hostname; echo x >/etc/newfile || true", user="root")
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    for _ in range(3):
        s = t.sandbox()
        check(t.run(s, ["ls", "/home/agent/mark", "/etc/newfile"])["exitCode"] != 0, "old files")


def test_package_like_changes_as_root(t):
    """Root inside may change its system: rename and remove of merged directories work."""
    s = t.sandbox()
    script = (
        "mkdir -p /etc/d/e; echo x >/etc/d/e/f; mv /etc/d /etc/d2; rm -rf /etc/d2; "
        "rm -rf /etc/ssl; mkdir /etc/ssl; ls -A /etc/ssl; chown 1000:1000 /home/agent; "
        "install -d -o 33 -g 33 -m 0750 /var/www; stat -c %u:%g /var/www"
    )
    equal(t.sh(s, script, user="root").split()[-1], "33:33", "owner")


def reachable():
    """Is there a mirror?"""
    p = subprocess.run(
        ["apt-get", "download", "--print-uris", "hostname"], capture_output=True, timeout=30, check=False
    )
    uri = p.stdout.decode().split("'")[1] if p.returncode == 0 and b"'" in p.stdout else None
    if not uri:
        return False
    host = uri.split("/")[2]
    try:
        socket.create_connection((host.split(":")[0], int((host + ":80").split(":")[1])), 10).close()
    except OSError:
        return False
    return True


@modes("root", "user")
@timeout(600)
def test_debian(t):
    """Built once for all who ask, with its ids, nothing of the host's in it; its root installs
    packages; what was installed is there in what is saved of it."""
    if not shutil.which("mmdebstrap"):
        t.skip("no mmdebstrap")
    s = t.sandbox()
    if t.sh(s, "cat /proc/self/uid_map").split()[2] == "1":
        t.skip("debian needs subordinate ids")
    if not reachable():
        t.skip("no mirror")
    # given up by the only one who asked: nothing stays
    rid = t.client.send("template.build", {"template": "debian"}, request_id="early")
    t.client.note("progress", timeout=60)
    t.client.notify("rpc.cancel", {"id": "early"})
    try:
        t.client.wait(rid, 30)
        check(False, "built although it was cancelled")
    except lib.RpcError as e:
        refused(e, "cancelled")
    lib.until(lambda: not debians(t), 30, "the row is gone")
    # what is built goes with the keeper's worker
    keepers = [p for p, c in daemon_module.descendants(t.daemon.pid).items() if "keeper" in c]
    known = {k: set(children(k)) for k in keepers}
    rid = t.client.send("template.build", {"template": "debian"})
    t.client.note("progress", timeout=60)
    daemon_module.end_pids(w for k in keepers for w in set(children(k)) - known[k])
    try:
        t.client.wait(rid, 30)
        check(False, "built by nobody")
    except lib.RpcError as e:
        refused(e, "runtime_failed")
    under = lambda: [c for c in daemon_module.descendants(t.daemon.pid).values() if "mmdebs" in c]
    lib.until(lambda: not under() and not debians(t), 30, "it runs on")
    # two ask, one build
    ask = t.client.send("template.build", {"template": "debian"})
    name = t.unique("deb")
    made = t.client.send(
        "sandbox.create", {"name": name, "template": "debian", "network": "host"}
    )
    built = t.client.wait(ask, 500)
    d = t.client.wait(made, 60)
    t.sandboxes.append((t.client, name))
    t.suite.ids.append(d["id"])
    equal((built["name"], built["state"], built["version"]), ("debian@bookworm",) + ("ready", "bookworm"), "facts")
    equal(d["template"], "debian@bookworm", "template")
    check(built["sizeBytes"] > 50_000_000, f"{built}")
    equal(len(debians(t)), 1, "one build")
    equal(t.sh(d, "stat -c '%u %g' / /usr/bin/env /etc/passwd /home/agent").split(), ["0", "0"] * 3 + ["1000", "1000"], "owners")
    equal(t.sh(d, "id -un; id -u; cd; pwd; git --version | cut -c1-11"), "agent\n1000\n/home/agent\ngit version\n", "agent")
    mounts = t.sh(d, "cat /proc/self/mountinfo")
    check(not [x for x in mounts.splitlines() if x.split()[4].startswith(("/usr", "/etc"))], mounts)
    check(t.run(d, ["sh", "-c", "command -v python3 || command -v gcc"])["exitCode"] != 0, "the host's programs")
    t.sh(d, "! touch /usr/x 2>/dev/null; apt-get --version | head -1")
    # packages with setuid and setgid programs, whose bits are refused
    script = "apt-get update -qq && apt-get install -y -qq --no-install-recommends bc openssh-client dbus-daemon cron sudo"
    r = t.run(d, ["sh", "-c", script], user="root", timeout=240)
    check(r["exitCode"] == 0, result_text(r))
    equal(t.sh(d, "echo '6*7' | bc; ssh -V 2>&1 | cut -c1-7; ssh-agent true; sudo -V >/dev/null; dpkg --audit"), "42\nOpenSSH\n", "installed")
    saved = t.unique("bc")
    t.client.call("sandbox.save", {"sandbox": name, "template": saved}, timeout=120)
    a = t.sandbox(template=saved)
    equal(t.sh(a, "echo '6*7' | bc; cat /etc/resolv.conf"), "42\n", "in what was saved")
    refused(t.client.error("template.remove", {"template": "debian", "force": False}), "conflict")
    t.client.call("sandbox.stop", {"sandbox": a["name"], "force": True})
    t.client.call("sandbox.start", {"sandbox": a["name"]})
    equal(t.sh(a, "echo '6*7' | bc"), "42\n", "started again")
    e = t.client.error("sandbox.create", {"template": "debian", "tool": "claude"})
    equal((e.kind, e.field, bool(e.hint)), ("unavailable", "template", True), f"{e}")
    for x in (name, a["name"]):
        t.client.call("sandbox.remove", {"sandbox": x, "force": True})
    t.client.call("template.remove", {"template": saved})
    p = t.ctl("template", "build", "debian")  # is there
    equal((p.returncode, p.stdout), (0, b"debian@bookworm\n"), p.stderr)
    equal(t.ctl("template", "rm", "debian").returncode, 0, "rm")
    equal(debians(t), [], "templates")


def debians(t):
    return [x for x in t.client.call("template.list")["templates"] if x["name"].startswith("debian")]


def test_bad_builds(t):
    rows = [
        ({}, "invalid_params", "tool"),
        ({"tool": "shell", "template": "debian"}, "invalid_params", "template"),
        ({"template": "debian@sid"}, "unavailable", "template"),
        ({"template": "no-such"}, "not_found", "template"),
        ({"template": "debian/x"}, "invalid_params", "template"),
    ]
    for params, kind, field in rows:
        e = t.client.error("template.build", params)
        equal((e.kind, e.field), (kind, field), f"{params}: {e}")
