// SPDX-License-Identifier: Apache-2.0
// The protocol's text: a string, or {base64} when the bytes are no UTF-8.

/** Bytes of a text of the protocol; null stays null. */
export function toBytes(text) {
  if (text === null || text === undefined) return text;
  if (typeof text === "string") return Buffer.from(text, "utf8");
  if (text instanceof Uint8Array) return text;
  return Buffer.from(text.base64, "base64");
}

/** The text as a string; what is no UTF-8 becomes U+FFFD. null stays null. */
export function toText(text) {
  if (text === null || text === undefined || typeof text === "string") return text;
  return Buffer.from(toBytes(text)).toString("utf8");
}

/** By an option "encoding": "utf8" (default) or "bytes". */
export function decode(text, encoding) {
  return encoding === "bytes" ? toBytes(text) : toText(text);
}

/** Params as they are sent: a Uint8Array anywhere in them becomes {base64}. */
export function encodeParams(value) {
  if (value instanceof Uint8Array) {
    const { buffer, byteOffset, byteLength } = value;
    return { base64: Buffer.from(buffer, byteOffset, byteLength).toString("base64") };
  }
  if (Array.isArray(value)) return value.map(encodeParams);
  if (value !== null && typeof value === "object") {
    const out = {};
    for (const [key, inner] of Object.entries(value)) {
      if (inner !== undefined) out[key] = encodeParams(inner);
    }
    return out;
  }
  return value;
}
