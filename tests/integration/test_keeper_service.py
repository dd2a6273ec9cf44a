# SPDX-License-Identifier: Apache-2.0
"""Keepers as services of systemd: only where it is PID 1, which is a virtual machine (tests/vm)."""

import os
import signal
import subprocess

import daemon as daemon_module
from harness import exited, result_text, timeout
from lib import RpcError, check, equal, until

MIB = 1 << 20
HOG = "b=[]\nfor i in range(300): b.append(b'x'*(1<<20))"
# Each of them would end a keeper that inherits it, or keep it from its work.
HARDENING = ("NoNewPrivileges=yes", "RestrictNamespaces=yes", "ProtectHome=read-only", "MemoryDenyWriteExecute=yes")


def systemctl(*args):
    p = subprocess.run(["systemctl", *args], capture_output=True, text=True, check=False, timeout=60)
    return p.returncode, p.stdout.strip()


def show(unit, name):
    return systemctl("show", "--value", "--property", name, unit)[1]


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
        return f.read().strip().removeprefix("0::")


def taken_over(t, s, client):
    """Whether commands can be run in S again."""
    try:
        return exited(t.run(s, ["true"], client=client))
    except RpcError as e:
        equal(e.kind, "unavailable", str(e))
        return False


class Service(daemon_module.Daemon):
    """A daemon that systemd starts; PID follows what systemd says."""

    def __init__(self, t, config=None):
        super().__init__(t.suite.tools, config=config)
        self.unit = t.unique("sandboxd-test") + ".service"
        t.daemons.append(self)

    @property
    def pid(self):
        return int(show(self.unit, "MainPID") or 0)

    def alive(self):
        return show(self.unit, "ActiveState") in ("active", "activating", "deactivating", "reloading")

    def start(self, *more):
        properties = ["Type=notify", "KillMode=mixed", "Delegate=yes", "Slice=sandboxd.slice", "Restart=always"]
        properties += ["RestartSec=100ms", "CollectMode=inactive-or-failed", "StandardError=append:" + self.log]
        properties += [*HARDENING, *more]
        command = ["systemd-run", "--quiet", "--unit", self.unit]
        command += [f"--property={p}" for p in properties]
        subprocess.run([*command, *self.command()], check=True, timeout=60)
        with self.client() as c:
            self.instance = c.call("system.info")["instanceId"]
        return self

    def stop(self, timeout=60):
        status, text = systemctl("stop", self.unit)
        equal(status, 0, text)
        return 0

    def keepers(self):
        """Units of its keepers that are there."""
        _, text = systemctl("list-units", "--plain", "--no-legend", f"sandbox-keeper-*-{self.instance}-*.service")
        return [line.split()[0] for line in text.splitlines()]

    def answers(self):
        try:
            with self.client() as c:
                return c.call("system.info")["instanceId"] == self.instance
        except OSError:
            return False

    def destroy(self):
        if self.alive():
            self.stop()
        until(lambda: not self.keepers(), 30, "keepers end after their daemon")
        super().destroy()


if os.environ.get("SANDBOXD_TEST_SYSTEMD") == "1":

    @timeout(180)
    def test_its_cgroup_holds_the_sandboxes(t):
        """The keeper is a service in the slice, without the daemon's hardening; limits are in its cgroup."""
        d = Service(t).start()
        c = t.connect(daemon=d)
        w = t.workspace({"a": "1\n"}, where="/home")
        s = t.sandbox(client=c, workspace=w, limits={"memoryBytes": 64 * MIB})
        keeper = d.keepers()
        equal(len(keeper), 1, f"keepers {keeper}")
        equal(show(keeper[0], "Slice"), "sandboxd.slice", "slice")
        top = show(keeper[0], "ControlGroup")
        equal(cgroup_of(show(keeper[0], "MainPID")), top + "/keeper", "the keeper's leaf")
        init = c.call("sandbox.get", {"sandbox": s["name"]})["pid"]
        check(cgroup_of(init).startswith(f"{top}/"), f"{cgroup_of(init)} is not below {top}")
        with open("/sys/fs/cgroup" + show(d.unit, "ControlGroup") + "/cgroup.subtree_control", encoding="ascii") as f:
            equal(f.read().strip(), "", "what the daemon's own cgroup hands down")
        t.sh(s, f"echo 2 >{w}/b; cat {w}/a", client=c)
        r = t.run(s, ["/usr/bin/python3", "-c", HOG], client=c)
        equal(r["cause"], "oom", result_text(r))
        exited(t.run(s, ["true"], client=c))
        equal(show(keeper[0], "ActiveState"), "active", "the keeper after an oom")

    @timeout(180)
    def test_sandboxes_outlive_the_daemon(t):
        """Killed and started again by systemd, then restarted by it: the same init, in the same cgroup."""
        d = Service(t, {"daemon": {"on_stop": "keep"}}).start()
        s = t.sandbox(client=t.connect(daemon=d), limits={"memoryBytes": 64 * MIB})
        place = cgroup_of(s["pid"])
        for restart in (lambda: os.kill(d.pid, signal.SIGKILL), lambda: systemctl("restart", d.unit)):
            old = d.pid
            restart()
            until(lambda: d.pid not in (0, old) and d.answers(), 60, "a new daemon")
            c = t.connect(daemon=d)
            t.sandboxes[-1] = (c, s["name"])
            now = c.call("sandbox.get", {"sandbox": s["name"]})
            equal((now["state"], now["pid"]), ("running", s["pid"]), "the sandbox")
            equal(cgroup_of(s["pid"]), place, "its place")
            equal(len(d.keepers()), 1, "keepers")
            equal(t.sh(s, "echo works", client=c), "works\n", "an exec")

    @timeout(180)
    def test_a_killed_keeper_is_replaced(t):
        """The next one moves to where the sandboxes are, and makes new ones there, with their limits."""
        d = Service(t).start()
        c = t.connect(daemon=d)
        s = t.sandbox(client=c)
        (old,) = d.keepers()
        systemctl("kill", "--signal=KILL", "--kill-whom=main", old)
        until(lambda: show(old, "ActiveState") in ("failed", "inactive"), 30, "the service ends")
        until(lambda: c.call("sandbox.get", {"sandbox": s["name"]})["state"] != "creating", 30, "it is looked at")
        now = c.call("sandbox.get", {"sandbox": s["name"]})
        equal((now["state"], now["pid"]), ("running", s["pid"]), f"the sandbox: {now}")
        until(lambda: taken_over(t, s, c), 30, "an exec in it")
        n = t.sandbox(client=c, limits={"memoryBytes": 64 * MIB})
        equal(t.sh(n, "echo works", client=c), "works\n", "an exec in a new one")
        new = [k for k in d.keepers() if show(k, "ActiveState") == "active"]
        equal(len(new), 1, f"keepers {d.keepers()}")
        check(cgroup_of(show(new[0], "MainPID")).startswith(os.path.dirname(cgroup_of(s["pid"]))), "its place")

    @timeout(180)
    def test_without_a_bus(t):
        """No keeper can be asked for: an error that says so, and the daemon lives."""
        d = Service(t).start("Environment=DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent")
        e = t.connect(daemon=d).error("sandbox.create", {"name": t.unique()})
        equal(e.kind, "runtime_failed", str(e))
        check("over D-Bus" in e.message, str(e))
        check(d.answers(), "the daemon")
