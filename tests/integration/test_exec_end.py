# SPDX-License-Identifier: Apache-2.0
"""How an exec ends: leftovers, drain, timeout, cancel, disconnect."""

import os
import signal
import time

import daemon as daemon_module
import lib
from harness import exited, result_text, signaled, timeout
from lib import check, equal, text_of, until

# Everything that a process can do to look like nobody's child.
RUNAWAY = r"""
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        os.chdir("/")
        if os.fork() == 0:
            for fd in range(256):
                try: os.close(fd)
                except OSError: pass
            os.execve("/bin/sleep", ["RUNAWAY", "1000"], {})
        os._exit(0)
    os._exit(0)
time.sleep(0.3)
print("leader ends")
"""

GATE = "until [ -e /tmp/go ]; do sleep 0.02; done"


def inside(sandbox):
    """Processes in a sandbox, as the host sees them: descendants of its init."""
    return daemon_module.descendants(sandbox["pid"])


def test_leftovers_are_killed(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo done"]))
    equal((r["stdout"], r["leftovers"]), ("done\n", 2), "result")
    equal(inside(s), {}, "processes when the reply is there")


def test_runaways_are_killed(t):
    """setsid, double fork, closed descriptors, cleared environment."""
    s = t.sandbox()
    for user in ("agent", "root"):
        r = exited(t.run(s, ["/usr/bin/python3", "-c", RUNAWAY], user=user))
        check(r["leftovers"] >= 1, result_text(r))
        equal(inside(s), {}, f"processes when the reply is there ({user})")


def test_leftovers_of_another_exec_live(t):
    """Only this exec's processes are killed, not its neighbours'."""
    s = t.sandbox()
    other = t.run(s, ["sleep", "1000"], detach=True)
    r = exited(t.run(s, ["/usr/bin/python3", "-c", RUNAWAY]))
    check(r["leftovers"] >= 1, result_text(r))
    g = t.client.call("exec.get", {"execId": other["execId"]})
    equal((g["state"], len(inside(s))), ("running", 1), "the neighbour")


def test_leftovers_keep(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo done"], leftovers="keep"))
    equal(r["stdout"], "done\n", "stdout")
    equal(len(inside(s)), 1, "processes")
    exited(t.run(s, ["true"]))
    equal(len(inside(s)), 1, "processes after the next exec")


def test_leftover_holding_the_pipe(t):
    """The leader's end is the exec's end, but for a short drain."""
    s = t.sandbox()
    equal(exited(t.run(s, ["/bin/sh", "-c", "echo out; sleep 1000 &"]))["stdout"], "out\n", "stdout")


def test_drain_takes_all_that_was_written(t):
    """What was in the pipe when the leader ended is not lost."""
    s = t.sandbox()
    for _ in range(5):
        r = exited(t.run(s, ["/bin/sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' y"]))
        equal(len(text_of(r["stdout"])), 1000000, "bytes")


def test_leftovers_that_fork_all_the_time(t):
    """A tree that makes new processes faster than one looks."""
    s = t.sandbox(limits={"pids": 200})
    script = "f() { (f) & (f) & sleep 0.01; }; i=0; while [ $i -lt 20 ]; do (while :; do (sleep 0.001 &) ; done) & i=$((i+1)); done; sleep 0.3; echo x"
    r = t.run(s, ["/bin/bash", "-c", script], timeout=40)
    equal(r["stdout"], "x\n", "stdout")
    equal(inside(s), {}, "processes when the reply is there")


def test_timeout_term(t):
    s = t.sandbox()
    started = time.monotonic()
    r = t.run(s, ["sleep", "100"], timeoutMs=300)
    equal(r["cause"], "timeout", "cause")
    signaled(r, signal.SIGTERM)
    check(time.monotonic() - started > 0.25, "time")


def test_timeout_term_is_handled(t):
    """A program that ends well upon TERM: its own code, cause timeout."""
    s = t.sandbox()
    r = t.run(s, ["/bin/sh", "-c", "trap 'echo bye; exit 7' TERM; sleep 100 & wait"], timeoutMs=300)
    equal((r["cause"], r["exitCode"], r["stdout"]), ("timeout", 7, "bye\n"), "result")


def test_timeout_kill(t):
    """TERM ignored: KILL to all after the grace, confirmed dead before the reply."""
    s = t.sandbox()
    script = "trap '' TERM; (trap '' TERM; sleep 1000) & while :; do sleep 0.1; done"
    started = time.monotonic()
    r = t.run(s, ["/bin/sh", "-c", script], timeoutMs=300, graceMs=500)
    took = time.monotonic() - started
    equal(r["cause"], "timeout", "cause")
    signaled(r, signal.SIGKILL)
    check(took > 0.7, f"took {took:.2f} s")
    equal(inside(s), {}, "processes when the reply is there")


def test_timeout_runaways(t):
    s = t.sandbox()
    program = RUNAWAY + "\nimport signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(100)"
    r = t.run(s, ["/usr/bin/python3", "-c", program], timeoutMs=1000, graceMs=200)
    equal(r["cause"], "timeout", "cause")
    equal(inside(s), {}, "processes when the reply is there")


def test_grace_zero(t):
    s = t.sandbox()
    r = t.run(s, ["sleep", "100"], timeoutMs=200, graceMs=0)
    equal(r["cause"], "timeout", "cause")
    check(r["signal"] is not None, result_text(r))


def test_timeout_of_a_stopped_process(t):
    """SIGSTOP is no way to stay."""
    s = t.sandbox()
    r = t.run(s, ["/bin/sh", "-c", "kill -STOP $$"], timeoutMs=300, graceMs=300)
    equal(r["cause"], "timeout", "cause")
    equal(inside(s), {}, "processes")


def program(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def stop_on_its_way(init, seconds):
    """Stops what INIT starts next before it is the command. False: it was one already, or nothing came."""
    fd = os.open(f"/proc/{init}/task/{init}/children", os.O_RDONLY)
    own, end = program(init), time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            children = os.pread(fd, 100, 0).split()
            if not children:
                continue
            pid = int(children[0])
            try:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.01)  # it may be within execve() still
                if program(pid) == own:
                    return True
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
            return False
    finally:
        os.close(fd)
    return False


@timeout(120)
def test_stopped_on_the_way_to_its_command(t):
    """Within reach of an agent's SIGSTOP for one system call; init hangs then, until it is let go on."""
    if t.mode == "user":
        return  # only root can play that agent, and hit the moment
    s = t.sandbox()
    end = time.monotonic() + 60
    hit = False
    while not hit:
        check(time.monotonic() < end, "what init starts was never met on its way")
        rid = t.client.send("exec.run", {"sandbox": s["name"], "command": ["true"]})
        hit = stop_on_its_way(s["pid"], 0.5)
        exited(t.client.wait(rid, 25))
    equal(t.client.call("sandbox.get", {"sandbox": s["name"]})["state"], "running", "state")


def test_cancel(t):
    s = t.sandbox()
    c = t.client
    rid = c.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "100"]})
    e = c.note("exec.started")["execId"]
    equal(t.connect().call("exec.cancel", {"execId": e}), {}, "result")
    r = c.wait(rid, 10)
    equal(r["cause"], "cancelled", "cause")
    equal(inside(s), {}, "processes")
    equal(c.call("exec.get", {"execId": e})["result"]["cause"], "cancelled", "exec.get")


def test_disconnect_cancels(t):
    s = t.sandbox()
    c = t.connect()
    c.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "100"]})
    e = c.note("exec.started")["execId"]
    c.close()
    until(
        lambda: t.client.call("exec.get", {"execId": e})["state"] == "ended", 10, "the exec ends"
    )
    equal(t.client.call("exec.get", {"execId": e})["result"]["cause"], "cancelled", "cause")
    equal(inside(s), {}, "processes")


def test_disconnect_keep(t):
    s = t.sandbox()
    c = t.connect()
    params = {"sandbox": s["name"], "command": ["sleep", "2"], "onDisconnect": "keep"}
    c.send("exec.run", params)
    e = c.note("exec.started")["execId"]
    c.close()
    equal(t.client.call("exec.wait", {"execId": e})["exitCode"], 0, "exit")


def test_signal(t):
    s = t.sandbox()
    c = t.client
    for name, number in (("SIGUSR1", 10), ("USR2", 12), (1, 1), ("TERM", 15), ("KILL", 9)):
        rid = c.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "100"]})
        e = c.note("exec.started")["execId"]
        equal(c.call("exec.signal", {"execId": e, "signal": name}), {}, "result")
        r = signaled(c.wait(rid, 10), number)
        equal(r["cause"], "signaled", "cause")
        equal(c.error("exec.signal", {"execId": e, "signal": name}).kind, "invalid_state", "ended")


def test_signal_bad(t):
    s = t.sandbox()
    e = t.run(s, ["sleep", "20"], detach=True)["execId"]
    for value in ("NOPE", "", 0, 65, -1, 1.5, True, None, "SIG", "sigterm x"):
        error = t.client.error("exec.signal", {"execId": e, "signal": value})
        equal((error.code, error.field), (-32602, "signal"), f"signal {value!r}")


def test_detach_and_wait(t):
    s = t.sandbox()
    e = t.run(s, ["/bin/sh", "-c", f"echo a; {GATE}; echo b; exit 4"], detach=True)
    equal(e["state"], "running", "state")
    error = t.client.error("exec.wait", {"execId": e["execId"], "timeoutMs": 50})
    equal((error.code, error.kind), (-32008, "timeout"), "wait that runs out")
    t.sh(s, "touch /tmp/go")
    r = t.client.call("exec.wait", {"execId": e["execId"]})
    equal((r["exitCode"], r["stdout"]), (4, "a\nb\n"), "result")
    again = t.client.call("exec.wait", {"execId": e["execId"], "timeoutMs": 0})
    equal(again["exitCode"], 4, "wait again")


def test_detach_start_error(t):
    """A detached exec that could not start is found with its result."""
    s = t.sandbox()
    e = t.run(s, ["no-such-thing"], detach=True)
    r = t.client.call("exec.wait", {"execId": e["execId"]})
    equal(r["startError"]["kind"], "not_found", "kind")


def test_attach(t):
    s = t.sandbox()
    e = t.run(s, ["/bin/sh", "-c", f"echo early; {GATE}; echo late; exit 5"], detach=True)["execId"]
    c = t.connect()
    rid = c.send("exec.attach", {"execId": e})
    first = c.message()
    equal((first["method"], first["params"]["execId"]), ("exec.started", e), "first message")
    equal(c.note("exec.data")["data"], "early\n", "replay")
    t.sh(s, "touch /tmp/go")
    late = c.note("exec.data")
    equal((late["data"], late["offset"], late["stream"]), ("late\n", 6, "stdout"), "following")
    equal(c.wait(rid)["exitCode"], 5, "result")


def test_attach_from(t):
    s = t.sandbox()
    e = exited(t.run(s, ["/bin/sh", "-c", "printf 0123456789; echo err >&2"]))["execId"]
    c = t.connect()
    c.call("exec.attach", {"execId": e, "from": {"stdout": 4}})
    got = {n["params"]["stream"]: n["params"] for n in c.notes if n["method"] == "exec.data"}
    equal((got["stdout"]["data"], got["stdout"]["offset"]), ("456789", 4), "stdout")
    c = t.connect()
    c.call("exec.attach", {"execId": e, "from": "end"})
    equal([n for n in c.notes if n["method"] == "exec.data"], [], "from the end")


def test_attach_disconnect_does_not_cancel(t):
    s = t.sandbox()
    e = t.run(s, ["sleep", "2"], detach=True)["execId"]
    c = t.connect()
    c.send("exec.attach", {"execId": e})
    c.note("exec.started")
    c.close()
    equal(t.client.call("exec.wait", {"execId": e})["exitCode"], 0, "exit")


def test_read(t):
    s = t.sandbox()
    e = exited(t.run(s, ["printf", "0123456789"]))["execId"]
    c = t.client

    def read(**kw):
        return c.call("exec.read", {"execId": e, "stream": "stdout", **kw})

    equal(read(), {"data": "0123456789", "nextOffset": 10, "eof": True}, "whole")
    equal(read(**{"from": 3, "limitBytes": 4}), {"data": "3456", "nextOffset": 7, "eof": False}, "part")
    equal(read(**{"from": 10}), {"data": "", "nextOffset": 10, "eof": True}, "at the end")
    far = read(**{"from": 99})
    equal((far["data"], far["eof"]), ("", True), "beyond")
    error = c.error("exec.read", {"execId": e, "stream": "output"})
    check(error.code in (-32004, -32602), f"a stream that it does not have: {error}")


def test_read_keeps_characters_whole(t):
    s = t.sandbox()
    e = exited(t.run(s, ["printf", "aé€😀z"]))["execId"]
    whole, at = b"", 0
    for _ in range(40):
        r = t.client.call("exec.read", {"execId": e, "stream": "stdout", "from": at, "limitBytes": 4})
        check(isinstance(r["data"], str), f"a character was cut: {r}")
        whole += text_of(r["data"])
        at = r["nextOffset"]
        if r["eof"]:
            break
    equal(whole.decode(), "aé€😀z", "text")


def test_read_while_it_runs(t):
    s = t.sandbox()
    e = t.run(s, ["/bin/sh", "-c", "echo x; sleep 100"], detach=True)["execId"]

    def data():
        r = t.client.call("exec.read", {"execId": e, "stream": "stdout"})
        equal(r["eof"], False, "eof")
        return r["data"] == "x\n"

    until(data, 20, "output")
    t.client.call("exec.cancel", {"execId": e})
    until(
        lambda: t.client.call("exec.read", {"execId": e, "stream": "stdout", "from": 2})["eof"],
        10,
        "eof",
    )


def test_execs_go_with_their_sandbox(t):
    s = t.sandbox()
    e = exited(t.run(s, ["true"]))["execId"]
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    equal(t.client.error("exec.get", {"execId": e}).kind, "not_found", "kind")


def test_cancel_twice_and_late(t):
    s = t.sandbox()
    e = t.run(s, ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], detach=True, graceMs=500)["execId"]
    t.client.call("exec.cancel", {"execId": e})
    try:
        t.client.call("exec.cancel", {"execId": e})
    except lib.RpcError as error:
        equal(error.kind, "invalid_state", "kind")
    r = t.client.call("exec.wait", {"execId": e})
    equal(r["cause"], "cancelled", "cause")
    try:
        t.client.call("exec.cancel", {"execId": e})
    except lib.RpcError as error:
        equal(error.kind, "invalid_state", "kind")


@timeout(90)
def test_300_execs_in_a_row_leak_nothing(t):
    d = t.private_daemon(config={"pool host": {"max": 0}})  # spares come and go, with descriptors of their own
    c = t.connect(daemon=d)
    s = c.call("sandbox.create", {"name": "leaks-nothing"}, timeout=60)
    for _ in range(50):
        exited(t.run(s, ["true"], client=c))

    def inits():
        return len(os.listdir(f"/proc/{s['pid']}/fd")) if os.getuid() == 0 else 0

    before = (inits(), d.fds())
    for _ in range(250):
        exited(t.run(s, ["true"], client=c))
    until(lambda: inits() <= before[0] and d.fds() <= before[1], 10, lambda: f"fds {before} -> {inits()}, {d.fds()}")
