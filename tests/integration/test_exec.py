# SPDX-License-Identifier: Apache-2.0
"""exec.run: environment, user, workDir, files, stdin, capture, descriptors, start errors."""

import base64
import hashlib
import os
import pty
import select
import signal
import socket
import stat
import termios
import time

import lib
from harness import b64, exited, result_text, signaled, timeout
from lib import check, equal, meeting, text_of


def test_true_and_false(t):
    s = t.sandbox()
    r = exited(t.run(s, ["true"]))
    equal((r["signal"], r["stdout"], r["stderr"]), (None, "", ""), "result")
    equal((r["truncated"], r["leftovers"], r["oomKills"]), (False, 0, 0), "result")
    exited(t.run(s, ["false"]), 1)
    for code in (0, 1, 2, 77, 126, 127, 128, 255):
        exited(t.run(s, ["/bin/sh", "-c", f"exit {code}"]), code)


def test_signals_as_ends(t):
    s = t.sandbox()
    for n in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGPIPE):
        r = t.run(s, ["/bin/sh", "-c", f"kill -{int(n)} $$"])
        equal(signaled(r, n)["cause"], "signaled", "cause")


def test_started_comes_first(t):
    s = t.sandbox()
    c = t.client
    rid = c.send("exec.run", {"sandbox": s["name"], "command": ["true"]})
    first = c.message()
    equal(first.get("method"), "exec.started", "first message")
    p = first["params"]
    equal(p["requestId"], rid, "requestId")
    check(p["sandbox"] in (s["name"], s["id"]), f"sandbox {p['sandbox']}")
    check(p["pid"] > 0 and p["startedAt"].endswith("Z"), f"{p}")
    equal(c.wait(rid)["execId"], p["execId"], "execId")


def test_started_comes_before_data(t):
    s = t.sandbox()
    for i in range(50):  # the spool's news and init's come on two ways
        c = t.connect()
        rid = c.send("exec.run", {"sandbox": s["name"], "command": ["echo", "x"], "stream": True})
        order = [c.message() for _ in range(3)]
        equal([m.get("method", "reply") for m in order], ["exec.started", "exec.data", "reply"], f"round {i}")
        equal(order[2]["id"], rid, "id")
        c.close()


def test_output_captured(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "echo out; echo err >&2; printf 'no newline'"]))
    equal((r["stdout"], r["stderr"]), ("out\nno newline", "err\n"), "streams")


def test_output_merged(t):
    s = t.sandbox()
    script = "i=0; while [ $i -lt 50 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done"
    r = exited(t.run(s, ["/bin/sh", "-c", script], capture="merged"))
    want = "".join(f"o{i}\ne{i}\n" for i in range(50))
    equal(r["output"], want, "output in exact order")
    check(r.get("stdout") is None and r.get("stderr") is None, "stdout, stderr")


def test_output_none(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "echo x; readlink /proc/self/fd/1 >&2"], capture="none"))
    check(not r.get("stdout") and not r.get("output"), result_text(r))


def test_dev_stderr_can_be_opened(t):
    """Pipes belong to the exec's uid, else /dev/stderr is EACCES."""
    s = t.sandbox()
    for user in ("agent", "root", "1234"):
        script = "echo a >/dev/stdout; echo b >/dev/stderr"
        r = exited(t.run(s, ["/bin/sh", "-c", script], user=user, workDir="/"))
        equal((r["stdout"], r["stderr"]), ("a\n", "b\n"), f"as {user}")


def test_output_not_utf8(t):
    s = t.sandbox()
    r = exited(t.run(s, ["printf", r"\377\000\376"]))
    equal(r["stdout"], {"base64": base64.b64encode(b"\xff\0\xfe").decode()}, "stdout")
    r = exited(t.run(s, ["printf", "é€😀"]))
    equal(r["stdout"], "é€😀", "stdout")


def test_output_truncated(t):
    """The last 1 MiB in the result, the rest in the spool."""
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo end"]))
    data = text_of(r["stdout"])
    check(r["truncated"] and len(data) <= 1 << 20 and data.endswith(b"xend\n"), f"{len(data)}")
    check(len(data) > (1 << 20) - 8, f"only {len(data)} bytes")


def test_environment(t):
    s = t.sandbox(env={"FROM_SANDBOX": "1", "BOTH": "sandbox"})
    r = exited(t.run(s, ["env"], env={"BOTH": "exec", "E": "x=y \n z", "EMPTY": ""}))
    lines = text_of(r["stdout"]).decode()
    for want in ("FROM_SANDBOX=1\n", "BOTH=exec\n", "E=x=y \n z\n", "EMPTY=\n", "HOME=/home/agent\n"):
        check(want in lines, f"{want!r} is not in {lines!r}")
    check("PATH=" in lines and "GIT_CONFIG_COUNT" in lines, lines)
    for word in ("SANDBOXD", "LISTEN_FDS", "NOTIFY_SOCKET", "SUDO", "SSH_"):
        check(word not in lines, f"{word} of the host is inside")


def test_identity(t):
    s = t.sandbox()
    equal(t.sh(s, "id -u; id -g; id -G; id -un"), "1000\n1000\n1000\nagent\n", "agent")
    equal(t.sh(s, "id -u; id -g; id -G; id -un", user="root"), "0\n0\n0\nroot\n", "root")
    equal(t.sh(s, "id -u; id -g", user="2000", workDir="/"), "2000\n2000\n", "UID")
    equal(t.sh(s, "id -u; id -g", user="2000:3000", workDir="/"), "2000\n3000\n", "UID:GID")
    name = t.sh(s, "hostname").strip()
    check(name and name != socket.gethostname(), f"hostname {name}")


def test_bad_user(t):
    s = t.sandbox()
    for user in ("nosuchuser", "70000", "4294967295", "99999999999", "1000:x", "-1", ":5", "65535"):
        try:
            r = t.run(s, ["true"], user=user)
        except lib.RpcError as e:
            equal((e.code, e.field), (-32602, "user"), f"user {user!r}")
            continue
        equal(r["cause"], "never_started", f"user {user!r}")
        equal(r["startError"]["kind"], "bad_user", f"user {user!r}")


def test_work_dir(t):
    ws = t.workspace({"sub dir/file": "x"})
    s = t.sandbox(workspace=ws)
    equal(t.sh(s, "pwd"), ws + "\n", "default")
    equal(t.sh(s, "pwd", workDir="/usr"), "/usr\n", "/usr")
    equal(t.sh(s, "pwd; ls", workDir=ws + "/sub dir"), f"{ws}/sub dir\nfile\n", "below")
    plain = t.sandbox()
    equal(t.sh(plain, "pwd"), "/home/agent\n", "without a workspace")


def test_start_errors(t):
    ws = t.workspace({"not-executable": "#!/bin/sh\n", "no-interpreter": "#!/no/such/thing\n"})
    os.chmod(ws + "/no-interpreter", 0o755)
    s = t.sandbox(workspace=ws)
    table = [
        (["no-such-command"], {}, "not_found", 2),
        (["/no/such/command"], {}, "not_found", 2),
        (["./no-interpreter"], {}, "not_found", 2),
        ([ws + "/not-executable"], {}, "not_executable", 13),
        (["/usr"], {}, "not_executable", 13),
        (["true"], {"workDir": "/no/such/dir"}, "bad_workdir", 2),
        (["true"], {"workDir": "/etc/passwd"}, "bad_workdir", 20),
        (["true"], {"workDir": "/root"}, "bad_workdir", None),
    ]
    for command, params, kind, errno in table:
        r = t.run(s, command, **params)
        equal((r["cause"], r["exitCode"]), ("never_started", None), f"{command} {params}")
        equal(r["startError"]["kind"], kind, f"{command} {params}")
        check(r["startError"]["message"], "message")
        if errno is not None:
            equal(r["startError"]["errno"], errno, f"{command} {params}")


def test_path_lookup_uses_env(t):
    """PATH is the exec's own."""
    ws = t.workspace({"bin/hello": "#!/bin/sh\necho found\n"})
    os.chmod(ws + "/bin/hello", 0o755)
    s = t.sandbox(workspace=ws)
    equal(t.run(s, ["hello"])["startError"]["kind"], "not_found", "without")
    r = exited(t.run(s, ["hello"], env={"PATH": ws + "/bin:/usr/bin:/bin"}))
    equal(r["stdout"], "found\n", "with")


@timeout(120)
def test_a_mebibyte_of_arguments(t):
    s = t.sandbox()
    args = ["x" * 100 for _ in range(9000)]
    r = exited(t.run(s, ["/bin/sh", "-c", "echo $# $BIG1 | head -c 20", "sh", *args], env={"BIG1": "b" * 100000}))
    check(text_of(r["stdout"]).startswith(b"9000 bbbb"), result_text(r))
    r = t.run(s, ["true", *["x" * 100 for _ in range(20000)]])
    equal((r["cause"], r["startError"]["kind"]), ("never_started", "too_big"), "2 MB")
    r = t.run(s, ["true", "x" * 200000])
    equal((r["cause"], r["startError"]["kind"]), ("never_started", "too_big"), "128 KiB in one")


def test_what_never_starts_keeps_no_descriptor(t):
    """Whoever reads the other end of one sees its end, though the result is kept."""
    s = t.sandbox()
    for command in (["true", *["x" * 100 for _ in range(20000)]], ["no-such-program"]):
        out, their_out = os.pipe()
        their_in, stdin = os.pipe()
        with t.connect() as c:
            streams = {"stdin": {"fd": 0}, "stdout": {"fd": 1}}
            r = c.call("exec.run", {"sandbox": s["name"], "command": command, "fds": 2, **streams}, fds=(their_in, their_out))
        os.close(their_in)
        os.close(their_out)
        equal(r["cause"], "never_started", command[0])
        check(select.select([out], [], [], 10)[0] and os.read(out, 1) == b"", f"{command[0]}: its stdout is still open")
        poll = select.poll()
        poll.register(stdin, 0)
        check([(stdin, select.POLLERR)] == poll.poll(10000), f"{command[0]}: its stdin is still open")
        os.close(out)
        os.close(stdin)


def test_arguments_are_a_vector(t):
    s = t.sandbox()
    odd = ["", " ", "a b", "$HOME", "`id`", '"', "'", "\n", "é", "*", "-n"]
    r = exited(t.run(s, ["/bin/sh", "-c", 'for a; do printf "[%s]" "$a"; done', "sh", *odd]))
    equal(text_of(r["stdout"]).decode(), "".join(f"[{a}]" for a in odd), "arguments")


# ---- stdin ----
def test_stdin_null(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "cat; readlink /proc/self/fd/0"], timeout=10))
    equal(r["stdout"], "/dev/null\n", "stdin")


def test_stdin_bytes(t):
    s = t.sandbox()
    equal(exited(t.run(s, ["cat"], stdin={"text": "héllo"}))["stdout"], "héllo", "text")
    data = os.urandom(5000000)
    r = exited(t.run(s, ["sha256sum"], stdin=b64(data)))
    equal(r["stdout"][:64], hashlib.sha256(data).hexdigest(), "hash of 5 MB")
    exited(t.run(s, ["true"], stdin=b64(data)))
    equal(exited(t.run(s, ["cat"], stdin={"text": ""}))["stdout"], "", "nothing")


def test_stdin_stream(t):
    s = t.sandbox()
    c = t.client
    rid = c.send("exec.run", {"sandbox": s["name"], "command": ["cat"], "stdin": "stream"})
    e = c.note("exec.started")["execId"]
    c.call("exec.write", {"execId": e, "data": "one "})
    c.call("exec.write", {"execId": e, "data": b64(b"two\xff")})
    c.call("exec.closeStdin", {"execId": e})
    r = c.wait(rid, 10)
    equal(text_of(r["stdout"]), b"one two\xff", "stdout")
    error = c.error("exec.write", {"execId": e, "data": "x"})
    equal(error.kind, "invalid_state", "write to an ended exec")


def test_stdin_stream_errors(t):
    s = t.sandbox()
    c = t.client
    e = t.run(s, ["sleep", "20"], detach=True)["execId"]
    equal(c.error("exec.write", {"execId": e, "data": "x"}).kind, "invalid_state", "no stream")
    equal(c.error("exec.closeStdin", {"execId": e}).kind, "invalid_state", "no stream")
    e = t.run(s, ["sleep", "20"], detach=True, stdin="stream")["execId"]
    c.call("exec.closeStdin", {"execId": e})
    equal(c.error("exec.write", {"execId": e, "data": "x"}).kind, "invalid_state", "closed")
    equal(c.error("exec.write", {"execId": "nope", "data": "x"}).kind, "not_found", "no exec")


@timeout(120)
def test_stdin_stream_is_bounded(t):
    """A program that does not read: writes beyond 16 MiB are refused or wait, others go on."""
    s = t.sandbox()
    c = t.connect()
    e = t.run(s, ["sleep", "60"], client=c, detach=True, stdin="stream")["execId"]
    piece = b64(b"x" * (4 << 20))
    outcome = []
    for _ in range(8):
        rid = c.send("exec.write", {"execId": e, "data": piece})
        try:
            c.wait(rid, 3)
            outcome.append("ok")
        except TimeoutError:
            outcome.append("waits")
            break
        except lib.RpcError as error:
            outcome.append(error.kind)
    check(any(o in ("waits", "limit_reached") for o in outcome), f"{outcome}")
    equal(t.client.call("system.ping", timeout=20), {}, "ping of another client")
    t.client.call("exec.cancel", {"execId": e})


# ---- descriptors ----
def test_own_fds(t):
    s = t.sandbox()
    in_r, in_w = os.pipe()
    out_r, out_w = os.pipe()
    err_r, err_w = os.pipe()
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "cat; echo err >&2"],
        "stdin": {"fd": 0},
        "stdout": {"fd": 1},
        "stderr": {"fd": 2},
    }
    rid = t.client.send("exec.run", params, [in_r, out_w, err_w])
    for fd in (in_r, out_w, err_w):
        os.close(fd)
    os.write(in_w, b"through")
    os.close(in_w)
    r = t.client.wait(rid)
    equal((r["exitCode"], r["stdout"], r["stderr"]), (0, None, None), "result")
    equal((os.read(out_r, 100), os.read(err_r, 100)), (b"through", b"err\n"), "pipes")
    equal((os.read(out_r, 1), os.read(err_r, 1)), (b"", b""), "ends")
    os.close(out_r)
    os.close(err_r)
    error = t.client.error("exec.read", {"execId": r["execId"], "stream": "stdout"})
    equal(error.code, -32004, "exec.read of what went to the caller")


def test_same_fd_twice(t):
    s = t.sandbox()
    r, w = os.pipe()
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "echo a; echo b >&2"],
        "stdout": {"fd": 0},
        "stderr": {"fd": 0},
    }
    try:
        t.client.call("exec.run", params, [w])
    except lib.RpcError as e:
        equal((e.code, e.field), (-32602, "stderr.fd"), "refused by name")
        os.close(w)
    else:
        os.close(w)
        equal(os.read(r, 100), b"a\nb\n", "both")
    os.close(r)


def test_socket_as_stdio(t):
    s = t.sandbox()
    a, b = socket.socketpair()
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "read x; echo got $x"],
        "stdin": {"fd": 0},
        "stdout": {"fd": 1},
    }
    rid = t.client.send("exec.run", params, [b.fileno(), b.fileno()])
    b.close()
    a.sendall(b"hello\n")
    a.settimeout(10)
    equal(a.recv(100), b"got hello\n", "answer")
    equal(t.client.wait(rid)["exitCode"], 0, "exit")
    a.close()


def test_mixed_fds_and_capture(t):
    s = t.sandbox()
    r, w = os.pipe()
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "echo out; echo err >&2"],
        "stdout": {"fd": 0},
    }
    result = t.client.call("exec.run", params, [w])
    os.close(w)
    equal((os.read(r, 10), result["stdout"], result["stderr"]), (b"out\n", None, "err\n"), "both")
    os.close(r)


# ---- files ----
def test_files(t):
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    files = [
        {"path": "plain", "data": "text"},
        {"path": "sub/dir/bytes", "data": b64(b"\0\xff"), "mode": "0755"},
        {"path": "empty", "data": ""},
    ]
    out = t.sh(s, "stat -c '%n %a %u %s' plain sub/dir/bytes empty", files=files)
    want = "plain 600 1000 4\nsub/dir/bytes 755 1000 2\nempty 600 1000 0\n"
    equal(out, want, "files")
    with open(ws + "/sub/dir/bytes", "rb") as f:
        equal(f.read(), b"\0\xff", "content")
    equal(os.stat(ws + "/plain").st_uid, t.suite.owner, "owner outside")
    t.sh(s, "test \"$(cat plain)\" = again", files=[{"path": "plain", "data": "again"}])


def test_files_large_and_many(t):
    s = t.sandbox()
    data = os.urandom(6 << 20)
    files = [{"path": "big", "data": b64(data)}] + [
        {"path": f"f{i}", "data": str(i)} for i in range(63)
    ]
    out = t.sh(s, "sha256sum <big; ls | wc -l; cat f62", files=files)
    check(out.startswith(hashlib.sha256(data).hexdigest()) and out.endswith("62"), out[:200])
    error = t.client.error(
        "exec.run",
        {"sandbox": s["name"], "command": ["true"], "files": [{"path": f"{i}", "data": ""} for i in range(65)]},
    )
    equal((error.code, error.field), (-32602, "files"), "65 files")


def test_files_that_cannot_be(t):
    s = t.sandbox()
    for path in ("/proc/x", "/usr/x", "/etc/passwd/x", "/nodir\0x"):
        try:
            r = t.run(s, ["true"], files=[{"path": path, "data": "x"}])
        except lib.RpcError as e:
            equal(e.code, -32602, f"{path!r}")
            continue
        equal((r["cause"], r["startError"] is not None), ("never_started", True), path)


# ---- terminal ----
def test_tty(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "tty; stty size; test -t 0 -a -t 1 -a -t 2 && echo all"], tty={"rows": 33, "cols": 111}))
    equal(text_of(r["output"]), b"/dev/pts/0\r\n33 111\r\nall\r\n", "output")


def test_tty_resize_and_input(t):
    s = t.sandbox()
    c = t.client
    script = (
        "import os,select,signal\n"
        "signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b'%d %d\\n' % os.get_terminal_size()[::-1]))\n"
        "print('ready', flush=True)\n"
        "while not select.select([0], [], [], 0.1)[0]: pass\n"  # a signal just before read() waits
        "print('got', input())"
    )
    rid = c.send(
        "exec.run",
        {
            "sandbox": s["name"],
            "command": ["/usr/bin/python3", "-c", script],
            "tty": {"rows": 24, "cols": 80},
            "stdin": "stream",
            "stream": True,
        },
    )
    e = c.note("exec.started")["execId"]
    seen = ""
    while "ready" not in seen:
        seen += text_of(c.note("exec.data")["data"]).decode()
    c.call("exec.resize", {"execId": e, "rows": 50, "cols": 132})
    while "50 132" not in seen:
        seen += text_of(c.note("exec.data")["data"]).decode()
    c.call("exec.write", {"execId": e, "data": "line\n"})
    r = c.wait(rid, 10)
    check(b"got line" in text_of(r["output"]), result_text(r))
    exited(r)


def test_tty_interrupt(t):
    """^C reaches the foreground group, a true terminal."""
    s = t.sandbox()
    c = t.client
    params = {"sandbox": s["name"], "command": ["sleep", "100"], "tty": {"rows": 24, "cols": 80}, "stdin": "stream"}
    rid = c.send("exec.run", params)
    e = c.note("exec.started")["execId"]
    time.sleep(0.2)
    c.call("exec.write", {"execId": e, "data": "\x03"})
    signaled(c.wait(rid, 10), signal.SIGINT)


def test_tty_close_stdin_is_eof(t):
    s = t.sandbox()
    c = t.client
    params = {"sandbox": s["name"], "command": ["cat"], "tty": {"rows": 24, "cols": 80}, "stdin": "stream"}
    rid = c.send("exec.run", params)
    e = c.note("exec.started")["execId"]
    c.call("exec.write", {"execId": e, "data": "x\n"})
    time.sleep(0.2)
    c.call("exec.closeStdin", {"execId": e})
    exited(c.wait(rid, 10))


def tty_fed(t, s, command, text):
    """TEXT and the end of file at once, as from a pipe: the result."""
    c = t.client
    params = {"sandbox": s["name"], "command": command, "tty": {"rows": 24, "cols": 80}, "stdin": "stream"}
    rid = c.send("exec.run", params)
    e = c.note("exec.started")["execId"]
    c.call("exec.write", {"execId": e, "data": text})
    try:
        c.call("exec.closeStdin", {"execId": e})
    except lib.RpcError as error:
        equal(error.kind, "invalid_state", "what TEXT said has ended it already")
    return c.wait(rid, 60)


def test_tty_end_of_file_reaches_who_edits_lines(t):
    """A shell leaves line editing for a moment around each command: the end is not lost then."""
    s = t.sandbox()
    for _ in range(5):
        for shell in ["bash", "--norc"], ["dash", "-i"], ["python3", "-q"]:
            exited(tty_fed(t, s, shell, ""))
        r = exited(tty_fed(t, s, ["bash", "--norc"], "sleep 0.2\necho he''re\n"))
        check(b"here" in text_of(r["output"]), result_text(r))
    r = exited(tty_fed(t, s, ["bash", "--norc"], "sleep 1\n"))
    r = tty_fed(t, s, ["bash", "--norc"], "echo hi; exit 3\n")
    equal(r["exitCode"], 3, result_text(r))


def test_tty_end_of_file_stays(t):
    """One reader after the other finds the end, as with a pipe; also within a line."""
    s = t.sandbox()
    r = exited(tty_fed(t, s, ["sh", "-c", "stty -echo; cat; cat; cat; echo end"], "a\nb"))
    check(text_of(r["output"]).endswith(b"end\r\n"), result_text(r))


def test_tty_wants_no_resize_without(t):
    s = t.sandbox()
    e = t.run(s, ["sleep", "20"], detach=True)["execId"]
    error = t.client.error("exec.resize", {"execId": e, "rows": 10, "cols": 10})
    equal(error.kind, "invalid_state", "kind")


def test_own_pty_as_stdio(t):
    """The caller's terminal works as stdio (what sandboxctl without -t gives)."""
    s = t.sandbox()
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "test -t 0 && echo terminal"],
        "stdin": {"fd": 0},
        "stdout": {"fd": 1},
    }
    result = t.client.call("exec.run", params, [slave, slave])
    os.close(slave)
    equal((result["exitCode"], os.read(master, 100)), (0, b"terminal\n"), "result")
    os.close(master)


# ---- concurrency ----
def test_8_at_once_without_waiting(t):
    s = t.sandbox()
    command = ["/bin/sh", "-c", meeting(8, "/tmp/met")]
    ids = [t.client.send("exec.run", {"sandbox": s["name"], "command": command}) for _ in range(8)]
    for rid in ids:
        exited(t.client.wait(rid, 40))


def test_100_quick_ones(t):
    s = t.sandbox()
    ids = [
        t.client.send("exec.run", {"sandbox": s["name"], "command": ["echo", str(i)]})
        for i in range(100)
    ]
    for i, rid in enumerate(ids):
        equal(exited(t.client.wait(rid, 30))["stdout"], f"{i}\n", "stdout")


def test_exec_ids(t):
    s = t.sandbox()
    name = t.unique("exec")
    r = exited(t.run(s, ["true"], execId=name))
    equal(r["execId"], name, "execId")
    e = t.client.error("exec.run", {"sandbox": s["name"], "command": ["true"], "execId": name})
    equal((e.code, e.kind), (-32002, "already_exists"), "execId twice")


def test_get_and_list(t):
    s = t.sandbox()
    r = exited(t.run(s, ["/bin/sh", "-c", "exit 3"], stage="reviewer", storyId="s-1"), 3)
    g = t.client.call("exec.get", {"execId": r["execId"]})
    equal((g["state"], g["stage"], g["storyId"]), ("ended", "reviewer", "s-1"), "exec.get")
    equal(g["command"], ["/bin/sh", "-c", "exit 3"], "command")
    equal(g["result"]["exitCode"], 3, "result")
    running = t.run(s, ["sleep", "30"], detach=True)
    equal(running["state"], "running", "Exec of detach")
    f = {"filter": {"sandbox": s["name"]}}
    listed = t.client.call("exec.list", f)["execs"]
    equal({e["execId"] for e in listed}, {r["execId"], running["execId"]}, "exec.list")
    f["filter"]["state"] = "running"
    listed = t.client.call("exec.list", f)["execs"]
    equal([e["execId"] for e in listed], [running["execId"]], "running ones")
    t.client.call("exec.cancel", {"execId": running["execId"]})


def test_umask_signals_and_limits(t):
    """A clean process: umask 022, no blocked or ignored signal, nice 0, only stdio."""
    s = t.sandbox()
    out = t.sh(s, "umask; nice; ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status")
    lines = out.split()
    equal(lines[0] in ("0022", "022"), True, f"umask {lines[0]}")
    equal(lines[1], str(os.nice(0)), "nice is the daemon's")
    equal(lines[2:6], ["0", "1", "2", "3"], "descriptors (3 is ls's own)")
    r = exited(t.run(s, ["grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"]))
    for line in text_of(r["stdout"]).decode().splitlines():
        name, value = line.split()
        check(name == "SigCgt:" or int(value, 16) == 0, line)


def test_process_belongs_to_a_session(t):
    s = t.sandbox()
    out = t.sh(s, "cut -d' ' -f1,5,6 /proc/$$/stat").split()
    equal((out[0] == out[1], out[0] == out[2]), (True, True), "leader of group and session")


def test_default_modes_of_home_and_tmp(t):
    s = t.sandbox()
    out = t.sh(s, "touch ~/a /tmp/b /var/tmp/c /dev/shm/d && stat -c %a:%u /tmp /dev/shm ~")
    lines = out.split()
    equal(lines[0][:4], "1777", "/tmp")
    equal(lines[1][:4], "1777", "/dev/shm")
    check(stat.S_IMODE(int(lines[2].split(":")[0], 8)) & 0o700 == 0o700, lines[2])
