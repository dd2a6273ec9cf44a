// SPDX-License-Identifier: Apache-2.0
// A private sandboxd in a temporary directory, and a socket before it that can be cut.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS = 15_000;

export const build = process.env.SANDBOXD_TEST_BUILD ?? new URL("../../build/gcc", import.meta.url).pathname;
export const packages = process.env.SANDBOXD_TEST_PACKAGES; // node_modules with what the tests need of npm

const running = new Set();

// a test that fails does not come to its stop()
process.on("exit", () => {
  for (const daemon of running) daemon.process.kill("SIGTERM");
});

export class Daemon {
  static async start(config = "") {
    const daemon = new Daemon();
    daemon.top = mkdtempSync("/tmp/sbn-");
    daemon.config = join(daemon.top, "sandboxd.conf");
    daemon.socket = join(daemon.top, "run", "sandboxd.sock");
    daemon.work = join(daemon.top, "work");
    mkdirSync(daemon.work);
    writeFileSync(daemon.config, config);
    await daemon.spawn();
    return daemon;
  }

  async spawn() {
    const log = openSync(join(this.top, "log"), "a");
    const argv = ["--config", this.config, "--state-dir", join(this.top, "state"), "--runtime-dir", join(this.top, "run")];
    this.process = spawn(join(build, "daemon/sandboxd"), argv, { stdio: ["ignore", log, log], cwd: "/" });
    this.process.unref();
    running.add(this);
    this.exited = once(this.process, "exit").finally(() => running.delete(this));
    const deadline = Date.now() + START_MS;
    while (!(await this.answers())) {
      if (Date.now() > deadline || this.process.exitCode !== null) throw new Error(`sandboxd does not start: ${this.log()}`);
      await sleep(20);
    }
  }

  answers() {
    return new Promise((resolve) => {
      if (!existsSync(this.socket)) return resolve(false);
      const socket = connect(this.socket);
      socket.once("error", () => resolve(false));
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
    });
  }

  log() {
    return readFileSync(join(this.top, "log"), "utf8").slice(-2000);
  }

  async kill(signal = "SIGKILL") {
    this.process.ref();
    this.process.kill(signal);
    await this.exited;
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) await this.kill("SIGTERM");
    rmSync(this.top, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A socket that passes everything on, until it is cut. */
export class Proxy {
  #server;
  #pairs = new Set();
  connections = 0;
  passed = 0; // bytes from the daemon
  cutAt = []; // cut when so many bytes have passed, for each in turn
  swallowing = false; // what a client sends is lost

  static async start(target, path) {
    const proxy = new Proxy();
    proxy.path = path;
    proxy.#server = createServer((client) => proxy.#accept(client, target));
    proxy.#server.listen(path);
    await once(proxy.#server, "listening");
    return proxy;
  }

  #accept(client, target) {
    const daemon = connect(target);
    const pair = { client, daemon };
    this.connections++;
    this.#pairs.add(pair);
    for (const socket of [client, daemon]) {
      socket.on("error", () => this.#end(pair));
      socket.on("close", () => this.#end(pair));
    }
    client.on("data", (data) => this.swallowing || daemon.write(data));
    daemon.on("data", (data) => {
      if (pair.torn) return;
      this.passed += data.length;
      const at = this.cutAt[0];
      if (at !== undefined && this.passed >= at) {
        this.cutAt.shift();
        pair.torn = true; // only a part of it arrives, and nothing behind it
        client.write(data.subarray(0, data.length >> 1), () => this.#end(pair));
        return;
      }
      if (!client.write(data)) {
        daemon.pause();
        client.once("drain", () => daemon.resume());
      }
    });
  }

  #end(pair) {
    if (!this.#pairs.delete(pair)) return;
    pair.client.destroy();
    pair.daemon.destroy();
  }

  cut() {
    for (const pair of this.#pairs) this.#end(pair);
  }

  async stop() {
    this.#server.close();
    this.cut();
    rmSync(this.path, { force: true });
  }
}
