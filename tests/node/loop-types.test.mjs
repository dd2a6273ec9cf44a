// SPDX-License-Identifier: Apache-2.0
// loop.run's results are the orchestrator's own type: real ones, written out as literals, through tsc.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { SandboxdClient } from "../../client/node/src/index.js";
import { Daemon, packages } from "./daemon.mjs";

const run = promisify(execFile);
const HERE = new URL("./", import.meta.url).pathname;
const LOOP = "types";
const IDENTITY = "export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@b; ";
let daemon, client, folder, tree;

before(async () => {
  daemon = await Daemon.start();
  folder = mkdtempSync("/tmp/sbn-types-");
  copyFileSync(join(HERE, "orchestrator-types.ts"), join(folder, "orchestrator-types.ts"));
  tree = join(daemon.work, "tree");
  const git = (...args) => run("git", ["-c", "user.name=T", "-c", "user.email=t@t", ...args], { cwd: daemon.work });
  await git("init", "-q", "-b", "main");
  await git("commit", "-q", "--allow-empty", "-m", "first");
  await git("worktree", "add", "-q", "-b", "work", tree);
  client = await SandboxdClient.connect({ socket: daemon.socket });
  await client.call("loop.create", { loopId: LOOP, workDir: tree, tools: ["shell"] });
});

after(async () => {
  await client?.call("loop.destroy", { loopId: LOOP, force: true }).catch(() => {});
  client?.close();
  rmSync(folder, { recursive: true, force: true });
  await daemon?.stop();
});

const loopRun = (prompt, params = {}) => client.call("loop.run", { loopId: LOOP, tool: "shell", prompt, ...params });

/** What tsc says to results written out as literals; "" when it takes them. */
async function compile(results) {
  const lines = results.map((r) => `accept(${JSON.stringify(r)});`);
  writeFileSync(join(folder, "results.ts"), `import { accept } from "./orchestrator-types.js";\n${lines.join("\n")}\n`);
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"];
  try {
    await run(join(packages, ".bin/tsc"), [...options, "results.ts"], { cwd: folder });
  } catch (e) {
    return e.stdout || String(e);
  }
  return "";
}

test("every end of loop.run is a SandboxExecutionResult", { timeout: 120_000 }, async () => {
  const completed = await loopRun(IDENTITY + "echo x >f; git add f; git commit -qm second; echo done", {
    artifacts: "patch",
    verificationCommands: ["test -f f", "cat f"],
    requestId: "r-1",
  });
  assert.deepEqual([completed.requestId, completed.state, completed.output], ["r-1", "completed", "done\n"]);
  assert.deepEqual(completed.artifacts.touchedFiles, ["f"]);
  assert.equal(completed.artifacts.verification.success, true);
  const failed = await loopRun("echo err >&2; exit 3", { artifacts: "patch" });
  assert.deepEqual([failed.state, failed.error], ["failed", "shell exited with status 3"]);
  const late = await loopRun("sleep 100", { timeoutMs: 200 });
  assert.equal(late.error, "shell timed out after 200 ms");
  const unverified = await loopRun("true", { verificationCommands: ["false"] });
  assert.equal(unverified.state, "failed");
  const pending = loopRun("sleep 100");
  while (!(await client.call("loop.get", { loopId: LOOP })).alive);
  await client.call("loop.cancel", { loopId: LOOP });
  const cancelled = await pending;
  assert.equal(cancelled.state, "cancelled");
  assert.equal(await compile([completed, failed, late, unverified, cancelled]), "");
  // and the compiler would have noticed
  assert.match(await compile([{ ...completed, state: "done" }]), /not assignable/);
  assert.match(await compile([{ ...completed, artifacts: { ...completed.artifacts, touchedFiles: "f" } }]), /not assignable/);
  const { startedAt, ...rest } = completed;
  assert.match(await compile([rest]), /error TS/, `without ${startedAt}`);
});
