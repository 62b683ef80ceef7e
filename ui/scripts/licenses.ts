// SPDX-License-Identifier: AGPL-3.0-or-later

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import type { Plugin } from 'vite';

type Package = { name: string; version: string; license?: string };

/** rootOf is the folder of the package that a file belongs to. */
function rootOf(file: string): string {
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json')) || !named(folder)) folder = dirname(folder);
  return folder;
}

const read = (folder: string) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package;
const named = (folder: string) => Boolean(read(folder).name && read(folder).version);

function textOf(folder: string): string {
  const file = readdirSync(folder).find((f) => /^(licen[cs]e|ofl)(\.|$)/i.test(f));
  return file
    ? readFileSync(join(folder, file), 'utf8').trim()
    : `${read(folder).license ?? 'no licence named'}`;
}

/** licenses writes licenses.txt: what other people's work is in the pages, and under which licence. */
export function licenses(): Plugin {
  return {
    name: 'licenses',
    generateBundle(_, bundle) {
      const files = Object.values(bundle).flatMap((part) =>
        part.type === 'chunk' ? Object.keys(part.modules) : part.originalFileNames,
      );
      const roots = new Set(
        files
          .map((f) => f.replace(/^\0/, '').replace(/\?.*$/, ''))
          .filter((f) => f.includes('node_modules/') && existsSync(f))
          .map((f) => rootOf(resolve(f))),
      );
      const parts = [...roots]
        .map((root) => ({ ...read(root), text: textOf(root) }))
        .sort((a, b) => a.name.localeCompare(b.name))
        .map((p) => `${p.name} ${p.version} (${p.license ?? 'see below'})\n\n${p.text}`);
      const head = 'The pages of ADIT hold the work of others, under these licences.';
      this.emitFile({
        type: 'asset',
        fileName: 'licenses.txt',
        source: [head, ...parts].join(`\n\n${'-'.repeat(80)}\n\n`) + '\n',
      });
    },
  };
}
