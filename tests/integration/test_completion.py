# SPDX-License-Identifier: Apache-2.0
"""Completion in real shells: the scripts that the verb table makes, with the daemon's own words."""

import os
import select
import subprocess
import time

from harness import timeout
from lib import check, equal

BASH = r"""
. /usr/share/bash-completion/bash_completion
. "$SCRIPT"
COMP_LINE=$1 COMP_POINT=${#1}
eval "COMP_WORDS=($2)"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_sandboxctl 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"""

# compadd and _files only work below a widget: these print what they would add
ZSH = r"""
compdef() { : }
compadd() { print -rl -- "${(@P)${@[-1]}}" }
_files() { print -r -- "FILES $*" }
. "$SCRIPT"
words=("$@") CURRENT=$#
_sandboxctl
"""


def script(t, shell):
    path = os.path.join(t.suite.work, f"completion.{shell}")
    r = t.ctl("completion", shell)
    equal((r.returncode, r.stderr), (0, b""), f"completion {shell}")
    with open(path, "wb") as f:
        f.write(r.stdout)
    return path


def environment(t, path):
    tools = os.path.dirname(t.suite.tools["sandboxctl"])
    return {
        "PATH": f"{tools}:/usr/bin:/bin",
        "SANDBOXD_SOCKET": t.daemon.socket,
        "SCRIPT": path,
        "HOME": "/nonexistent",
        "TERM": "dumb",
    }


def need(t, *paths):
    for path in paths:
        if not os.path.exists(path):
            t.skip(f"{path} is not installed")


def complete_bash(t, *words):
    quoted = " ".join(f"'{w}'" for w in words)
    return subprocess.run(
        ["/usr/bin/bash", "--norc", "-c", BASH, "bash", " ".join(words), quoted],
        env=environment(t, script(t, "bash")),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    ).stdout.split()


def complete_zsh(t, *words):
    r = subprocess.run(
        ["/usr/bin/zsh", "-f", "-c", ZSH, "zsh", *words],
        env=environment(t, script(t, "zsh")),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    equal(r.stderr, "", f"zsh: {words}")
    return [w for w in r.stdout.split() if w.startswith(words[-1]) or w == "FILES"]


def look(t, complete):
    s = t.sandbox()
    e = t.client.call(
        "exec.run", {"sandbox": s["name"], "command": ["sleep", "100"], "detach": True}
    )

    def of(*words):
        return set(complete(t, "sandboxctl", *words))

    equal(of("pau"), {"pause"}, "a verb")
    check({"create", "template", "loop", "df", "prune"} <= of(""), "verbs")
    equal(of("template", ""), {"ls", "build", "rm", "inspect"}, "verbs of a group")
    check(s["name"] in of("stop", ""), "sandboxes")
    check(s["name"] in of("stop", "other", "-f", s["name"][:2]), "more of them")
    check(s["name"] in of("-o", "json", "exec", "--timeout", "5s", ""), "behind options")
    equal(of("exec", s["name"], "-"), set(), "a command's options are not ours")
    check(e["execId"] in of("logs", e["execId"][:3]), "execs")
    check({"--disk", "--watch", "--help"} <= of("stats", "--"), "options of a verb")
    check("host" in of("create", "-t", ""), "templates")
    check({"shell", "claude"} <= of("create", ""), "tools")
    equal(of("-o", "j"), {"json"}, "a value")
    equal(of("create", "--policy", ""), {"allow", "deny"}, "values")
    equal(of("completion", ""), {"bash", "zsh"}, "words of an operand")
    equal(of("logs", e["execId"], ""), set(), "one too many")
    equal(of("nonsense", "x", ""), set(), "after nonsense")
    look_at_secrets(t, of, s["name"])


def look_at_secrets(t, of, sandbox):
    t.client.call("secret.set", {"secret": "of-completion", "value": {"text": "x"}})
    for words in (["rm"], ["lease"], ["set"], ["rm", "another"], ["lease", "--ttl", "1h"]):
        check("of-completion" in of("secret", *words, ""), f"secrets for {words}")
        check(sandbox not in of("secret", *words, ""), f"no sandboxes for {words}")
    check("of-completion" in of("exec", "--secret", ""), "secrets for a command")
    check("of-completion" in of("loop", "run", "--secret", "of-"), "secrets for a loop's run")
    check(sandbox in of("secret", "lease", "--sandbox", ""), "sandboxes, of an option")
    equal(of("secret", "lease", "of-completion", ""), set(), "nothing behind a secret")
    lease = t.ctl("secret", "lease", "of-completion", "--ttl", "1min").stdout.decode().strip()
    check(lease in of("secret", "revoke", ""), "leases")
    equal(of("audit", ""), {"verify"}, "a verb behind a verb")
    equal(of("audit", "verify", ""), set(), "nothing behind that")
    check("--noted" in of("audit", "verify", "--") and "--tail" in of("audit", "--"), "options of both")
    check("host" in of("template", "rm", "") and "host" in of("pool", "set", "--min", "1", ""), "templates")
    check({"claude", "debian"} <= of("template", "build", ""), "what can be built")
    equal(of("loop", "rm", "--outcome", ""), {"completed", "failed"}, "outcomes")
    equal(of("loop", "create", "x", ""), set(), "a loop's sandboxes are named by options")


@timeout(90)
def test_bash(t):
    need(t, "/usr/share/bash-completion/bash_completion")
    look(t, complete_bash)
    here = complete_bash(t, "sandboxctl", "create", "shell", "/us")
    equal(here, ["/usr"], "folders")


@timeout(90)
def test_zsh(t):
    need(t, "/usr/bin/zsh")
    look(t, complete_zsh)
    equal(complete_zsh(t, "sandboxctl", "create", "shell", "/us"), ["FILES"], "folders")


def type_and_read(t, command, path, lines, wanted):
    """What a shell on a terminal shows after LINES were typed, until WANTED is there."""
    master, slave = os.openpty()
    p = subprocess.Popen(
        command, env=environment(t, path), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    said = b""
    end = time.monotonic() + 20
    try:
        for line in lines:
            os.write(master, line)
            time.sleep(0.3)
        while wanted not in said and time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                said += os.read(master, 65536)
    finally:
        p.kill()
        p.wait()
        os.close(master)
    return said


@timeout(90)
def test_on_a_terminal(t):
    """With a TAB, as people do it: compinit and bash's own machinery find the function."""
    need(t, "/usr/bin/zsh", "/usr/share/bash-completion/bash_completion")
    lines = [b". /usr/share/bash-completion/bash_completion; . $SCRIPT\n", b"sandboxctl pau\t"]
    said = type_and_read(
        t, ["/usr/bin/bash", "--norc", "-i"], script(t, "bash"), lines, b"sandboxctl pause"
    )
    check(b"sandboxctl pause" in said, said)
    path = script(t, "zsh")
    folder = os.path.join(t.suite.work, "site-functions")
    os.makedirs(folder, exist_ok=True)
    os.replace(path, os.path.join(folder, "_sandboxctl"))
    lines = [
        b"fpath=(%s $fpath); autoload -U compinit; compinit -u -D\n" % folder.encode(),
        b"sandboxctl pau\t",
    ]
    said = type_and_read(t, ["/usr/bin/zsh", "-f", "-i"], path, lines, b"sandboxctl pause")
    check(b"sandboxctl pause" in said, said)


def test_words_are_quiet(t):
    """While somebody types nothing is said, whatever is wrong."""
    r = t.ctl("completion", "words", "sandboxes", env={"SANDBOXD_SOCKET": "/nonexistent"})
    equal((r.returncode, r.stdout, r.stderr), (0, b"", b""), "without a daemon")
    r = t.ctl("completion", "words", "no-such-kind")
    equal((r.returncode, r.stdout, r.stderr), (0, b"", b""), "an unknown kind")
    r = t.ctl("completion", "fish")
    check(r.returncode == 2 and b"fish" in r.stderr, r)
