# SPDX-License-Identifier: Apache-2.0
"""secret.set, secret.list, secret.remove, and `sandboxctl secret`: the store, whose it is, what it survives."""

import base64
import json
import os
import pwd
import stat
import subprocess

from harness import TEST_USER, invalid, modes
from lib import check, equal, until
from test_faults import drop_disk, small_disk
from test_state import fill

KEYS = {"secret", "provider", "available", "sizeBytes", "createdAt", "updatedAt", "maxTtlMs"}
VALUE = "planted-value-of-a-secret"
NO_POOL = {"limits": {"pool_memory": "0"}}


def connect(t, d):
    return t.connect(daemon=d)


def put(c, name, text=VALUE):
    return c.call("secret.set", {"secret": name, "value": {"text": text}})


def names(c, **params):
    return [s["secret"] for s in c.call("secret.list", params)["secrets"]]


def vault(d):
    return os.path.join(d.state, "secrets.vault")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def pipe_with(data):
    """The end of a pipe that has DATA, which must fit into one."""
    ours, theirs = os.pipe()
    os.write(theirs, data)
    os.close(theirs)
    return ours


def stdin_of(d):
    try:
        return os.readlink(f"/proc/{d.pid}/fd/0")
    except PermissionError:  # an ordinary user's daemon
        return None


def set_by_pipe(c, name, fd):
    try:
        return c.call("secret.set", {"secret": name, "value": {"fd": 0}}, fds=(fd,))
    finally:
        os.close(fd)


# ---- the store ----
def test_set_list_remove(t):
    c = connect(t, t.private_daemon(NO_POOL))
    equal(names(c), [], "at first")
    s = put(c, "b")
    equal(set(s), KEYS, "fields of a Secret")
    equal((s["secret"], s["provider"], s["available"], s["sizeBytes"]), ("b", "store", True, len(VALUE)), "it")
    again = put(c, "b", "x")
    equal((again["createdAt"], again["sizeBytes"]), (s["createdAt"], 1), "another value in its place")
    put(c, "a")
    c.call("secret.set", {"secret": "c", "value": {"base64": base64.b64encode(b"\x00\xff").decode()}})
    set_by_pipe(c, "d", pipe_with(b"through a pipe"))
    equal(names(c), ["a", "b", "c", "d"], "by name")
    equal(names(c, limit=2), ["a", "b"], "the first two")
    equal(names(c, after="b"), ["c", "d"], "behind b")
    equal([s["sizeBytes"] for s in c.call("secret.list")["secrets"]], [len(VALUE), 1, 2, 14], "sizes")
    equal(c.call("secret.remove", {"secret": "b"}), {}, "removed")
    e = c.error("secret.remove", {"secret": "b"})
    equal((e.code, e.field), (-32001, "secret"), "twice")
    equal(names(c), ["a", "c", "d"], "without b")


def test_on_disk(t):
    """Answered: it is there after kill -9; encrypted, 0600, and nothing else is left of it."""
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)
    put(c, "a")
    d.kill()
    d.start()
    equal(names(connect(t, d)), ["a"], "after kill -9")
    for name in ("secrets.vault", "secrets.key"):
        st = os.stat(os.path.join(d.state, name))
        equal((stat.S_IMODE(st.st_mode), st.st_uid), (0o600, os.getuid()), name)
    left = [n for n in os.listdir(d.state) if n.startswith(".secrets-new")]
    equal(left, [], "what a writer left")
    for top, _, files in os.walk(d.state):
        for name in files:
            path = os.path.join(top, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                check(VALUE.encode() not in read(path), f"the value is in {path}")


def test_in_the_audit(t):
    """Each change, before it is made; never a value, and no refusal of what could not be."""
    c = connect(t, t.private_daemon(NO_POOL))
    put(c, "a")
    c.error("secret.set", {"secret": ".a", "value": {"text": "x"}})
    c.error("secret.remove", {"secret": "b"})
    c.call("secret.remove", {"secret": "a"})
    entries = [e for e in c.call("audit.list")["entries"] if "secret" in e]
    equal([(e["action"], e["secret"], e["result"]) for e in entries], [("set", "a", "ok"), ("remove", "a", "ok")], "it")
    equal({(e["uid"], e["pid"]) for e in entries}, {(os.getuid(), os.getpid())}, "who")


def test_big_values(t):
    c = connect(t, t.private_daemon(NO_POOL))
    most = "v" * (1024 * 1024)
    equal(put(c, "a", most)["sizeBytes"], len(most), "1 MiB")
    e = c.error("secret.set", {"secret": "b", "value": {"text": most + "v"}})
    equal((e.code, e.field), (-32602, "value"), "a byte more")
    check("vvvv" not in str(e), "the error has the value")
    with subprocess.Popen(["head", "-c", str(len(most) + 1), "/dev/zero"], stdout=subprocess.PIPE) as p:
        e = c.error("secret.set", {"secret": "b", "value": {"fd": 0}}, fds=(p.stdout.fileno(),))
        equal((e.code, e.field), (-32602, "value"), "a byte more, by a pipe")
        p.stdout.close()
    with subprocess.Popen(["head", "-c", str(len(most)), "/dev/zero"], stdout=subprocess.PIPE) as p:
        s = c.call("secret.set", {"secret": "c", "value": {"fd": 0}}, fds=(p.stdout.fileno(),))
        equal(s["sizeBytes"], len(most), "1 MiB by a pipe")
    for name in ("d", "e"):
        put(c, name, most)
    e = c.error("secret.set", {"secret": "f", "value": {"text": "x"}})
    equal((e.code, e.field), (-32007, "value"), "all in all")
    equal(names(c), ["a", "c", "d", "e"], "those that fitted")


def test_bad_input(t):
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)
    table = [
        ({"value": {"text": "x"}}, "secret"),
        ({"secret": "a"}, "value"),
        ({"secret": "a", "value": "x"}, "value"),
        ({"secret": "a", "value": "stream"}, "value"),
        ({"secret": "a", "value": {}}, "value"),
        ({"secret": "a", "value": {"text": ""}}, "value"),
        ({"secret": "a", "value": {"text": "\n"}}, "value"),
        ({"secret": "a", "value": {"text": "x", "base64": "eA=="}}, "value"),
        ({"secret": "a", "value": {"base64": "?"}}, "value.base64"),
        ({"secret": "a", "value": {"fd": 0}}, "value.fd"),
        ({"secret": "", "value": {"text": "x"}}, "secret"),
        ({"secret": ".a", "value": {"text": "x"}}, "secret"),
        ({"secret": "a/b", "value": {"text": "x"}}, "secret"),
        ({"secret": "a" * 65, "value": {"text": "x"}}, "secret"),
        ({"secret": 1, "value": {"text": "x"}}, "secret"),
        ({"secret": "a", "value": {"text": "x"}, "ttl": 1}, "ttl"),
    ]
    for params, field in table:
        invalid(c.error("secret.set", params), field)
    null = os.open("/dev/null", os.O_RDONLY)
    before = stdin_of(d)
    for _ in range(2):
        e = c.error("secret.set", {"secret": "a", "value": {"fd": 0}}, fds=(null,))
        equal((e.code, e.field), (-32602, "value.fd"), "/dev/null is no pipe")
    equal(stdin_of(d), before, "none of the daemon's own was closed")
    os.close(null)
    e = c.error("secret.set", {"secret": "a", "value": {"fd": 0}}, fds=(pipe := pipe_with(b""),))
    equal((e.code, e.field), (-32602, "value"), "an empty pipe")
    os.close(pipe)
    invalid(c.error("secret.list", {"limit": 0}), "limit")
    e = c.error("secret.remove", {"secret": "../x"})
    equal((e.code, e.field), (-32001, "secret"), "no such name can be")
    equal(names(c), [], "nothing was stored")


def test_pipe_given_up(t):
    """Who goes while the daemon reads stores nothing, and blocks nobody."""
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)
    ours, theirs = os.pipe()
    os.write(theirs, b"half of it")
    pending = c.send("secret.set", {"secret": "a", "value": {"fd": 0}}, fds=(ours,))
    gone = connect(t, d)
    gone.send("secret.set", {"secret": "c", "value": {"fd": 0}}, fds=(ours,))
    os.close(ours)
    put(c, "b")  # meanwhile
    c.notify("rpc.cancel", {"id": pending})
    equal(c.wait_raw(pending)["error"]["code"], -32009, "cancelled")
    gone.close()
    put(c, "d")  # by then it was seen that the other went
    os.close(theirs)
    equal(names(c), ["b", "d"], "stored")


def test_many_pipes(t):
    """Each takes memory while it is read: so many of a user's at once, and no more."""
    c = connect(t, t.private_daemon(NO_POOL))
    ours, theirs = os.pipe()
    send = lambda i: c.send("secret.set", {"secret": f"s{i}", "value": {"fd": 0}}, fds=(ours,))
    calls = [send(i) for i in range(33)]
    error = c.wait_raw(calls[32])["error"]
    equal((error["code"], error["data"]["field"]), (-32007, "value"), "one too many")
    c.notify("rpc.cancel", {"id": calls[0]})
    equal(c.wait_raw(calls[0])["error"]["code"], -32009, "cancelled")
    calls[0] = send(0)
    os.close(theirs)
    for call in calls[:32]:
        equal(c.wait_raw(call)["error"]["data"]["field"], "value", "an empty one")
    os.close(ours)


def test_many_at_once(t):
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)
    calls = [
        c.send("secret.set", {"secret": f"s{i % 20:02}", "value": {"text": "x" * (i // 20 + 1)}}) for i in range(200)
    ]
    for call in calls:
        c.wait(call)
    d.stop()
    d.start()
    c = connect(t, d)
    equal([s["sizeBytes"] for s in c.call("secret.list")["secrets"]], [10] * 20, "the last of each")


def test_killed_while_it_writes(t):
    """What was answered is there, whenever the daemon dies; what was not is there as a whole or not at all."""
    d = t.private_daemon(NO_POOL)
    answered = {}
    for round_ in range(5):
        c = connect(t, d)
        sizes = {f"s{round_}-{i:02}": 1000 * i + 1 for i in range(20)}
        calls = {c.send("secret.set", {"secret": n, "value": {"text": "x" * s}}): n for n, s in sizes.items()}
        for rid in list(calls)[: 1 + 4 * round_]:
            c.wait(rid)
            answered[calls[rid]] = sizes[calls[rid]]
        d.kill()
        d.start()
        found = {s["secret"]: s["sizeBytes"] for s in connect(t, d).call("secret.list")["secrets"]}
        equal({n: found.get(n) for n in answered}, answered, "what was answered")
        equal({n: s for n, s in found.items() if n in sizes and s != sizes[n]}, {}, "halves")
        answered = found
    equal([n for n in os.listdir(d.state) if n.startswith(".secrets-new")], [], "what a writer left")


@modes("root", "owner")
def test_full_disk(t):
    """Told as that; what was there, is, and once there is room all is well."""
    disk = small_disk(t, "16m")
    d = None
    try:
        d = t.private_daemon(NO_POOL, state=disk + "/state")
        c = connect(t, d)
        put(c, "a")
        before = read(vault(d))
        fill(disk + "/fill")
        for name in ("a", "b"):
            e = c.error("secret.set", {"secret": name, "value": {"text": "x" * 500_000}})
            equal(e.code, -32007, f"set of {name}")
        equal([(s["secret"], s["sizeBytes"]) for s in c.call("secret.list")["secrets"]], [("a", len(VALUE))], "list")
        equal(read(vault(d)), before, "the file")
        os.unlink(disk + "/fill")
        put(c, "b")
        equal(names(c), ["a", "b"], "room again")
        d.stop()
    finally:
        if d:
            d.destroy()
        drop_disk(disk)


@modes("root")
def test_each_user_its_own(t):
    d = t.private_daemon(NO_POOL)
    other = pwd.getpwnam(TEST_USER)
    os.chmod(d.socket, 0o666)
    root, user = connect(t, d), t.connect(uid=other.pw_uid, gid=other.pw_gid, daemon=d)
    put(root, "a")
    put(root, "b")
    equal(names(user), [], "of another")
    put(user, "b", "his own")
    equal(names(user), ["b"], "his own")
    equal(user.error("secret.remove", {"secret": "a"}).code, -32001, "another's")
    user.call("secret.remove", {"secret": "b"})
    equal([s["sizeBytes"] for s in root.call("secret.list")["secrets"]], [len(VALUE)] * 2, "root's")


# ---- configuration ----
def test_sections(t):
    """What a section describes is listed, and not to be set; one that is wrong is told as that."""
    config = {
        **NO_POOL,
        "secrets": {"max_ttl": "2h"},
        "secret a": {"provider": "env", "variable": "NOT_SET_ANYWHERE"},
        "secret m": {"max_ttl": "1min"},
        "secret z": {"provider": "file"},
    }
    c = connect(t, t.private_daemon(config))
    put(c, "own")
    put(c, "m")
    found = {s["secret"]: s for s in c.call("secret.list")["secrets"]}
    equal(sorted(found), ["a", "m", "own", "z"], "names")
    equal((found["a"]["provider"], found["a"]["available"]), ("env", False), "a variable that is not there")
    equal((found["m"]["maxTtlMs"], found["own"]["maxTtlMs"]), (60_000, 7_200_000), "the longest lease")
    equal(found["m"]["sizeBytes"], len(VALUE), "of the store")
    check("path" in found["z"]["problem"] and not found["z"]["available"], f"a section without a path: {found['z']}")
    for method, params in (("secret.set", {"value": {"text": "x"}}), ("secret.remove", {})):
        e = c.error(method, {"secret": "a", **params})
        equal((e.code, e.field), (-32004, "secret"), f"{method} of another provider's")


# ---- what it survives ----
def opens(c):
    rid = c.send("secret.list")
    return "result" in c.wait_raw(rid)


def told_when(e):
    return "sandboxd looks again when it is asked in " in e.hint or "just looking again" in e.hint


def test_wrong_key(t):
    """Refused and untouched; the rest of the daemon works. When the key is back, without a restart, so is all."""
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)
    put(c, "a")
    d.stop()
    key_file = os.path.join(d.state, "secrets.key")
    key, before = read(key_file), read(vault(d))
    with open(key_file, "wb") as f:
        f.write(b"0" * 64)
    d.start()
    c = connect(t, d)
    for _ in range(20):
        for method, params in (("secret.list", {}), ("secret.remove", {"secret": "a"}),
                               ("secret.set", {"secret": "a", "value": {"text": "x"}})):
            e = c.error(method, params)
            equal(e.code, -32005, method)
            check(f"not the one it was made with (auto, the file {key_file})" in e.message, f"{e}")
            check("[secrets] key" in e.hint and told_when(e), f"{e}")
    equal(read(vault(d)), before, "the file")
    c.call("system.ping")
    with open(key_file, "wb") as f:
        f.write(key)
    until(lambda: opens(c), 60, "the store with its key", 0.1)
    equal(names(c), ["a"], "as before")


def test_damaged(t):
    d = t.private_daemon(NO_POOL)
    put(connect(t, d), "a")
    d.stop()
    good = read(vault(d))
    for bad in (good[:-1], good[:40], b"", good[:150] + b"?" + good[151:]):
        with open(vault(d), "wb") as f:
            f.write(bad)
        d.start()
        c = connect(t, d)
        e = c.error("secret.set", {"secret": "b", "value": {"text": "x"}})
        equal(e.code, -32005, f"{len(bad)} bytes")
        check("damaged" in e.message and "backup" in e.hint, f"{e}")
        d.stop()
        equal(read(vault(d)), bad, "the file")


def test_passphrase(t):
    d = t.private_daemon(NO_POOL, start=False)
    path = os.path.join(d.top, "passphrase")
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write("correct horse\n")
    d.write_config({**NO_POOL, "secrets": {"key": f"passphrase-file {path}"}})
    d.start()
    put(connect(t, d), "a")
    check(not os.path.exists(os.path.join(d.state, "secrets.key")), "there is a key file, too")
    d.stop()
    d.start()
    equal(names(connect(t, d)), ["a"], "with the passphrase")


def test_what_is_wrong_with_a_key_file(t):
    """Its path and its mend are told, and when it is looked at again."""
    d = t.private_daemon(NO_POOL, start=False)
    path = os.path.join(d.top, "passphrase")
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write("correct horse\n")
    d.write_config({**NO_POOL, "secrets": {"key": f"passphrase-file {path}"}})
    d.start()
    put(connect(t, d), "a")
    d.stop()

    def told(what, hint):
        d.start()
        e = connect(t, d).error("secret.set", {"secret": "b", "value": {"text": "x"}})
        equal(e.code, -32005, what)
        check(f"{what} (passphrase-file {path})" in e.message, e.message)
        check(hint in e.hint and told_when(e), e.hint)
        check(path in d.log_tail(), "not in the log")
        d.stop()

    os.chmod(path, 0o644)
    told("others can read its key", "chmod 600")
    os.rename(path, path + ".away")
    told("its key is not there", "bring it back")
    os.mkdir(path)
    told("what should have its key has none", "one line of text")
    os.rmdir(path)
    os.symlink(path, path)
    told("its key cannot be read", "let sandboxd's user read it")
    os.unlink(path)
    os.rename(path + ".away", path)
    os.chmod(path, 0o600)
    d.start()
    equal(names(connect(t, d)), ["a"], "mended")


def store_check(c):
    return next(x for x in c.call("system.doctor")["checks"] if x["name"] == "secret store")


def test_lost(t):
    """A new, empty store where there was one is no secret."""
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)
    put(c, "a")
    check(store_check(c)["ok"], "it is good")
    d.stop()
    check("is gone" not in d.log_tail(), "one that was new")
    good = read(vault(d))
    os.unlink(vault(d))
    d.start()
    c = connect(t, d)
    equal(names(c), [], "nothing is left")
    check("secrets.vault is gone" in d.log_tail(), "not in the log")
    look = store_check(c)
    check(not look["ok"] and "was gone" in look["detail"] and "bring secrets.vault back" in look["hint"], str(look))
    d.stop()
    with open(vault(d), "wb") as f:
        f.write(good)
    d.start()
    c = connect(t, d)
    equal(names(c), ["a"], "brought back")
    check(store_check(c)["ok"], "and good")


def test_another_key(t):
    """From the key file to a passphrase: nothing is lost, and what was written down under the old key is still good."""
    d = t.private_daemon(NO_POOL)
    put(connect(t, d), "a")
    d.stop()
    path = os.path.join(d.top, "passphrase")
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write("correct horse\n")
    key = {"key": f"passphrase-file {path}"}
    d.write_config({**NO_POOL, "secrets": {**key, "old_key": "auto"}})
    d.start()
    equal(names(connect(t, d)), ["a"], "with the old key")
    check("take old_key out" in d.log_tail(), "what is to be done is not told")
    d.stop()
    os.unlink(os.path.join(d.state, "secrets.key"))
    d.write_config({**NO_POOL, "secrets": key})
    d.start()
    c = connect(t, d)
    equal(names(c), ["a"], "without it")
    put(c, "b")
    equal(c.call("audit.verify").get("problem"), None, "the audit log")
    check(c.call("audit.verify")["checked"] >= 2, "entries of both times")


# ---- sandboxctl ----
def test_ctl(t):
    d = t.private_daemon(NO_POOL)
    c = connect(t, d)

    def ctl(*args, stdin=b""):
        return t.ctl("secret", *args, stdin=stdin, daemon=d)

    def size(name):
        return {s["secret"]: s["sizeBytes"] for s in c.call("secret.list")["secrets"]}[name]

    table = [
        (b"token", 5),
        (b"token\n", 5),  # echo's
        (b"two\nlines\n", 10),  # a file's
        (b"\x00\xff", 2),
        (b"x" * 200_000, 200_000),
        (b"x" * (1024 * 1024), 1024 * 1024),
    ]
    for data, expected in table:
        p = ctl("set", "a", stdin=data)
        equal((p.returncode, p.stdout, p.stderr), (0, b"", b""), f"{data[:20]}")
        equal(size("a"), expected, f"size of {data[:20]}")
    for data, text in ((b"", "empty"), (b"\n", "empty"), (b"x" * (1024 * 1024 + 1), "too long")):
        p = ctl("set", "a", stdin=data)
        check(p.returncode == 1 and text in p.stderr.decode(), f"{p.stderr}")
    path = os.path.join(d.top, "value")
    with open(path, "w", encoding="ascii") as f:
        f.write('{"a": 1}\n')
    equal(ctl("set", "--file", path, "b").returncode, 0, "--file")
    equal(size("b"), 8, "of a file")
    p = ctl("set", "--file", "/nowhere", "b")
    check(p.returncode == 1 and b"/nowhere" in p.stderr, f"{p.stderr}")
    out = ctl("ls").stdout.decode()
    check(out.startswith("SECRET") and "store" in out and "1.0M" in out, out)
    listed = json.loads(t.ctl("-o", "json", "secret", "ls", daemon=d).stdout)
    equal([s["secret"] for s in listed["secrets"]], ["a", "b"], "-o json")
    equal(ctl("rm", "a", "b").returncode, 0, "rm")
    p = ctl("rm", "a")
    check(p.returncode == 1 and b"no secret a" in p.stderr, f"{p.stderr}")
