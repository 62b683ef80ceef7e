// SPDX-License-Identifier: AGPL-3.0-or-later

import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef } from 'react';

import c from './VirtualRows.module.css';

type VirtualRowsProps = {
  label: string;
  /** Gives head and rows their columns. */
  className: string | undefined;
  /** The heads of the columns; each is a cell of role columnheader. */
  head: ReactNode;
  count: number;
  /** How many there are in the end; absent: it is not known. */
  all?: number;
  /** How high a row is, in pixels. */
  height: number;
  keyOf: (index: number) => string | number;
  /** The cells of a row; each has the role cell. */
  row: (index: number) => ReactNode;
  /** The end has come into sight: more is wanted. */
  onEnd?: () => void;
};

const near = 40; // rows before the end at which more is wanted

/** VirtualRows is a table of any length, of which only the rows in sight are in the document. */
export function VirtualRows(props: VirtualRowsProps) {
  const { label, className, head, count, all = -1, height, keyOf, row, onEnd } = props;
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- what it returns is used here only
  const rows = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: keyOf,
    overscan: 12,
  });
  useEffect(() => rows.measure(), [rows, height]);
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  const atEnd = last >= count - near;
  useEffect(() => {
    if (atEnd) onEnd?.();
  }, [atEnd, count, onEnd]);
  return (
    <div role="table" aria-label={label} aria-rowcount={all < 0 ? -1 : all + 1} className={c.table}>
      <div role="rowgroup">
        <div role="row" aria-rowindex={1} className={`${className} ${c.head}`}>
          {head}
        </div>
      </div>
      <div className={c.scroller} ref={scroller} role="rowgroup" tabIndex={count > 0 ? 0 : undefined}>
        <div style={{ height: rows.getTotalSize() }} className={c.whole} role="none">
          {items.map(({ index, key, start }) => (
            <div
              key={key}
              role="row"
              aria-rowindex={index + 2}
              className={`${className} ${c.row}`}
              style={{ height, transform: `translateY(${start}px)` }}
            >
              {row(index)}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
