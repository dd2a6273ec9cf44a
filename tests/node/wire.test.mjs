// SPDX-License-Identifier: Apache-2.0
// What a daemon could send but seldom does: torn lines, nonsense, progress. The daemon here is a script.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SandboxdClient } from "../../client/node/src/index.js";

let folder, socket, server, answer, client;
const open = new Set();

before(async () => {
  folder = mkdtempSync("/tmp/sbn-");
  socket = join(folder, "s");
  server = createServer((connection) => {
    open.add(connection);
    connection.on("error", () => {});
    createInterface({ input: connection }).on("line", (line) => answer(JSON.parse(line), connection));
  });
  server.listen(socket);
  await once(server, "listening");
  client = await SandboxdClient.connect({ socket });
});

after(() => {
  client?.close();
  server?.close();
  for (const connection of open) connection.destroy();
  rmSync(folder, { recursive: true, force: true });
});

const line = (message) => JSON.stringify({ jsonrpc: "2.0", ...message }) + "\n";

test("lines that come in pieces of seven bytes, and many in one", async () => {
  const text = "\u{1f600}\u20ac".repeat(50);
  answer = async ({ id }, connection) => {
    const bytes = Buffer.from(line({ id, result: { text } }));
    for (let at = 0; at < bytes.length; at += 7) {
      connection.write(bytes.subarray(at, at + 7));
      await sleep(0);
    }
  };
  assert.deepEqual(await client.system.ping(), { text });
  const waiting = [];
  answer = ({ id }, connection) => {
    waiting.unshift(line({ id, result: { id } }));
    if (waiting.length === 50) connection.write(waiting.join(""));
  };
  const answers = await Promise.all(Array.from({ length: 50 }, () => client.system.ping()));
  answers.forEach((a, i) => assert.equal(a.id, answers[0].id + i));
});

test("progress goes to the call that it belongs to", async () => {
  answer = ({ id, params }, connection) => {
    for (const n of [1, 2]) {
      const progress = { requestId: id, message: `${params.tool} ${n}`, current: n, total: 2 };
      connection.write(line({ method: "progress", params: progress }));
    }
    connection.write(line({ method: "progress", params: { requestId: 99999, message: "nobody's" } }));
    connection.write(line({ id, result: {} }));
  };
  const seen = { a: [], b: [] };
  await Promise.all(
    ["a", "b"].map((tool) => client.template.build({ tool }, { onProgress: (p) => seen[tool].push([p.message, p.current]) })),
  );
  assert.deepEqual(seen, { a: [["a 1", 1], ["a 2", 2]], b: [["b 1", 1], ["b 2", 2]] });
});

test("notifications go to onNotification", async () => {
  const seen = [];
  const other = new SandboxdClient({ socket, onNotification: (method, params) => seen.push([method, params.x]) });
  answer = ({ id }, connection) => connection.write(line({ method: "new.one", params: { x: 1 } }) + line({ id, result: {} }));
  await other.system.ping();
  assert.deepEqual(seen, [["new.one", 1]]);
  other.close();
});

test("what is no JSON ends the connection, and nothing else", async () => {
  answer = (_, connection) => connection.write("nonsense\n");
  await assert.rejects(client.sandbox.remove({ sandbox: "x" }), (e) => e.kind === "connection_lost" && e.cause instanceof SyntaxError);
  answer = ({ id }, connection) => connection.write(line({ id, result: {} }));
  assert.deepEqual(await client.system.ping(), {});
});

test("an error about a line, not a call, reaches all that wait on its connection", async () => {
  answer = (_, connection) => {
    const error = { code: -32600, message: "the line is too long", data: { kind: "invalid_request" } };
    connection.write(line({ id: null, error }));
  };
  await assert.rejects(client.system.ping(), { code: -32600, kind: "invalid_request" });
  answer = ({ id }, connection) => connection.write(line({ id, result: {} }));
  assert.deepEqual(await client.system.ping(), {});
});

test("answers to nobody and errors without data are taken as they are", async () => {
  answer = ({ id }, connection) => {
    connection.write(line({ id: 123456, result: {} }));
    connection.write(line({ id, error: { code: -32603, message: "oops" } }));
  };
  await assert.rejects(client.sandbox.remove({ sandbox: "x" }), { code: -32603, message: "oops", kind: "internal_error" });
});
