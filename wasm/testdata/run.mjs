// SPDX-License-Identifier: AGPL-3.0-or-later
// Does the jobs of TestSameAsServer: node run.mjs adit-deid.mjs <jobs.json >answers.json

import { createHash, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto; // Node 18 has it here only
const { load, DeidError } = await import(pathToFileURL(process.argv[2]));
const engine = await load();
const sha256 = (parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest("hex");

/** Gives a file in pieces of odd sizes. */
async function* pieces(file) {
  for (let at = 0, n = 1; at < file.length; at += n, n = Math.min(n * 7 + 1, 100_003)) {
    yield file.subarray(at, at + n);
  }
}

async function read(stream) {
  const parts = [];
  for await (const p of stream) {
    parts.push(p);
  }
  return parts;
}

async function answer({ file, profile, subject }) {
  const made = engine.profile(typeof profile === "string" ? profile : JSON.stringify(profile));
  const said = { hash: made.hash };
  const bytes = new Uint8Array(readFileSync(file));
  let session;
  try {
    said.identity = engine.identify(bytes).identity;
    session = made.session(subject);
    const { bytes: out, report } = session.rewrite(bytes);
    said.sha256 = sha256([out]);
    said.report = report;
  } catch (e) {
    if (!(e instanceof DeidError)) {
      throw e;
    }
    Object.assign(said, { kind: e.kind, reason: e.reason, message: e.message });
  }
  if (!session) {
    return said;
  }
  try {
    const { stream } = await session.rewriteStream(pieces(bytes));
    said.streamed = sha256(await read(stream));
  } catch (e) {
    if (!(e instanceof DeidError) || e.message !== said.message) {
      throw e;
    }
  }
  session.release();
  return said;
}

const input = [];
for await (const part of process.stdin) {
  input.push(part);
}
const answers = [];
for (const job of JSON.parse(Buffer.concat(input))) {
  answers.push(await answer(job));
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0)); // the engine would serve for ever
