# SPDX-License-Identifier: Apache-2.0
"""What sandboxd is compared with. Whoever starts something here has bench.close() end it."""

import json
import os
import shutil
import subprocess
import time

from runner import Unmeasurable

# crun refuses hybrid cgroups: it sees none, in a mount namespace of its own
COVER = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup; exec "$@"', "sh")
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

SRT_PACKAGE = "@anthropic-ai/sandbox-runtime@0.0.83"

BWRAP = (
    "bwrap --unshare-all --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib "
    "--symlink usr/lib64 /lib64 --proc /proc --dev /dev --tmpfs /tmp --die-with-parent true"
).split()


def need(program):
    path = shutil.which(program)
    if not path:
        raise Unmeasurable(f"no {program} on this machine")
    return path


def nsenter(pid):
    return ["nsenter", "-t", str(pid), "-U", "-m", "-p", "-i", "-n", "-u", "--"]


# ---- crun, runc ----
def spec_of(root, command):
    """A configuration as near to a sandbox's as `crun spec` gets: its namespaces, /usr of the host."""
    top = os.path.dirname(root)
    subprocess.run(["crun", "spec"], cwd=top, check=True)
    with open(top + "/config.json", encoding="utf-8") as f:
        spec = json.load(f)
    os.unlink(top + "/config.json")
    spec["process"]["args"] = command
    spec["process"]["terminal"] = False
    mounts = [m for m in spec["mounts"] if m["destination"] in ("/proc", "/dev", "/dev/pts", "/dev/shm")]
    for m in mounts:
        m["options"] = [o for o in m.get("options", []) if not o.startswith(("gid=", "uid="))]
    usr = {"destination": "/usr", "source": "/usr", "type": "bind", "options": ["rbind", "ro"]}
    spec["mounts"] = mounts + [usr]
    kinds = ("pid", "network", "ipc", "uts", "mount", "user")
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    spec["linux"]["namespaces"] = [{"type": n} for n in kinds]
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = ids
    spec["linux"].pop("seccomp", None)
    spec["linux"].pop("resources", None)
    return spec


def bundle(bench, name, command):
    """The path of a bundle that runs COMMAND."""
    need("crun")
    top = os.path.join(bench.top, "bundle-" + name)
    root = top + "/rootfs"
    if os.path.exists(root):
        return top
    for d in ("usr", "proc", "dev", "sys", "tmp", "etc"):
        os.makedirs(f"{root}/{d}")
    for link in ("bin", "lib", "lib64", "sbin"):
        os.symlink("usr/" + link, f"{root}/{link}")
    subprocess.run(["chown", "-R", "100000:100000", root], check=True)
    spec = spec_of(root, command)
    with open(top + "/config.json", "w", encoding="utf-8") as f:
        json.dump(spec, f)
    return top


def runtime(program):
    """Its command line, and what has to come before it."""
    if program == "crun":
        return [need("crun"), "--cgroup-manager=disabled"], COVER
    return [need(program)], ()


def oci_run(bench, program):
    """Measures PROGRAM run of true."""

    def run(n):
        command, prefix = runtime(program)
        at = bundle(bench, "true", ["/bin/true"])
        return bench.numbers("process", n, *command, "run", "-b", at, "bench-true", prefix=prefix)

    return run


class CrunExec:
    """exec of true in a container of PROGRAM's that is started when it is first needed."""

    def __init__(self, bench, program):
        self.bench = bench
        self.program = program
        self.name = None
        self.said = -1

    def start(self):
        command, prefix = runtime(self.program)
        at = bundle(self.bench, "sleep", ["/bin/sleep", "inf"])
        self.name = f"bench-sleep-{self.program}-{os.getpid()}"
        self.bench.closers.append(self.end)
        started = [*prefix, *command, "run", "-d", "-b", at, self.name]
        # pipes: crun and runc give what they get to the container's user, /dev/null of the host, too
        empty, end = os.pipe()
        os.close(end)
        said, to = os.pipe()
        try:
            subprocess.run(started, check=True, stdin=empty, stdout=to, stderr=to)
        finally:
            os.close(empty)
            os.close(to)
        self.said = said  # the container's stdout, as long as it lives

    def end(self):
        command, prefix = runtime(self.program)
        subprocess.run([*prefix, *command, "delete", "-f", self.name], check=False, **QUIET)
        if self.said >= 0:
            os.close(self.said)
            self.said = -1

    def run(self, n):
        if not self.name:
            self.start()
        command, prefix = runtime(self.program)
        return self.bench.numbers(
            "process", n, *command, "exec", self.name, "/bin/true", prefix=prefix
        )


# ---- docker ----
class Docker:
    """A container of an engine that is there, or that start_engine() has started. The image has
    nothing but true and what it is linked with."""

    IMAGE = "sandboxd-bench:true"

    def __init__(self, bench):
        self.bench = bench
        self.container = None
        self.command = ["docker"]

    def start_engine(self):
        """A dockerd of our own in a mount and a network namespace, without a bridge to anywhere."""
        need("dockerd")
        top = os.path.join(self.bench.top, "docker")
        os.mkdir(top)
        script = (
            "umount /sys/fs/cgroup/unified 2>/dev/null; ip link set lo up; exec dockerd "
            f"--data-root {top}/data --exec-root {top}/exec --host unix://{top}/socket "
            f"--pidfile {top}/pid --iptables=false --bridge=none"
        )
        with open(top + "/log", "wb") as log:
            engine = subprocess.Popen(
                ["unshare", "-m", "-n", "--propagation", "private", "sh", "-c", script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self.bench.closers.append(lambda: (engine.terminate(), engine.wait(60)))
        self.command = ["docker", "--host", f"unix://{top}/socket"]
        for _ in range(200):
            if self.answers():
                return
            time.sleep(0.1)
        raise RuntimeError(f"dockerd does not answer: {open(top + '/log', errors='replace').read()[-600:]}")

    def answers(self):
        probe = [*self.command, "version"]
        return subprocess.run(probe, check=False, timeout=20, **QUIET).returncode == 0

    def prepare(self):
        if self.container:
            return
        need("docker")
        if self.bench.own_docker:
            self.start_engine()
        elif not self.answers():
            raise Unmeasurable("no docker engine answers; --docker starts one")
        libraries = subprocess.run(["ldd", "/bin/true"], capture_output=True, text=True, check=True)
        paths = [w for w in libraries.stdout.split() if w.startswith("/")]
        image = subprocess.run(
            ["tar", "-chP", "/usr/bin/true", "/usr/bin/sleep", *paths], capture_output=True, check=True
        )
        load = [*self.command, "import", "-", self.IMAGE]
        subprocess.run(load, input=image.stdout, check=True, stdout=subprocess.DEVNULL)
        self.bench.closers.append(lambda: self.quietly("rmi", "-f", self.IMAGE))
        started = subprocess.run(
            [*self.command, "run", "-d", "--network", "none", self.IMAGE, "/usr/bin/sleep", "inf"],
            capture_output=True, text=True, check=False, timeout=60,
        )
        if started.returncode != 0:
            raise RuntimeError(f"docker run: {started.stderr[-600:]}")
        self.container = started.stdout.strip()
        self.bench.closers.append(lambda: self.quietly("rm", "-f", self.container))

    def quietly(self, *args):
        subprocess.run([*self.command, *args], check=False, timeout=60, **QUIET)

    def exec_true(self, n):
        self.prepare()
        return self.bench.numbers(
            "process", n, *self.command, "exec", self.container, "/usr/bin/true"
        )

    def run_true(self, n):
        self.prepare()
        return self.bench.numbers(
            "process", n, *self.command, "run", "--rm", "--network", "none", self.IMAGE, "/usr/bin/true"
        )


# ---- redis ----
class Redis:
    """A redis-server on a Unix socket, without persistence and without TCP."""

    def __init__(self, bench):
        self.bench = bench
        self.socket = os.path.join(bench.top, "redis.sock")
        self.process = None

    def start(self):
        if self.process:
            return
        options = f"--port 0 --unixsocket {self.socket} --appendonly no --dir {self.bench.top}"
        self.process = subprocess.Popen(
            [need("redis-server"), *options.split(), "--save", ""], **QUIET
        )
        self.bench.closers.append(lambda: (self.process.terminate(), self.process.wait(20)))
        for _ in range(200):
            if os.path.exists(self.socket):
                return
            time.sleep(0.05)
        raise RuntimeError("redis-server does not come up")


# ---- @anthropic-ai/sandbox-runtime ----
def sandbox_runtime(bench):
    """Measures srt true: npm gets it once into the cache."""

    def run(n):
        need("npm")
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        top = os.path.join(cache, "sandboxd-bootstrap", "srt", SRT_PACKAGE.rsplit("@", 1)[1])
        program = top + "/node_modules/.bin/srt"
        if not os.path.exists(program):
            os.makedirs(top, exist_ok=True)
            get = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--prefix", top, SRT_PACKAGE],
                capture_output=True, text=True, check=False, timeout=300,
            )
            if get.returncode != 0:
                raise Unmeasurable(f"npm install {SRT_PACKAGE}: {get.stderr.strip()[-300:]}")
        return bench.numbers("process", n, program, "true", cwd=bench.work)

    return run
