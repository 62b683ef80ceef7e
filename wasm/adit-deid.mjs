// SPDX-License-Identifier: AGPL-3.0-or-later

/**
 * ADIT's de-identification engine (dicom/deid) for the browser and for Node: the bytes that it gives are those that the server
 * would give. It needs wasm_exec.js and adit-deid.wasm beside it (`make wasm` puts the three into dist/wasm) and nothing else.
 *
 *     import { load } from "./adit-deid.mjs";
 *     const engine = await load();
 *     const session = engine.profile("adit-default").session({ patientKey, patient: engine.identify(file).identity, pseudonym: "P-1" });
 *     const { bytes, report } = session.rewrite(file);
 *
 * All that is wrong throws a DeidError. Calls that give no promise do their work before they return: half a megabyte takes a few
 * milliseconds. Use a worker for many files, and rewriteStream for large ones.
 */
import "./wasm_exec.js";

/**
 * An error of the engine. What it is about must not be sent.
 *
 * kind: "refused" (the profile leaves the object out; count it), "unsafe" (it can't be de-identified; name it), or "error"
 * (not a DICOM file, a wrong profile or subject, a source that failed).
 * reason: of "refused" burned-in, encapsulated-document, pixels-elsewhere, recognizable; of "unsafe" unparsable, unknown-sop-class,
 * undecodable-text, other-patient, overlay-in-pixels.
 * sopInstanceUID: of "refused" and "unsafe", as received.
 */
export class DeidError extends Error {
  constructor({ message, kind, reason, sopInstanceUID }) {
    super(message);
    this.name = "DeidError";
    this.kind = kind;
    this.reason = reason;
    this.sopInstanceUID = sopInstanceUID;
  }
}

let loads = 0;

/**
 * Loads the engine.
 * @param {URL|string|Response|Promise<Response>|BufferSource|WebAssembly.Module} [source] adit-deid.wasm; by default the file beside this one.
 * @returns {Promise<Engine>}
 */
export async function load(source = new URL("adit-deid.wasm", import.meta.url)) {
  const go = new globalThis.Go();
  const name = `adit-deid-${++loads}`;
  const functions = new Promise((resolve) => { globalThis[name] = resolve; });
  go.argv = ["adit-deid", name];
  const instance = await instantiate(source, go.importObject);
  go.run(instance); // it serves until the page goes
  try {
    return new Engine(await functions);
  } finally {
    delete globalThis[name];
  }
}

async function instantiate(source, imports) {
  if (typeof source === "string" || source instanceof URL) {
    source = await open(new URL(source, import.meta.url));
  }
  source = await source;
  if (source instanceof WebAssembly.Module) {
    return WebAssembly.instantiate(source, imports);
  }
  if (typeof Response !== "undefined" && source instanceof Response) {
    if (!source.ok) {
      throw new DeidError({ kind: "error", message: `the de-identification engine can't be loaded: ${source.status} ${source.statusText}` });
    }
    if (source.headers.get("Content-Type")?.startsWith("application/wasm")) {
      return (await WebAssembly.instantiateStreaming(source, imports)).instance;
    }
    source = await source.arrayBuffer();
  }
  return (await WebAssembly.instantiate(source, imports)).instance;
}

async function open(url) {
  if (url.protocol !== "file:") {
    return fetch(url);
  }
  const { readFile } = await import(/* @vite-ignore */ "node:fs/promises");
  return readFile(url);
}

/** An engine's functions never throw, but give {error}. */
function checked(result) {
  if (result?.error) {
    throw new DeidError(result.error);
  }
  return result;
}

/** What load gives. */
export class Engine {
  #functions;
  constructor(functions) { this.#functions = functions; }

  /** Names of the profiles that need no definition. */
  get profiles() { return [...this.#functions.profiles]; }

  /**
   * Makes a profile of a built-in one's name, or of a definition as the server gives it in JSON (text or object): name, version, base,
   * options, overrides [{tag, keyword, vr, creator, action, with, pattern}], allow, vocabulary. Unknown properties are errors.
   * @param {string|object} definition
   * @returns {Profile}
   */
  profile(definition) {
    if (typeof definition === "string" && definition.trimStart().startsWith("{")) {
      try {
        definition = JSON.parse(definition);
      } catch (e) {
        throw new DeidError({ kind: "error", message: `the de-identification profile is no JSON: ${e.message}` });
      }
    }
    return new Profile(checked(this.#functions.profile(definition)));
  }

  /**
   * Says whose a DICOM file is: {identity, patientID, patientName, studyInstanceUID, seriesInstanceUID, sopInstanceUID}, as received.
   * identity is what a session takes as its patient.
   * @param {Uint8Array} bytes the file, or as much of it as holds the header
   * @param {string} [issuer] configured for the source
   */
  identify(bytes, issuer = "") { return checked(this.#functions.identify(bytes, issuer)); }
}

/** A profile: what is done to which attribute. */
export class Profile {
  #made;
  constructor(made) { this.#made = made; }

  get name() { return this.#made.name; }
  get version() { return this.#made.version; }
  /** SHA-256 of what the profile says, as the server computes it. */
  get hash() { return this.#made.hash; }

  /**
   * Begins the work on the files of one patient.
   * @param {object} subject
   *   patientKey: the key of this patient, or of this upload, as the server derives it from the project's: Uint8Array(32) or 64 hexadecimal digits.
   *   It gives away nothing of other patients; the project's own key never comes here. generation: of UIDs (0); patient: the identity of
   *   identify(); issuer: the same as given there;
   *   pseudonym; charset: a term of Specific Character Set, in which text is read that declares none and isn't UTF-8 ("ISO_IR 100"; "ISO_IR 6": it is
   *   undecodable); trialID, trialName: Clinical Trial Protocol ID and Name. Without pseudonym only the trial is written, without both not one byte changes.
   * @returns {Session}
   */
  session(subject) { return new Session(checked(this.#made.session(subject))); }
}

/** The de-identification of one patient's files. A file of another patient is a DeidError with reason "other-patient". */
export class Session {
  #made;
  constructor(made) { this.#made = made; }

  /** Gives the UID that stands for one of an instance, series, study or frame of reference. */
  mapUID(uid) { return checked(this.#made.mapUID(uid)); }

  /**
   * De-identifies a DICOM file (PS3.10) in memory.
   * @param {Uint8Array} bytes
   * @returns {{bytes: Uint8Array, report: Report}}
   *
   * Report: studyInstanceUID, seriesInstanceUID, sopInstanceUID (as sent), transferSyntaxUID, counts {action: attributes},
   * behind (of those removed, the ones behind the pixel data), codes (of CID 7050), toUTF8 (the text was moved to ISO_IR 192),
   * assumedCharset (what its text was read in, if it declares no character set but has other bytes than ASCII; else empty).
   */
  rewrite(bytes) { return checked(this.#made.rewrite(bytes)); }

  /**
   * De-identifies a DICOM file piece by piece; memory doesn't follow the file's size. The promise is kept when the header is done.
   * If the stream fails, what was read of it must be thrown away. Until it has been read to its end, the report lacks what stands
   * behind the pixel data.
   * @param {ReadableStream<Uint8Array>|AsyncIterable<Uint8Array>} source such as file.stream()
   * @returns {Promise<{stream: ReadableStream<Uint8Array>, report: Report}>}
   */
  async rewriteStream(source) {
    const next = puller(source);
    let opened;
    try {
      opened = checked(await this.#made.open(next.pull));
    } catch (e) {
      await next.stop();
      throw e;
    }
    const stream = new ReadableStream({
      async pull(controller) {
        try {
          const { bytes, report } = checked(await opened.read());
          if (bytes) {
            controller.enqueue(bytes);
          } else {
            Object.assign(opened.report, report);
            controller.close();
          }
        } catch (e) {
          await next.stop();
          throw e;
        }
      },
      async cancel() {
        opened.cancel();
        await next.stop();
      },
    }, { highWaterMark: 0 });
    return { stream, report: opened.report };
  }

  /** Gives the session's memory back. It must not be used any more; streams that it opened may still be read. */
  release() { this.#made.release(); }
}

function puller(source) {
  if (typeof source.getReader === "function") {
    const reader = source.getReader();
    return {
      pull: async () => (await reader.read()).value ?? null,
      stop: () => reader.cancel().catch(() => {}),
    };
  }
  const iterator = source[Symbol.asyncIterator]();
  return {
    pull: async () => (await iterator.next()).value ?? null,
    stop: async () => { await iterator.return?.(); },
  };
}
