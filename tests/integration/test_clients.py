# SPDX-License-Identifier: Apache-2.0
"""Clients that are not sandboxctl: what docs/clients.md shows, and programs with libsandboxd."""

import os
import re
import subprocess
import sys

from harness import modes
from lib import check, equal, meeting

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "clients.md")


def test_python_of_the_docs(t):
    """Its blocks are one program, and the first needs no more than 20 lines."""
    with open(DOC, encoding="utf-8") as f:
        blocks = re.findall(r"```python\n(.*?)```", f.read(), re.S)
    equal(len(blocks), 2, "blocks of Python")
    lines = [line for line in blocks[0].splitlines() if line.strip()]
    check(len(lines) <= 20, f"{len(lines)} lines")
    p = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=t.workspace(),
        env={**os.environ, "SANDBOXD_SOCKET": t.daemon.socket},
        capture_output=True,
        timeout=30,
        check=False,
    )
    equal((p.returncode, p.stdout, p.stderr), (0, b"hello\nexited 0\n", b""), "the program")
    equal(t.client.call("sandbox.list")["sandboxes"], [], "what it left")


# ---- libsandboxd, as it is installed ----
EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "client", "examples")
SANITIZERS = ["-fsanitize=address,undefined"] if "ASAN_OPTIONS" in os.environ else []
CC = ["clang" if SANITIZERS else "cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-g", *SANITIZERS]


class Installed:
    """The library in a folder of its own, and programs built against it by what pkg-config says."""

    def __init__(self, t):
        self.daemon = t.daemon
        self.top = t.workspace()
        build = t.suite.tools.build
        install = ["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", self.top]
        subprocess.run(install, check=True, timeout=60, stdout=subprocess.DEVNULL)
        self.library = next(top for top, _, files in os.walk(self.top) if "libsandboxd.so" in files)
        self.prefix = self.top + "/usr/local"

    def flags(self, *what):
        env = {**os.environ, "PKG_CONFIG_PATH": self.library + "/pkgconfig"}
        command = ["pkg-config", f"--define-variable=prefix={self.prefix}", *what, "libsandboxd"]
        p = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=20)
        return p.stdout.split()

    def compile(self, name):
        program = os.path.join(self.top, name)
        source = os.path.join(EXAMPLES, name + ".c")
        subprocess.run([*CC, source, "-o", program, *self.flags("--cflags", "--libs")], check=True, timeout=60)
        return program

    def run(self, *command):
        env = {**os.environ, "SANDBOXD_SOCKET": self.daemon.socket, "LD_LIBRARY_PATH": self.library}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


@modes("root")
def test_library_exports_versioned_names_only(t):
    library = Installed(t).library + "/libsandboxd.so"
    out = subprocess.run(
        ["readelf", "--dyn-syms", "--wide", library], check=True, capture_output=True, text=True
    ).stdout
    rows = [line.split() for line in out.splitlines() if line.strip()[:1].isdigit()]
    exported = [r[7] for r in rows if len(r) > 7 and r[6] not in ("UND", "ABS") and r[4] != "LOCAL"]
    ours = [n for n in exported if re.fullmatch(r"sandboxd_\w+@@SANDBOXD_\d+", n)]
    equal([n for n in exported if n not in ours], [], "names without sandboxd_ or a version")
    with open(os.path.join(EXAMPLES, "../include/sandboxd/client.h"), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    declared = set(re.findall(r"\b(sandboxd_\w+)\(", text)) - {"sandboxd_reply_callback"}
    equal({n.split("@")[0] for n in ours}, declared, "what is exported, and what the header declares")
    out = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    check("[libsandboxd.so.0]" in out, "its soname")


@modes("root")
def test_library_blocking(t):
    installed = Installed(t)
    program = installed.compile("blocking")
    ws = t.workspace()
    p = installed.run(program, ws, "/bin/sh", "-c", "pwd; echo err >&2; exit 3")
    equal((p.returncode, p.stdout, p.stderr), (3, ws + "\n", "err\n"), "a command")
    p = installed.run(program, ws, "/no/such")
    check(p.returncode == 125 and "not found" in p.stderr, f"a command that is not there: {p}")
    p = installed.run(program, "/no/such", "true")
    check(p.returncode == 125 and p.stderr.startswith("create: "), f"a workspace that is not there: {p}")


@modes("root")
def test_library_event_loop(t):
    installed = Installed(t)
    program = installed.compile("event-loop")
    s = t.sandbox()
    meet = meeting(3, "/tmp/met")
    p = installed.run(program, s["name"], f"{meet}; echo a", f'{meet}; echo "b\\"" >&2', f"{meet}; exit 4")
    equal((p.returncode, p.stderr), (1, ""), "how it ended")
    check(re.search(r"^\S+ stdout: a$", p.stdout, re.M), p.stdout)
    check(re.search(r'^\S+ stderr: b"$', p.stdout, re.M), p.stdout)
    for ending in ("[1] exited 0", "[2] exited 0", "[3] exited 4"):
        check(ending in p.stdout.splitlines(), f"{ending}: {p.stdout}")
    p = installed.run(program, "nobody", "true")
    check(p.returncode == 1 and "[1] there is no sandbox nobody" in p.stdout, f"no sandbox: {p}")
