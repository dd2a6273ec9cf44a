// SPDX-License-Identifier: Apache-2.0
// Is compiled with --strict by package.test.mjs, never run: what must be accepted, and what must not.

import {
  SandboxdClient,
  SandboxdError,
  createLoopSandbox,
  destroyLoopSandbox,
  execInSandbox,
  isSandboxAvailable,
  spawnTool,
  type RunResult,
  type Sandbox,
} from "sandboxd";

const c: SandboxdClient = await SandboxdClient.connect({ socket: "/x" });
const s: Sandbox = await c.call("sandbox.create", { name: "a", workspace: "/w" });
const s2: Sandbox = await c.sandbox.create({ name: "a", network: "host" });
const r: RunResult = await c.exec.run({ sandbox: s.name, command: ["true"] });
const out: string | null | undefined = r.stdout;
const run = c.exec.run({ sandbox: s.name, command: ["true"], stream: true }, { encoding: "bytes" });
for await (const chunk of run) {
  const d: Uint8Array = chunk.data;
  void d;
}
const e = await c.exec.run({ sandbox: "a", command: ["true"], detach: true });
const st: "starting" | "running" | "ended" = e.state;
await c.exec.write({ execId: e.execId, data: new Uint8Array(3) });
// @ts-expect-error an unknown parameter
await c.sandbox.create({ nam: "a" });
// @ts-expect-error a wrong type
await c.call("sandbox.get", { sandbox: 3 });
// @ts-expect-error a method that does not exist
await c.call("sandbox.gte", { sandbox: "a" });
// @ts-expect-error params are required
await c.sandbox.get();
await c.system.ping();
await c.system.info().then(i => i.limits.lineBytes + 1);
for await (const event of c.events.watch({ cursor: "oldest", filter: { sandbox: "a" }, types: ["exec"] })) {
  const cursor: string = event.cursor;
  if (event.type === "events.gap") void event.cursor;
  void cursor;
  break;
}
// @ts-expect-error an unknown parameter
c.events.watch({ from: "oldest" });
const o: number = (await execInSandbox("a", ["x"], { env: { A: "b" }, timeout: 3 })).exitCode;
const b: boolean = await isSandboxAvailable();
await spawnTool("l", "claude", ["-p"], { auth: async () => ({ A: "b" }) });
try {
  await c.sandbox.remove({ sandbox: "a", force: true }, { signal: AbortSignal.timeout(1000) });
} catch (x) {
  if (x instanceof SandboxdError && x.kind === "not_found") {
    const facts: [number, string | undefined] = [x.code, x.hint];
    void facts;
  }
}
const name: string = await createLoopSandbox("l", "claude", "/w", { network: "host", limits: { pids: 100 }, host: false });
const killed: number | undefined = (await destroyLoopSandbox("l", { outcome: "failed" }))?.processesKilled;
// @ts-expect-error an unknown outcome
await destroyLoopSandbox("l", { outcome: "fine" });
const agent = c.loop.run({ loopId: "l", tool: "claude", prompt: "do it", stream: true });
for await (const chunk of agent) void (chunk.data satisfies string);
const state: "completed" | "failed" | "cancelled" = (await agent).state;
void [state, name, killed, s2, out, st, o, b];
