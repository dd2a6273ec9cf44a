# SPDX-License-Identifier: Apache-2.0
"""Much output, byte exact: through the caller's descriptors, as exec.data, through the spool."""

import hashlib
import os
import threading
import time

from harness import exited, timeout
from lib import check, equal, text_of

SIZE = 100 * 1000 * 1000
# A stream whose every byte depends on its place, made without reading anything.
WRITER = (
    "import hashlib,sys\n"
    "o=sys.stdout.buffer\n"
    "h=hashlib.sha256()\n"
    "left=int(sys.argv[1]); n=0\n"
    "while left:\n"
    "  b=(hashlib.sha256(str(n).encode()).digest()*32768)[:min(left,1<<20)]\n"
    "  o.write(b); h.update(b); left-=len(b); n+=1\n"
    "o.flush()\n"
    "sys.stderr.write(h.hexdigest())\n"
)


def drain(fd, into):
    while True:
        data = os.read(fd, 1 << 20)
        if not data:
            break
        into["hash"].update(data)
        into["size"] += len(data)


@timeout(120)
def test_100_mb_through_own_fd(t):
    s = t.sandbox()
    r, w = os.pipe()
    into = {"hash": hashlib.sha256(), "size": 0}
    thread = threading.Thread(target=drain, args=(r, into))
    thread.start()
    params = {
        "sandbox": s["name"],
        "command": ["/usr/bin/python3", "-c", WRITER, str(SIZE)],
        "stdout": {"fd": 0},
    }
    rid = t.client.send("exec.run", params, [w])
    os.close(w)
    result = exited(t.client.wait(rid, 100))
    thread.join(20)
    os.close(r)
    equal(into["size"], SIZE, "bytes")
    equal(into["hash"].hexdigest(), result["stderr"], "hash")


@timeout(180)
def test_100_mb_as_exec_data(t):
    """Never dropped, in order, offsets exact; the daemon reads at our pace."""
    s = t.sandbox()
    c = t.connect()
    params = {
        "sandbox": s["name"],
        "command": ["/usr/bin/python3", "-c", WRITER, str(SIZE)],
        "stream": True,
        "maxOutputBytes": 2 * SIZE,
    }
    rid = c.send("exec.run", params)
    h, at, err = hashlib.sha256(), 0, b""
    while rid not in c.replies:
        c.message(60)
        for n in c.notes:
            if n["method"] != "exec.data":
                continue
            data = text_of(n["params"]["data"])
            if n["params"]["stream"] == "stderr":
                err += data
                continue
            equal(n["params"]["offset"], at, "offset")
            h.update(data)
            at += len(data)
        c.notes.clear()
    exited(c.wait(rid))
    equal((at, h.hexdigest()), (SIZE, err.decode()), "bytes and hash")


@timeout(180)
def test_100_mb_through_the_spool(t):
    """Captured, then read in pieces."""
    s = t.sandbox()
    r = t.run(
        s,
        ["/usr/bin/python3", "-c", WRITER, str(SIZE)],
        maxOutputBytes=2 * SIZE,
        timeout=100,
    )
    exited(r)
    equal(r["truncated"], True, "truncated")
    h, at = hashlib.sha256(), 0
    while True:
        p = t.client.call("exec.read", {"execId": r["execId"], "stream": "stdout", "from": at})
        h.update(text_of(p["data"]))
        at = p["nextOffset"]
        if p["eof"]:
            break
    equal((at, h.hexdigest()), (SIZE, r["stderr"]), "bytes and hash")


@timeout(120)
def test_100_mb_stdin_through_own_fd(t):
    s = t.sandbox()
    r, w = os.pipe()
    h = hashlib.sha256()

    def feed():
        left = SIZE
        n = 0
        while left:
            block = (hashlib.sha256(str(n).encode()).digest() * 32768)[: min(left, 1 << 20)]
            h.update(block)
            left -= len(block)
            n += 1
            view = memoryview(block)
            while view:
                view = view[os.write(w, view) :]
        os.close(w)

    rid = t.client.send(
        "exec.run", {"sandbox": s["name"], "command": ["sha256sum"], "stdin": {"fd": 0}}, [r]
    )
    os.close(r)
    thread = threading.Thread(target=feed)
    thread.start()
    result = exited(t.client.wait(rid, 100))
    thread.join(10)
    equal(result["stdout"][:64], h.hexdigest(), "hash")


@timeout(120)
def test_slow_reader_holds_nobody_up(t):
    """A client that does not read its stream: others are served, memory stays bounded."""
    s = t.sandbox()
    slow = t.connect()
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "head -c 300000000 /dev/zero"],
        "stream": True,
    }
    slow.send("exec.run", params)
    for _ in range(30):
        equal(t.client.call("system.ping", timeout=20), {}, "ping of another client")
        time.sleep(0.1)
    with open(f"/proc/{t.daemon.pid}/statm", encoding="ascii") as f:
        rss = int(f.read().split()[1]) * 4096
    # the sanitizer keeps freed memory back
    check(rss < 300 << 20 or os.environ.get("ASAN_OPTIONS"), f"daemon uses {rss >> 20} MiB")
    exited(t.run(s, ["true"]))


@timeout(120)
def test_spool_is_capped(t):
    """The oldest bytes go, offsets stay."""
    s = t.sandbox()
    r = exited(
        t.run(
            s,
            ["/bin/sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' a; printf END"],
            maxOutputBytes=1 << 20,
        )
    )
    check(text_of(r["stdout"]).endswith(b"aEND") and r["truncated"], "the last bytes")
    p = t.client.call("exec.read", {"execId": r["execId"], "stream": "stdout", "from": 20000000})
    equal((p["data"], p["eof"]), ("END", True), "offsets")


def test_stream_of_both(t):
    s = t.sandbox()
    c = t.client
    params = {
        "sandbox": s["name"],
        "command": ["/bin/sh", "-c", "echo a; echo b >&2; sleep 0.3; echo c"],
        "stream": True,
    }
    r = exited(c.call("exec.run", params))
    got = {"stdout": "", "stderr": ""}
    for n in c.notes:
        if n["method"] == "exec.data":
            got[n["params"]["stream"]] += n["params"]["data"]
    equal(got, {"stdout": "a\nc\n", "stderr": "b\n"}, "notifications")
    equal((r["stdout"], r["stderr"]), ("a\nc\n", "b\n"), "result")


def test_stream_comes_at_once(t):
    """Output is told when it is written, not when the exec ends."""
    s = t.sandbox()
    c = t.client
    params = {"sandbox": s["name"], "command": ["/bin/sh", "-c", "echo now; sleep 1000"], "stream": True}
    rid = c.send("exec.run", params)
    equal(c.note("exec.data")["data"], "now\n", "data")
    c.notify("rpc.cancel", {"id": rid})


@timeout(120)
def test_slow_reader_misses_nothing(t):
    """More than the spool may hold, read late: the command waits, no byte is dropped."""
    s = t.sandbox()
    for extra, stream in (({}, "stdout"), ({"tty": {"rows": 24, "cols": 80}}, "output")):
        c = t.connect()
        params = {
            "sandbox": s["name"],
            "command": ["/bin/sh", "-c", "stty -opost 2>/dev/null; seq 1 3000000"],
            "stream": True,
            "maxOutputBytes": 1 << 20,
            **extra,
        }
        rid = c.send("exec.run", params)
        time.sleep(1)
        r = c.wait(rid, 60)
        got = hashlib.sha256()
        at = 0
        for n in c.notes:
            if n["method"] == "exec.data":
                equal((n["params"]["stream"], n["params"]["offset"]), (stream, at), "where a chunk is")
                data = text_of(n["params"]["data"])
                at += len(data)
                got.update(data)
        want = hashlib.sha256()
        for i in range(1, 3000001, 1000):
            want.update("".join(f"{j}\n" for j in range(i, i + 1000)).encode())
        exited(r)
        equal(got.hexdigest(), want.hexdigest(), f"hash of {at} bytes of {stream}")


@timeout(120)
def test_slow_follower_slows_nobody(t):
    """Who attaches and does not read holds up neither the command nor another follower; he gets what
    is kept when he comes to it, with its offsets."""
    s = t.sandbox()
    run = {"sandbox": s["name"], "detach": True, "maxOutputBytes": 1 << 20}
    script = "read go; seq 1 3000000"
    e = t.client.call("exec.run", {**run, "command": ["/bin/sh", "-c", script], "stdin": "stream"})
    slow, fast = t.connect(), t.connect()
    late = slow.send("exec.attach", {"execId": e["execId"]})
    attached = fast.send("exec.attach", {"execId": e["execId"]})
    fast.note("exec.started")
    t.client.call("exec.write", {"execId": e["execId"], "data": "go\n"})
    r = exited(fast.wait(attached, 90))
    size = sum(len(f"{i}\n") for i in range(1, 3000001))
    check(size > 8 << 20, "more than sockets hold")
    for client, result in ((fast, r), (slow, exited(slow.wait(late, 60)))):
        equal(result["exitCode"], 0, "result")
        data = [n["params"] for n in client.notes if n["method"] == "exec.data"]
        ends = [n["offset"] + len(text_of(n["data"])) for n in data]
        equal(ends[-1], size, "the last byte")
        check(all(n["offset"] >= end for n, end in zip(data[1:], ends)), "offsets go back")


def test_stream_keeps_characters_whole(t):
    """A chunk never ends inside a character, unless the stream does."""
    s = t.sandbox()
    program = (
        "import os,time\n"
        "os.write(1, b'a' + '\u20ac'.encode() * 200000)\n"
        "for b in '\U0001f600'.encode(): os.write(1, bytes([b])); time.sleep(0.05)\n"
        "os.write(1, b'z\\xc3')\n"
    )
    c = t.connect()
    params = {"sandbox": s["name"], "command": ["/usr/bin/python3", "-c", program], "stream": True}
    exited(c.call("exec.run", params))
    data = [n["params"]["data"] for n in c.notes if n["method"] == "exec.data"]
    whole = b"".join(text_of(d) for d in data)
    equal(whole, b"a" + "\u20ac".encode() * 200000 + "\U0001f600".encode() + b"z\xc3", "bytes")
    check(all(isinstance(d, str) for d in data[:-1]), "a character was cut")
    check(len(data) > 5, f"{len(data)} chunks")
