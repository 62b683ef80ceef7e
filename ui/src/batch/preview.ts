// SPDX-License-Identifier: AGPL-3.0-or-later

import type { BatchFault, BatchPreview } from '../api';
import { count, counted } from '../format/numbers';
import type { BatchKind } from './kept';

/** listed writes names as people list them: "A, B and C". */
export function listed(names: string[]): string {
  const last = names.at(-1) ?? '';
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${last}` : last;
}

const delimiters: Record<string, string> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars' };

/** holdsSays says what is in a file: "512 rows, 4 columns, 1 more kept: SiteCode". */
export function holdsSays(p: BatchPreview): string {
  const parts = [counted(p.rows, 'row'), counted(p.columns.length, 'column')];
  const extra = p.extra_columns;
  if (extra.length > 0) parts.push(`${count(extra.length)} more kept: ${extra.join(', ')}`);
  return parts.join(', ');
}

/** readSays says how a file was read: the sheet of a workbook, or encoding and delimiter of a text. */
export function readSays(p: BatchPreview): string {
  if (p.sheet) return `Sheet ${p.sheet}.`;
  const parted = p.delimiter ? ` with ${delimiters[p.delimiter] ?? p.delimiter} between its values` : '';
  return p.encoding ? `Text in ${p.encoding}${parted}.` : '';
}

/** makesSays says what the rows without a fault make: "489 studies of 231 patients", "489 searches for 231 patients". */
export function makesSays(p: BatchPreview, kind: BatchKind): string {
  if (kind === 'batch_transfer')
    return `${counted(p.tasks, 'study', 'studies')} of ${counted(p.patients, 'patient')}`;
  const searches = counted(p.tasks, 'search', 'searches');
  return p.patients > 0 ? `${searches} for ${counted(p.patients, 'patient')}` : searches;
}

/** identifiedSays says of how many rows the patients keep their identity; empty: of none. */
function identifiedSays(rows: number): string {
  if (rows === 0) return '';
  if (rows === 1) return '1 row has no pseudonym: its patient keeps their identity.';
  return `${count(rows)} rows have no pseudonym: their patients keep their identity.`;
}

/** verdictOf says whether a job can be made of a file. */
export function verdictOf(p: BatchPreview, kind: BatchKind): { fine: boolean; title: string; says: string } {
  if (p.fault_count === 0) {
    const merged = p.merged_rows > 0 ? `, ${count(p.merged_rows)} of them together with another row` : '';
    const title = `${counted(p.rows, 'row')}: ${makesSays(p, kind)}${merged}.`;
    return { fine: true, title, says: identifiedSays(p.identified_rows) };
  }
  const faulty = p.faulty_rows;
  const title =
    faulty > 0
      ? `${count(faulty)} of ${counted(p.rows, 'row')} ${faulty === 1 ? 'has' : 'have'} faults.`
      : `The file has ${counted(p.fault_count, 'fault')}.`;
  const others = p.rows - faulty;
  const rest =
    others > 0 && p.tasks > 0
      ? ` The other ${others === 1 ? 'one is' : `${count(others)} are`} fine: ${makesSays(p, kind)}.`
      : '';
  return { fine: false, title, says: `Nothing was created.${rest}` };
}

/** ShownCell is a cell of the preview, and what is to be said of it. */
export type ShownCell = { text: string; faults: string[]; hints: string[] };

/** ShownRow is a row of the preview. faults and hints are those of the whole row. */
export type ShownRow = { row: number; cells: ShownCell[]; faults: string[]; hints: string[] };

const placed = (list: BatchFault[], kind?: string) => {
  const rows = new Map<number, BatchFault[]>();
  for (const f of list) {
    if (kind && f.kind !== kind) continue;
    const row = rows.get(f.row);
    if (row) row.push(f);
    else rows.set(f.row, [f]);
  }
  return rows;
};

/** columnsOf are the columns of the preview: those that ADIT knows, then the others. */
export function columnsOf(p: BatchPreview): string[] {
  return [...p.columns, ...p.extra_columns];
}

/** rowsOf are the rows of the preview, or those that have a fault of a kind, with all that is to be said of them. */
export function rowsOf(p: BatchPreview, kind?: string): ShownRow[] {
  const columns = columnsOf(p);
  const told = new Map<string, number>(); // hints are long and alike: each is told once
  const brief = (row: number, says: string) => {
    const first = told.get(says);
    if (first === undefined) told.set(says, row);
    return first === undefined || first === row ? says : `As in row ${first}.`;
  };
  const [chosen, faults, hints] = [placed(p.faults, kind), placed(p.faults), placed(p.hints)];
  return p.shown
    .filter((r) => !kind || chosen.has(r.row))
    .map(({ row, cells }) => {
      const of = (list: Map<number, BatchFault[]>, column: string | undefined) =>
        (list.get(row) ?? [])
          .filter((f) => (column ? f.column === column : !f.column || !columns.includes(f.column)))
          .map((f) => (column || !f.column ? f.says : `${f.column}: ${f.says}`));
      return {
        row,
        cells: columns.map((column, i) => ({
          text: cells[i] ?? '',
          faults: of(faults, column),
          hints: of(hints, column).map((says) => brief(row, says)),
        })),
        faults: of(faults, undefined),
        hints: of(hints, undefined).map((says) => brief(row, says)),
      };
    });
}

/** rowsShown says how many of the rows of a file without a fault are shown: "512 rows", "The first 50 of 512 rows". */
export function rowsShown(p: BatchPreview): string {
  const [n, all] = [p.shown.length, counted(p.rows, 'row')];
  return n < p.rows ? `The first ${count(n)} of ${all}` : all;
}

/** cutSays says what a preview leaves out of the faults, or of all rows; empty: nothing. */
export function cutSays(p: BatchPreview, all: boolean): string {
  const [n, of] = [p.shown.length, all || p.faulty_rows === 0 ? p.rows : p.faulty_rows];
  const says = [];
  if (n < of) says.push(`Only the first ${count(n)} of ${count(of)} rows are shown.`);
  const named = p.faults.length;
  if (named < p.fault_count)
    says.push(`Only the first ${count(named)} of ${count(p.fault_count)} faults are named.`);
  return says.join(' ');
}

/** Remark is what is to be said of some rows at once. */
export type Remark = { says: string; column?: string; rows: number[] };

/** aside are the remarks about rows that the preview does not show, such as the header; alike ones together. */
export function aside(list: BatchFault[], p: BatchPreview): Remark[] {
  const shown = new Set(p.shown.map((r) => r.row));
  const found = new Map<string, Remark>();
  for (const { row, column, says } of list) {
    if (shown.has(row)) continue;
    const key = `${column ?? ''}\n${says}`;
    const remark = found.get(key) ?? { says, column, rows: [] };
    if (row > 0) remark.rows.push(row);
    found.set(key, remark);
  }
  return [...found.values()];
}

const mostRows = 3;

/** rowWords names rows: "Row 17", "Rows 3, 4, 5 and 12 others". */
export function rowWords(rows: number[]): string {
  if (rows.length === 0) return 'The file';
  if (rows.length === 1) return `Row ${rows[0]}`;
  if (rows.length <= mostRows + 1) return `Rows ${listed(rows.map(String))}`;
  return `Rows ${rows.slice(0, mostRows).join(', ')} and ${count(rows.length - mostRows)} others`;
}
