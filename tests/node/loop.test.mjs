// SPDX-License-Identifier: Apache-2.0
// A loop as an orchestrator runs it: create, run, destroy, each of them again.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  SandboxdClient,
  createLoopSandbox,
  destroyLoopSandbox,
  execInSandbox,
  spawnTool,
} from "../../client/node/src/index.js";
import { Daemon, Proxy } from "./daemon.mjs";

let daemon, client, worktree;

function git(folder, ...args) {
  const who = ["-c", "user.name=t", "-c", "user.email=t@t"];
  return execFileSync("git", ["-C", folder, ...who, ...args], { encoding: "utf8" });
}

before(async () => {
  daemon = await Daemon.start();
  process.env.SANDBOXD_SOCKET = daemon.socket;
  client = await SandboxdClient.connect();
  const repository = join(daemon.work, "repository");
  worktree = join(daemon.work, "worktree");
  mkdirSync(repository);
  git(repository, "init", "-q");
  git(repository, "commit", "-q", "--allow-empty", "-m", "first");
  git(repository, "worktree", "add", "-q", worktree, "-b", "task");
});

after(async () => {
  const { loops } = await client.loop.list({ filter: { state: "active" } });
  for (const { loopId } of loops) await client.loop.destroy({ loopId, force: true });
  client.close();
  delete process.env.SANDBOXD_SOCKET;
  await daemon.stop();
});

test("create, exec, spawn, destroy", async () => {
  const name = await createLoopSandbox("l1", "shell", worktree, { env: { MINE: "yes" } });
  assert.equal(name, "loop-l1-shell");
  assert.equal(await createLoopSandbox("l1", "shell", worktree, { env: { MINE: "yes" } }), name, "again");
  const box = await client.sandbox.get({ sandbox: name });
  assert.deepEqual([box.loopId, box.tool, box.state], ["l1", "shell", "running"]);
  const script = "echo $MINE; pwd; echo new > file; git add file; git -c user.name=a -c user.email=a@a commit -q -m agent";
  const outcome = await execInSandbox(name, ["/bin/sh", "-c", script]);
  assert.deepEqual([outcome.exitCode, outcome.output], [0, `yes\n${worktree}\n`]);
  assert.match(git(worktree, "log", "--format=%s", "-1"), /^agent$/m);

  const running = execInSandbox(name, ["sleep", "60"]);
  const settled = running.then((o) => o.cause, (e) => e.kind);
  while (!(await client.loop.get({ loopId: "l1" })).alive);
  const receipt = await destroyLoopSandbox("l1");
  assert.deepEqual([receipt.loopId, receipt.outcome, receipt.sandboxes], ["l1", "completed", [name]]);
  assert.deepEqual(await destroyLoopSandbox("l1"), receipt, "again");
  assert.ok(["cancelled", "sandbox_lost", "not_found", "signaled"].includes(await settled), await settled);
  await assert.rejects(execInSandbox(name, ["true"]), { kind: "not_found" });
  await assert.rejects(spawnTool("l1", "shell"), { kind: "not_found" });
  assert.match(git(worktree, "log", "--format=%s", "-1"), /^agent$/m, "the work stays");
});

test("loop.run: the agent's output as it comes, then what it left", async () => {
  await createLoopSandbox("r1", "shell", worktree);
  const run = client.loop.run({
    loopId: "r1",
    tool: "shell",
    prompt: "echo one; sleep 0.2; echo two >&2; echo changed > file",
    verificationCommands: ["echo verifies; test -s file"],
    stream: true,
  });
  assert.equal(run.execId, undefined);
  const seen = [];
  for await (const chunk of run) seen.push([chunk.stream, chunk.data]);
  assert.deepEqual(seen, [["stdout", "one\n"], ["stderr", "two\n"]]);
  const result = await run;
  assert.deepEqual([result.state, result.artifacts.touchedFiles, result.artifacts.verification.success], ["completed", ["file"], true]);
  assert.equal(result.exec.execId, run.execId);

  const params = { loopId: "r1", tool: "shell", prompt: "exit 3" };
  assert.equal((await client.loop.run(params)).state, "failed");
  assert.equal((await client.call("loop.run", params)).state, "failed");
  await assert.rejects(client.loop.run({ ...params, loopId: "nobody" }), { kind: "not_found" });
  const signal = AbortSignal.timeout(200);
  await assert.rejects(client.loop.run({ ...params, prompt: "sleep 60" }, { signal }), { name: "AbortError" });
  await destroyLoopSandbox("r1");
});

test("loop.run whose connection is lost: all of its output once, and its result", async () => {
  const proxy = await Proxy.start(daemon.socket, join(daemon.top, "proxy.sock"));
  const other = await SandboxdClient.connect({ socket: proxy.path });
  await createLoopSandbox("r2", "shell", worktree);
  const prompt = "echo x >>ran; echo one; sleep 0.3; echo two; wc -l <ran; rm ran";
  for (const stream of [true, false]) {
    const run = other.loop.run({ loopId: "r2", tool: "shell", prompt, stream });
    await run.started;
    let text = "";
    if (!stream) proxy.cut();
    for await (const chunk of run) {
      if (text === "") proxy.cut();
      text += chunk.data;
    }
    assert.equal(text, stream ? "one\ntwo\n1\n" : "");
    const result = await run;
    assert.deepEqual([result.state, result.output, result.exec.execId], ["completed", "one\ntwo\n1\n", run.execId]);
  }
  other.close();
  await proxy.stop();
  await destroyLoopSandbox("r2");
});

test("destroy of nothing, and of what runs without force", async () => {
  assert.equal(await destroyLoopSandbox("never"), null);
  const name = await createLoopSandbox("l2", "shell", worktree);
  const { execId } = await client.exec.run({ sandbox: name, command: ["sleep", "60"], detach: true });
  await assert.rejects(destroyLoopSandbox("l2", { force: false }), { kind: "invalid_state" });
  await client.exec.cancel({ execId });
  await assert.rejects(destroyLoopSandbox("l2", { force: false }), { kind: "invalid_state", message: /uncommitted changes: file/ });
  assert.equal((await client.exec.run({ sandbox: name, command: ["git", "checkout", "-q", "--", "file"] })).exitCode, 0);
  assert.equal((await destroyLoopSandbox("l2", { force: false, outcome: "failed" })).outcome, "failed");
});

test("bad input is typed", async () => {
  await assert.rejects(createLoopSandbox("l3", "shell", "/no/such"), { kind: "not_found", field: "workDir" });
  await assert.rejects(createLoopSandbox("l".repeat(130), "shell", worktree), { kind: "invalid_params", field: "loopId" });
  await assert.rejects(createLoopSandbox("l3", "no-such-tool", worktree), (e) => /^tools/.test(e.field));
  assert.deepEqual((await client.loop.list({ filter: { state: "active" } })).loops, []);
});

test("without a daemon: the host only when asked for at create", async () => {
  const socket = join(daemon.top, "nowhere");
  await assert.rejects(createLoopSandbox("h1", "sh", worktree, { socket }), { kind: "not_running" });
  await assert.rejects(execInSandbox("loop-h1-sh", ["true"], { socket }), { kind: "not_running" });
  process.env.AGENT_LOOP_HOST = "1";
  const name = await createLoopSandbox("h1", "sh", worktree, { socket, env: { MINE: "yes" } });
  delete process.env.AGENT_LOOP_HOST;
  assert.equal(name, "loop-h1-sh");
  const outcome = await execInSandbox(name, ["sh", "-c", "echo $MINE $A; pwd; exit 4"], { socket, env: { A: "b" } });
  assert.deepEqual([outcome.exitCode, outcome.output], [4, `yes b\n${worktree}\n`]);
  const spawned = await spawnTool("h1", "sh", ["-c", "pwd"], { socket });
  assert.deepEqual([spawned.output, spawned.host], [`${worktree}\n`, true]);
  assert.equal(await destroyLoopSandbox("h1", { socket }), null);
  await assert.rejects(execInSandbox(name, ["true"], { socket }), { kind: "not_running" });
});

test("with a daemon the host is its runtime, read at create only, and shown", async () => {
  process.env.AGENT_LOOP_HOST = "1";
  const creating = createLoopSandbox("h2", "shell", worktree);
  delete process.env.AGENT_LOOP_HOST;
  if (process.geteuid() === 0) {
    await assert.rejects(creating, { kind: "unavailable", message: /root/ });
    return;
  }
  const name = await creating;
  const { runtime, isolated } = await client.sandbox.get({ sandbox: name });
  assert.deepEqual([runtime, isolated], ["host", false]);
  const look = ["/bin/sh", "-c", `pwd; test -f ${daemon.config} && echo seen`];
  assert.equal((await execInSandbox(name, look)).output, `${worktree}\nseen\n`);
  assert.deepEqual((await destroyLoopSandbox("h2")).sandboxes, [name]);
  const isolating = await createLoopSandbox("h3", "shell", worktree);
  assert.equal((await execInSandbox(isolating, look)).output, `${worktree}\n`);
  await destroyLoopSandbox("h3");
});

test("a daemon that does not allow the host is obeyed", async () => {
  const strict = await Daemon.start("[daemon]\nallow_host = no\n");
  const { socket } = strict;
  await assert.rejects(createLoopSandbox("h4", "shell", worktree, { socket, host: true }), {
    kind: "denied",
    field: "runtime",
  });
  await assert.rejects(execInSandbox("loop-h4-shell", ["true"], { socket }), { kind: "not_found" });
  await assert.rejects(spawnTool("h4", "shell", [], { socket }), { kind: "not_found" });
  await strict.stop();
});
