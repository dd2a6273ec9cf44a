// SPDX-License-Identifier: Apache-2.0
// Commands: results, streams, stdin, cancel, timeout.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxdClient } from "../../client/node/src/index.js";
import { Daemon } from "./daemon.mjs";
import { SIZE, drain, writer } from "./stream.mjs";

const SANDBOX = "sb";
let daemon, client;

before(async () => {
  daemon = await Daemon.start();
  client = await SandboxdClient.connect({ socket: daemon.socket });
  await client.sandbox.create({ name: SANDBOX, workspace: daemon.work });
});

after(async () => {
  await client?.sandbox.remove({ sandbox: SANDBOX, force: true });
  client?.close();
  await daemon?.stop();
});

function sh(script, params = {}, options = {}) {
  return client.exec.run({ sandbox: SANDBOX, command: ["/bin/sh", "-c", script], ...params }, options);
}

test("a result", async () => {
  const result = await sh("echo out; echo err >&2; exit 7", { env: { A: "b" } });
  assert.deepEqual(
    [result.exitCode, result.cause, result.stdout, result.stderr],
    [7, "exited", "out\n", "err\n"],
  );
  assert.equal((await sh("echo $A; pwd", { env: { A: "b" }, workDir: "/tmp" })).stdout, "b\n/tmp\n");
  const missing = await client.exec.run({ sandbox: SANDBOX, command: ["/no/such"] });
  assert.deepEqual([missing.exitCode, missing.cause, missing.startError.kind], [null, "never_started", "not_found"]);
});

test("its id is known before it runs, and its start is told", async () => {
  const run = sh("sleep 0.2");
  const started = await run.started;
  assert.equal(started.execId, run.execId);
  assert.ok(started.pid > 0);
  assert.equal((await client.exec.get({ execId: run.execId })).state, "running");
  assert.equal((await run).execId, run.execId);
});

test("output comes as it is written", async () => {
  const run = sh("echo a; sleep 0.3; echo b >&2; sleep 0.3; echo c; exit 2", { stream: true });
  const seen = [];
  const times = [];
  for await (const chunk of run) {
    seen.push([chunk.stream, chunk.offset, chunk.data]);
    times.push(Date.now());
  }
  assert.deepEqual(seen, [["stdout", 0, "a\n"], ["stderr", 0, "b\n"], ["stdout", 2, "c\n"]]);
  assert.ok(times[2] - times[0] > 400, "they came together");
  assert.equal((await run.result).exitCode, 2);
});

test("50 MB as a stream, byte exact", { timeout: 120_000 }, async () => {
  const run = client.exec.run(
    { sandbox: SANDBOX, command: writer(SIZE), stream: true, maxOutputBytes: 1 << 20 },
    { encoding: "bytes" },
  );
  const got = await drain(run);
  assert.equal(got.stdout.size, SIZE);
  assert.equal(got.stdout.hash, got.stderr.text);
  assert.equal((await run).exitCode, 0);
});

test("a slow reader holds back its command and nobody else", { timeout: 120_000 }, async () => {
  const run = client.exec.run(
    { sandbox: SANDBOX, command: writer(SIZE), stream: true, maxOutputBytes: 1 << 20 },
    { encoding: "bytes" },
  );
  await run.started;
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i++) {
    await client.system.ping();
    await sleep(50);
  }
  assert.ok(process.memoryUsage().rss - before < 30 << 20, "the stream is in our memory");
  assert.equal((await client.exec.get({ execId: run.execId })).state, "running");
  const got = await drain(run);
  assert.deepEqual([got.stdout.size, got.stdout.hash], [SIZE, got.stderr.text]);
});

test("break leaves the stream, and the result still comes", async () => {
  const run = client.exec.run({ sandbox: SANDBOX, command: writer(SIZE / 5), stream: true }, { encoding: "bytes" });
  for await (const chunk of run) {
    assert.ok(chunk.size > 0);
    break;
  }
  assert.equal((await run).cause, "exited");
});

test("characters are never cut", async () => {
  const program = `
import os, time
os.write(1, b"a" + "\u20ac".encode() * 200000)
for b in "\u{1f600}".encode():
    os.write(1, bytes([b])); time.sleep(0.05)
os.write(1, b"z")
`;
  const run = client.exec.run({ sandbox: SANDBOX, command: ["/usr/bin/python3", "-c", program], stream: true });
  let text = "";
  let bytes = 0;
  for await (const chunk of run) {
    assert.equal(chunk.offset, bytes);
    assert.ok(!chunk.data.includes("\ufffd"), "a character was cut");
    text += chunk.data;
    bytes += chunk.size;
  }
  assert.equal(text, "a" + "\u20ac".repeat(200000) + "\u{1f600}z");
});

test("bytes that are no text", async () => {
  const script = "printf 'a\\377\\000b'";
  const asBytes = await sh(script, {}, { encoding: "bytes" });
  assert.deepEqual([...asBytes.stdout], [97, 255, 0, 98]);
  assert.equal((await sh(script)).stdout, "a\ufffd\u0000b");
  const raw = await client.call("exec.run", { sandbox: SANDBOX, command: ["/bin/sh", "-c", script] });
  assert.deepEqual(raw.stdout, { base64: Buffer.from([97, 255, 0, 98]).toString("base64") });
  const chunks = [];
  for await (const chunk of sh(script, { stream: true }, { encoding: "bytes" })) chunks.push(chunk.data);
  assert.deepEqual([...Buffer.concat(chunks)], [97, 255, 0, 98]);
});

test("stdin: text, bytes, a stream, and nothing", async () => {
  const cat = { sandbox: SANDBOX, command: ["cat"] };
  assert.equal((await client.exec.run({ ...cat, stdin: { text: "\u20ac" } })).stdout, "\u20ac");
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const back = await client.exec.run({ ...cat, stdin: bytes }, { encoding: "bytes" });
  assert.deepEqual([...back.stdout], [...bytes]);
  assert.equal((await client.exec.run(cat)).stdout, "", "closed unless asked for");
  const run = client.exec.run({ ...cat, stdin: "stream" });
  await run.write("one ");
  await run.write(new TextEncoder().encode("two"));
  await run.closeStdin();
  assert.equal((await run).stdout, "one two");
});

test("5 MB through stdin", { timeout: 60_000 }, async () => {
  const run = client.exec.run({ sandbox: SANDBOX, command: ["sha256sum"], stdin: "stream" });
  const hash = createHash("sha256");
  for (let i = 0; i < 80; i++) {
    const block = Buffer.alloc(65536, i);
    hash.update(block);
    await run.write(block);
  }
  await run.closeStdin();
  assert.equal((await run).stdout.slice(0, 64), hash.digest("hex"));
});

test("files come before it starts", async () => {
  const files = [{ path: "in.bin", data: Uint8Array.of(0, 255), mode: "0600" }];
  const result = await sh("od -An -tx1 in.bin; rm in.bin", { files });
  assert.equal(result.stdout.trim(), "00 ff");
});

test("a terminal", async () => {
  const run = sh("stty size; read x; stty size", { tty: { rows: 10, cols: 20 }, stdin: "stream", stream: true });
  await run.started;
  await run.resize(30, 40);
  await run.write("\n");
  let text = "";
  for await (const chunk of run) {
    assert.equal(chunk.stream, "output");
    text += chunk.data;
  }
  assert.match(text, /30 40\r\n$/);
});

test("an AbortSignal kills it before it rejects", async () => {
  for (const stream of [false, true]) {
    const controller = new AbortController();
    const run = sh("trap '' TERM; sleep 60 & wait; sleep 60", { graceMs: 200, stream }, { signal: controller.signal });
    await run.started;
    controller.abort(new Error("enough"));
    await assert.rejects(run.result, (e) => e.name === "AbortError" && e.kind === "cancelled" && e.code === -32009);
    const { state, result } = await client.exec.get({ execId: run.execId });
    assert.deepEqual([state, result.cause], ["ended", "cancelled"]);
    if (stream) await assert.rejects(drain(run), { name: "AbortError" });
  }
});

test("cancel and signal", async () => {
  const run = sh("sleep 60");
  await run.cancel();
  assert.equal((await run).cause, "cancelled");
  const other = sh("exec sleep 60");
  await other.signal("TERM");
  assert.deepEqual([(await other).cause, (await other).exitCode], ["signaled", null]);
});

test("a timeout is a result", async () => {
  const begin = Date.now();
  const result = await sh("sleep 60", { timeoutMs: 200 });
  assert.equal(result.cause, "timeout");
  assert.ok(Date.now() - begin < 5000);
});

test("detached, then attached from an offset", async () => {
  const exec = await sh("printf 0123456789; sleep 0.3; printf abc", { detach: true });
  assert.equal(exec.state, "running");
  await sleep(100);
  let text = "";
  const run = client.exec.attach({ execId: exec.execId, from: { stdout: 4 } });
  for await (const chunk of run) text += chunk.data;
  assert.equal(text, "456789abc");
  assert.equal((await run).stdout, "0123456789abc");
});

test("ending an attach leaves the command", async () => {
  const { execId } = await sh("sleep 60", { detach: true });
  const controller = new AbortController();
  const run = client.exec.attach({ execId }, { signal: controller.signal });
  await run.started;
  controller.abort();
  await assert.rejects(run.result, { name: "AbortError" });
  assert.equal((await client.exec.get({ execId })).state, "running");
  await client.exec.cancel({ execId });
});

test("100 at once", { timeout: 60_000 }, async () => {
  const runs = [];
  for (let i = 0; i < 100; i++) runs.push(sh(`echo ${i}; echo e${i} >&2; exit ${i % 7}`, { stream: i % 3 === 0 }));
  const results = await Promise.all(runs);
  results.forEach((r, i) => assert.deepEqual([r.stdout, r.stderr, r.exitCode], [`${i}\n`, `e${i}\n`, i % 7]));
});

test("an error reaches every way of waiting", async () => {
  const run = client.exec.run({ sandbox: "nobody", command: ["true"], stream: true });
  await assert.rejects(run.started, { kind: "not_found" });
  await assert.rejects(run.result, { kind: "not_found" });
  await assert.rejects(drain(run), { kind: "not_found" });
  await assert.rejects(run.write("x"), { kind: "not_found" });
});
