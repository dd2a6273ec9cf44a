# SPDX-License-Identifier: Apache-2.0
"""sandboxctl as a process: verbs, exit statuses, terminal, signals."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import time

from harness import modes, timeout
from lib import check, equal, until


def ok(p, status=0):
    equal(p.returncode, status, f"status of {p.args[1:]}: {p.stderr.decode(errors='replace')[:400]}")
    return p.stdout.decode(errors="replace")


def create(t, *args):
    ws = t.workspace()
    name = t.unique("ctl")
    out = ok(t.ctl("create", "--name", name, *args, "shell", ws))
    equal(out, name + "\n", "create prints the name")
    t.sandboxes.append((t.client, name))
    return name, ws


def test_create_exec_rm(t):
    name, ws = create(t)
    equal(ok(t.ctl("exec", name, "pwd")), ws + "\n", "exec")
    ok(t.ctl("rm", name))
    p = t.ctl("inspect", name)
    check(p.returncode not in (0,) and p.stderr, "inspect after rm")


def test_exit_statuses(t):
    name, _ = create(t)
    for code in (0, 1, 3, 77, 255):
        ok(t.ctl("exec", name, "sh", "-c", f"exit {code}"), code)
    ok(t.ctl("exec", name, "sh", "-c", "kill -TERM $$"), 128 + 15)
    ok(t.ctl("exec", name, "sh", "-c", "kill -KILL $$"), 128 + 9)
    ok(t.ctl("exec", "--timeout", "300ms", name, "sleep", "100"), 124)
    ok(t.ctl("exec", name, "no-such-command"), 127)
    ok(t.ctl("exec", name, "/etc/passwd"), 126)
    ok(t.ctl("exec", "no-such-sandbox", "true"), 125)
    ok(t.ctl("exec", "-w", "/no/such", name, "true"), 125)
    p = t.ctl("exec", name, "true", env={"SANDBOXD_SOCKET": "/no/such/socket"})
    equal(p.returncode, 125, "without a daemon")
    check(p.stderr.startswith(b"sandboxctl: "), p.stderr)


def test_streams(t):
    name, _ = create(t)
    p = t.ctl("exec", name, "sh", "-c", "echo out; echo err >&2")
    equal((p.stdout, p.stderr), (b"out\n", b"err\n"), "streams")
    p = t.ctl("exec", name, "cat", stdin=b"not read")
    equal((p.returncode, p.stdout), (0, b""), "stdin is /dev/null unless asked for")
    p = t.ctl("exec", "-i", name, "cat", stdin=b"read\0\xff")
    equal(p.stdout, b"read\0\xff", "-i")
    data = os.urandom(3000000)
    p = t.ctl("exec", "-i", name, "cat", stdin=data)
    equal(p.stdout == data, True, "3 MB through cat")


def test_to_and_from_files(t):
    """Regular files as stdio are replaced by pipes, invisibly."""
    name, ws = create(t)
    with open(ws + "/in", "wb") as f:
        f.write(b"from a file")
    command = [t.suite.tools["sandboxctl"], "--socket", t.daemon.socket, "exec", "-i", name, "cat"]
    with open(ws + "/in", "rb") as i, open(ws + "/out", "wb") as o:
        equal(subprocess.run(command, stdin=i, stdout=o, timeout=20, check=False).returncode, 0, "status")
    with open(ws + "/out", "rb") as f:
        equal(f.read(), b"from a file", "out")
    with open(ws + "/out", "ab") as o:
        command[-3:] = [name, "echo", "appended"]
        subprocess.run(command, stdout=o, timeout=20, check=False)
    with open(ws + "/out", "rb") as f:
        equal(f.read(), b"from a fileappended\n", "appended")


def test_options_of_exec(t):
    name, ws = create(t, "-e", "A=1")
    with open(ws + "/env", "w", encoding="ascii") as f:
        f.write("# comment\nC=3\nD=with space\n")
    out = ok(
        t.ctl("exec", "-e", "B=2", "--env-file", ws + "/env", "-w", "/tmp", name, "sh", "-c",
              'echo "$A $B $C $D"; pwd')
    )
    equal(out, "1 2 3 with space\n/tmp\n", "environment and folder")
    equal(ok(t.ctl("exec", "-u", "root", name, "id", "-u")), "0\n", "-u root")
    equal(ok(t.ctl("exec", "-u", "2000:3000", name, "id", "-g")), "3000\n", "-u UID:GID")
    out = ok(t.ctl("exec", name, "printf", "[%s]", "-e", "--help", "--"))
    equal(out, "[-e][--help][--]", "options of the command")
    p = t.ctl("exec", "-e", "HOME_OF_CALLER", name, "sh", "-c", "echo $HOME_OF_CALLER", env={"HOME_OF_CALLER": "x"})
    check(p.returncode in (0, 2, 125), f"status {p.returncode}")


def test_result_file(t):
    name, ws = create(t)
    ok(t.ctl("exec", "--result-file", ws + "/r", name, "sh", "-c", "exit 4"), 4)
    for nowhere in (ws, ws + "/no/r"):  # known before anything ran
        ok(t.ctl("exec", "--result-file", nowhere, name, "touch", ws + "/ran"), 125)
        check(not os.path.exists(ws + "/ran"), "it ran all the same")
    with open(ws + "/r", encoding="utf-8") as f:
        r = json.load(f)
    equal((r["exitCode"], r["cause"]), (4, "exited"), "ExecResult")


def test_detached(t):
    name, ws = create(t)
    script = "echo hello; until [ -e go ]; do sleep 0.02; done; sleep 1; echo end; exit 6"
    e = ok(t.ctl("exec", "-d", name, "sh", "-c", script)).strip()
    check(e, "no id")
    check(e in ok(t.ctl("ps")), "ps")
    check(e in ok(t.ctl("ps", name)), "ps SANDBOX")
    t.put(ws, "go", "")
    equal(ok(t.ctl("attach", e), 6), "hello\nend\n", "attach")
    ok(t.ctl("wait", e), 6)
    equal(ok(t.ctl("logs", e)), "hello\nend\n", "logs")
    equal(ok(t.ctl("logs", "--from", "6", e)), "end\n", "logs --from")


def test_logs_follow(t):
    name, _ = create(t)
    e = ok(t.ctl("exec", "-d", name, "sh", "-c", "echo a; sleep 1; echo b")).strip()
    equal(ok(t.ctl("logs", "-f", e)), "a\nb\n", "logs -f")


def test_kill_and_cancel(t):
    name, _ = create(t)
    e = ok(t.ctl("exec", "-d", name, "sleep", "100")).strip()
    ok(t.ctl("kill", "-s", "INT", e))
    ok(t.ctl("wait", e), 130)
    e = ok(t.ctl("exec", "-d", name, "sleep", "100")).strip()
    ok(t.ctl("kill", e))
    ok(t.ctl("wait", e), 143)
    e = ok(t.ctl("exec", "-d", name, "sleep", "100")).strip()
    ok(t.ctl("cancel", e))
    p = t.ctl("wait", e)
    check(p.returncode in (125, 143, 130), f"status {p.returncode}")


def test_ls_and_inspect(t):
    name, ws = create(t, "--label", "k=v")
    table = ok(t.ctl("ls"))
    check(name in table and "running" in table, table)
    listed = json.loads(ok(t.ctl("-o", "json", "ls")))
    mine = [s for s in listed["sandboxes"] if s["name"] == name]
    equal(mine[0]["labels"], {"k": "v"}, "labels")
    text = ok(t.ctl("inspect", name))
    check(ws in text, text)
    got = json.loads(ok(t.ctl("-o", "json", "inspect", name)))
    equal(got["name"], name, "inspect")


def test_stop_start_rm(t):
    name, _ = create(t)
    ok(t.ctl("stop", name))
    ok(t.ctl("exec", name, "true"), 125)
    ok(t.ctl("start", name))
    ok(t.ctl("exec", name, "true"))
    ok(t.ctl("exec", "-d", name, "sleep", "100"))
    ok(t.ctl("rm", "-f", name))
    check(t.ctl("rm", name).returncode != 0, "rm again")


def test_create_options(t):
    ws, ro = t.workspace(), t.workspace({"x": "y"})
    name = t.unique("ctl")
    args = ["create", "--name", name, "--memory", "256M", "--pids", "100", "-q", "--network", "none"]
    if t.mode == "user":
        args = ["create", "--name", name, "-q"]
    ok(t.ctl(*args, "shell", ws, ro + ":ro"))
    t.sandboxes.append((t.client, name))
    equal(ok(t.ctl("exec", name, "cat", ro + "/x")), "y", "the extra one")
    check(t.ctl("exec", name, "touch", ro + "/new").returncode != 0, "it is read-only")
    if t.mode != "user":
        got = json.loads(ok(t.ctl("-o", "json", "inspect", name)))
        equal(got["limits"]["memoryBytes"], 256 << 20, "memory")


def test_run_shell(t):
    """run creates if needed and gives the tool's command on the terminal's stdio."""
    ws = t.workspace()
    p = t.ctl("run", "shell", ws, "--", "-c", "pwd; exit 3")
    for s in t.client.call("sandbox.list", {"limit": 1000})["sandboxes"]:
        if any(w["path"] == ws for w in s["workspaces"]):
            t.sandboxes.append((t.client, s["name"]))
    equal((p.returncode, p.stdout.decode()), (3, ws + "\n"), f"{p.stderr}")


def test_info_version_doctor_rpc(t):
    text = ok(t.ctl("info"))
    check("1.0" in text and re.search("^features +fd-passing, stream", text, re.M), f"info: {text}")
    check(re.search("^RUNTIME +TYPE.*\ncrun +crun +true +/", text, re.M) and re.search("^claude ", text, re.M), f"info: {text}")
    check("{" not in text and "[" not in text, f"JSON in info: {text}")
    info = json.loads(ok(t.ctl("-o", "json", "info")))
    equal(info["instanceId"], t.daemon.instance, "instance")
    check(ok(t.ctl("version")).strip(), "version")
    doctor = t.ctl("doctor")
    check(doctor.returncode in (0, 1) and doctor.stdout, "doctor")
    equal(json.loads(ok(t.ctl("rpc", "system.ping"))), {}, "rpc")
    p = t.ctl("rpc", "sandbox.get", '{"sandbox":"nobody"}')
    check(p.returncode != 0 and b"nobody" in p.stderr + p.stdout, "rpc error")
    p = t.ctl("rpc", "sandbox.get", "{nonsense")
    check(p.returncode != 0 and p.stderr, "rpc with bad JSON")


def doctor(t, *words, **env):
    """Its checks by name, with what it prints and ends with."""
    found = {c["name"]: c for c in json.loads(t.ctl("-o", "json", "doctor", *words, env=env).stdout)["checks"]}
    p = t.ctl("doctor", *words, env=env)
    return found, p.stdout.decode(), p.returncode


def test_doctor_of_a_daemon(t):
    """Who names one is told what that one sees."""
    d = t.private_daemon()
    for found, text, status in (doctor(t, "--socket", d.socket), doctor(t, SANDBOXD_SOCKET=d.socket)):
        equal((found["daemon"]["ok"], status), (True, 0), f"the daemon: {text}")
        check(re.search(f"^ok +state directory +{d.state}$", text, re.M), f"its place: {text}")
        check(re.search("^ok +programs .* sandbox-keeper", text, re.M) and "secret store" in found, f"its programs: {text}")
        with d.client() as c:
            has = c.call("system.info")["cgroup"]["controllers"]
        equal(found["limits"]["ok"], {"memory", "cpu", "pids"} <= set(has), f"limits by {has}: {text}")


def test_doctor_of_one_that_hangs(t):
    """It is waited for, and not for ever; and what can be seen without it is told."""
    d = t.private_daemon()
    os.kill(d.pid, signal.SIGSTOP)
    try:
        p = t.ctl("doctor", "--socket", d.socket)
    finally:
        os.kill(d.pid, signal.SIGCONT)
    text = p.stdout.decode()
    equal(p.returncode, 1, text)
    check(re.search("^FAIL +daemon +none answers .no answer in time", text, re.M) and re.search("^ok +kernel ", text, re.M), text)


def test_doctor_without_daemon(t):
    """What nobody looked at is not called well; and one that was named should be there."""
    here = {"HOME": t.workspace(), "XDG_RUNTIME_DIR": t.workspace(), "XDG_STATE_HOME": t.workspace()}
    for named in (True, False):
        if not named and os.path.exists("/run/sandboxd/sandboxd.sock"):
            continue  # that of the machine would answer
        found, text, status = doctor(t, **({"SANDBOXD_SOCKET": "/no/such/socket"} if named else {**here, "SANDBOXD_SOCKET": ""}))
        equal((found["daemon"]["ok"], status), (False, 1) if named else (None, 0), text)
        check(re.search(f"^{'FAIL' if named else '[?]'} +daemon +none answers .No such file", text, re.M), text)
        equal(found["programs"]["ok"], None, "the daemon's programs")
        check(re.search("^[?] +programs +not looked at: ", text, re.M), text)
        check("secret store" not in found, "the store, by nobody")


@modes("root")
def test_not_in_the_group(t):
    """Who may not connect is told that, and not that none runs."""
    with tempfile.TemporaryDirectory(prefix="sbt-", dir="/tmp") as top, socket.socket(socket.AF_UNIX) as s:
        os.chmod(top, 0o755)
        s.bind(f"{top}/s")
        s.listen()
        os.chmod(f"{top}/s", 0o600)
        for verb in (["ls"], ["daemon", "status"], ["doctor"]):
            command = [t.suite.tools["sandboxctl"], "--socket", f"{top}/s", *verb]
            p = subprocess.run(command, capture_output=True, user=65534, group=65534, extra_groups=[], timeout=60, check=False)
            said = (p.stdout + p.stderr).decode()
            equal(p.returncode, 1, said)
            check("Permission denied" in said and "the group sandboxd" in said, said)


def test_help(t):
    """One verb table: every verb has its --help, without a daemon."""
    text = ok(t.ctl("--help", env={"SANDBOXD_SOCKET": "/no/such/socket"}))
    verbs = "create run exec ls inspect stop start rm ps logs attach kill cancel wait template info doctor daemon version rpc"
    for verb in verbs.split():
        check(verb in text, f"{verb} is not in --help")
        out = ok(t.ctl(verb, "--help", env={"SANDBOXD_SOCKET": "/no/such/socket"}))
        check(verb in out and len(out) > 30, f"{verb} --help: {out}")


def test_wrong_use(t):
    for args in (
        [],
        ["nosuchverb"],
        ["exec"],
        ["exec", "only-a-sandbox"],
        ["create"],
        ["create", "--nope", "shell"],
        ["rm"],
        ["create", "--memory", "lots", "shell", "/tmp"],
        ["create", "--pids", "-5", "shell", "/tmp"],
        ["exec", "--timeout", "soon", "x", "true"],
        ["-o", "xml", "ls"],
        ["create", "--label", "nolabel", "shell", "/tmp"],
        ["create", "-e", "=x", "shell", "/tmp"],
    ):
        p = t.ctl(*args)
        check(p.returncode not in (0, 1) or args == [], f"{args}: status {p.returncode}")
        check(p.stderr, f"{args}: nothing on stderr")
        check(b"sandboxctl: " in p.stderr or args == [], f"{args}: {p.stderr}")


def test_errors_are_sentences(t):
    p = t.ctl("create", "shell", "/")
    check(p.returncode != 0 and p.stderr.startswith(b"sandboxctl: "), p.stderr)
    equal(p.stdout, b"", "stdout")
    p = t.ctl("create", "nosuchtool", t.workspace())
    check(p.returncode != 0 and b"nosuchtool" in p.stderr, p.stderr)


def terminal(t, args, script):
    """sandboxctl on a real terminal; SCRIPT(read, write, process) -> status and all text."""
    master, slave = pty.openpty()
    env = dict(os.environ, SANDBOXD_SOCKET=t.daemon.socket, TERM="xterm")
    p = subprocess.Popen(
        [t.suite.tools["sandboxctl"], *args],
        stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, 0x540E, 0),
    )
    os.close(slave)
    text = [b""]

    def read_until(word, seconds=10):
        deadline = time.monotonic() + seconds
        while word not in text[0]:
            left = deadline - time.monotonic()
            check(left > 0, f"{word!r} did not come: {text[0]!r}")
            if select.select([master], [], [], left)[0]:
                try:
                    text[0] += os.read(master, 65536)
                except OSError:
                    check(word in text[0], f"{word!r} did not come: {text[0]!r}")

    try:
        script(read_until, lambda data: os.write(master, data), master)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            ended = p.poll() is not None
            if select.select([master], [], [], 0 if ended else 0.05)[0]:
                try:
                    text[0] += os.read(master, 65536)
                except OSError:
                    break
            elif ended:
                break
        return p.wait(10), text[0]
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
        os.close(master)


def test_terminal(t):
    """-t: a pty of the sandbox's, its size ours, raw, and the end gives our terminal back."""
    import fcntl
    import struct
    import termios

    name, _ = create(t)

    def script(read_until, write, master):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 99, 0, 0))
        read_until(b"ready")
        write(b"stty size; tty\n")
        read_until(b"/dev/pts/")
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 51, 123, 0, 0))
        write(b"until [ \"$(stty size)\" = '51 123' ]; do sleep 0.02; done; echo re''sized\n")
        read_until(b"resized")
        write(b"exit 5\n")

    args = ["exec", "-i", "-t", name, "sh", "-c", "echo ready; exec sh -i"]
    status, text = terminal(t, args, script)
    equal(status, 5, f"status; text {text!r}")


def test_terminal_ctrl_c(t):
    name, _ = create(t)

    def script(read_until, write, _master):
        read_until(b"ready")
        time.sleep(0.2)
        write(b"\x03")

    status, text = terminal(t, ["exec", "-i", "-t", name, "sh", "-c", "echo ready; exec sleep 100"], script)
    equal(status, 130, f"status; text {text!r}")


def test_prompt_for_a_secret(t):
    """It is not shown; and whoever gives up there has a terminal that shows again what he types."""
    import termios

    def shows(master):
        return bool(termios.tcgetattr(master)[3] & termios.ECHO)

    def give_up(read_until, write, master):
        read_until(b"Value of prompted: ")
        check(not shows(master), "not shown")
        write(b"half\x03")
        read_until(b"\r\n")
        check(shows(master), "shown again")

    def enter_nothing(read_until, write, _master):
        read_until(b"Value of prompted: ")
        write(b"\n")

    args = ["secret", "set", "prompted"]
    status, text = terminal(t, args, give_up)
    check(status == -2 and b"half" not in text, f"{status}: {text!r}")
    status, text = terminal(t, args, enter_nothing)
    check(status == 1 and b"empty" in text, f"{status}: {text!r}")
    with t.connect() as c:
        check("prompted" not in [x["secret"] for x in c.call("secret.list")["secrets"]], "nothing is stored")


def test_terminal_fed_by_a_pipe(t):
    """-it with a stdin that ends: the shell ends too, whatever it was doing then."""
    name, _ = create(t)
    for text, status in [(b"", 0), (b"echo hi; exit 7\n", 7), (b"sleep 0.3\n", 0)] * 5:
        p = t.ctl("exec", "-it", name, "bash", "--norc", stdin=text)
        equal(p.returncode, status, f"{text!r}: {p.stdout!r} {p.stderr!r}")


def started(t, name, *args):
    env = dict(os.environ, SANDBOXD_SOCKET=t.daemon.socket)
    p = subprocess.Popen(
        [t.suite.tools["sandboxctl"], "exec", name, *args],
        env=env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )
    equal(p.stdout.readline(), b"ready\n", "first line")
    return p


def test_signals_are_passed_on(t):
    """SIGINT and SIGTERM reach the exec, whose own answer is the status."""
    name, _ = create(t)
    for number in (signal.SIGINT, signal.SIGTERM):
        script = "trap 'echo caught; exit 9' INT TERM; echo ready; while :; do sleep 0.05; done"
        p = started(t, name, "sh", "-c", script)
        p.send_signal(number)
        out, _ = p.communicate(timeout=10)
        equal((p.returncode, out), (9, b"caught\n"), f"signal {number}")


def test_killed_client_ends_its_exec(t):
    name, _ = create(t)
    p = started(t, name, "sh", "-c", "echo ready; exec sleep 1000")
    p.kill()
    p.wait()
    p.stdout.close()

    def ended():
        f = {"filter": {"sandbox": name, "state": "running"}}
        return not t.client.call("exec.list", f)["execs"]

    until(ended, 10, "the exec ends")


def test_closed_stdout(t):
    """`sandboxctl exec … | head -1` ends."""
    name, _ = create(t)
    env = dict(os.environ, SANDBOXD_SOCKET=t.daemon.socket)
    ctl = t.suite.tools["sandboxctl"]
    p = subprocess.run(
        ["sh", "-c", f"{ctl} exec {name} sh -c 'while :; do echo y; done' | head -1"],
        env=env, capture_output=True, timeout=20, check=False,
    )
    equal(p.stdout, b"y\n", "stdout")


def test_template_verbs(t):
    table = ok(t.ctl("template", "ls"))
    check("host" in table, table)


class OwnDaemon:
    """sandboxctl without a named socket, where the usual places are the test's."""

    def __init__(self, t):
        self.place = t.private_daemon(start=False)
        os.mkdir(self.place.run, 0o700)
        self.ctl = t.suite.tools["sandboxctl"]
        self.env = dict(
            os.environ,
            XDG_RUNTIME_DIR=self.place.run,
            XDG_STATE_HOME=self.place.state,
            XDG_CONFIG_HOME=self.place.top,
        )
        self.env.pop("SANDBOXD_SOCKET", None)

    def spawn(self, *args, **how):
        return subprocess.Popen(
            [self.ctl, *args], env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how,
        )

    def run(self, *args, **how):
        p = self.spawn(*args, **how)
        out, err = p.communicate(timeout=30)
        return subprocess.CompletedProcess(args, p.returncode, out, err)

    def log(self):
        with open(os.path.join(self.place.state, "sandboxd/daemon.log"), encoding="utf-8") as f:
            return f.read()


@modes("user")  # the system daemon's folders are not a test's to use
@timeout(90)
def test_daemon_start_stop(t):
    """daemon start|status|stop of one's own daemon."""
    own = OwnDaemon(t)
    equal(own.run("daemon", "status").returncode, 3, "status before")
    equal(own.run("daemon", "start").returncode, 0, "start")
    try:
        equal(own.run("daemon", "status").returncode, 0, "status")
        equal(own.run("info").returncode, 0, "info")
    finally:
        p = own.run("daemon", "stop")
    equal(p.returncode, 0, f"stop: {p.stderr}")
    equal(own.run("daemon", "status").returncode, 3, "status after")


@modes("user")
@timeout(90)
def test_autostart(t):
    """Without a daemon a verb starts one; several at once start one together."""
    own = OwnDaemon(t)
    p = own.run("--no-autostart", "ls")
    equal((p.returncode, b"daemon start" in p.stderr), (1, True), f"--no-autostart: {p.stderr}")
    p = own.run("ls", "--no-autostart")
    equal((p.returncode, b"daemon start" in p.stderr), (1, True), f"the same behind the verb: {p.stderr}")
    equal(own.run("completion", "words", "sandboxes").stdout, b"", "who only completes a line")
    equal(own.run("daemon", "status").returncode, 3, "so far")
    try:
        all_at_once = [own.spawn("-o", "json", "ls") for _ in range(4)]
        for p in all_at_once:
            out, err = p.communicate(timeout=30)
            equal((p.returncode, out), (0, b'{"sandboxes":[]}\n'), f"ls: {err}")
        equal(own.log().count("is ready"), 1, f"daemons: {own.log()}")
        equal(own.run("daemon", "status").returncode, 0, "status")
    finally:
        p = own.run("daemon", "stop")
    equal(p.returncode, 0, f"stop: {p.stderr}")
    equal(own.run("daemon", "status").returncode, 3, "status after")


@modes("user")
@timeout(90)
def test_autostart_keeps_nothing(t):
    """What its starter was given is not the daemon's: a pipe that only that knew ends with it."""
    own = OwnDaemon(t)
    reader, writer = os.pipe()
    try:
        p = own.run("info", pass_fds=(writer,))
        os.close(writer)
        equal(p.returncode, 0, f"info: {p.stderr}")
        ready, _, _ = select.select([reader], [], [], 5)
        check(ready and os.read(reader, 1) == b"", "the pipe's end is still open in somebody")
    finally:
        os.close(reader)
        equal(own.run("daemon", "stop").returncode, 0, "stop")
