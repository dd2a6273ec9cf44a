#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One client of the torture: an orchestrator that is killed at any moment and begins again.

What it is about to do goes to a journal first, what came of it afterwards; a successor repeats what
has no end there, with the same keys. Everything follows from the seed: step N of a client is the same
in every run, whatever happens around it.

    worker.py SOCKET SEED INDEX TOP
"""

import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "integration"))
sys.dont_write_bytecode = True

import lib  # noqa: E402

PATIENCE_S = 90  # a call that is not answered by then, over all repeats, is a bug
REPLY_S = 30  # then it is asked again over another connection
PAUSE_S = 0.05
SLOTS = 2

# Nothing was done; it may work later: no daemon, no space, no descriptors, a runtime that was killed.
LATER = ("unavailable", "limit_reached", "runtime_failed", "timeout", "cancelled", "internal_error")
# The sandbox is gone, or stopped: whoever did that, it was no call of ours.
GONE = ("not_found", "invalid_state")
# How a command may end that nobody but us asked to end.
ENDS = ("exited", "sandbox_lost", "disk_full", "never_started")


class Failure(Exception):
    """Something that must never be."""


class Refused(Exception):
    """The daemon said no, and its kind says that this can be."""

    def __init__(self, error):
        super().__init__(str(error))
        self.kind = error.kind


class Journal:
    """Lines of JSON; one that was cut by the writer's death is as if it had not been begun."""

    def __init__(self, path):
        self.entries = []
        try:
            with open(path, "rb") as f:
                for line in f.read().split(b"\n"):
                    if line.endswith(b"}"):
                        self.entries.append(json.loads(line))
        except FileNotFoundError:
            pass
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, **entry):
        os.write(self.fd, b"\n" + json.dumps(entry).encode() + b"\n")
        self.entries.append(entry)


class Daemon:
    """Calls that outlive connections and daemons. Only what can be repeated goes through here."""

    def __init__(self, socket):
        self.socket = socket
        self.client = None
        self.repeats = 0

    def drop(self):
        if self.client:
            self.client.close()
        self.client = None

    def connection(self):
        if self.client is None:
            self.client = lib.Client(self.socket)
        return self.client

    def all(self, calls):
        """[(method, params)] in flight at once; results or Refused, in this order."""
        answers = [None] * len(calls)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.attempt(calls, answers)
            except (lib.Closed, OSError, TimeoutError):
                self.drop()
            if None not in answers:
                return answers
            if time.monotonic() > deadline:
                left = [c for c, a in zip(calls, answers) if a is None]
                raise Failure(f"no answer within {PATIENCE_S} s: {json.dumps(left)[:300]}; last: {self.last}")
            self.repeats += 1
            time.sleep(PAUSE_S)

    last = None  # why something is repeated

    def attempt(self, calls, answers):
        self.last = "no daemon"
        c = self.connection()
        self.last = "no answer"
        ids = {i: c.send(*calls[i]) for i in range(len(calls)) if answers[i] is None}
        for i, rid in ids.items():
            try:
                answers[i] = c.wait(rid, REPLY_S)
            except lib.RpcError as e:
                self.last = str(e)
                if e.kind in LATER:
                    continue
                if e.kind not in GONE:
                    raise Failure(f"{calls[i]}: {e}") from e
                answers[i] = Refused(e)

    def call(self, method, **params):
        answer = self.all([(method, params)])[0]
        if isinstance(answer, Refused):
            raise answer
        return answer

    def attach(self, exec_id):
        """All that a command writes to stdout, over any number of connections, and its result."""
        got = bytearray()
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                c = self.connection()
                rid = c.send("exec.attach", {"execId": exec_id, "from": {"stdout": len(got)}})
                return self.follow(c, rid, exec_id, got)
            except (lib.Closed, OSError, TimeoutError):
                self.drop()
            except lib.RpcError as e:
                if e.kind in GONE:
                    raise Refused(e) from e
                if e.kind not in LATER:
                    raise Failure(f"exec.attach {exec_id}: {e}") from e
            self.repeats += 1
            time.sleep(PAUSE_S)
        raise Failure(f"exec.attach {exec_id} has no end")

    def follow(self, c, rid, exec_id, got):
        try:
            return self.follow_notes(c, rid, exec_id, got)
        finally:
            c.notes = [n for n in c.notes if n["params"].get("execId") != exec_id]

    def follow_notes(self, c, rid, exec_id, got):
        while rid not in c.replies:
            c.message(REPLY_S)
            for note in c.notes:
                p = note["params"]
                if note["method"] != "exec.data" or p["execId"] != exec_id or p["stream"] != "stdout":
                    continue
                if p["offset"] != len(got):
                    raise Failure(f"{exec_id}: bytes at {p['offset']}, {len(got)} were expected")
                got += lib.text_of(p["data"])
            c.notes.clear()
        return bytes(got), c.wait(rid)


class Worker:
    def __init__(self, socket, seed, index, top):
        self.daemon = Daemon(socket)
        self.seed, self.index, self.top = seed, index, top
        self.journal = Journal(os.path.join(top, f"journal-{index}"))
        self.work = os.path.join(top, f"work-{index}")
        self.tree = os.path.join(top, f"tree-{index}")
        self.generations = [0] * SLOTS
        self.next = 0
        self.begun = None
        self.chosen = [-1, None]  # a step, and its sandbox
        for e in self.journal.entries:
            if "begin" in e:
                self.begun = e["begin"]
            elif "end" in e:
                self.begun, self.next = None, e["end"] + 1
            elif "slot" in e:
                self.generations[e["slot"]] = e["generation"]
            elif "chosen" in e:
                self.chosen = e["chosen"]

    # ---- commands: what they do, and what must come of it ----
    def command(self, rng, key):
        """(command, stdout, exit code). The first thing it does is to say that it runs."""
        lines, code = rng.choice((0, 1, 10, 3000)), rng.choice((0, 0, 0, 1, 7))
        nap = rng.choice(("", "", "sleep 0.05;", "sleep 0.3;", "sleep 1;"))
        script = f"echo {key} >>{self.work}/ran; {nap} seq 1 {lines}; exit {code}"
        out = "".join(f"{i}\n" for i in range(1, lines + 1))
        return ["/bin/sh", "-c", script], out, code

    def judge(self, key, result, out, code):
        """Of one ExecResult: its cause, after every claim in it was checked."""
        cause = result["cause"]
        if cause not in ENDS:
            raise Failure(f"{key} ended with {cause}: {json.dumps(result)[:300]}")
        if cause != "exited":
            return cause
        got = lib.text_of(result.get("stdout"))
        if result["truncated"]:  # it could not be read when the result was made: it can now
            got = self.read(result["execId"], got)
        if result["exitCode"] != code:
            raise Failure(f"{key}: exit status {result['exitCode']}, {code} was expected")
        # a keeper that was killed took with it what was still in the pipe
        if got != out.encode() and not (result["truncated"] and out.encode().startswith(got)):
            facts = {k: v for k, v in result.items() if k not in ("stdout", "stderr")}
            raise Failure(f"{key}: {len(got)} bytes of output, {len(out)} were expected: {json.dumps(facts)}")
        return cause

    def read(self, exec_id, otherwise):
        """Its stdout from the spool, OTHERWISE if that is gone with its sandbox."""
        got = b""
        try:
            while True:
                p = self.daemon.call("exec.read", execId=exec_id, stream="stdout", **{"from": len(got)})
                got += lib.text_of(p["data"])
                if p["eof"]:
                    return got
        except Refused:
            return otherwise

    # ---- sandboxes ----
    def name(self, slot):
        return f"t{self.index}-{slot}-{self.generations[slot]}"

    def renew(self, slot):
        self.generations[slot] += 1
        self.journal.add(slot=slot, generation=self.generations[slot])

    def ensure(self, slot):
        """A running sandbox in this slot, the one of before if it lives."""
        for _ in range(20):
            name = self.name(slot)
            try:
                s = self.daemon.call(
                    "sandbox.create", name=name, workspace=self.work, idempotencyKey=f"create-{name}"
                )
                s = self.daemon.call("sandbox.get", sandbox=name)
                if s["state"] == "stopped":
                    s = self.daemon.call("sandbox.start", sandbox=name)
                if s["state"] == "running":
                    return name
                why = s["state"]
            except Refused as e:
                why = str(e)
            self.remove(slot)
        raise Failure(f"no sandbox in slot {slot} will run: {why}")

    def choose(self, slot, n):
        """The sandbox of step N. What was begun is repeated as it was, even if its sandbox is lost."""
        if self.chosen[0] != n:
            self.chosen = [n, self.ensure(slot)]
            self.journal.add(chosen=self.chosen)
        return self.chosen[1]

    def remove(self, slot):
        try:
            self.daemon.call("sandbox.remove", sandbox=self.name(slot), force=True)
        except Refused as e:
            if e.kind != "not_found":
                time.sleep(PAUSE_S)  # it is being made, or ended
        self.renew(slot)

    def note(self, key, cause, why=None):
        self.journal.add(key=key, cause=cause, **({"why": str(why)} if why else {}))
        return cause

    # ---- steps: each says in one word how it went ----
    def step_execs(self, rng, n):
        name = self.choose(rng.randrange(SLOTS), n)
        specs = []
        for i in range(rng.randint(1, 4)):
            key = f"k{self.index}-{n}-{i}"
            specs.append((key, *self.command(rng, key)))
        calls = [
            ("exec.run", {"sandbox": name, "command": command, "idempotencyKey": key})
            for key, command, _, _ in specs
        ]
        causes = []
        for (key, _, out, code), answer in zip(specs, self.daemon.all(calls)):
            if isinstance(answer, Refused):
                cause = self.note(key, "refused", answer)
            else:
                cause = self.note(key, self.judge(key, answer, out, code))
            causes.append(cause)
        return "+".join(sorted(set(causes)))

    def step_attach(self, rng, n):
        name = self.choose(rng.randrange(SLOTS), n)
        key = f"k{self.index}-{n}-a"
        lines = rng.choice((10, 20000, 100000))
        script = f"echo {key} >>{self.work}/ran; seq 1 {lines // 2}; sleep 0.3; seq {lines // 2 + 1} {lines}"
        out = "".join(f"{i}\n" for i in range(1, lines + 1))
        try:
            e = self.daemon.call(
                "exec.run", sandbox=name, command=["/bin/sh", "-c", script], idempotencyKey=key, detach=True
            )
            got, result = self.daemon.attach(e["execId"])
            cause = result["cause"]
            if cause not in ENDS:
                raise Failure(f"{key} ended with {cause}")
            if cause == "exited" and not result["truncated"] and got != out.encode():
                raise Failure(f"{key}: {len(got)} bytes followed, {len(out)} were expected: {json.dumps(result)[-300:]}")
            if not out.encode().startswith(got):
                raise Failure(f"{key}: what was followed is not what was written")
        except Refused as e:
            return self.note(key, "refused", e)
        return self.note(key, cause)

    def step_cancel(self, rng, n):
        name = self.choose(rng.randrange(SLOTS), n)
        key = f"k{self.index}-{n}-c"
        script = f"echo {key} >>{self.work}/ran; sleep {rng.choice((0.05, 30, 30))}"
        params = {"sandbox": name, "command": ["/bin/sh", "-c", script], "idempotencyKey": key, "graceMs": 500}
        try:
            self.daemon.call("exec.run", **params, detach=True)
            time.sleep(rng.uniform(0, 0.3))
            self.daemon.call("exec.cancel", idempotencyKey=key)
            result = self.daemon.call("exec.run", **params)
            cause = result["cause"]
            if cause not in (*ENDS, "cancelled"):
                raise Failure(f"{key} was cancelled and ended with {cause}")
        except Refused as e:
            return self.note(key, "refused", e)
        return self.note(key, cause)

    def step_remove(self, rng, _n):
        slot = rng.randrange(SLOTS)
        self.remove(slot)
        return "removed"

    def step_stop(self, rng, _n):
        name = self.name(rng.randrange(SLOTS))
        try:
            self.daemon.call("sandbox.stop", sandbox=name, force=True)
        except Refused:
            return "refused"
        return "stopped"

    def step_look(self, _rng, _n):
        for method, kind in (("sandbox.list", "sandboxes"), ("exec.list", "execs"), ("loop.list", "loops")):
            if not isinstance(self.daemon.call(method, limit=1000)[kind], list):
                raise Failure(f"{method} answers with no list")
        return "seen"

    def step_loop(self, rng, n):
        loop = f"l{self.index}-{n}"
        key = f"k{self.index}-{n}-l"
        code = rng.choice((0, 0, 3))
        prompt = f"echo {key} >>ran; echo {key} >made-{n}; sleep {rng.choice((0, 0.2))}; exit {code}"
        outcome, why = "refused", None
        try:
            self.daemon.call("loop.create", loopId=loop, workDir=self.tree, tools=["shell"])
            r = self.daemon.call("loop.run", loopId=loop, tool="shell", prompt=prompt, idempotencyKey=key)
            cause = r["exec"]["cause"] if r.get("exec") else "never_started"
            if cause not in ENDS:
                raise Failure(f"{key} ended with {cause}: {json.dumps(r)[:300]}")
            if cause == "exited" and (r["exec"]["exitCode"] != code or (r["state"] == "completed") != (code == 0)):
                raise Failure(f"{key}: {r['state']} with status {r['exec']['exitCode']}, {code} was expected")
            outcome = cause
        except Refused as e:
            why = e
        try:
            self.daemon.call("loop.destroy", loopId=loop, force=True)
        except Refused as e:
            if e.kind != "not_found":
                raise Failure(f"loop.destroy {loop}: {e}") from e
        return self.note(key, outcome, why)

    STEPS = (
        ("execs", 40), ("attach", 12), ("cancel", 12), ("loop", 12), ("remove", 8), ("stop", 6), ("look", 10),
    )

    def step(self, n):
        rng = random.Random(f"{self.seed}/{self.index}/{n}")
        kind = rng.choices([k for k, _ in self.STEPS], [w for _, w in self.STEPS])[0]
        self.journal.add(begin=n, kind=kind, pid=os.getpid())
        started = time.monotonic()
        outcome = getattr(self, "step_" + kind)(rng, n)
        took = round(time.monotonic() - started, 3)
        self.journal.add(end=n, kind=kind, outcome=outcome, took=took, repeats=self.daemon.repeats)
        self.daemon.repeats = 0

    def run(self):
        n = self.next if self.begun is None else self.begun
        while self.begun is not None or not os.path.exists(os.path.join(self.top, "stop")):
            self.begun = None
            self.step(n)
            n += 1


def main():
    socket, seed, index, top = sys.argv[1:]
    worker = Worker(socket, seed, int(index), top)
    try:
        worker.run()
    except Failure as e:
        worker.journal.add(failure=str(e))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
