// SPDX-License-Identifier: Apache-2.0
// Where a daemon's socket is. What somebody names (an argument, SANDBOXD_SOCKET) is meant: then
// nothing else is tried, or a typo would send commands to another daemon.

import { lstatSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { NOT_RUNNING, SandboxdError } from "./errors.js";

const NAME = "sandboxd.sock";

function uid() {
  return process.geteuid ? process.geteuid() : -1;
}

function tmpPath() {
  return `/tmp/sandboxd-${uid()}/${NAME}`;
}

/** The places, in the order in which they are tried. */
export function socketCandidates(given) {
  const named = given || process.env.SANDBOXD_SOCKET;
  if (named) return [named];
  const places = [];
  const runtime = process.env.XDG_RUNTIME_DIR;
  if (runtime && runtime.startsWith("/")) places.push(`${runtime}/sandboxd/${NAME}`);
  places.push(`/run/user/${uid()}/sandboxd/${NAME}`, `/run/sandboxd/${NAME}`, tmpPath());
  return [...new Set(places)];
}

// /tmp is everybody's: a directory there counts only if nobody else could have made it.
function checkTmp(path) {
  const st = lstatSync(dirname(path));
  if (!st.isDirectory() || st.uid !== uid() || (st.mode & 0o077) !== 0) {
    throw Object.assign(new Error(`${dirname(path)} is not ours alone`), { code: "EACCES" });
  }
}

function connectTo(path) {
  return new Promise((resolve, reject) => {
    if (path === tmpPath()) checkTmp(path);
    const socket = connect({ path });
    const fail = (error) => {
      socket.destroy();
      reject(error);
    };
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

/** A connected net.Socket, or a SandboxdError of kind not_running. */
export async function openSocket(given) {
  const places = socketCandidates(given);
  let first;
  for (const path of places) {
    try {
      return await connectTo(path);
    } catch (error) {
      // a place without a socket says less than one with a dead or forbidden one
      if (!first || first.error.code === "ENOENT") first = { path, error };
    }
  }
  const dead = first.error.code === "ENOENT" ? places.join(", ") : first.path;
  throw new SandboxdError(`no sandboxd answers at ${dead} (${first.error.code ?? first.error.message})`, {
    kind: NOT_RUNNING,
    hint: "sandboxctl daemon start",
    cause: first.error,
  });
}
