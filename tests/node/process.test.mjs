// SPDX-License-Identifier: Apache-2.0
// A program that uses the client: it ends by itself, and no rejection is left unhandled.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { SandboxdClient } from "../../client/node/src/index.js";
import { Daemon } from "./daemon.mjs";

const INDEX = new URL("../../client/node/src/index.js", import.meta.url).pathname;
let daemon, client;

before(async () => {
  daemon = await Daemon.start();
  client = await SandboxdClient.connect({ socket: daemon.socket });
  await client.sandbox.create({ name: "sb" });
});

after(async () => {
  await client?.sandbox.remove({ sandbox: "sb", force: true });
  client?.close();
  await daemon?.stop();
});

/** Runs a program that imports the client; its status, output and time. */
async function program(text, limit = 10_000) {
  const code = `import { SandboxdClient, execInSandbox } from ${JSON.stringify(INDEX)};
    process.on("unhandledRejection", (e) => { console.log("unhandled", e); process.exit(9); });
    const client = await SandboxdClient.connect();
    ${text}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    env: { ...process.env, SANDBOXD_SOCKET: daemon.socket },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), limit);
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  const [status] = await once(child, "close");
  clearTimeout(timer);
  return { status, output };
}

test("it ends by itself, without close()", async () => {
  const { status, output } = await program(`
    await client.system.ping();
    console.log((await execInSandbox("sb", ["echo", "x"])).output);
    for await (const chunk of client.exec.run({ sandbox: "sb", command: ["echo", "y"], stream: true })) console.log(chunk.data);`);
  assert.deepEqual([status, output], [0, "x\n\ny\n\n"]);
});

test("it does not end while something is in flight", async () => {
  const { status, output } = await program(`
    client.exec.run({ sandbox: "sb", command: ["/bin/sh", "-c", "sleep 0.5; echo x"] }).then((r) => console.log(r.stdout));
    client.system.ping();`);
  assert.deepEqual([status, output], [0, "x\n\n"]);
});

test("no rejection is left unhandled by the client itself", async () => {
  const { status, output } = await program(`
    const run = client.exec.run({ sandbox: "nobody", command: ["true"], stream: true });
    const kinds = [];
    try { for await (const _ of run); } catch (e) { kinds.push(e.kind); }
    const aborted = client.exec.run({ sandbox: "sb", command: ["sleep", "60"] }, { signal: AbortSignal.timeout(100) });
    try { await aborted; } catch (e) { kinds.push(e.name); }
    const dropped = client.exec.run({ sandbox: "sb", command: ["sleep", "60"], stream: true });
    await dropped.started;
    setTimeout(() => client.close(), 100);
    await new Promise((resolve) => setTimeout(resolve, 300));
    console.log(kinds.join());`);
  assert.deepEqual([status, output], [0, "not_found,AbortError\n"]);
});

test("one signal for many calls: all end, and nobody warns of a leak", async () => {
  const { status, output } = await program(`
    process.on("warning", (w) => console.log("warning", w.name));
    const controller = new AbortController();
    const { signal } = controller;
    const runs = [];
    for (let i = 0; i < 30; i++) {
      await client.system.ping({}, { signal });
      runs.push(client.exec.run({ sandbox: "sb", command: ["sleep", "60"] }, { signal }));
    }
    await Promise.all(runs.map((run) => run.started));
    controller.abort();
    const ends = await Promise.allSettled(runs);
    console.log(ends.filter((e) => e.reason?.name === "AbortError").length);`);
  assert.deepEqual([status, output], [0, "30\n"]);
});

test("a program that is killed takes its commands along, unless they are kept", async () => {
  const { output } = await program(`
    const lost = client.exec.run({ sandbox: "sb", command: ["sleep", "60"] });
    const kept = client.exec.run({ sandbox: "sb", command: ["/bin/sh", "-c", "sleep 0.5; echo x"], onDisconnect: "keep" });
    await Promise.all([lost.started, kept.started]);
    console.log(lost.execId + " " + kept.execId);
    setTimeout(() => process.kill(process.pid, "SIGKILL"), 50);`);
  const [lost, kept] = output.trim().split(" ");
  assert.equal((await client.exec.wait({ execId: lost })).cause, "cancelled");
  const result = await client.exec.wait({ execId: kept });
  assert.deepEqual([result.cause, result.stdout], ["exited", "x\n"]);
});
