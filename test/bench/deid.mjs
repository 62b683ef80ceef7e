// SPDX-License-Identifier: AGPL-3.0-or-later
// Times the browser's engine: node deid.mjs adit-deid.mjs FILE

import { webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

globalThis.crypto ??= webcrypto; // Node 18 has it here only
const { load } = await import(pathToFileURL(process.argv[2]));
const engine = await load();
const file = new Uint8Array(readFileSync(process.argv[3]));
const session = engine.profile("adit-default").session({ patientKey: new Uint8Array(32), patient: engine.identify(file).identity, pseudonym: "SUBJECT-01" });
const times = 500;
for (let i = 0; i < 50; i++) { // Node compiles while it runs
  session.rewrite(file);
}
const begin = performance.now();
for (let i = 0; i < times; i++) {
  session.rewrite(file);
}
const milliseconds = performance.now() - begin;
process.stdout.write(JSON.stringify({ times, milliseconds }), () => process.exit(0)); // the engine would serve for ever
