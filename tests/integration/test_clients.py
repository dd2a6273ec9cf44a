# SPDX-License-Identifier: Apache-2.0
"""Clients that are not ours: the programs that docs/clients.md shows."""

import os
import re
import subprocess
import sys

from lib import check, equal

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
