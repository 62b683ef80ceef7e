// SPDX-License-Identifier: AGPL-3.0-or-later

const words: Record<string, string> = {
  selective_transfer: 'Selective Transfer',
  batch_query: 'Batch Query',
  batch_transfer: 'Batch Transfer',
  mass_transfer: 'Mass Transfer',
  upload: 'Upload',
};

/** kindWords says what kind a job is of. */
export function kindWords(kind: string): string {
  return words[kind] ?? kind;
}
