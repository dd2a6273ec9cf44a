# SPDX-License-Identifier: Apache-2.0
"""Pause and resume: everything stands still, clocks too; whatever is done to a paused sandbox."""

import ctypes
import os
import signal
import socket
import struct
import time

import daemon as daemon_module
import lib
from harness import exited, modes, timeout
from lib import check, equal, until

TICKER = ["/bin/sh", "-c", "while :; do echo x; sleep 0.02; done"]


def ticker(t, s, **params):
    """A command that writes on and on, running; (request id, exec id)."""
    rid = t.client.send(
        "exec.run", {"sandbox": s["name"], "command": TICKER, "stream": True, **params}
    )
    started = t.client.note("exec.started", requestId=rid)
    t.client.note("exec.data", execId=started["execId"])
    return rid, started["execId"]


def end_of(t, exec_id):
    """How much of its stdout there is."""
    at = 0
    while True:
        r = t.client.call("exec.read", {"execId": exec_id, "stream": "stdout", "from": at})
        if r["nextOffset"] == at:
            return at
        at = r["nextOffset"]


def quiet_for(t, exec_id, seconds):
    before = end_of(t, exec_id)
    time.sleep(seconds)
    return end_of(t, exec_id) == before


def stands_still(t, exec_id, seconds=0.4):
    until(lambda: quiet_for(t, exec_id, 0.1), 10, "what is on its way to the spool")
    return quiet_for(t, exec_id, seconds)


def goes_on(t, exec_id):
    before = end_of(t, exec_id)
    until(lambda: end_of(t, exec_id) > before, 10, "the command goes on")


def gone(pid):
    """Dead; a zombie that is still to be reaped counts as dead."""
    return daemon_module.process_table().get(pid, (0, "X", ""))[1] in "ZX"


def states(t, s):
    return t.client.call("sandbox.get", {"sandbox": s["name"]})["state"]


def pause(t, s, client=None):
    r = (client or t.client).call("sandbox.pause", {"sandbox": s["name"]})
    equal(r["state"], "paused", "state after pause")
    return r


def resume(t, s, client=None):
    r = (client or t.client).call("sandbox.resume", {"sandbox": s["name"]})
    equal(r["state"], "running", "state after resume")
    return r


def test_stands_still_and_goes_on(t):
    s = t.sandbox()
    _, e = ticker(t, s)
    for _ in range(3):
        pause(t, s)
        check(stands_still(t, e), "a paused command writes")
        resume(t, s)
        goes_on(t, e)
    exited(t.run(s, ["true"]))
    t.client.call("exec.cancel", {"execId": e})


def test_twice_is_fine(t):
    s = t.sandbox()
    resume(t, s)  # it runs
    pause(t, s)
    pause(t, s)
    equal(t.client.call("sandbox.get", {"sandbox": s["name"]})["state"], "paused", "state")
    resume(t, s)
    resume(t, s)
    exited(t.run(s, ["true"]))


def test_what_is_refused(t):
    s = t.sandbox()
    c = t.client
    rid, e = ticker(t, s)
    pause(t, s)
    for method, params in (
        ("exec.run", {"sandbox": s["name"], "command": ["true"]}),
        ("sandbox.start", {"sandbox": s["name"]}),
        ("exec.signal", {"execId": e, "signal": "TERM"}),
        ("exec.cancel", {"execId": e}),
    ):
        err = c.error(method, params)
        equal((err.code, err.kind), (-32004, "invalid_state"), method)
        check("sandboxctl resume" in (err.hint or ""), f"{method}: {err.hint}")
    err = c.error("sandbox.remove", {"sandbox": s["name"]})
    equal(err.kind, "invalid_state", "remove with a running exec")
    resume(t, s)
    c.call("exec.cancel", {"execId": e})
    equal(c.wait(rid)["cause"], "cancelled", "cause")
    c.call("sandbox.stop", {"sandbox": s["name"]})
    for method in ("sandbox.pause", "sandbox.resume"):
        err = c.error(method, {"sandbox": s["name"]})
        equal((err.kind, err.field), ("invalid_state", "sandbox"), method)
        check("sandboxctl start" in err.hint, err.hint)
        equal(c.error(method, {"sandbox": "none-such"}).kind, "not_found", method)
        equal(c.error(method, {}).field, "sandbox", method)


def test_clock_stands_still(t):
    """A timeout of 2 s does not end a command that was paused for 3."""
    s = t.sandbox()
    rid, e = ticker(t, s, timeoutMs=2000)
    pause(t, s)
    time.sleep(3)
    resume(t, s)
    goes_on(t, e)
    r = t.client.wait(rid, 20)
    equal(r["cause"], "timeout", "cause")
    check(r["durationMs"] >= 4500, f"duration {r['durationMs']}")


def test_many_processes(t):
    """Threads, sessions of their own, and forks without end stand still together."""
    s = t.sandbox(limits={"pids": 300})
    script = (
        "for i in 1 2 3 4 5 6 7 8; do"
        " setsid sh -c 'while :; do /bin/true; echo x; done' &"
        " done; while :; do (echo y); done"
    )
    rid = t.client.send(
        "exec.run", {"sandbox": s["name"], "command": ["sh", "-c", script], "stream": True}
    )
    e = t.client.note("exec.started")["execId"]
    t.client.note("exec.data", execId=e)
    for _ in range(3):
        pause(t, s)
        check(stands_still(t, e), "something goes on")
        resume(t, s)
        goes_on(t, e)
    t.client.call("sandbox.stop", {"sandbox": s["name"]})
    equal(t.client.wait(rid)["cause"], "cancelled", "cause")


def test_stopped_by_its_user(t):
    """What a process had stopped in the sandbox is as it was after a resume."""
    s = t.sandbox()
    rid = t.client.send(
        "exec.run",
        {
            "sandbox": s["name"],
            "command": ["sh", "-c", "sleep 1000 & sleep 0.3; kill -STOP $!; echo $!; wait"],
            "stream": True,
        },
    )
    pid = lib.text_of(t.client.note("exec.data")["data"]).decode().strip()
    pause(t, s)
    resume(t, s)
    state = t.sh(s, f"grep State: /proc/{pid}/status")
    check("stopped" in state, state)
    t.client.call("sandbox.stop", {"sandbox": s["name"], "force": True})
    equal(t.client.wait(rid)["cause"], "sandbox_lost", "cause")


def test_stop_and_remove(t):
    """Paused or not: commands hear TERM, and nothing is left."""
    script = 'trap "echo ended; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
    for method, params in (
        ("sandbox.stop", {}),
        ("sandbox.stop", {"timeoutMs": 5000}),
        ("sandbox.remove", {"force": True, "timeoutMs": 5000}),
    ):
        s = t.sandbox()
        rid = t.client.send(
            "exec.run", {"sandbox": s["name"], "command": ["sh", "-c", script], "stream": True}
        )
        e = t.client.note("exec.started", requestId=rid)["execId"]
        t.client.note("exec.data", execId=e)
        pause(t, s)
        other = t.connect()
        other.call(method, {"sandbox": s["name"], **params})
        r = t.client.wait(rid)
        equal((r["cause"], r["exitCode"]), ("cancelled", 3), f"{method} {params}")
        until(lambda: gone(s["pid"]), 10, "init is gone")


def test_end_at_once(t):
    """Without a grace, and where nothing runs."""
    for method in ("sandbox.stop", "sandbox.remove"):
        for busy in (False, True):
            s = t.sandbox()
            rid = ticker(t, s)[0] if busy else None
            pause(t, s)
            started = time.monotonic()
            t.connect().call(method, {"sandbox": s["name"], "force": True})
            check(time.monotonic() - started < 5, "it took long")
            until(lambda: gone(s["pid"]), 10, "init is gone")
            if busy:
                equal(t.client.wait(rid)["cause"], "sandbox_lost", "cause")
            if method == "sandbox.stop":
                t.client.call("sandbox.start", {"sandbox": s["name"]})
                r = t.run(s, ["sleep", "5"], timeoutMs=300)
                equal(r["cause"], "timeout", "clocks of the next run")


@modes("root", "owner")
def test_killed_outside(t):
    """An init that somebody kills while it is paused is lost, not forgotten."""
    s = t.sandbox()
    rid, _ = ticker(t, s)
    pause(t, s)
    os.kill(s["pid"], signal.SIGKILL)
    time.sleep(0.3)
    state = states(t, s)
    check(state in ("paused", "failed"), state)  # version 1 freezes even the dying
    if state == "paused":
        t.client.call("sandbox.stop", {"sandbox": s["name"], "force": True})
    equal(t.client.wait(rid)["cause"], "sandbox_lost", "cause")
    until(lambda: gone(s["pid"]), 10, "init is gone")


@timeout(90)
def test_daemon_stop_and_restart(t):
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    idle = t.sandbox(client=c)
    c.call("exec.run", {"sandbox": s["name"], "command": TICKER, "detach": True})
    pause(t, s, c)
    pause(t, idle, c)
    check(d.stop() in (0, -signal.SIGTERM), "the daemon's status")
    until(lambda: gone(s["pid"]), 10, "init is gone")
    d.start()
    c = t.connect(daemon=d)
    for name in (s["name"], idle["name"]):
        got = c.call("sandbox.get", {"sandbox": name})
        equal((got["state"], got["cause"]), ("stopped", "daemon_stopped"), name)
        c.call("sandbox.start", {"sandbox": name})
        exited(t.run(name, ["true"], client=c))


@timeout(90)
def test_daemon_killed(t):
    """What was paused stays so."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    pause(t, s, c)
    d.kill()
    d.start()
    c = t.connect(daemon=d)
    equal(c.call("sandbox.get", {"sandbox": s["name"]})["state"], "paused", "state")
    c.call("sandbox.resume", {"sandbox": s["name"]})
    exited(t.run(s, ["true"], client=c))


@timeout(90)
def test_keeper_killed(t):
    """A frozen sandbox is taken over by the next keeper."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    pause(t, s, c)
    keepers = daemon_module.keepers(d.pid)
    check(keepers, "a keeper")
    daemon_module.end_pids(keepers)
    c.call("sandbox.resume", {"sandbox": s["name"]})
    equal(c.call("sandbox.get", {"sandbox": s["name"]})["pid"], s["pid"], "its init")
    exited(t.run(s, ["true"], client=c))


PIDFD_GETFD = 438  # of <sys/syscall.h>


def is_connection(s, daemon):
    """Not a socket that only listens and was made by DAEMON."""
    if struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0] != daemon:
        return False
    return not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def hang_up(keeper, daemon):
    """Ends KEEPER's connection to DAEMON, which kills it then, while it is still there and stands still."""
    until(lambda: daemon_module.process_table()[keeper][1] == "T", 20, "it stands still")
    libc, pidfd, ends = ctypes.CDLL(None), os.pidfd_open(keeper), []
    for name in os.listdir(f"/proc/{keeper}/fd"):
        if os.readlink(f"/proc/{keeper}/fd/{name}").startswith("socket:"):
            s = socket.socket(fileno=libc.syscall(PIDFD_GETFD, pidfd, int(name), 0))
            if is_connection(s, daemon):
                ends.append(s)
    os.close(pidfd)
    equal(len(ends), 1, "connections")
    ends[0].shutdown(socket.SHUT_RDWR)
    ends[0].close()


@modes("root", "owner")
def test_keeper_is_about_to_be_gone(t):
    """Its connection has ended and its process has not: it is not waited for."""
    d = t.private_daemon()
    c = t.connect(daemon=d)
    s = t.sandbox(client=c)
    for method, params in (("pause", {}), ("resume", {}), ("save", {"template": "saved"})):
        keeper = min(daemon_module.keepers(d.pid))  # a later one is its worker
        with daemon_module.held([keeper]):
            hang_up(keeper, d.pid)
            try:
                c.call(f"sandbox.{method}", {"sandbox": s["name"], **params})
            except lib.RpcError as e:
                raise AssertionError(f"{e}: {d.log_tail()}") from e
    exited(t.run(s, ["true"], client=c))


def test_sandboxctl(t):
    s = t.sandbox()
    r = t.ctl("pause", s["name"])
    equal((r.returncode, r.stdout, r.stderr), (0, b"", b""), "pause")
    check(b"paused" in t.ctl("ls").stdout, "ls shows it")
    r = t.ctl("exec", s["name"], "true")
    equal(r.returncode, 125, "exec")
    check(b"sandboxctl resume" in r.stderr, r.stderr)
    equal(t.ctl("resume", s["name"]).returncode, 0, "resume")
    equal(t.ctl("exec", s["name"], "true").returncode, 0, "exec")
    equal(t.client.call("system.info")["cgroup"]["pause"] in ("freezer", "signals"), True, "how")
