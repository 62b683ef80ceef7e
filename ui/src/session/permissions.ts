// SPDX-License-Identifier: AGPL-3.0-or-later

type Words = { name: string; does: string };

const words: Record<string, Words> = {
  selective_transfer: {
    name: 'Selective Transfer',
    does: 'search a PACS and transfer studies that they pick',
  },
  batch_query: { name: 'Batch Query', does: 'search for many studies by a file' },
  batch_transfer: { name: 'Batch Transfer', does: 'transfer the studies that a file names' },
  mass_transfer: { name: 'Mass Transfer', does: 'transfer all studies of a time range' },
  explorer: { name: 'DICOM Explorer', does: 'look into a PACS, down to single attributes' },
  upload: { name: 'Upload', does: 'pseudonymize files in the browser and send them' },
  direct_download: { name: 'Direct download', does: 'download studies to their own computer' },
  dicomweb_query: { name: 'DICOMweb search', does: 'search by QIDO-RS' },
  dicomweb_retrieve: { name: 'DICOMweb retrieve', does: 'fetch images by WADO-RS' },
  dicomweb_store: { name: 'DICOMweb store', does: 'send images by STOW-RS' },
  urgent: { name: 'Urgent jobs', does: 'put their jobs before all others' },
  urgent_outside_windows: {
    name: 'Urgent at any hour',
    does: 'run urgent jobs while a server is closed for jobs',
  },
  transfer_unpseudonymized: {
    name: 'With identity',
    does: 'transfer studies that keep the patient’s identity',
  },
  tokens: { name: 'API tokens', does: 'make tokens for their own programs' },
  tokens_without_expiry: { name: 'Tokens without expiry', does: 'make tokens that never expire' },
  linkage: { name: 'Linkage table', does: 'see which patient is behind a pseudonym' },
  quarantine: { name: 'Quarantine', does: 'see and release instances that nobody asked for' },
};

/** inOrder sorts permissions by what they are about. */
export function inOrder(permissions: string[]): string[] {
  const known = Object.keys(words);
  const at = (p: string) => (p in words ? known.indexOf(p) : known.length);
  return [...permissions].sort((a, b) => at(a) - at(b));
}

/** permissionWords says what a permission is called, and what those who have it may do. */
export function permissionWords(permission: string): Words {
  return words[permission] ?? { name: permission, does: '' };
}
