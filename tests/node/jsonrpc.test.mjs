// SPDX-License-Identifier: Apache-2.0
// A JSON-RPC library that nobody wrote for this: vscode-jsonrpc, with lines instead of its own framing.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { Daemon, packages } from "./daemon.mjs";

const rpc = createRequire(join(packages, "x.js"))("vscode-jsonrpc/node");
const { byName } = rpc.ParameterStructures;

class LineReader extends rpc.AbstractMessageReader {
  constructor(socket) {
    super();
    this.socket = socket;
  }

  listen(callback) {
    const lines = createInterface({ input: this.socket, crlfDelay: Infinity });
    lines.on("line", (line) => callback(JSON.parse(line)));
    lines.on("close", () => this.fireClose());
    return { dispose: () => lines.close() };
  }
}

class LineWriter extends rpc.AbstractMessageWriter {
  constructor(socket) {
    super();
    this.socket = socket;
  }

  async write(message) {
    this.socket.write(JSON.stringify(message) + "\n");
  }

  end() {
    this.socket.end();
  }
}

let daemon, socket, connection;

before(async () => {
  daemon = await Daemon.start();
  socket = connect(daemon.socket);
  await once(socket, "connect");
  connection = rpc.createMessageConnection(new LineReader(socket), new LineWriter(socket));
  connection.listen();
});

after(async () => {
  connection?.dispose();
  socket?.destroy();
  await daemon?.stop();
});

test("ping, discover, errors", async () => {
  assert.deepEqual(await connection.sendRequest("system.ping"), {});
  const document = await connection.sendRequest("rpc.discover");
  assert.ok(document.methods.some((m) => m.name === "exec.run"));
  await assert.rejects(connection.sendRequest("sandbox.get", byName, { sandbox: "nobody" }), (e) => {
    assert.ok(e instanceof rpc.ResponseError);
    assert.deepEqual([e.code, e.data.kind, e.data.field], [-32001, "not_found", "sandbox"]);
    return true;
  });
});

test("a command whose output comes as notifications", async () => {
  const box = await connection.sendRequest("sandbox.create", byName, { workspace: daemon.work });
  const notes = [];
  connection.onNotification("exec.started", (params) => notes.push(["started", params.sandbox]));
  connection.onNotification("exec.data", (params) => notes.push([params.stream, params.data]));
  const result = await connection.sendRequest("exec.run", byName, {
    sandbox: box.name,
    command: ["/bin/sh", "-c", "echo a; sleep 0.1; echo b >&2; exit 3"],
    stream: true,
  });
  assert.deepEqual(notes, [["started", box.name], ["stdout", "a\n"], ["stderr", "b\n"]]);
  assert.deepEqual([result.exitCode, result.cause], [3, "exited"]);
  await connection.sendRequest("sandbox.remove", byName, { sandbox: box.name });
});
