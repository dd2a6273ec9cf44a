// SPDX-License-Identifier: Apache-2.0
// Connections that are cut and daemons that are killed.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxdClient } from "../../client/node/src/index.js";
import { Daemon, Proxy } from "./daemon.mjs";
import { SIZE, drain, writer } from "./stream.mjs";

const SANDBOX = "sb";
let daemon, proxy, client, direct;

before(async () => {
  daemon = await Daemon.start();
  proxy = await Proxy.start(daemon.socket, join(daemon.top, "proxy.sock"));
  client = await SandboxdClient.connect({ socket: proxy.path });
  direct = await SandboxdClient.connect({ socket: daemon.socket });
  await direct.sandbox.create({ name: SANDBOX, workspace: daemon.work });
});

after(async () => {
  await direct?.sandbox.remove({ sandbox: SANDBOX, force: true }).catch(() => {});
  client?.close();
  direct?.close();
  await proxy?.stop();
  await daemon?.stop();
});

function sh(script, params = {}, options = {}) {
  return client.exec.run({ sandbox: SANDBOX, command: ["/bin/sh", "-c", script], ...params }, options);
}

test("the next call after a cut connects again", async () => {
  await client.system.ping();
  for (let i = 0; i < 5; i++) {
    proxy.cut();
    assert.deepEqual(await client.system.ping(), {});
    await sleep(10);
    proxy.cut();
    await sleep(10);
    assert.deepEqual(await client.system.ping(), {});
  }
});

test("events: none is missing and none comes twice over cuts", async () => {
  const seen = [];
  const wanted = new Set();
  const { cursor, subscription } = await direct.events.subscribe();
  await direct.events.unsubscribe({ subscription });
  const all = (async () => {
    for await (const event of client.events.watch({ cursor, filter: { sandbox: SANDBOX }, types: ["exec.ended"] })) {
      seen.push(event);
      if (event.execId === "last") return;
    }
  })();
  for (let i = 0; i < 10; i++) {
    const execId = `events-${i}`;
    wanted.add(execId);
    await direct.exec.run({ sandbox: SANDBOX, command: ["true"], execId });
    if (i % 3 === 1) proxy.cut();
  }
  await direct.exec.run({ sandbox: SANDBOX, command: ["true"], execId: "last" });
  await all;
  assert.deepEqual(seen.map((e) => e.execId), [...wanted, "last"]);
  assert.equal(new Set(seen.map((e) => e.cursor)).size, seen.length);
});

test("events: a signal and a break end it, what is kept can be read again", async () => {
  const abort = new AbortController();
  const waiting = (async () => {
    for await (const event of client.events.watch({ filter: { loopId: "none" } }, { signal: abort.signal })) assert.fail(event.type);
  })();
  await sleep(100);
  abort.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  const first = [];
  for await (const event of client.events.watch({ cursor: "oldest" })) if (first.push(event.cursor) === 3) break;
  const again = [];
  for await (const event of client.events.watch({ cursor: first[0] })) if (again.push(event.cursor) === 2) break;
  assert.deepEqual(again, first.slice(1));
  await assert.rejects(client.events.watch({ cursor: "x" }).next(), { kind: "invalid_params", field: "cursor" });
});

test("what only asks is asked again", async () => {
  const { execId } = await direct.exec.run({ sandbox: SANDBOX, command: ["sleep", "0.5"], detach: true });
  const wait = client.exec.wait({ execId });
  await sleep(100);
  proxy.cut();
  assert.equal((await wait).exitCode, 0);
});

test("a call that acts and is cut rejects with connection_lost", async () => {
  const run = sh("cat", { stdin: "stream", onDisconnect: "keep" });
  await run.started;
  const stubborn = direct.exec.run({
    sandbox: SANDBOX,
    command: ["/bin/sh", "-c", "trap '' TERM; echo ready; sleep 60"],
    graceMs: 1000,
    stream: true,
  });
  for await (const _ of stubborn) break;
  const cancel = client.exec.cancel({ execId: stubborn.execId });
  await sleep(100);
  proxy.cut();
  await assert.rejects(cancel, { kind: "connection_lost", code: 0, method: "exec.cancel" });
  assert.equal((await stubborn).cause, "cancelled");
  await run.closeStdin();
  assert.equal((await run).exitCode, 0, "the run itself was found again");
});

test("a stream that is cut five times is byte exact", { timeout: 180_000 }, async () => {
  proxy.passed = 0;
  proxy.cutAt = [1, 100_000, 7_000_000, 20_000_001, 45_678_901];
  const connections = proxy.connections;
  const run = client.exec.run(
    { sandbox: SANDBOX, command: writer(SIZE), stream: true, onDisconnect: "keep", maxOutputBytes: 2 * SIZE },
    { encoding: "bytes" },
  );
  const got = await drain(run);
  assert.deepEqual([got.stdout.size, got.stdout.hash], [SIZE, got.stderr.text]);
  assert.equal((await run).exitCode, 0);
  assert.deepEqual(proxy.cutAt, [], "it was not cut");
  assert.ok(proxy.connections >= connections + 6);
});

test("bytes that the spool forgot meanwhile are told, not skipped", { timeout: 60_000 }, async () => {
  const run = client.exec.run(
    { sandbox: SANDBOX, command: ["/bin/sh", "-c", "echo first; sleep 0.5; head -c 30000000 /dev/zero; echo last"], stream: true, onDisconnect: "keep", maxOutputBytes: 1 << 20 },
    { encoding: "bytes" },
  );
  const iterator = run[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value.size, 6);
  // away until it is over, so that nobody holds the spool
  const { path } = proxy;
  await proxy.stop();
  await direct.exec.wait({ execId: run.execId });
  proxy = await Proxy.start(daemon.socket, path);
  await assert.rejects(async () => {
    while (!(await iterator.next()).done);
  }, { kind: "output_lost", field: "maxOutputBytes" });
  assert.equal((await run).exitCode, 0);
});

test("a run without stream gets its result after a cut", async () => {
  const run = sh("sleep 0.5; echo done; exit 3", { onDisconnect: "keep" });
  await run.started;
  proxy.cut();
  const result = await run;
  assert.deepEqual([result.stdout, result.exitCode, result.cause], ["done\n", 3, "exited"]);
});

test("without keep the daemon cancels it, and the result says so", async () => {
  for (const stream of [false, true]) {
    const run = sh("sleep 60", { stream });
    await run.started;
    proxy.cut();
    assert.equal((await run).cause, "cancelled");
  }
});

test("an abort while the connection is away", async () => {
  const controller = new AbortController();
  const run = sh("sleep 60", { onDisconnect: "keep", stream: true }, { signal: controller.signal });
  await run.started;
  const { path } = proxy;
  await proxy.stop();
  await sleep(50);
  controller.abort();
  await sleep(50);
  proxy = await Proxy.start(daemon.socket, path);
  await assert.rejects(run.result, { name: "AbortError" });
  assert.equal((await direct.exec.get({ execId: run.execId })).result.cause, "cancelled");
});

test("a request that never arrived is sent again, one that did is not", async () => {
  for (let i = 0; i < 20; i++) {
    proxy.swallowing = i % 2 === 0;
    const run = sh(`echo x >> once-${i}; cat once-${i}; rm once-${i}`, { onDisconnect: "keep", stream: i % 4 < 2 });
    await sleep(i);
    proxy.swallowing = false;
    proxy.cut();
    const result = await run;
    assert.equal(result.stdout, "x\n", `run ${i}: ${JSON.stringify(result)}`);
  }
});

test("a daemon that is killed", { timeout: 60_000 }, async () => {
  const own = await Daemon.start();
  const c = await SandboxdClient.connect({ socket: own.socket, reconnectMs: 10_000 });
  try {
    await c.sandbox.create({ name: "dies" });
    const runs = [false, true].map((stream) => c.exec.run({ sandbox: "dies", command: ["sleep", "60"], stream }));
    await Promise.all(runs.map((run) => run.started));
    await own.kill();
    await assert.rejects(c.system.ping().then(() => c.sandbox.create({ name: "x" })), (e) => ["not_running", "connection_lost"].includes(e.kind));
    const ends = runs.map((run) => run.then((r) => r.cause, (e) => e.kind));
    await own.spawn();
    assert.deepEqual(await c.system.ping(), {});
    for (const end of await Promise.all(ends)) assert.ok(["sandbox_lost", "not_found", "cancelled"].includes(end), end);
    await c.sandbox.create({ name: "after" });
    assert.equal((await c.exec.run({ sandbox: "after", command: ["echo", "back"] })).stdout, "back\n");
  } finally {
    for (const { name } of (await c.sandbox.list()).sandboxes) await c.sandbox.remove({ sandbox: name, force: true });
    c.close();
    await own.stop();
  }
});

test("a daemon that stays away", async () => {
  const own = await Daemon.start();
  const c = await SandboxdClient.connect({ socket: own.socket, reconnectMs: 300 });
  await c.sandbox.create({ name: "dies" });
  const run = c.exec.run({ sandbox: "dies", command: ["sleep", "60"], stream: true });
  await run.started;
  await own.kill();
  await assert.rejects(drain(run), { kind: "not_running" });
  await assert.rejects(run.result, { kind: "not_running", hint: "sandboxctl daemon start" });
  await own.spawn(); // to clean up after the dead one
  await c.sandbox.remove({ sandbox: "dies", force: true });
  c.close();
  await own.stop();
});
