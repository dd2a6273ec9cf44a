# SPDX-License-Identifier: Apache-2.0
"""What an agent does in its workspace, inside a sandbox against outside; and saving what it changed."""

import json
import os
import shutil
import subprocess
import time

GIT_ENV = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
NPM_ENV = {
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}

def save(bench):
    """100 MB of changes in 2000 files, saved from the running sandbox, and copied by cp."""
    if not bench.wanted("save"):
        return
    size, count = 50_000, 2000
    source = os.path.join(bench.top, "changes")
    for d in range(20):
        os.makedirs(f"{source}/d{d}")
    for i in range(count):
        with open(f"{source}/d{i % 20}/f{i}", "wb") as f:
            f.write(os.urandom(size))
    bench.client.call("sandbox.create", {"name": "saved", "workspace": source}, timeout=60)
    bench.client.call(
        "exec.run", {"sandbox": "saved", "command": ["cp", "-r", source, "/home/agent/changes"]},
        timeout=120,
    )

    def ours(n):
        out = []
        for _ in range(n):
            begin = time.monotonic_ns()
            bench.client.call("sandbox.save", {"sandbox": "saved", "template": "bench:1"}, timeout=120)
            out.append(time.monotonic_ns() - begin)
            bench.client.call("template.remove", {"template": "bench:1"}, timeout=120)
        return out

    def theirs(n):
        out = []
        for _ in range(n):
            to = os.path.join(bench.top, "copy")
            out += bench.numbers("process", 1, "cp", "-a", source, to)
            shutil.rmtree(to)
        return out

    bench.turns("save", "saving 100 MB of changes of a running sandbox", "cp -a", 10, ours, theirs, 2.0)
    bench.client.call("sandbox.remove", {"sandbox": "saved", "force": True}, timeout=60)
    shutil.rmtree(source)


def make_repository(repo):
    for d in range(100):
        os.makedirs(f"{repo}/d{d}")
        for f in range(50):
            with open(f"{repo}/d{d}/f{f}", "w", encoding="ascii") as out:
                out.write(f"{d} {f}\n")
    for args in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-q", "-m", "x"],
        ["status"],
    ):
        env = {**os.environ, **GIT_ENV}
        subprocess.run(["git", *args], cwd=repo, check=True, stdout=subprocess.DEVNULL, env=env)


def git_status(bench):
    if not bench.wanted("git-status"):
        return
    repo = bench.work + "/repo"
    if not os.path.exists(repo):
        make_repository(repo)
    command = ["git", "status", "--porcelain"]
    bench.turns(
        "git-status",
        "git status of 5000 files in the workspace",
        "outside",
        100,
        lambda n: bench.inside(repo, "drain", n, *command, env=GIT_ENV),
        lambda n: bench.numbers("drain", n, *command, env=GIT_ENV, cwd=repo),
        1.05,
    )


def make_packages(top, count, files):
    """An npm project whose packages are tar files beside it: no registry is asked."""
    dependencies = {}
    for i in range(count):
        p = f"{top}/src/p{i}/package"
        os.makedirs(p + "/lib")
        for f in range(files):
            with open(f"{p}/lib/m{f}.js", "w", encoding="ascii") as out:
                out.write(f"module.exports = {i * f};\n" * 20)
        with open(p + "/package.json", "w", encoding="ascii") as out:
            json.dump({"name": f"p{i}", "version": "1.0.0", "main": "lib/m0.js"}, out)
        subprocess.run(
            ["tar", "czf", f"{top}/p{i}.tgz", "-C", f"{top}/src/p{i}", "package"], check=True
        )
        dependencies[f"p{i}"] = f"file:p{i}.tgz"
    with open(top + "/package.json", "w", encoding="ascii") as out:
        json.dump({"name": "bench", "version": "1.0.0", "dependencies": dependencies}, out)


def npm_ci(bench):
    if not bench.wanted("npm-ci"):
        return
    program = shutil.which("npm")
    if not program or not program.startswith("/usr/"):
        bench.skip("npm-ci", "no npm below /usr on this machine")
        return
    top = bench.work + "/npm"
    env = {**NPM_ENV, "npm_config_cache": top + "/cache"}
    if not os.path.exists(top):
        os.mkdir(top)
        make_packages(top, 40, 50)
        bench.inside(top, "drain", 1, "npm", "install", env=env)
    bench.turns(
        "npm-ci",
        "npm ci of 40 packages in the workspace",
        "outside",
        10,
        lambda n: bench.inside(top, "drain", n, "npm", "ci", env=env),
        lambda n: bench.numbers("drain", n, "npm", "ci", env=env, cwd=top),
        1.05,
    )


ROWS = (git_status, npm_ci, save)
