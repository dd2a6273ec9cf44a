// SPDX-License-Identifier: Apache-2.0
// The package as npm installs it: what is in it, that it works from a fresh folder, that its types hold.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Daemon, packages } from "./daemon.mjs";

const run = promisify(execFile);
const SOURCE = new URL("../../client/node/", import.meta.url).pathname;
const HERE = new URL("./", import.meta.url).pathname;
let daemon, folder;

before(async () => {
  daemon = await Daemon.start();
  folder = mkdtempSync("/tmp/sbn-fresh-");
  await run("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: SOURCE });
  writeFileSync(join(folder, "package.json"), '{"name": "fresh", "private": true, "type": "module"}\n');
  const version = JSON.parse(readFileSync(join(SOURCE, "package.json"))).version;
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./sandboxd-${version}.tgz`], { cwd: folder });
});

after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await daemon?.stop();
});

test("it needs nothing else, and has nothing that it does not need", async () => {
  const { stdout } = await run("npm", ["ls", "--all", "--parseable"], { cwd: folder });
  assert.equal(stdout.trim().split("\n").length, 2, stdout);
  const { stdout: files } = await run("find", [join(folder, "node_modules/sandboxd"), "-type", "f", "-printf", "%P\n"]);
  const names = files.trim().split("\n").sort();
  for (const name of ["LICENSE", "README.md", "package.json", "src/index.js", "src/index.d.ts", "src/rpc.d.ts"])
    assert.ok(names.includes(name), `${name} is missing`);
  assert.deepEqual(names.filter((n) => !/^(LICENSE|README\.md|package\.json|src\/[a-z.-]+\.(js|d\.ts))$/.test(n)), []);
  const own = JSON.parse(readFileSync(join(folder, "node_modules/sandboxd/package.json")));
  assert.equal(own.dependencies, undefined);
});

test("it works from a fresh folder: the program of its README", async () => {
  const readme = readFileSync(join(folder, "node_modules/sandboxd/README.md"), "utf8");
  const program = /```js\n([\s\S]*?)```/.exec(readme)[1];
  writeFileSync(join(folder, "program.js"), program);
  const { stdout } = await run(process.execPath, ["program.js"], {
    cwd: folder,
    env: { ...process.env, SANDBOXD_SOCKET: daemon.socket },
  });
  assert.equal(stdout, "hello\nexited 0\n");
});

test("tsc --strict takes a program that uses everything, and refuses mistakes", { timeout: 120_000 }, async () => {
  copyFileSync(join(HERE, "example.ts"), join(folder, "example.ts"));
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"];
  await run(join(packages, ".bin/tsc"), [...options, "example.ts"], { cwd: folder }).catch((e) => assert.fail(e.stdout));
});
