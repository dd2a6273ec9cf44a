// SPDX-License-Identifier: Apache-2.0
// The functions that an orchestrator calls.

import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxdClient, execInSandbox, isSandboxAvailable, spawnTool } from "../../client/node/src/index.js";
import { Daemon } from "./daemon.mjs";

let daemon, client;

before(async () => {
  daemon = await Daemon.start();
  process.env.SANDBOXD_SOCKET = daemon.socket;
  client = await SandboxdClient.connect();
  await client.sandbox.create({ name: "sb", workspace: daemon.work });
});

after(async () => {
  const { sandboxes } = await client.sandbox.list();
  for (const { name } of sandboxes) await client.sandbox.remove({ sandbox: name, force: true });
  client.close();
  delete process.env.SANDBOXD_SOCKET;
  await daemon.stop();
});

function sh(script, options) {
  return execInSandbox("sb", ["/bin/sh", "-c", script], options);
}

test("isSandboxAvailable", async () => {
  assert.equal(await isSandboxAvailable(), true);
  assert.equal(await isSandboxAvailable({ socket: join(daemon.top, "nowhere") }), false);
});

test("execInSandbox", async () => {
  const outcome = await sh("echo $A; pwd; echo err >&2; cat; exit 3", { env: { A: "b" }, workDir: "/tmp", stdin: "in\n" });
  assert.deepEqual([outcome.exitCode, outcome.output, outcome.cause], [3, "b\n/tmp\nerr\nin\n", "exited"]);
  assert.equal((await sh("pwd")).output, `${daemon.work}\n`);
  assert.equal((await sh("printf 'a\\377b'")).output, "a\ufffdb");
  await assert.rejects(execInSandbox("nobody", ["true"]), { kind: "not_found", field: "sandbox" });
  await assert.rejects(execInSandbox("sb", []), { kind: "invalid_params", field: "command" });
});

test("every end has an exit code and a cause", async () => {
  const ends = async (...args) => {
    const { exitCode, cause } = await execInSandbox("sb", ...args);
    return [exitCode, cause];
  };
  assert.deepEqual(await ends(["/bin/sh", "-c", "kill -9 $$"]), [137, "signaled"]);
  assert.deepEqual(await ends(["sleep", "60"], { timeout: 100 }), [124, "timeout"]);
  assert.deepEqual(await ends(["/no/such"]), [127, "never_started"]);
  assert.deepEqual(await ends(["/etc/passwd"]), [126, "never_started"]);
  assert.match((await execInSandbox("sb", ["/no/such"])).output, /^\/no\/such: .*not found/);
});

test("an AbortSignal cancels", async () => {
  await assert.rejects(sh("sleep 60", { signal: AbortSignal.timeout(200) }), (e) => e.name === "AbortError" && e.cause.name === "TimeoutError");
});

test("the sandbox is lost meanwhile", async () => {
  await client.sandbox.create({ name: "lost" });
  const run = execInSandbox("lost", ["sleep", "60"]);
  await sleep(200);
  await client.sandbox.remove({ sandbox: "lost", force: true });
  const outcome = await run;
  assert.notEqual(outcome.exitCode, 0);
  assert.notEqual(outcome.cause, "exited");
});

test("spawnTool in a sandbox, with credentials for this run only", async () => {
  await client.sandbox.create({ name: "loop-l1-printenv", workspace: daemon.work });
  let leased = 0;
  const auth = async () => ({ TOKEN: `t${++leased}` });
  for (const token of ["t1", "t2"]) {
    const outcome = await spawnTool("l1", "printenv", ["TOKEN"], { auth, env: { TOKEN: "old" } });
    assert.deepEqual([outcome.exitCode, outcome.output, outcome.host], [0, `${token}\n`, false]);
  }
  assert.equal((await spawnTool("l1", "printenv", ["TOKEN"])).exitCode, 1);
});

test("spawnTool on the host only when asked for", async () => {
  await assert.rejects(spawnTool("l2", "echo", ["x"]), (e) => e.kind === "not_found" && /host/.test(e.hint));
  process.env.AGENT_LOOP_HOST = "1"; // is read at create only
  try {
    await assert.rejects(spawnTool("l2", "echo", ["x"]), { kind: "not_found" });
  } finally {
    delete process.env.AGENT_LOOP_HOST;
  }
  const outcome = await spawnTool("l2", "echo", ["x"], { host: true });
  assert.deepEqual([outcome.exitCode, outcome.output, outcome.cause, outcome.host], [0, "x\n", "exited", true]);
});

test("on the host: every end as in a sandbox", async () => {
  const script = (text, options = {}) => spawnTool("l2", "sh", ["-c", text], { host: true, ...options });
  const ends = async (...args) => {
    const { exitCode, cause } = await script(...args);
    return [exitCode, cause];
  };
  assert.deepEqual(await ends("exit 3"), [3, "exited"]);
  assert.deepEqual(await ends("kill -9 $$"), [137, "signaled"]);
  assert.deepEqual(await ends("sleep 60", { timeout: 100 }), [124, "timeout"]);
  assert.equal((await spawnTool("l2", "no-such-tool", [], { host: true })).exitCode, 127);
  const plain = join(daemon.work, "plain");
  writeFileSync(plain, "");
  chmodSync(plain, 0o600);
  assert.equal((await spawnTool("l2", "plain", [], { host: true, env: { PATH: daemon.work } })).exitCode, process.versions.bun ? 127 : 126);
  await assert.rejects(script("sleep 60", { signal: AbortSignal.timeout(100) }), { name: "AbortError" });
  const outcome = await script("cat; echo $A; pwd; sleep 60 & ", { stdin: "in\n", env: { A: "b" }, workDir: daemon.work });
  assert.equal(outcome.output, `in\nb\n${daemon.work}\n`, "what it leaves behind holds nobody up");
  const long = await script("head -c 3000000 /dev/zero | tr '\\0' a; echo end");
  assert.deepEqual([long.output.length, long.output.slice(-5), long.truncated], [1 << 20, "aend\n", true]);
});

test("without a daemon", async () => {
  const socket = join(daemon.top, "nowhere");
  await assert.rejects(execInSandbox("sb", ["true"], { socket }), { kind: "not_running", hint: "sandboxctl daemon start" });
  await assert.rejects(spawnTool("l", "echo", [], { socket }), { kind: "not_found" });
  assert.equal((await spawnTool("l", "echo", ["x"], { socket, host: true })).output, "x\n");
});
