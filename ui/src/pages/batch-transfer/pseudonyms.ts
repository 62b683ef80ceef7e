// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Pseudonyms } from '../../batch/kept';

/**
 * pseudonymsDiffer says that a file does not have the pseudonyms that were chosen; empty: it has. Of who may not send
 * identities the server says so itself, row by row.
 */
export function pseudonymsDiffer(chosen: Pseudonyms, columns: string[], mayIdentify: boolean): string {
  const has = columns.includes('Pseudonym');
  if (chosen === 'file' && !has && mayIdentify) {
    return 'The file has no column Pseudonym. Choose pseudonyms from the project, or none.';
  }
  if (chosen === 'none' && has) {
    return 'The file gives pseudonyms. Choose pseudonyms from the file, or remove its column Pseudonym.';
  }
  return '';
}
