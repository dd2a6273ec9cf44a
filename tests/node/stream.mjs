// SPDX-License-Identifier: Apache-2.0
// A stream whose every byte depends on its place, and what a reader got of it.

import { createHash } from "node:crypto";

export const SIZE = 50_000_000;

const PROGRAM = `
import hashlib, sys
o, h, left, n = sys.stdout.buffer, hashlib.sha256(), int(sys.argv[1]), 0
while left:
    b = (hashlib.sha256(str(n).encode()).digest() * 32768)[:min(left, 1 << 20)]
    o.write(b); h.update(b); left -= len(b); n += 1
o.flush()
sys.stderr.write(h.hexdigest())
`;

/** A command that writes SIZE bytes to stdout and their SHA-256 to stderr. */
export function writer(size) {
  return ["/usr/bin/python3", "-c", PROGRAM, String(size)];
}

/** Reads RUN (encoding bytes) to its end; offsets must be without gap and overlap. */
export async function drain(run) {
  const streams = { stdout: { size: 0, sha: createHash("sha256"), text: "" }, stderr: { size: 0, sha: createHash("sha256"), text: "" } };
  for await (const { stream, offset, size, data } of run) {
    const s = streams[stream];
    if (offset !== s.size || size !== data.length) throw new Error(`${stream}: ${size} bytes at ${offset}, expected at ${s.size}`);
    s.size += size;
    s.sha.update(data);
    if (s.size < 1000) s.text += Buffer.from(data).toString();
  }
  for (const s of Object.values(streams)) s.hash = s.sha.digest("hex");
  return streams;
}
