# SPDX-License-Identifier: Apache-2.0
"""The line protocol itself, byte by byte: docs/protocol.md, Transport."""

import array
import grp
import json
import os
import socket
import time

import lib
from harness import modes, refused, timeout
from lib import check, equal


def raw_error(t, data, code, kind, request_id=None, fds=()):
    """DATA must be answered by this error, and the connection must go on."""
    c = t.connect()
    c.raw(data + b"\n", fds)
    reply = json.loads(c.line(20))
    equal(reply.get("jsonrpc"), "2.0", "jsonrpc")
    check("error" in reply, f"{data[:80]!r} was accepted: {reply}")
    equal(reply["error"]["code"], code, f"code for {data[:80]!r}: {reply}")
    equal(reply["error"]["data"]["kind"], kind, f"kind for {data[:80]!r}")
    check(isinstance(reply["error"]["message"], str) and reply["error"]["message"], "message")
    equal(reply["id"], request_id, f"id for {data[:80]!r}")
    equal(c.call("system.ping"), {}, "ping afterwards")


def test_ping(t):
    equal(t.client.call("system.ping"), {}, "result")
    equal(t.client.call("system.ping", {}), {}, "result")


def test_params_may_be_absent(t):
    c = t.client
    c.raw(b'{"jsonrpc":"2.0","id":"a","method":"system.ping"}\n')
    equal(c.wait_raw("a"), {"jsonrpc": "2.0", "id": "a", "result": {}}, "reply")


def test_ids(t):
    c = t.client
    for rid in ("", "x", "é", "a" * 128, 0, -1, 7, 2**53, -(2**63) + 1, 2**63 - 2):
        c.raw(json.dumps({"jsonrpc": "2.0", "id": rid, "method": "system.ping"}).encode() + b"\n")
        reply = json.loads(c.line())
        equal((reply.get("id"), type(reply.get("id"))), (rid, type(rid)), "id")
        check("result" in reply, f"id {rid!r}: {reply}")


def test_bad_ids(t):
    for rid in ("null", "1.5", "true", "[]", "{}", '"' + "a" * 129 + '"'):
        line = b'{"jsonrpc":"2.0","id":%s,"method":"system.ping"}' % rid.encode()
        raw_error(t, line, -32600, "invalid_request")


def test_id_in_flight_is_refused(t):
    s = t.sandbox()
    c = t.connect()
    params = {"sandbox": s["name"], "command": ["sleep", "3"]}
    c.send("exec.run", params, request_id="same")
    c.note("exec.started")
    c.raw(b'{"jsonrpc":"2.0","id":"same","method":"system.ping"}\n')
    reply = json.loads(c.line())
    equal(reply["error"]["code"], -32600, "code")
    c.raw(b'{"jsonrpc":"2.0","id":"other","method":"system.ping"}\n')
    equal(json.loads(c.line())["id"], "other", "id")


def test_envelope(t):
    table = [
        (b"", None),  # an empty line may be skipped or refused, never break
        (b"{", (-32700, "parse_error")),
        (b"nonsense", (-32700, "parse_error")),
        (b"{'jsonrpc':'2.0','id':1,'method':'system.ping'}", (-32700, "parse_error")),
        (b'{"jsonrpc":"2.0","id":1,"method":"system.ping"} x', (-32700, "parse_error")),
        (b"1", (-32600, "invalid_request")),
        (b'"text"', (-32600, "invalid_request")),
        (b"null", (-32600, "invalid_request")),
        (b"true", (-32600, "invalid_request")),
        (b"[]", (-32600, "invalid_request")),
    ]
    for data, want in table:
        if want is None:
            c = t.connect()
            c.raw(data + b"\n")
            equal(c.call("system.ping"), {}, "ping after an empty line")
            continue
        c = t.connect()
        c.raw(data + b"\n")
        reply = json.loads(c.line())
        check("error" in reply, f"{data!r} was accepted: {reply}")
        equal(reply["error"]["code"], want[0], f"code for {data!r}")
        equal(reply["id"], None, "id")
        equal(c.call("system.ping"), {}, "ping afterwards")


def test_version_and_method(t):
    raw_error(t, b'{"id":1,"method":"system.ping"}', -32600, "invalid_request", 1)
    raw_error(t, b'{"jsonrpc":"1.0","id":1,"method":"system.ping"}', -32600, "invalid_request", 1)
    raw_error(t, b'{"jsonrpc":2.0,"id":1,"method":"system.ping"}', -32600, "invalid_request", 1)
    raw_error(t, b'{"jsonrpc":"2.0","id":1}', -32600, "invalid_request", 1)
    raw_error(t, b'{"jsonrpc":"2.0","id":1,"method":7}', -32600, "invalid_request", 1)
    raw_error(t, b'{"jsonrpc":"2.0","id":1,"method":"no.such"}', -32601, "method_not_found", 1)
    raw_error(t, b'{"jsonrpc":"2.0","id":1,"method":""}', -32601, "method_not_found", 1)


def test_array_params(t):
    raw_error(
        t, b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":[]}', -32602, "invalid_params", 1
    )
    raw_error(
        t, b'{"jsonrpc":"2.0","id":1,"method":"sandbox.get","params":["a"]}', -32602, "invalid_params", 1
    )


def test_nesting(t):
    deep = b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":' + b'{"a":' * 40 + b"1" + b"}" * 41
    c = t.client
    c.raw(deep + b"\n")
    code = json.loads(c.line())["error"]["code"]
    check(code in (-32700, -32600), f"code {code}")
    c.raw(b"[" * 100000 + b"\n")
    check("error" in json.loads(c.line()), "100 000 brackets were accepted")
    equal(c.call("system.ping"), {}, "ping afterwards")


def test_invalid_utf8_and_nul(t):
    c = t.client
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x80"):
        c.raw(b'{"jsonrpc":"2.0","id":1,"method":"sandbox.get","params":{"sandbox":"' + bad + b'"}}\n')
        reply = json.loads(c.line())
        equal(reply["error"]["code"], -32700, f"code for {bad!r}")
    c.raw(b'{"jsonrpc":"2.0","id":1,"method":"system\x00.ping"}\n')
    equal(json.loads(c.line())["error"]["code"], -32700, "raw NUL")
    c.raw(b'{"jsonrpc":"2.0","id":1,"method":"sandbox.get","params":{"sandbox":"a\\u0000b"}}\n')
    reply = json.loads(c.line())
    equal(reply["error"]["code"], -32602, "escaped NUL")
    equal(reply["error"]["data"].get("field"), "sandbox", "field")


@timeout(120)
def test_line_too_long(t):
    """100 MiB in one line: skipped, -32600 with id null, and the connection stays."""
    c = t.client
    chunk = b"x" * (1 << 20)
    for _ in range(100):
        c.raw(chunk, timeout=60)
    c.raw(b"\n")
    reply = json.loads(c.line(30))
    equal((reply["error"]["code"], reply["id"]), (-32600, None), "reply")
    equal(c.call("system.ping"), {}, "ping afterwards")


def test_line_at_the_limit(t):
    """A line just below 16 MiB is read whole."""
    head = b'{"jsonrpc":"2.0","id":1,"method":"sandbox.get","params":{"sandbox":"'
    tail = b'"}}'
    fill = 16 * 1024 * 1024 - len(head) - len(tail) - 16
    c = t.client
    c.raw(head + b"x" * fill + tail + b"\n", timeout=60)
    equal(json.loads(c.line(30))["error"]["code"], -32602, "a name of 16 MiB")


def test_slices_and_glue(t):
    c = t.client
    line = b'{"jsonrpc":"2.0","id":1,"method":"system.ping"}\n'
    for i in range(0, len(line), 3):
        c.raw(line[i : i + 3])
        time.sleep(0.001)
    equal(json.loads(c.line())["result"], {}, "in slices")
    c.raw(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"system.ping"}\n' % i for i in range(500)))
    got = sorted(json.loads(c.line())["id"] for _ in range(500))
    equal(got, list(range(500)), "ids")
    c.raw(b'{"jsonrpc":"2.0","id":1,"method":"system.ping"}\r\n')
    check("result" in json.loads(c.line()), "CR LF")


def test_half_a_line_then_silence(t):
    quiet = t.connect()
    quiet.raw(b'{"jsonrpc":"2.0","id":1,"meth')
    for _ in range(20):
        equal(t.client.call("system.ping", timeout=20), {}, "ping of another client")
    quiet.close()


@timeout(120)
def test_10000_requests_without_reading(t):
    """Backpressure: others do not notice, nothing is lost."""
    s = socket.socket(socket.AF_UNIX)
    s.connect(t.daemon.socket)
    s.setblocking(False)
    data = b"".join(
        b'{"jsonrpc":"2.0","id":%d,"method":"rpc.discover"}\n' % i for i in range(10000)
    )
    sent = 0
    deadline = time.monotonic() + 2
    while sent < len(data) and time.monotonic() < deadline:
        try:
            sent += s.send(data[sent : sent + 65536])
        except BlockingIOError:
            equal(t.client.call("system.ping", timeout=20), {}, "ping of another client")
            time.sleep(0.01)
    with open(f"/proc/{t.daemon.pid}/statm", encoding="ascii") as f:
        rss = int(f.read().split()[1]) * 4096
    check(rss < 300 * 1024 * 1024 or os.environ.get("ASAN_OPTIONS"), f"daemon uses {rss >> 20} MiB")
    s.setblocking(True)
    s.settimeout(20)
    got = set()
    buffer = b""
    rest = memoryview(data)[sent:]
    s.setblocking(False)
    deadline = time.monotonic() + 60
    while len(got) < 10000 and time.monotonic() < deadline:
        try:
            if len(rest):
                rest = rest[s.send(rest[:65536]) :]
        except BlockingIOError:
            pass
        try:
            piece = s.recv(1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
            continue
        check(piece, "the daemon closed the connection")
        buffer += piece
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            end = line.rfind(b'"id":')
            start = line.find(b'"id":')
            number = line[start:] if line[:start].count(b"{") <= 1 else line[end:]
            digits = bytes(ch for ch in number[5:20].split(b",")[0] if 48 <= ch <= 57)
            got.add(int(digits))
    s.close()
    equal(len(got), 10000, "answers")


def test_in_flight_limit(t):
    """Beyond 1024 requests in flight the daemon reads no further: none is lost, none refused."""
    s = t.sandbox()
    c = t.connect()
    e = t.run(s, ["sleep", "4"], client=c, detach=True)
    for _ in range(1100):
        c.send("exec.wait", {"execId": e["execId"]})
    equal(t.client.call("system.ping", timeout=20), {}, "ping of another client")
    for _ in range(1100):
        m = c.message(20)
        equal(m.get("result", {}).get("exitCode"), 0, "answer")


def test_batch(t):
    c = t.client
    calls = [{"jsonrpc": "2.0", "id": i, "method": "system.ping"} for i in range(64)]
    c.raw(json.dumps(calls).encode() + b"\n")
    reply = json.loads(c.line())
    equal(sorted(r["id"] for r in reply), list(range(64)), "ids")
    c.raw(json.dumps(calls + calls[:1]).encode() + b"\n")
    equal(json.loads(c.line())["error"]["code"], -32600, "65 calls")
    mixed = [
        calls[0],
        {"jsonrpc": "2.0", "method": "rpc.cancel", "params": {"id": 99}},
        1,
        {"jsonrpc": "2.0", "id": "x", "method": "no.such"},
    ]
    c.raw(json.dumps(mixed).encode() + b"\n")
    codes = sorted(r["error"]["code"] if "error" in r else 0 for r in json.loads(c.line()))
    equal(codes, [-32601, -32600, 0], "codes")
    c.raw(b'[{"jsonrpc":"2.0","method":"rpc.cancel","params":{"id":1}}]\n')
    equal(c.call("system.ping"), {}, "a batch of notifications has no answer")


def test_batch_refusals(t):
    """stream, fds and attached execs are refused in a batch."""
    s = t.sandbox()
    base = {"sandbox": s["name"], "command": ["true"]}
    for extra in ({"stream": True, "detach": True}, {"fds": 1, "stdin": {"fd": 0}}, {}):
        c = t.connect()
        call = {"jsonrpc": "2.0", "id": 1, "method": "exec.run", "params": {**base, **extra}}
        r, w = os.pipe()
        c.raw(json.dumps([call]).encode() + b"\n", [r] if "fds" in extra else ())
        os.close(r)
        os.close(w)
        reply = json.loads(c.line())
        check(isinstance(reply, list) and "error" in reply[0], f"{extra}: {reply}")
        check(reply[0]["error"]["code"] in (-32600, -32602), f"{extra}: {reply}")
    c = t.connect()
    call = {"jsonrpc": "2.0", "id": 1, "method": "exec.run", "params": {**base, "detach": True}}
    c.raw(json.dumps([call]).encode() + b"\n")
    reply = json.loads(c.line())
    while "method" in reply:
        reply = json.loads(c.line())
    check("result" in reply[0], f"a detached exec in a batch: {reply}")


def test_notification_of_a_request_method(t):
    """A call without id is a notification: done, not answered."""
    c = t.client
    c.notify("system.ping", {})
    c.notify("no.such", {})
    equal(c.call("system.ping"), {}, "the next answer is the ping's")


def test_fds_in_order(t):
    """One queue: each request takes from its head as many as it declares."""
    s = t.sandbox()
    c = t.client
    ids = []
    readers = []
    for i in range(8):
        r, w = os.pipe()
        params = {
            "sandbox": s["name"],
            "command": ["/bin/echo", f"number {i}"],
            "stdout": {"fd": 0},
        }
        ids.append(c.send("exec.run", params, [w]))
        os.close(w)
        readers.append(r)
    for rid in ids:
        result = c.wait(rid)
        equal((result["exitCode"], result["stdout"]), (0, None), "result")
    for i, r in enumerate(readers):
        equal(os.read(r, 100), b"number %d\n" % i, "pipe")
        os.close(r)


def test_fds_fewer_than_declared(t):
    """-32602, and those that are queued stay queued."""
    s = t.sandbox()
    c = t.client
    r, w = os.pipe()
    base = {"sandbox": s["name"], "command": ["echo", "x"]}
    e = c.error("exec.run", {**base, "stdout": {"fd": 0}, "stderr": {"fd": 1}, "fds": 2}, [w])
    equal((e.code, e.field), (-32602, "fds"), "error")
    os.close(w)
    equal(c.call("exec.run", {**base, "stdout": {"fd": 0}, "fds": 1})["exitCode"], 0, "exit")
    equal(os.read(r, 10), b"x\n", "the queued descriptor is the next one's")
    equal(os.read(r, 10), b"", "and nobody keeps it")
    os.close(r)


def test_fds_without_request(t):
    """Descriptors beside a line that cannot be parsed: closed, and the connection ends."""
    r, w = os.pipe()
    c = t.connect()
    c.raw(b"nonsense\n", [w])
    os.close(w)
    c.expect_closed()
    equal(os.read(r, 1), b"", "closed by the daemon")
    os.close(r)


def test_fds_too_many(t):
    """More than 64 waiting: all are closed and the connection ends."""
    r, w = os.pipe()
    c = t.connect()
    try:
        for _ in range(10):
            c.raw(b" ", [w] * 10)
        c.expect_closed()
    except (BrokenPipeError, lib.Closed):
        pass
    os.close(w)
    equal(os.read(r, 1), b"", "closed by the daemon")
    os.close(r)


def test_fds_in_one_message_too_many(t):
    r, w = os.pipe()
    s = lib.connect(t.daemon.socket)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [w] * 200))]
    s.sendmsg([b'{"jsonrpc":"2.0"'], ancillary)
    os.close(w)
    s.settimeout(10)
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
    s.close()
    equal(os.read(r, 1), b"", "closed by the daemon")
    os.close(r)


def test_fds_left_by_a_dead_client(t):
    r, w = os.pipe()
    c = t.connect()
    c.raw(b'{"jsonrpc"', [w] * 5)
    os.close(w)
    time.sleep(0.05)
    c.close()
    equal(os.read(r, 1), b"", "closed with the connection")
    os.close(r)


def test_forbidden_kinds_of_fds(t):
    """Files, directories, O_PATH, devices, epoll and their kin are refused, and name the field."""
    s = t.sandbox()
    top = t.workspace({"file": "x"})
    c = t.client
    # /dev/null and its kin, pipes and sockets are fine
    for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"):
        fd = os.open(path, os.O_RDONLY)
        params = {"sandbox": s["name"], "command": ["true"], "stdin": {"fd": 0}}
        equal(c.call("exec.run", params, [fd])["exitCode"], 0, path)
        os.close(fd)
    kinds = {
        "file": os.open(top + "/file", os.O_RDWR),
        "directory": os.open(top, os.O_RDONLY),
        "O_PATH file": os.open(top + "/file", os.O_PATH),
        "O_PATH directory": os.open("/", os.O_PATH),
        "O_PATH /dev/null": os.open("/dev/null", os.O_PATH),
        "memfd": os.memfd_create("x"),
        "pidfd": os.pidfd_open(os.getpid()),
        "eventfd": os.eventfd(0),
        "/proc/self/mem": os.open("/proc/self/mem", os.O_RDONLY),
        "/proc/self/ns/mnt": os.open("/proc/self/ns/mnt", os.O_RDONLY),
    }
    import select

    poll = select.epoll()
    kinds["epoll"] = poll.fileno()
    bad = []
    for name, fd in kinds.items():
        for field in ("stdin", "stdout", "stderr"):
            params = {"sandbox": s["name"], "command": ["true"], field: {"fd": 0}}
            try:
                e = c.error("exec.run", params, [fd])
                if (e.code, e.field) != (-32602, field + ".fd"):
                    bad.append(f"{name}: {e}")
            except AssertionError as e:
                bad.append(f"{name}: {e}")
    poll.close()
    for name, fd in kinds.items():
        if name != "epoll":
            os.close(fd)
    check(not bad, "; ".join(bad))


def test_fd_index(t):
    s = t.sandbox()
    r, w = os.pipe()
    for index in (1, 5, -1, 1000000):
        params = {"sandbox": s["name"], "command": ["true"], "stdout": {"fd": index}}
        e = t.client.error("exec.run", params, [w])
        equal(e.code, -32602, f"fd {index}: {e}")
        check((e.field or "").startswith("stdout"), f"field {e.field}")
    os.close(w)
    equal(os.read(r, 1), b"", "refused descriptors are closed")
    os.close(r)


def test_rpc_cancel(t):
    """The sender's own request in flight answers -32009; another's id does nothing."""
    s = t.sandbox()
    c = t.client
    rid = c.send("exec.run", {"sandbox": s["name"], "command": ["sleep", "30"]})
    c.note("exec.started")
    other = t.connect()
    other.notify("rpc.cancel", {"id": rid})
    other.call("system.ping")
    c.notify("rpc.cancel", {"id": 12345})
    c.notify("rpc.cancel", {"id": str(rid)})
    c.call("system.ping")
    c.notify("rpc.cancel", {"id": rid})
    try:
        c.wait(rid, 10)
        raise AssertionError("not cancelled")
    except lib.RpcError as e:
        equal((e.code, e.kind), (-32009, "cancelled"), "error")
    running = c.call("exec.list", {"filter": {"sandbox": s["name"], "state": "running"}})
    equal(running["execs"], [], "running execs")


def test_many_connections(t):
    """200 connections ping, close in the middle of things, and the daemon does not mind."""
    clients = [t.connect() for _ in range(200)]
    ids = [c.send("system.ping") for c in clients]
    for c, rid in zip(clients, ids):
        equal(c.wait(rid), {}, "ping")
    for c in clients:
        c.raw(b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n{"json')
        c.close()
    equal(t.client.call("system.ping"), {}, "ping afterwards")


def test_duplicate_keys(t):
    """Refused, or the last counts: never the first with the last one checked."""
    c = t.client
    c.raw(
        b'{"jsonrpc":"2.0","id":1,"method":"sandbox.get",'
        b'"params":{"sandbox":"good-name","sandbox":"bad name"}}\n'
    )
    reply = json.loads(c.line())
    check(reply["error"]["code"] in (-32602, -32700, -32600), f"{reply}")


def test_socket_and_folder_modes(t):
    st = os.stat(t.daemon.socket)
    top = os.stat(t.daemon.run)
    try:
        grp.getgrnam("sandboxd")
        group = True
    except KeyError:
        group = False  # nobody but root then
    if t.mode == "user":
        equal((st.st_mode & 0o777, top.st_mode & 0o777), (0o600, 0o700), "modes")
    else:
        equal((st.st_mode & 0o777, top.st_mode & 0o777), (0o660 if group else 0o600, 0o755), "modes")


@modes("root", "owner")
def test_nobody_else_connects(t):
    """A stranger does not get through the socket's mode."""
    try:
        c = t.connect(uid=65534)
    except PermissionError:
        return
    try:
        refused(c.error("sandbox.list"), "denied")
    except lib.Closed:
        pass
