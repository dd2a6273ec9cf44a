# SPDX-License-Identifier: Apache-2.0
"""Keeps every processor busy with a process of ordinary priority."""

import os
import subprocess


class Busy:
    def __init__(self, loop):
        self.loop = loop
        self.spinners = []

    def __enter__(self):
        for _ in range(len(os.sched_getaffinity(0))):
            self.spinners.append(subprocess.Popen([self.loop, "spin"], stdin=subprocess.DEVNULL))
        return self

    def __exit__(self, *_):
        for p in self.spinners:
            p.kill()
            p.wait()
