#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The installed units under a real systemd: service.py first|before-cut|after-cut

first: everything but the power cut. before-cut leaves sandboxes behind that after-cut finds once the
machine was switched off and on. One line per test, then "N passed, N failed".
"""

import json
import os
import pwd
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration"))
import tokens  # noqa: E402  it is beside the other tests

SOCKET = "/run/sandboxd/sandboxd.sock"
DROP_INS = "/etc/systemd/system/sandboxd.service.d"
CONFIG = "/etc/sandboxd/sandboxd.conf"
WORK = "/home/work"
USER = "alice"
PATIENCE = 120  # emulated, and on a machine that does other things


def run(*words, status=0, **how):
    """A command; its stdout. STATUS None: whatever it ends with."""
    p = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False, **how)
    if status is not None and p.returncode != status:
        raise AssertionError(f"{' '.join(words)}: {p.returncode}, {p.stdout} {p.stderr}")
    return p.stdout.strip()


def ctl(*words, **how):
    return run("sandboxctl", *words, **how)


def show(unit, name, *options):
    return run("systemctl", *options, "show", "--value", "-p", name, unit)


def until(what, fn):
    deadline = time.monotonic() + PATIENCE
    while not fn():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.2)


def equal(is_, should, what):
    if is_ != should:
        raise AssertionError(f"{what}: {is_!r}, not {should!r}")


def check(ok, what):
    if not ok:
        raise AssertionError(what)


def main_pid():
    return int(show("sandboxd.service", "MainPID"))


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def workspace(name, owner=0, top=WORK):
    path = os.path.join(top, name)
    os.makedirs(path, exist_ok=True)
    os.chown(path, owner, owner)
    return path


def create(name, *options, **how):
    return ctl("create", "--name", name, *options, "shell", workspace(name), **how)


def state(name):
    return json.loads(ctl("-o", "json", "inspect", name))


def ask(path=SOCKET):
    """Connects and asks; the answer is read later."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(PATIENCE)
    s.connect(path)
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"system.ping"}\n')
    return s


def answer(s):
    with s, s.makefile("rb") as f:
        return b'"result"' in f.readline()


# ---- first ----
def test_installed():
    """What the units need is made by sysusers and tmpfiles, and systemd likes them."""
    run("systemd-sysusers")
    run("systemd-tmpfiles", "--create")
    run("systemctl", "daemon-reload")
    run("systemd-analyze", "verify", "--man=no", "sandboxd.socket", "sandboxd.service", "sandboxd.slice")
    run("systemctl", "enable", "--now", "sandboxd.socket")
    equal(show("sandboxd.service", "ActiveState"), "inactive", "before the first client")
    st = os.stat(SOCKET)
    equal((oct(st.st_mode & 0o777), st.st_uid), ("0o660", 0), "the socket")
    check("sandboxd:" in run("getent", "group", str(st.st_gid)), "the socket's group")
    equal(ctl("daemon", "status", status=3), "sandboxd is not running, its socket waits for a client", "status")
    equal(show("sandboxd.service", "ActiveState"), "inactive", "after one who only asks for the status")


def test_activation():
    info = json.loads(ctl("-o", "json", "info"))
    equal(show("sandboxd.service", "ActiveState"), "active", "the service")
    equal((info["cgroup"]["version"], info["cgroup"]["limits"]), ("v2", "enforced"), "limits")
    check(f"pid {main_pid()}," in ctl("daemon", "status"), "status")
    create("first")
    equal(ctl("exec", "first", "pwd"), WORK + "/first", "exec")
    until("STATUS", lambda: show("sandboxd.service", "StatusText").startswith("1 sandbox runs"))


def test_closed():
    """The daemon is shut in, its keepers and sandboxes are not in that."""
    run("systemd-analyze", "security", "--threshold=30", "--no-pager", "sandboxd.service")
    with open(f"/proc/{main_pid()}/status", encoding="ascii") as f:
        check("NoNewPrivs:\t1" in f.read(), "the daemon's own")
    place = run("cat", f"/proc/{state('first')['pid']}/cgroup")
    check("0::/sandboxd.slice/sandbox-keeper-0" in place, f"the sandbox's cgroup: {place}")
    doctor = json.loads(ctl("rpc", "system.doctor"))
    failed = [c for c in doctor["checks"] if c["ok"] is False and c["severity"] == "required"]
    equal(failed, [], "system.doctor")
    seen = {c["name"]: c["ok"] for c in doctor["checks"]}
    names = ("limits", "memory lock", "secret store", "overlay")
    equal([seen[x] for x in names], [True, True, True, None], f"system.doctor: {seen}")


def test_tmp_and_home():
    """Worktrees are where people have them, whatever the daemon itself may see."""
    for top in ("/tmp", "/home", "/root"):
        path = workspace("seen", top=top)
        ctl("create", "--name", "seen", "shell", path)
        ctl("exec", "seen", "touch", "made")
        check(os.path.exists(path + "/made"), path)
        ctl("rm", "seen")


def test_journal():
    lines = run("journalctl", "--no-pager", "-o", "cat", "-u", "sandboxd.service", "SANDBOX=first")
    check("creating -> running" in lines, f"SANDBOX=first: {lines}")
    lines = run("journalctl", "--no-pager", "-o", "json", "-u", "sandboxd.service", "PRIORITY=5")
    check("is ready" in lines, "a notice")
    check("creating -> running" in ctl("daemon", "logs"), "daemon logs")


def test_oom():
    """An agent's limit kills the agent's command and nobody else."""
    pid = main_pid()
    create("small", "--memory", "64M")
    result = "/tmp/result"
    hog = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    ctl("exec", "--result-file", result, "small", "python3", "-c", hog, status=None)
    with open(result, encoding="utf-8") as f:
        equal(json.load(f)["cause"], "oom", "cause")
    equal(main_pid(), pid, "the daemon")
    equal(ctl("exec", "small", "echo", "alive"), "alive", "the sandbox")
    ctl("rm", "small")


def test_reload():
    write(CONFIG, "[limits]\npids = 77\n")
    run("systemctl", "reload", "sandboxd")
    create("reloaded")
    equal(state("reloaded")["limits"]["pids"], 77, "the limit")
    ctl("rm", "reloaded")
    write(CONFIG, "[limits]\npids = 88\nwrong = 1\n")
    run("systemctl", "reload", "sandboxd", status=1)
    check(f"{CONFIG}:3: " in run("journalctl", "--no-pager", "-o", "cat", "-u", "sandboxd"), "file and line")
    run("systemctl", "kill", "--kill-who=main", "-s", "HUP", "sandboxd")
    until("STATUS says why", lambda: f"the old configuration stays: {CONFIG}:3: " in show("sandboxd", "StatusText"))
    create("reloaded")
    equal(state("reloaded")["limits"]["pids"], 77, "the limit after a bad reload")
    ctl("rm", "reloaded")
    os.unlink(CONFIG)
    run("systemctl", "reload", "sandboxd")


def test_reexec():
    """The service manager comes and goes under a running command."""
    pid = main_pid()
    with subprocess.Popen(["sandboxctl", "exec", "-i", "first", "cat"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as p:
        p.stdin.write("before\n")
        p.stdin.flush()
        equal(p.stdout.readline(), "before\n", "before")
        run("systemctl", "daemon-reexec")
        run("systemctl", "daemon-reload")
        p.stdin.write("after\n")
        p.stdin.close()
        equal(p.stdout.read(), "after\n", "after")
    equal((p.returncode, main_pid()), (0, pid), "status and daemon")
    equal(show("sandboxd.service", "ActiveState"), "active", "the service")


def clients_during(what):
    """Connects all the time while WHAT is done; nobody may be refused, everybody is answered."""
    asked = []
    with subprocess.Popen(what) as p:
        while p.poll() is None:
            asked.append(ask())
            time.sleep(0.05)
    equal(p.returncode, 0, " ".join(what))
    asked.append(ask())
    return asked


def test_restart():
    """A restart turns nobody away. Who is answered was asked after the old daemon had stopped accepting."""
    before = main_pid()
    asked = clients_during(["systemctl", "restart", "sandboxd.service"])
    check(main_pid() != before, "the same process")
    check(answer(asked[-1]), "the last")
    for s in asked[:-1]:
        s.close()


def test_living_sandboxes():
    """What runs goes on under the next daemon, whether the last was stopped, was killed or hung."""
    pid = state("first")["pid"]
    counter = "i=0; while sleep 0.2; do i=$((i+1)); echo $i; done"
    execution = ctl("exec", "-d", "first", "sh", "-c", counter)

    def written():
        return ctl("logs", execution).split()

    for what in (("restart", "sandboxd.service"), ("kill", "--kill-who=main", "-s", "KILL", "sandboxd.service")):
        before = main_pid()
        run("systemctl", *what)
        until("another daemon", lambda old=before: main_pid() not in (0, old))
        info = state("first")
        equal((info["state"], info["pid"]), ("running", pid), f"the sandbox after {what[0]}")
        seen = len(written())
        until("more output", lambda so_far=seen: len(written()) > so_far)
    ctl("cancel", execution)
    numbers = written()
    equal(numbers, [str(n + 1) for n in range(len(numbers))], "all that it wrote, once")
    equal(ctl("exec", "first", "echo", "alive"), "alive", "a command")


def test_login():
    """A refresh goes on when the daemon crashes in the middle of it, and the next one has its answer."""
    server = tokens.Server()
    write(CONFIG, server.config())
    run("systemctl", "reload", "sandboxd")
    lease = ("secret", "lease", "login", "--ttl", "1m", "--raw")
    try:
        ctl("secret", "set", "login", input=tokens.login(1, life=-60))
        server.hold()
        with subprocess.Popen(["sandboxctl", *lease], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
            check(server.asked.wait(PATIENCE), "the server was asked")
            (broker,) = run("systemctl", "list-units", "--plain", "--no-legend", "sandbox-broker-0-*.service").split()[:1]
            equal(show(broker, "Slice"), "sandboxd.slice", "its slice")
            with open(f"/proc/{show(broker, 'MainPID')}/status", encoding="ascii") as f:
                check(re.search("CapEff:\t0+\n.*NoNewPrivs:\t1", f.read(), re.DOTALL), "it has no rights")
            before = main_pid()
            os.kill(before, signal.SIGKILL)
            until("another daemon", lambda: main_pid() not in (0, before))
            p.wait(PATIENCE)
        equal(show(broker, "ActiveState"), "active", "the broker")
        server.may_answer.set()
        check("access-2-end" in ctl(*lease), "the new token")
        equal((server.requests, server.reused), (1, 0), "refreshes")
        until("the broker's end", lambda: show(broker, "LoadState") == "not-found")
        equal(os.listdir("/var/lib/sandboxd/logins"), [], "nothing is kept of it")
        equal(ctl("exec", "--secret", "login=LOGIN", "first", "sh", "-c", 'echo "$LOGIN" | grep -c access-2-end'), "1", "lent")
        check("are as they were written" in ctl("audit", "verify"), "audit verify")
        ctl("secret", "rm", "login")
    finally:
        server.close()
        os.unlink(CONFIG)
        run("systemctl", "reload", "sandboxd")


def test_watchdog():
    """A daemon that hangs is ended and started again; its clients wait."""
    write(DROP_INS + "/watchdog.conf", "[Service]\nWatchdogSec=4\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "sandboxd.service")
    before, restarts = main_pid(), int(show("sandboxd.service", "NRestarts"))
    time.sleep(6)
    equal(main_pid(), before, "a daemon that answers")
    os.kill(before, signal.SIGSTOP)
    until("another daemon", lambda: main_pid() not in (0, before))
    check(answer(ask()), "after the watchdog")
    equal(int(show("sandboxd.service", "NRestarts")), restarts + 1, "restarts")
    log = run("journalctl", "--no-pager", "-o", "cat", "-u", "sandboxd.service")
    check("Watchdog timeout" in log, "the journal")
    os.unlink(DROP_INS + "/watchdog.conf")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "sandboxd.service")


def test_stop_and_start():
    """The sandbox is there after a stop with its files, and can be used."""
    ctl("exec", "first", "true", status=None)
    if state("first")["state"] != "running":
        ctl("start", "first")
    ctl("exec", "first", "sh", "-c", "echo kept >/home/agent/file")
    equal(ctl("daemon", "stop"), "", "daemon stop")
    equal(show("sandboxd.socket", "ActiveState"), "inactive", "the socket")
    p = subprocess.run(["sandboxctl", "--no-autostart", "ls"], capture_output=True, check=False, timeout=PATIENCE)
    equal(p.returncode, 1, "without a daemon")
    check("sandboxd is running at " + SOCKET in ctl("daemon", "start"), "daemon start")
    if state("first")["state"] != "running":
        ctl("start", "first")
    equal(ctl("exec", "first", "cat", "/home/agent/file"), "kept", "its files")


def as_user(*words, **how):
    entry = pwd.getpwnam(USER)
    env = ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", f"HOME={entry.pw_dir}",
           f"XDG_RUNTIME_DIR=/run/user/{entry.pw_uid}"]
    return run("setpriv", "--reuid", USER, "--regid", USER, "--init-groups", *env, *words, **how)


def user_login(uid):
    """The user's manager starts the broker, too."""
    server = tokens.Server()
    conf = pwd.getpwnam(USER).pw_dir + "/.config/sandboxd/sandboxd.conf"
    write(conf, server.config())
    try:
        as_user("systemctl", "--user", "reload", "sandboxd.service")
        as_user("sandboxctl", "secret", "set", "login", input=tokens.login(1, life=-60))
        check("access-2-end" in as_user("sandboxctl", "secret", "lease", "login", "--ttl", "1m", "--raw"), "the new token")
        equal(server.requests, 1, "refreshes")
    finally:
        server.close()
        os.unlink(conf)
    check(f"A login of uid {uid} is refreshed" in run("journalctl", "--no-pager", "-b", "-o", "cat"), "by a service")


def test_user():
    """A user's own daemon under the user's own service manager, started by sandboxctl itself."""
    run("useradd", "-m", "-s", "/bin/sh", USER)
    uid = pwd.getpwnam(USER).pw_uid
    run("loginctl", "enable-linger", USER)
    until("the user's manager", lambda: os.path.exists(f"/run/user/{uid}/systemd/private"))
    check("on: sandboxes outlive logins" in as_user("sandboxctl", "doctor", status=None), "doctor's linger")
    work = workspace("mine", uid, pwd.getpwnam(USER).pw_dir)
    as_user("sandboxctl", "create", "--name", "mine", "--memory", "128M", "shell", work)
    equal(as_user("systemctl", "--user", "is-active", "sandboxd.service"), "active", "the user's service")
    equal(as_user("sandboxctl", "exec", "mine", "cat", "/proc/self/cgroup"), "0::/", "its cgroup")
    init = json.loads(as_user("sandboxctl", "-o", "json", "inspect", "mine"))["pid"]
    place = run("cat", f"/proc/{init}/cgroup").removeprefix("0::")
    check(f"/user@{uid}.service/sandboxd.slice/sandbox-keeper-{uid}-" in place, f"its place: {place}")
    equal(run("cat", f"/sys/fs/cgroup{place}/memory.max"), str(128 << 20), "its limit")
    info = json.loads(as_user("sandboxctl", "-o", "json", "info"))
    check("memory" in info["cgroup"]["controllers"], f"controllers: {info['cgroup']}")
    user_login(uid)
    as_user("sandboxctl", "rm", "mine")
    as_user("systemctl", "--user", "restart", "sandboxd.service")
    equal(as_user("sandboxctl", "ls", "-o", "json"), '{"sandboxes":[]}', "after a restart")
    as_user("sandboxctl", "daemon", "stop")
    run("loginctl", "disable-linger", USER)


def test_group():
    """Who is not in the group sandboxd cannot use the system's daemon; who is, has what is his."""
    p = subprocess.run(["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "sandboxctl", "--socket",
                        SOCKET, "info"], capture_output=True, text=True, check=False, timeout=PATIENCE)
    equal((p.returncode, "the group sandboxd may use" in p.stderr), (1, True), f"not in it: {p.stderr}")
    run("usermod", "--append", "--groups", "sandboxd", USER)
    listed = as_user("sandboxctl", "--socket", SOCKET, "-o", "json", "ls")
    equal(listed, '{"sandboxes":[]}', "in it")


# ---- the power cut ----
def test_before_cut():
    """Left behind: a sandbox on a worktree with a file that was on the disk, and a running command."""
    repo = workspace("repo")
    run("git", "-C", repo, "init", "-q", "-b", "main")
    git = ["git", "-C", repo, "-c", "user.name=t", "-c", "user.email=t@example.org"]
    run(*git, "commit", "-q", "--allow-empty", "-m", "one")
    run(*git, "worktree", "add", "-q", WORK + "/tree", "-b", "tree")
    ctl("create", "--name", "cut", "shell", WORK + "/tree")
    ctl("exec", "cut", "sh", "-c", "echo inside >/home/agent/file; echo outside >seen; sync")
    ctl("exec", "-d", "cut", "sleep", "1000")
    check("locked" in run("git", "-C", repo, "worktree", "list", "--porcelain"), "the worktree is locked")


def test_after_cut():
    """Everything that was on the disk is there; what ran is stopped, with the cause, and starts again."""
    info = state("cut")
    equal((info["state"], info["cause"]), ("stopped", "host_crash"), "the sandbox")
    ps = json.loads(ctl("-o", "json", "ps", "cut"))["execs"]
    check(all(e["state"] == "ended" for e in ps), f"its commands: {ps}")
    ctl("start", "cut")
    equal(ctl("exec", "cut", "cat", "/home/agent/file", "seen"), "inside\noutside", "its files")
    kept = info["id"] in os.listdir("/var/lib/sandboxd/owners/0/upper")
    ctl("rm", "cut")
    check(kept and info["id"] not in os.listdir("/var/lib/sandboxd/owners/0/upper"), "what it wrote")
    check("locked" not in run("git", "-C", WORK + "/repo", "worktree", "list", "--porcelain"), "a stale lock")


def test_nothing_is_left():
    """After the last sandbox and the daemon: no cgroup, mount or process of theirs."""
    for s in json.loads(ctl("-o", "json", "ls"))["sandboxes"]:
        ctl("rm", "-f", s["name"])
    ctl("daemon", "stop")
    until("the slice is empty", lambda: not os.path.isdir("/sys/fs/cgroup/sandboxd.slice") or
          "populated 0" in run("cat", "/sys/fs/cgroup/sandboxd.slice/cgroup.events"))
    with open("/proc/mounts", encoding="utf-8") as f:
        check("sandboxd" not in f.read(), "a mount")
    names = run("ps", "-eo", "comm").split()
    check(not [n for n in names if re.match("sandbox|init$", n)], f"processes: {names}")


TESTS = {
    "first": [test_installed, test_activation, test_closed, test_tmp_and_home, test_journal, test_oom, test_reload, test_reexec,
              test_restart, test_living_sandboxes, test_login, test_watchdog, test_stop_and_start, test_user, test_group],
    "before-cut": [test_before_cut],
    "after-cut": [test_after_cut, test_nothing_is_left],
}


def main():
    passed = failed = 0
    for test in TESTS[sys.argv[1]]:
        name, began = "service." + test.__name__[5:], time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok   {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as e:  # each test for itself
            failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {e}", flush=True)
            traceback.print_exc(limit=-2)
    if failed:
        log = run("journalctl", "--no-pager", "-n", "60", "-u", "sandboxd.service", "-u", "sandboxd.socket", status=None)
        print(log, flush=True)
    print(f"service {sys.argv[1]}: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
