// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/SegmentedControl.css';

import { Button, SegmentedControl } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconDownload, IconInfoCircle } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type CSSProperties, useRef, useState } from 'react';

import type { BatchPreview } from '../api';
import { Section } from '../components/layout';
import { Failed, Loading } from '../components/states';
import { count, counted } from '../format/numbers';
import c from './Batch.module.css';
import {
  aside,
  columnsOf,
  cutSays,
  type Remark,
  rowsOf,
  rowsShown,
  rowWords,
  type ShownCell,
  type ShownRow,
} from './preview';
import { type Checked, useAllRows, useRemarks } from './useCheck';

type GridProps = { preview: BatchPreview };

/** FaultGrid shows what is wrong with a file, cell by cell; or its first rows, if nothing is. */
export default function FaultGrid({ preview, of }: GridProps & { of: Checked }) {
  const hints = aside(preview.hints, preview);
  return (
    <>
      {preview.fault_count > 0 ? (
        <Faults preview={preview} of={of} />
      ) : (
        preview.shown.length > 0 && (
          <Section
            title="What ADIT has read"
            right={<span className="small dim num">{rowsShown(preview)}</span>}
            flush
          >
            <Grid rows={rowsOf(preview)} preview={preview} />
          </Section>
        )
      )}
      {hints.length > 0 && (
        <Section title="Worth a look" right={<span className="small dim">These are no faults.</span>} flush>
          <Remarks list={hints} />
        </Section>
      )}
    </>
  );
}

type FaultsProps = GridProps & { of: Checked };

/** Faults shows the rows that have a fault, or all of them, and gives them back as a file. */
function Faults({ preview, of }: FaultsProps) {
  const [chosen, choose] = useState<string>();
  const [whole, setWhole] = useState(false);
  const all = useAllRows(of, whole);
  const remarks = useRemarks(of);
  const narrow = useMediaQuery('(max-width: 760px)', false, { getInitialValueInEffect: false });
  const kind = preview.kinds.some((k) => k.kind === chosen) ? chosen : undefined;
  const shown = whole ? all.data : preview;
  const rows = shown ? rowsOf(shown, kind) : [];
  const cut = shown && cutSays(shown, whole);
  const cards = narrow && !whole && preview.faulty_rows > 0;
  const besides = aside(
    preview.faults.filter((f) => !kind || f.kind === kind),
    preview,
  );
  return (
    <Section
      title="Faults"
      right={
        <div className={c.faultsHead}>
          {preview.faulty_rows > 0 && (
            <SegmentedControl
              value={whole ? 'all' : 'faulty'}
              onChange={(which) => {
                setWhole(which === 'all');
                choose(undefined);
              }}
              data={[
                { value: 'faulty', label: counted(preview.faulty_rows, 'faulty row') },
                { value: 'all', label: `All ${count(preview.rows)}` },
              ]}
              aria-label="Which rows"
            />
          )}
          <Button
            variant="default"
            size="xs"
            leftSection={<IconDownload size={15} aria-hidden />}
            loading={remarks.isPending}
            onClick={() => remarks.mutate()}
          >
            With remarks (.xlsx)
          </Button>
        </div>
      }
      flush
    >
      {remarks.error && <Failed error={remarks.error} />}
      <Kinds
        preview={preview}
        kind={kind}
        choose={(next) => {
          setWhole(false);
          choose(next);
        }}
      />
      <Remarks list={besides} bad />
      {whole && all.error && <Failed error={all.error} retry={() => void all.refetch()} />}
      {whole && all.isPending && <Loading rows={6} label="Reading all rows" />}
      {cut && <p className={c.cut}>{cut}</p>}
      {shown &&
        rows.length > 0 &&
        (cards ? <Cards rows={rows} preview={shown} /> : <Grid rows={rows} preview={shown} />)}
    </Section>
  );
}

type KindsProps = GridProps & { kind: string | undefined; choose: (kind: string | undefined) => void };

function Kinds({ preview, kind, choose }: KindsProps) {
  return (
    <div className={c.kinds} role="group" aria-label="Show faults of a kind">
      {preview.kinds.map((k) => (
        <button
          key={k.kind}
          type="button"
          className={c.kind}
          aria-pressed={kind === k.kind}
          onClick={() => choose(kind === k.kind ? undefined : k.kind)}
        >
          <b>{count(k.count)}</b> {k.title}
        </button>
      ))}
    </div>
  );
}

/** Remarks are about the file as a whole, or rows that are not shown. */
function Remarks({ list, bad }: { list: Remark[]; bad?: boolean }) {
  if (list.length === 0) return null;
  return (
    <ul className={c.remarks} data-bad={bad}>
      {list.map((r) => (
        <li key={`${r.column ?? ''} ${r.says}`}>
          <b className="strong num">{rowWords(r.rows)}</b>
          {r.column && <span className="dim"> · {r.column}</span>}
          <p>{r.says}</p>
        </li>
      ))}
    </ul>
  );
}

type RowsProps = GridProps & { rows: ShownRow[] };

const rowNumber = 64; // pixels
const columnLeast = 132;
const unread = 36;

function Grid({ rows, preview }: RowsProps) {
  const columns = columnsOf(preview);
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- what it returns is used here only
  const places = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => unread,
    getItemKey: (i) => rows[i]?.row ?? i,
    overscan: 12,
  });
  const items = places.getVirtualItems();
  const gap = (height: number) => height > 0 && <tbody aria-hidden style={{ height }} />;
  const faulty = new Set(preview.faults.map((f) => f.column));
  const weights = columns.map((name) => (name.endsWith('UID') || faulty.has(name) ? 1.5 : 1));
  const sum = weights.reduce((all, w) => all + w, 0);
  const least = { '--least': `${rowNumber + sum * columnLeast}px` } as CSSProperties;
  return (
    <div className={c.scroller} ref={scroller} tabIndex={0} role="region" aria-label="Rows of the file">
      <table className={c.grid} style={least} aria-rowcount={rows.length + 1}>
        <colgroup>
          <col style={{ width: rowNumber }} />
          {weights.map((w, i) => (
            <col key={i} style={{ width: `${(100 * w) / sum}%` }} />
          ))}
        </colgroup>
        <thead>
          <tr>
            <th scope="col">Row</th>
            {columns.map((name, i) => (
              <th key={name} scope="col">
                {name}
                {i >= preview.columns.length && <span className={c.kept}> kept</span>}
              </th>
            ))}
          </tr>
        </thead>
        {gap(items[0]?.start ?? 0)}
        {items.map(({ index, key }) => {
          const row = rows[index];
          return (
            row && (
              <tbody key={key} ref={places.measureElement} data-index={index}>
                <GridRow row={row} columns={columns.length} index={index} />
              </tbody>
            )
          );
        })}
        {gap(places.getTotalSize() - (items.at(-1)?.end ?? 0))}
      </table>
    </div>
  );
}

function GridRow({ row, columns, index }: { row: ShownRow; columns: number; index: number }) {
  const whole = row.faults.length + row.hints.length > 0;
  return (
    <>
      <tr aria-rowindex={index + 2}>
        <th scope="row">{row.row}</th>
        {row.cells.map((cell, i) => (
          <td key={i} data-bad={cell.faults.length > 0 || undefined}>
            <Value cell={cell} />
            <Said faults={cell.faults} hints={cell.hints} />
          </td>
        ))}
      </tr>
      {whole && (
        <tr>
          <td className={c.corner} />
          <td colSpan={columns} data-bad={row.faults.length > 0 || undefined}>
            <Said faults={row.faults} hints={row.hints} />
          </td>
        </tr>
      )}
    </>
  );
}

function Value({ cell }: { cell: ShownCell }) {
  if (cell.text) return <bdi>{cell.text}</bdi>;
  return cell.faults.length > 0 ? <i className="dim">empty</i> : null;
}

function Said({ faults, hints }: { faults: string[]; hints: string[] }) {
  return (
    <>
      {faults.map((says) => (
        <span key={says} className={c.bad}>
          {says}
        </span>
      ))}
      {hints.map((says) => (
        <span key={says} className={c.hinted}>
          <IconInfoCircle size={13} aria-label="To be looked at:" role="img" />
          {says}
        </span>
      ))}
    </>
  );
}

/** Cards are the faults as a list, where there is no room for a grid. */
function Cards({ rows, preview }: RowsProps) {
  const columns = columnsOf(preview);
  const [most, showMore] = useState(100);
  const faults = rows.flatMap((r) => [
    ...r.faults.map((says) => ({ row: r.row, column: '', text: '', says })),
    ...r.cells.flatMap((cell, i) =>
      cell.faults.map((says) => ({ row: r.row, column: columns[i] ?? '', text: cell.text || 'empty', says })),
    ),
  ]);
  return (
    <>
      <ul className={c.remarks} data-bad aria-label="Faults">
        {faults.slice(0, most).map((f) => (
          <li key={`${f.row} ${f.column} ${f.says}`}>
            <b className="strong num">Row {f.row}</b>
            {f.column && (
              <>
                <span className="dim"> · {f.column} · </span>
                <bdi>{f.text}</bdi>
              </>
            )}
            <span className={c.bad}>{f.says}</span>
          </li>
        ))}
      </ul>
      {faults.length > most && (
        <button type="button" className={c.moreFaults} onClick={() => showMore(most + 100)}>
          Show more of {count(faults.length)}
        </button>
      )}
    </>
  );
}
