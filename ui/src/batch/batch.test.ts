// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, test } from 'vitest';

import type { BatchFault, BatchPreview } from '../api';
import { remarksName, sizeFault, textToBase64, toBase64 } from './file';
import {
  aside,
  cutSays,
  holdsSays,
  makesSays,
  readSays,
  rowsOf,
  rowsShown,
  rowWords,
  verdictOf,
} from './preview';

const fault = (row: number, kind: string, column?: string, says = `${kind} of row ${row}.`): BatchFault => ({
  row,
  kind,
  column,
  says,
});

const preview = (change: Partial<BatchPreview> = {}): BatchPreview => ({
  columns: ['PatientID', 'StudyInstanceUID'],
  extra_columns: [],
  rows: 512,
  faulty_rows: 0,
  tasks: 498,
  merged_rows: 0,
  patients: 236,
  identified_rows: 0,
  fault_count: 0,
  kinds: [],
  faults: [],
  hints: [],
  shown: [],
  ...change,
});

describe('a file', () => {
  test('goes into base64 as it is', async () => {
    const bytes = Uint8Array.from({ length: 70_001 }, (_, i) => i % 256);
    const text = await toBase64(new Blob([bytes]));
    expect(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))).toEqual(bytes);
    expect(await toBase64(new Blob(['PatientID\n'], { type: 'text/csv' }))).toBe(btoa('PatientID\n'));
  });
  test('and so does a text, in UTF-8', async () => {
    const text = `Phäntom,幻影\r\n${'x'.repeat(20_000)}`;
    expect(textToBase64(text)).toBe(await toBase64(new Blob([text])));
  });
  test('has another name with remarks', () => {
    const names = ['rows.xlsx', 'Stroke 2.0.csv', 'rows'].map(remarksName);
    expect(names).toEqual(['rows-remarks.xlsx', 'Stroke 2.0-remarks.xlsx', 'rows-remarks.xlsx']);
  });
  test('is too large, or empty', () => {
    const mebibyte = 1 << 20;
    expect(sizeFault(0, true)).toMatch(/empty/);
    expect(sizeFault(5 * mebibyte, false)).toBe('');
    expect(sizeFault(5 * mebibyte + 1, false)).toMatch(/larger than 5 MiB/);
    expect(sizeFault(5 * mebibyte + 1, true)).toBe('');
    expect(sizeFault(32 * mebibyte + 1, true)).toMatch(/larger than 32 MiB/);
  });
});

describe('what is said of a preview', () => {
  test('what it holds, and how it was read', () => {
    expect(holdsSays(preview())).toBe('512 rows, 2 columns');
    expect(holdsSays(preview({ rows: 1, extra_columns: ['SiteCode', 'Cohort'] }))).toBe(
      '1 row, 2 columns, 2 more kept: SiteCode, Cohort',
    );
    expect(readSays(preview({ sheet: 'Sheet1' }))).toBe('Sheet Sheet1.');
    expect(readSays(preview({ encoding: 'UTF-8', delimiter: ';' }))).toBe(
      'Text in UTF-8 with semicolons between its values.',
    );
  });
  test('what it makes', () => {
    expect(makesSays(preview(), 'batch_transfer')).toBe('498 studies of 236 patients');
    expect(makesSays(preview(), 'batch_query')).toBe('498 searches for 236 patients');
    expect(makesSays(preview({ tasks: 1, patients: 0 }), 'batch_query')).toBe('1 search');
  });
  test('the verdict', () => {
    const title = (change: Partial<BatchPreview>) => {
      const { fine, title, says } = verdictOf(preview(change), 'batch_transfer');
      return `${fine ? '+' : '-'} ${title} ${says}`.trim();
    };
    expect(title({})).toBe('+ 512 rows: 498 studies of 236 patients.');
    expect(title({ merged_rows: 14 })).toBe(
      '+ 512 rows: 498 studies of 236 patients, 14 of them together with another row.',
    );
    expect(title({ identified_rows: 512 })).toBe(
      '+ 512 rows: 498 studies of 236 patients. 512 rows have no pseudonym: their patients keep their identity.',
    );
    expect(title({ fault_count: 16, faulty_rows: 16, tasks: 489, patients: 231 })).toBe(
      '- 16 of 512 rows have faults. Nothing was created. The other 496 are fine: 489 studies of 231 patients.',
    );
    expect(title({ fault_count: 2, faulty_rows: 1, rows: 1, tasks: 0 })).toBe(
      '- 1 of 1 row has faults. Nothing was created.',
    );
    expect(title({ fault_count: 1, faulty_rows: 0, rows: 3, tasks: 0 })).toBe(
      '- The file has 1 fault. Nothing was created.',
    );
  });
});

describe('the rows', () => {
  const p = preview({
    extra_columns: ['SiteCode'],
    faults: [
      fault(1, 'column', 'Patient ID'),
      fault(7, 'missing', 'PatientID'),
      fault(7, 'uid', 'StudyInstanceUID'),
      fault(9, 'fields'),
    ],
    hints: [
      fault(7, 'zeros', 'PatientID', 'Shorter.'),
      fault(9, 'zeros', 'PatientID', 'Shorter.'),
      fault(30, 'zeros', 'PatientID', 'Shorter.'),
      fault(31, 'zeros', 'PatientID', 'Shorter.'),
    ],
    shown: [
      { row: 7, cells: ['', '1.2.O', 'S1'] },
      { row: 9, cells: ['4711'] },
    ],
  });
  test('have each fault at its cell', () => {
    const [seven, nine] = rowsOf(p);
    expect(seven?.cells.map((c) => c.text)).toEqual(['', '1.2.O', 'S1']);
    expect(seven?.cells.map((c) => c.faults)).toEqual([['missing of row 7.'], ['uid of row 7.'], []]);
    expect(seven?.cells[0]?.hints).toEqual(['Shorter.']);
    expect([nine?.faults, nine?.cells[0]?.hints]).toEqual([['fields of row 9.'], ['As in row 7.']]);
  });
  test('are chosen by a kind of fault, and keep their other faults', () => {
    const rows = rowsOf(p, 'uid');
    expect(rows.map((r) => r.row)).toEqual([7]);
    expect(rows[0]?.cells[0]?.faults).toEqual(['missing of row 7.']);
  });
  test('that are not shown are told beside', () => {
    expect(aside(p.faults, p)).toEqual([{ says: 'column of row 1.', column: 'Patient ID', rows: [1] }]);
    expect(aside(p.hints, p)).toEqual([{ says: 'Shorter.', column: 'PatientID', rows: [30, 31] }]);
    expect(aside([fault(0, 'sheet')], p)).toEqual([{ says: 'sheet of row 0.', column: undefined, rows: [] }]);
  });
  test('may be left out, which is said', () => {
    const shown = (n: number) => Array.from({ length: n }, (_, i) => ({ row: i + 2, cells: [] }));
    expect(rowsShown(preview({ shown: shown(50) }))).toBe('The first 50 of 512 rows');
    expect(rowsShown(preview({ shown: shown(512) }))).toBe('512 rows');
    const faulty = { faulty_rows: 16, fault_count: 2, faults: [fault(7, 'uid'), fault(9, 'uid')] };
    expect(cutSays(preview({ ...faulty, shown: shown(16) }), false)).toBe('');
    expect(cutSays(preview({ ...faulty, shown: shown(16) }), true)).toBe(
      'Only the first 16 of 512 rows are shown.',
    );
    expect(cutSays(preview({ ...faulty, shown: shown(512) }), true)).toBe('');
    expect(
      cutSays(preview({ ...faulty, fault_count: 1234, faulty_rows: 600, shown: shown(500) }), false),
    ).toBe('Only the first 500 of 600 rows are shown. Only the first 2 of 1,234 faults are named.');
  });
  test('are named', () => {
    const words = [[], [17], [3, 4], [3, 4, 5, 6], [3, 4, 5, 6, 7]].map(rowWords);
    expect(words).toEqual([
      'The file',
      'Row 17',
      'Rows 3 and 4',
      'Rows 3, 4, 5 and 6',
      'Rows 3, 4, 5 and 2 others',
    ]);
  });
});
