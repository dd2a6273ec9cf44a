// SPDX-License-Identifier: Apache-2.0
// Calls: types, errors, cancel, many at once, where the socket is looked for.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SandboxdClient, SandboxdError, socketCandidates, toBytes, toText } from "../../client/node/src/index.js";
import { Daemon } from "./daemon.mjs";

let daemon, client;

before(async () => {
  daemon = await Daemon.start();
  client = await SandboxdClient.connect({ socket: daemon.socket });
});

after(async () => {
  client?.close();
  await daemon?.stop();
});

test("call and the groups are the same", async () => {
  assert.deepEqual(await client.system.ping(), {});
  assert.deepEqual(await client.call("system.ping"), {});
  const info = await client.system.info();
  assert.equal(info.protocol, "1.0");
  assert.equal(info.limits.lineBytes, 16 * 1024 * 1024);
  const document = await client.rpc.discover();
  assert.equal(document.info.version, info.protocol);
});

test("a sandbox from create to remove", async () => {
  const made = await client.sandbox.create({ name: "life", workspace: daemon.work, labels: { a: "b" } });
  assert.equal(made.state, "running");
  assert.deepEqual(made.workspaces, [{ path: daemon.work, readOnly: false }]);
  assert.equal((await client.sandbox.get({ sandbox: made.id })).name, "life");
  const { sandboxes } = await client.sandbox.list({ filter: { labels: { a: "b" } } });
  assert.deepEqual(sandboxes.map((s) => s.name), ["life"]);
  assert.equal((await client.sandbox.stop({ sandbox: "life" })).state, "stopped");
  assert.equal((await client.sandbox.start({ sandbox: "life" })).state, "running");
  await client.sandbox.remove({ sandbox: "life" });
  assert.deepEqual((await client.sandbox.list()).sandboxes, []);
});

test("errors are typed", async () => {
  await assert.rejects(client.sandbox.get({ sandbox: "nobody" }), (e) => {
    assert.ok(e instanceof SandboxdError && e instanceof Error);
    assert.deepEqual([e.code, e.kind, e.field, e.method], [-32001, "not_found", "sandbox", "sandbox.get"]);
    assert.match(e.hint, /^sandboxctl ls/);
    assert.match(e.message, /nobody/);
    return true;
  });
  await assert.rejects(client.sandbox.get({ sandbox: 3 }), { code: -32602, kind: "invalid_params", field: "sandbox" });
  await assert.rejects(client.sandbox.get({ sandbx: "x" }), { code: -32602, field: "sandbx" });
  await assert.rejects(client.call("no.such"), { code: -32601, kind: "method_not_found" });
  await assert.rejects(client.sandbox.create({ name: "x", limits: { memoryBytes: 1 } }), {
    kind: "invalid_params",
    field: "limits.memoryBytes",
  });
});

test("a request over the line limit fails by itself, others go on", async () => {
  const ping = client.system.ping();
  await assert.rejects(client.sandbox.create({ name: "x".repeat(17 * 1024 * 1024) }), { code: -32600, kind: "invalid_request" });
  await ping;
  await client.system.ping();
});

test("no daemon", async () => {
  const nowhere = join(daemon.top, "nowhere.sock");
  await assert.rejects(SandboxdClient.connect({ socket: nowhere }), (e) => {
    assert.equal(e.kind, "not_running");
    assert.match(e.message, /nowhere\.sock/);
    assert.equal(e.cause.code, "ENOENT");
    return e instanceof SandboxdError;
  });
});

test("where the socket is looked for", () => {
  const { SANDBOXD_SOCKET, XDG_RUNTIME_DIR } = process.env;
  const uid = process.geteuid();
  try {
    process.env.SANDBOXD_SOCKET = "/a/b";
    assert.deepEqual(socketCandidates("/c"), ["/c"]);
    assert.deepEqual(socketCandidates(), ["/a/b"]);
    delete process.env.SANDBOXD_SOCKET;
    process.env.XDG_RUNTIME_DIR = "/x";
    const rest = [`/run/user/${uid}/sandboxd/sandboxd.sock`, "/run/sandboxd/sandboxd.sock", `/tmp/sandboxd-${uid}/sandboxd.sock`];
    assert.deepEqual(socketCandidates(), ["/x/sandboxd/sandboxd.sock", ...rest]);
    process.env.XDG_RUNTIME_DIR = "not/absolute";
    assert.deepEqual(socketCandidates(), rest);
  } finally {
    for (const [key, value] of Object.entries({ SANDBOXD_SOCKET, XDG_RUNTIME_DIR })) {
      if (value === undefined) delete process.env[key];
      else process.env[key] = value;
    }
  }
});

test("a signal that has fired sends nothing; one that fires cancels a call", async () => {
  await assert.rejects(client.sandbox.create({ name: "never" }, { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.deepEqual((await client.sandbox.list()).sandboxes, []);
  await client.sandbox.create({ name: "waits" });
  const { execId } = await client.exec.run({ sandbox: "waits", command: ["sleep", "60"], detach: true });
  const controller = new AbortController();
  const wait = client.exec.wait({ execId }, { signal: controller.signal });
  setTimeout(() => controller.abort(new Error("enough")), 100);
  await assert.rejects(wait, (e) => e.name === "AbortError" && e.kind === "cancelled" && e.cause.message === "enough");
  assert.equal((await client.exec.get({ execId })).state, "running", "only the wait was cancelled");
  await client.exec.cancel({ execId });
  assert.equal((await client.exec.wait({ execId })).cause, "cancelled");
  await client.sandbox.remove({ sandbox: "waits" });
});

test("1000 calls at once, answered in any order", async () => {
  const calls = [];
  for (let i = 0; i < 1000; i++) {
    calls.push(i % 2 ? client.system.ping() : client.sandbox.get({ sandbox: `no-${i}` }).catch((e) => e.resource));
  }
  const answers = await Promise.all(calls);
  answers.forEach((answer, i) => assert.deepEqual(answer, i % 2 ? {} : `sandbox no-${i}`));
});

test("close ends what is in flight, and the client", async () => {
  const other = await SandboxdClient.connect({ socket: daemon.socket });
  await other.sandbox.create({ name: "closing" });
  const wait = other.exec.run({ sandbox: "closing", command: ["sleep", "60"] });
  await new Promise((resolve) => setTimeout(resolve, 100));
  other.close();
  await assert.rejects(wait, { kind: "closed" });
  await assert.rejects(other.system.ping(), { kind: "closed" });
  const { execs } = await client.exec.list({ filter: { sandbox: "closing" } });
  const result = await client.exec.wait({ execId: execs[0].execId });
  assert.equal(result.cause, "cancelled", "the daemon cancels what its client left");
  await client.sandbox.remove({ sandbox: "closing" });
});

test("text of the protocol", () => {
  assert.equal(toText("a\u20ac"), "a\u20ac");
  assert.equal(toText({ base64: "YWL/" }), "ab\ufffd");
  assert.deepEqual([...toBytes({ base64: "YWL/" })], [97, 98, 255]);
  assert.deepEqual([...toBytes("\u20ac")], [0xe2, 0x82, 0xac]);
});
