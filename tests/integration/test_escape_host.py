# SPDX-License-Identifier: Apache-2.0
"""What a sandbox can leave behind that acts later, when the host's own programs meet it: files with
power, links where git writes, a root file system full of links at the next start."""

import array
import os
import socket
import struct
import threading
import time

from gitrepo import Canary, git, repository, worktree
from harness import exited, modes
from lib import RpcError, check, equal

SET_CAPABILITY = """
import os, struct, sys
value = struct.pack("<IIIIII", 0x03000001, 1 << 7, 0, 0, 0, int(sys.argv[2]))
try:
    os.setxattr(sys.argv[1], "security.capability", value)
    print("set")
except OSError as e:
    print("refused", e)
"""


def test_file_capabilities(t):
    """A program with capabilities, set by the sandbox's root, must have none of them outside."""
    ws = t.workspace()
    s = t.sandbox(workspace=ws)
    for root in (0, 1000, 1001):
        path = f"{ws}/program-{root}"
        for user in ("agent", "root"):
            t.sh(s, f"cp /bin/true {path}.{user}", user=user)
            for who in ("agent", "root"):
                t.run(s, ["python3", "-c", SET_CAPABILITY, f"{path}.{user}", str(root)], user=who)
            try:
                value = os.getxattr(f"{path}.{user}", "security.capability")
            except OSError:
                continue
            check(len(value) == 24, f"capabilities of the host's root: {value}")
            equal(struct.unpack("<I", value[20:])[0] != 0, True, f"not of the host's root ({root})")


# ---- links where the host's git writes ----
def trap(t):
    """A file of the owner's, and one that he does not have yet."""
    home = t.workspace({"precious": "precious\n"})
    return home, home + "/precious", home + "/absent"


def host_git_at_work(t, tree):
    with open(tree + "/new", "w", encoding="ascii") as f:
        f.write("new\n")
    t.own(tree + "/new")
    for command in (
        ("status",),
        ("add", "-A"),
        ("commit", "-q", "-m", "from the host"),
        ("checkout", "-q", "-b", t.unique("b")),
        ("reset", "-q", "--hard"),
        ("fetch", "-q", tree),
    ):
        git(t, tree, *command, check_status=False)


def links_attack(t, name, to_absent, plain, user="agent"):
    if plain:
        tree = repository(t)
        gitdir = tree + "/.git"
    else:
        _, tree, gitdir = worktree(t)
    home, precious, absent = trap(t)
    s = t.sandbox(workspace=tree)
    target = absent if to_absent else precious
    script = f"rm -rf {gitdir}/{name}; mkdir -p $(dirname {gitdir}/{name}); ln -s {target} {gitdir}/{name}"
    t.run(s, ["/bin/sh", "-c", script], user=user)
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    host_git_at_work(t, tree)
    with open(precious, encoding="utf-8", errors="replace") as f:
        equal(f.read(), "precious\n", f"a file of the user's after {name}")
    equal(sorted(os.listdir(home)), ["precious"], f"the user's files after {name}")


def test_links_where_git_writes(t):
    for plain in (False, True):
        for name in ("index", "logs/HEAD", "COMMIT_EDITMSG", "FETCH_HEAD", "ORIG_HEAD", "HEAD"):
            for to_absent in (False, True):
                links_attack(t, name, to_absent, plain)


def test_submodule_of_a_worktree(t):
    """The submodule's own directory lies in the worktree's, which is writable."""
    origin = repository(t)
    repo = repository(t)
    git(t, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", origin, "sub")
    git(t, repo, "commit", "-q", "-m", "submodule")
    repo, tree, gitdir = worktree(t, repo)
    git(t, tree, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    check(os.path.isdir(gitdir + "/modules/sub"), "git keeps it elsewhere now")
    canary = Canary(t, tree)
    s = t.sandbox(workspace=tree)
    for user in ("agent", "root"):
        script = (
            f"git -C sub config core.fsmonitor {canary.program}; "
            f"printf '[core]\\n\\tfsmonitor = {canary.program}\\n' >>{gitdir}/modules/sub/config"
        )
        t.run(s, ["/bin/sh", "-c", script], user=user)
    canary.after_host_git(tree, repo)
    t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
    canary.after_host_git(tree, repo)


def test_git_directories_inside_the_workspace(t):
    """The workspace holds a repository with a submodule and a worktree: their .git files are old and
    stay as they are, what they name is steered."""
    origin = repository(t)
    top = t.workspace()
    repo, tree = top + "/repo", top + "/tree"
    git(t, top, "clone", "-q", origin, "repo")
    git(t, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", origin, "sub")
    git(t, repo, "commit", "-q", "-m", "submodule")
    git(t, repo, "worktree", "add", "-q", "-b", "w", tree)
    canary = Canary(t, top)
    evil = f"printf '[core]\\n\\tfsmonitor = {canary.program}\\n'"
    for script in (
        f"{evil} >>{repo}/.git/modules/sub/config",
        f"cp -r {repo}/.git {top}/evil; {evil} >>{top}/evil/config; "
        f"echo {top}/evil >{repo}/.git/worktrees/tree/commondir",
    ):
        s = t.sandbox(workspace=top)
        t.run(s, ["/bin/sh", "-c", script])
        t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
        canary.after_host_git(repo, tree, repo + "/sub")


def test_read_only_worktree(t):
    """Neither the files nor anything of the repository."""
    _, tree, gitdir = worktree(t)
    s = t.sandbox(workspace={"path": tree, "readOnly": True})
    for user in ("agent", "root"):
        for name in ("index", "HEAD", "planted", "../../refs/heads/planted", "../../planted"):
            r = t.run(s, ["/bin/sh", "-c", f"echo x >>{gitdir}/{name}"], user=user)
            check(r["exitCode"] != 0, f"{user} wrote {name}")
    exited(t.run(s, ["git", "status", "--short"]))
    t.client.call("sandbox.remove", {"sandbox": s["name"]})
    check(not os.path.exists(gitdir + "/locked"), "the lock stays")


# ---- the next start ----
def test_start_on_links(t):
    """Directories of the root file system replaced by links to the host's, then stop and start."""
    outside = t.workspace({"kept": "kept\n", "resolv.conf": "theirs\n"})
    ws = t.workspace()
    for network in ("none", "host"):
        for place in ("etc", "tmp", "var", "root", "home", "run", "proc", "dev", "sys", "mnt", "opt"):
            s = t.sandbox(workspace=ws, network=network)
            script = f"mv /{place} /{place}.old; rm -rf /{place}; ln -s {outside} /{place}"
            t.run(s, ["/bin/sh", "-c", script], user="root")
            t.client.call("sandbox.stop", {"sandbox": s["name"]})
            try:
                t.client.call("sandbox.start", {"sandbox": s["name"]}, timeout=60)
                t.run(s, ["/bin/sh", "-c", f"echo x >/{place}/planted; ls /{place}/"], user="root")
            except RpcError as e:  # a sandbox may spoil its own start
                equal(e.kind, "runtime_failed", f"start after /{place}")
            t.client.call("sandbox.remove", {"sandbox": s["name"], "force": True})
            equal(sorted(os.listdir(outside)), ["kept", "resolv.conf"], f"the host's directory after /{place}")
            with open(outside + "/resolv.conf", encoding="ascii") as f:
                equal(f.read(), "theirs\n", f"the host's file after /{place}")


# ---- the daemon's own descriptors ----
def lingering_socket():
    """Who closes it last waits for half a minute."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        s = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    s.setblocking(False)
    try:
        while True:
            s.send(b"x" * 65536)
    except BlockingIOError:
        pass
    s.setblocking(True)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    return s, peer


def send_with(client, line, fd):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    client.sock.sendmsg([line], rights)


def close_aside(s):
    """If the daemon was first, it is us who wait, until the peer is closed."""
    threading.Thread(target=s.close, daemon=True).start()


def test_sockets_that_linger(t):
    """Whatever happens to a passed socket, the daemon does not wait for its end."""
    ping = b'{"jsonrpc":"2.0","id":1,"method":"system.ping","params":{"fds":1}}\n'
    for line in (ping, ping.replace(b"ping", b"nothing"), b"nonsense\n", b"no end", ping * 2):
        c = t.connect()
        s, peer = lingering_socket()
        nested, other = socket.socketpair()
        other.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
        send_with(c, line, s.fileno())
        close_aside(s)
        other.close()
        c.close()
        second = t.connect()
        send_with(second, line, nested.fileno())
        close_aside(nested)
        second.close()
        time.sleep(0.1)
        begin = time.monotonic()
        t.client.call("system.ping", timeout=60)
        check(time.monotonic() - begin < 2, f"the daemon waited after {line[:60]}")
        peer.close()


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


@modes("user")
def test_memory_of_many_connections(t):
    """Each line stays below its limit, all together do not."""
    d = t.private_daemon()
    refused = 0
    clients = [t.connect(daemon=d) for _ in range(30)]
    for c in clients:
        try:
            c.sock.settimeout(20)
            c.sock.sendall(b"x" * (15 << 20))
        except OSError:
            refused += 1
    with d.client() as c:
        c.call("system.ping")
    check(refused >= 10, f"{refused} of {len(clients)} were refused")
    check(resident(d.pid) < 400 << 10, f"{resident(d.pid)} KiB")


@modes("root")
def test_paths_of_others_are_not_told(t):
    """What is there in a directory that the peer cannot search makes no difference."""
    top = t.workspace({"file": "x"})
    os.mkdir(top + "/there")
    os.chmod(top, 0o700)
    d = t.private_daemon()
    os.chmod(d.top, 0o755)
    os.chmod(d.run, 0o755)
    os.chmod(d.socket, 0o666)
    answers = set()
    with d.client(65534, 65534) as c:
        for name in ("there", "absent", "file", "file/x", "there/absent"):
            e = c.error("sandbox.create", {"workspace": f"{top}/{name}"})
            answers.add((e.kind, str(e).replace(name, "NAME")))
    equal(len(answers), 1, f"answers {answers}")
