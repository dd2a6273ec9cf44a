#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the integration and escape tests against the real daemon.

    run.py --build DIR --mode root|owner|user [--only PATTERN] [--without PATTERN] [--list] [-v]

One line per test; after each module it looks for leaks, at the end for anything left on the host.
SANDBOXD_TEST_STRICT=1 makes a skip a failure. Exit status 0: all passed.
"""

import argparse
import fnmatch
import importlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import daemon as daemon_module  # noqa: E402
import harness  # noqa: E402

DEFAULT_TIMEOUT = 60


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--build", required=True)
    p.add_argument("--mode", choices=("root", "owner", "user"), required=True)
    p.add_argument("--only", default=None, help="module.test pattern or a part of it; several with commas")
    p.add_argument("--without", default=None, help="the opposite")
    p.add_argument("--list", action="store_true")
    p.add_argument("-v", "--verbose", action="store_true", help="tracebacks and the daemon's log")
    return p.parse_args()


def matcher(text):
    """Whether a test's name is meant by TEXT, as --only has it."""
    patterns = [p if any(c in p for c in "*?[") else f"*{p}*" for p in text.split(",")]
    return lambda name: any(fnmatch.fnmatch(name, p) for p in patterns)


def collect(args):
    modules = sorted(f[:-3] for f in os.listdir(HERE) if f.startswith("test_") and f.endswith(".py"))
    tests = []
    for name in modules:
        module = importlib.import_module(name)
        short = name[len("test_") :]
        found = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and callable(f)]
        found = [(f"{short}.{n[5:]}", f) for n, f in found if f.__module__ == name]
        found = [(n, f) for n, f in found if args.mode in getattr(f, "modes", (args.mode,))]
        if args.only:
            wanted = matcher(args.only)
            found = [(n, f) for n, f in found if wanted(n)]
        if args.without:
            unwanted = matcher(args.without)
            found = [(n, f) for n, f in found if not unwanted(n)]
        if found:
            tests.append((short, found))
    return tests


def ensure_user():
    try:
        pwd.getpwnam(harness.TEST_USER)
    except KeyError:
        print(f"making the user {harness.TEST_USER} (useradd -m)", flush=True)
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", harness.TEST_USER], check=True)
        pwd.getpwnam(harness.TEST_USER)


def readable_by(user, path):
    return (
        subprocess.run(
            ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "test", "-r", path],
            check=False,
        ).returncode
        == 0
    )


def copy_for_user(build):
    """Binaries and tests in a folder that the test user can read."""
    top = tempfile.mkdtemp(prefix="sbt-copy-", dir="/tmp")
    os.chmod(top, 0o755)
    tools = daemon_module.Tools(build)
    for name, path in tools.paths.items():
        if not name.startswith(("sandbox", "escape", "fake-runtime")):
            continue
        target = os.path.join(top, "build", os.path.relpath(path, tools.build))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(path, target)
        os.chmod(target, 0o755)
    target = os.path.join(top, "tests", "integration")
    shutil.copytree(HERE, target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(os.path.join(HERE, "..", "..", "docs"), os.path.join(top, "docs"))
    subprocess.run(["chmod", "-R", "a+rX", top], check=True)
    return top


def run_as_user(args):
    """Runs this very program as the test user, and returns its status."""
    user = harness.TEST_USER
    build, script, copy = os.path.abspath(args.build), os.path.join(HERE, "run.py"), None
    tools = daemon_module.Tools(build)
    if not (readable_by(user, script) and all(readable_by(user, p) for p in tools.paths.values())):
        copy = copy_for_user(build)
        build, script = os.path.join(copy, "build"), os.path.join(copy, "tests/integration/run.py")
    entry = pwd.getpwnam(user)
    env = {
        "HOME": entry.pw_dir,
        "USER": user,
        "LOGNAME": user,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
    }
    for key in ("SANDBOXD_TEST_STRICT", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if key in os.environ:
            env[key] = os.environ[key]
    command = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]
    command += ["/usr/bin/python3", script, "--build", build, "--mode", "user"]
    if args.only:
        command += ["--only", args.only]
    if args.without:
        command += ["--without", args.without]
    if args.list:
        command.append("--list")
    if args.verbose:
        command.append("-v")
    guard = daemon_module.Guard()
    try:
        status = subprocess.run(command, env=env, cwd="/", check=False).returncode
    finally:
        if copy:
            shutil.rmtree(copy, ignore_errors=True)
    for text in guard.differences(()):
        print(f"FAIL host: {text}", flush=True)
        status = status or 1
    return status


class Runner:
    def __init__(self, suite, verbose):
        self.suite = suite
        self.verbose = verbose
        self.passed = self.failed = self.skipped = 0
        self.strict = os.environ.get("SANDBOXD_TEST_STRICT") == "1"

    def fail(self, name, text, started=None):
        self.failed += 1
        took = f" ({time.monotonic() - started:.2f} s)" if started else ""
        if not self.verbose and len(text) > 1200:
            text = text[:1200] + " ..."
        print(f"FAIL {name}{took}: {text}", flush=True)

    def one(self, name, fn):
        started = time.monotonic()
        try:
            self.suite.ensure()
        except Exception as e:  # a daemon that does not start fails this test, and the next
            self.fail(name, f"daemon: {e}", started)
            return
        t = harness.Test(self.suite, name)
        outcome, text = "ok", ""
        try:
            signal.setitimer(signal.ITIMER_REAL, getattr(fn, "timeout", DEFAULT_TIMEOUT))
            fn(t)
        except harness.Skip as e:
            outcome, text = "skip", str(e)
        except Exception as e:
            outcome, text = "FAIL", f"{type(e).__name__}: {e}"
            if self.verbose:
                traceback.print_exc(limit=-3)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.conclude(t, name, (outcome, text), started)

    def conclude(self, t, name, result, started):
        outcome, text = result
        problems = []
        try:
            signal.setitimer(signal.ITIMER_REAL, 180)  # it may remove what npm made, on a busy disk
            problems = t.undo()
        except Exception as e:
            problems = [f"cleaning up: {type(e).__name__}: {e}"]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        daemon_module.reap_orphans(self.suite.known_pids())
        if outcome == "ok" and problems:
            outcome, text = "FAIL", "; ".join(problems)
        if outcome == "skip" and self.strict:
            outcome, text = "FAIL", f"skipped in strict mode: {text}"
        if outcome == "FAIL":
            self.fail(name, text, started)
            return
        if outcome == "skip":
            self.skipped += 1
            print(f"skip {name}: {text}", flush=True)
            return
        self.passed += 1
        print(f"ok   {name} ({time.monotonic() - started:.2f} s)", flush=True)

    def module(self, short, tests):
        pid = self.suite.pid()
        for name, fn in tests:
            self.one(name, fn)
            pid = pid or self.suite.pid()
        if pid is None:
            return
        found = self.suite.settle()
        for text in found:
            self.fail(f"{short}.leaks", text)
        if found and self.verbose:
            print(self.suite.daemon.log_tail(8000), flush=True)
        if self.suite.pid() != pid:
            self.fail(f"{short}.leaks", "the daemon is another process than before")

    def finish(self, guard):
        for text in self.suite.close() + guard.differences(self.suite.instances):
            self.fail("end.leaks", text)
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.suite.mode}: {self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 1 if self.failed else 0


def on_alarm(_number, _frame):
    raise harness.TimedOut("the test took too long")


def on_end(number, _frame):
    raise SystemExit(128 + number)


def main():
    args = parse()
    if args.list:
        for _, tests in collect(args):
            for name, _ in tests:
                print(name)
        return 0
    if os.getuid() == 0:
        ensure_user()
    if args.mode == "user" and os.getuid() == 0:
        return run_as_user(args)
    if args.mode != "user" and os.getuid() != 0:
        print(f"mode {args.mode} needs root", file=sys.stderr)
        return 2
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_end)
    # ignored in the background of a script, and then in all that is started here
    signal.signal(signal.SIGINT, signal.default_int_handler)
    daemon_module.become_subreaper()
    guard = daemon_module.Guard()
    suite = harness.Suite(daemon_module.Tools(args.build), args.mode)
    suite.whole = not args.only
    runner = Runner(suite, args.verbose)
    try:
        for short, tests in collect(args):
            runner.module(short, tests)
    finally:
        status = runner.finish(guard)
    return status


if __name__ == "__main__":
    sys.exit(main())
