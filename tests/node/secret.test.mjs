// SPDX-License-Identifier: Apache-2.0
// Secrets: stored, listed, lent to commands, taken back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SandboxdClient, createLoopSandbox, destroyLoopSandbox, execInSandbox } from "../../client/node/src/index.js";
import { Daemon } from "./daemon.mjs";

const CONFIG = "[secret from_program]\nprovider = command\ncommand = /bin/echo planted-by-program\n";
const NO_SOCKET = "/nonexistent/sandboxd.sock";

let daemon, client, box;

before(async () => {
  daemon = await Daemon.start(CONFIG);
  client = await SandboxdClient.connect({ socket: daemon.socket });
  box = await client.sandbox.create({ workspace: daemon.work });
});

after(async () => {
  if (box) await client.sandbox.remove({ sandbox: box.name, force: true });
  client?.close();
  await daemon?.stop();
});

// what a command prints of a value is masked
const isVariable = (name, value) => ["sh", "-c", `test "$${name}" = "${value}"`];

test("set as text or bytes, listed, removed", async () => {
  await client.secret.set({ secret: "stored", value: { text: "planted-text" } });
  const lease = () => client.secret.lease({ secret: "stored", ttlMs: 60_000, reveal: true });
  assert.equal((await lease()).value, "planted-text");
  await client.secret.set({ secret: "stored", value: new TextEncoder().encode("planted-bytes") });
  assert.equal((await lease()).value, "planted-bytes");
  const { secrets, tools } = await client.secret.list();
  assert.deepEqual(secrets.map((s) => [s.secret, s.provider]), [["from_program", "command"], ["stored", "store"]]);
  assert.ok(!JSON.stringify(secrets).includes("planted"));
  assert.deepEqual(tools.filter((t) => t.tool === "claude").map((t) => [t.ready, t.secret]), [[false, "claude_setup_token"]]);
  await client.secret.remove({ secret: "stored" });
  await assert.rejects(lease(), { code: -32001, kind: "not_found", field: "secret" });
});

test("lent to a command", async () => {
  const run = async (secrets, name, value) =>
    (await client.exec.run({ sandbox: box.name, command: isVariable(name, value), secrets })).exitCode;
  assert.equal(await run(["from_program"], "FROM_PROGRAM", "planted-by-program"), 0);
  assert.equal(await run([{ name: "from_program", env: "OTHER" }], "OTHER", "planted-by-program"), 0);
  assert.equal(await run(undefined, "FROM_PROGRAM", ""), 0);
  await assert.rejects(run(["nobody"], "NOBODY", ""), { kind: "not_found" });
});

test("a lease is taken back, alone or with all", async () => {
  const lease = () => client.secret.lease({ secret: "from_program", ttlMs: 60_000, sandbox: box.name });
  const { leaseId, value } = await lease();
  assert.equal(value, undefined);
  assert.ok((await client.secret.renew({ leaseId, ttlMs: 120_000 })).expiresAt);
  assert.equal((await client.secret.revoke({ leaseId })).revoked, 1);
  await assert.rejects(client.secret.renew({ leaseId, ttlMs: 60_000 }), { kind: "not_found" });
  const kept = await lease();
  const { leases } = await client.secret.leases({ sandbox: box.name });
  assert.deepEqual(leases.map((l) => [l.leaseId, l.holder.kind, l.sandbox]), [[kept.leaseId, "sandbox", box.name]]);
  assert.ok((await client.secret.revokeAll()).revoked >= 1);
});

test("an orchestrator's command has some, and none where no daemon lends them", async () => {
  const name = await createLoopSandbox("secrets", "shell", daemon.work, { socket: daemon.socket });
  const secrets = [{ name: "from_program", env: "TOKEN" }];
  const command = isVariable("TOKEN", "planted-by-program");
  assert.equal((await execInSandbox(name, command, { socket: daemon.socket, secrets })).exitCode, 0);
  await destroyLoopSandbox("secrets", { socket: daemon.socket });
  const host = await createLoopSandbox("no-daemon", "shell", daemon.work, { socket: NO_SOCKET, host: true });
  await assert.rejects(execInSandbox(host, command, { socket: NO_SOCKET, secrets }), { kind: "not_running" });
  await destroyLoopSandbox("no-daemon", { socket: NO_SOCKET });
});
