// SPDX-License-Identifier: AGPL-3.0-or-later
// TestModule: node module.mjs adit-deid.mjs FILE keys.json

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto; // Node 18 has it here only
const { load, DeidError } = await import(pathToFileURL(process.argv[2]));
const file = new Uint8Array(readFileSync(process.argv[3]));
const key = new Uint8Array(32).fill(5);

const wasm = readFileSync(new URL("adit-deid.wasm", pathToFileURL(process.argv[2])));
const engines = await Promise.all([load(), load(wasm), load(new WebAssembly.Module(wasm)), load(new Response(wasm, { headers: { "Content-Type": "application/wasm" } }))]);
const engine = engines[0];
assert.equal(engines[3].profile("adit").hash, engine.profile("adit").hash);
await assert.rejects(load(new Response("", { status: 404 })), { name: "DeidError", message: /404/ });
assert.ok(engine.profiles.includes("adit-default"));

const throws = (f, expected) => assert.throws(f, (e) => {
  assert.ok(e instanceof DeidError);
  assert.match(e.message, expected.message ?? /./);
  assert.equal(e.kind, expected.kind ?? "error");
  assert.equal(e.reason, expected.reason);
  return true;
});

// Profiles.
throws(() => engine.profile("none"), { message: /no built-in profile "none"/ });
throws(() => engine.profile("{"), { message: /no JSON/ });
throws(() => engine.profile({ name: "x", version: "1", base: "ps3.15-basic", option: [] }), { message: /option: unknown property/ });
throws(() => engine.profile({ name: "x", version: 1, base: "ps3.15-basic" }), { message: /version: it is not a text/ });
throws(() => engine.profile({ name: "x", version: "1", base: "ps3.15-basic", overrides: [{ keyword: "PatientName", acton: "keep" }] }), { message: /acton/ });
throws(() => engine.profile({ name: "x", version: "1", base: "ps3.15-basic", options: "all" }), { message: /not a list/ });
throws(() => engine.profile({ name: "x", version: "1", base: "ps3.15-basic", options: ["full-dates", "modified-dates"] }), { message: /dates/ });
throws(() => engine.profile(7), { message: /not an object/ });

// Subjects.
const profile = engine.profile("adit-default");
const { identity, patientID } = engine.identify(file.subarray(0, 8192));
assert.equal(patientID, "WASM-1");
const subject = { patientKey: key, patient: identity, pseudonym: "P-1" };
throws(() => profile.session({ ...subject, patientKey: undefined }), { message: /needs a patientKey/ });
throws(() => profile.session({ ...subject, key }), { message: /key: unknown property/ });
throws(() => profile.session({ ...subject, patientKey: "12" }), { message: /64 hexadecimal digits/ });
throws(() => profile.session({ ...subject, patientKey: new Uint8Array(31) }), { message: /32 bytes/ });
throws(() => profile.session({ ...subject, generation: 1.5 }), { message: /whole number/ });
throws(() => profile.session({ ...subject, generation: "1" }), { message: /whole number/ });
throws(() => profile.session({ ...subject, pseudonim: "x" }), { message: /pseudonim/ });
throws(() => profile.session({ ...subject, pseudonym: "a^b" }), {});

// What derives from a patient's key is what it always was.
const { patients, uploads } = JSON.parse(readFileSync(process.argv[4]));
for (const v of [...patients, ...uploads]) {
  for (const { generation, uid, becomes } of v.uids) {
    const derived = profile.session({ patientKey: v.patientKey, generation, patient: v.identity ?? "P\x1f", pseudonym: "P-1" });
    assert.equal(derived.mapUID(uid), becomes);
    derived.release();
  }
}

// Files.
const session = profile.session(subject);
const { bytes, report } = session.rewrite(file);
assert.equal(report.sopInstanceUID, session.mapUID(engine.identify(file).sopInstanceUID));
assert.equal(engine.identify(bytes).patientID, "P-1");
assert.ok(report.counts.uid > 2 && report.codes.includes("113100"));
throws(() => session.rewrite(new Uint8Array(0)), { message: /not a DICOM file/ });
throws(() => session.rewrite(file.subarray(0, file.length - 1)), {});
throws(() => profile.session({ ...subject, patient: "ANOTHER\x1f" }).rewrite(file), { kind: "unsafe", reason: "other-patient" });
const untouched = profile.session({});
assert.deepEqual(untouched.rewrite(bytes).bytes, bytes, "nothing is asked, nothing changes");

// Streams.
const read = async (stream) => Buffer.concat(await Array.fromAsync?.(stream) ?? await (async () => { const all = []; for await (const p of stream) all.push(p); return all; })());
for (const source of [new Blob([file]).stream(), (async function* () { yield file; })()]) {
  const opened = await session.rewriteStream(source);
  assert.ok(opened.report.counts.keep < report.counts.keep, "the pixel data has not passed yet");
  assert.ok((await read(opened.stream)).equals(Buffer.from(bytes)));
  assert.deepEqual(opened.report, report);
}
await assert.rejects(session.rewriteStream(new Blob(["no"]).stream()), { name: "DeidError", message: /not a DICOM file/ });
const cut = await session.rewriteStream(new Blob([file.subarray(0, 300_000)]).stream());
await assert.rejects(read(cut.stream), { name: "DeidError", message: /truncated/ });
const failing = await session.rewriteStream((async function* () { yield file.subarray(0, 100_000); throw new Error("line lost"); })());
await assert.rejects(read(failing.stream), { name: "DeidError", message: /line lost/ });

// A sink that goes away stops the source, which is asked for no more than the sink has taken.
let given = 0, stopped = false;
const lazy = await session.rewriteStream((async function* () {
  try {
    for (let at = 0; at < file.length; at += 1000) {
      given = at;
      yield file.subarray(at, at + 1000);
    }
  } finally {
    stopped = true;
  }
})());
assert.ok(given < 40_000, `${given} bytes taken before anybody read`);
await lazy.stream.cancel();
assert.ok(stopped);
session.release();
process.exit(0); // the engine would serve for ever
