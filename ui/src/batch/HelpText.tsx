// SPDX-License-Identifier: AGPL-3.0-or-later

import type { ReactNode } from 'react';

import c from './Batch.module.css';
import type { Column } from './columns';
import type { BatchKind } from './kept';
import { Sample } from './Sample';

type HelpTextProps = {
  kind: BatchKind;
  columns: Column[];
  /** What it does. */
  does: ReactNode;
  /** What becomes a Warning, and what a Failure. */
  ends: ReactNode;
};

/** HelpText is what there is to say about a batch page: its columns above all. */
export function HelpText({ kind, columns, does, ends }: HelpTextProps) {
  return (
    <>
      <p>{does}</p>
      <h3 className={c.helpTitle}>The file</h3>
      <p>
        An Excel workbook (.xlsx), of which the first visible sheet is read, or a CSV file. The first row
        holds the names of the columns, written exactly so, in any order. Other columns are kept beside.
        Samples:{' '}
        <Sample kind={kind} format="xlsx">
          Excel
        </Sample>
        ,{' '}
        <Sample kind={kind} format="csv">
          CSV with commas
        </Sample>
        ,{' '}
        <Sample kind={kind} format="csv-semicolon">
          CSV with semicolons
        </Sample>
        .
      </p>
      <table className={c.columns}>
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">What it means</th>
            <th scope="col">Example</th>
          </tr>
        </thead>
        <tbody>
          {columns.map((column) => (
            <tr key={column.name}>
              <th scope="row">{column.name}</th>
              <td>
                {column.meaning}
                {column.required && <span className="dim"> Required {column.required}.</span>}
              </td>
              <td className="dim">{column.example}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <h3 className={c.helpTitle}>How it ends</h3>
      <p>{ends}</p>
      <h3 className={c.helpTitle}>Keys</h3>
      <p>Ctrl + Enter creates the job, once the file has no fault.</p>
    </>
  );
}
