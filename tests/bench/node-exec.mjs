// SPDX-License-Identifier: Apache-2.0
// exec.run of /bin/true with captured output over the Node client: node-exec.mjs SOCKET SANDBOX N prints
// how long each took, in nanoseconds, one per line.

import { SandboxdClient } from "../../client/node/src/index.js";

const WARM_UP = 50; // until the compiler has seen the code

const [socket, sandbox, count] = process.argv.slice(2);
const client = await SandboxdClient.connect({ socket });
const times = [];

for (let i = -WARM_UP; i < Number(count); i++) {
  const begin = process.hrtime.bigint();
  const { cause, exitCode } = await client.exec.run({ sandbox, command: ["/bin/true"] });
  const end = process.hrtime.bigint();
  if (cause !== "exited" || exitCode !== 0) throw new Error(`true ended with ${cause} ${exitCode}`);
  if (i >= 0) times.push(end - begin);
}
console.log(times.join("\n"));
