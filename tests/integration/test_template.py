# SPDX-License-Identifier: Apache-2.0
"""Templates: the embedded one and the tools' layers as far as they need no network (the layers
themselves are built by the demo)."""

from harness import refused
from lib import check, equal


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
