// SPDX-License-Identifier: AGPL-3.0-or-later

/** Loaded is a file that was read. Another version of it has another number. */
export type Loaded = { number: number; name: string; base64: string };

const mebibyte = 1 << 20;

/** sizeFault says that a file is too large for somebody, before it is sent; empty: it is not. */
export function sizeFault(size: number, staff: boolean): string {
  if (size === 0) return 'The file is empty. Save it in your spreadsheet, and choose it again.';
  const most = staff ? 32 : 5;
  if (size <= most * mebibyte) return '';
  return `The file is larger than ${most} MiB. Split it, or remove columns that ADIT does not need.`;
}

/** toBase64 reads a file as it is. */
export function toBase64(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve((reader.result as string).replace(/^[^,]*,/, ''));
    reader.onerror = () => reject(new Error('The file could not be read.'));
    reader.readAsDataURL(file);
  });
}

/** textToBase64 is toBase64 for a text that this page has made, in UTF-8. */
export function textToBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = '';
  for (let i = 0; i < bytes.length; i += 8192) binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary);
}

/** remarksName is what the workbook is called that has the remarks about a file. */
export function remarksName(name: string): string {
  return `${name.replace(/\.[^.]*$/, '')}-remarks.xlsx`;
}

/** save has the browser save something as a file. */
export function save(what: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(what);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it only when people have said where to
}
