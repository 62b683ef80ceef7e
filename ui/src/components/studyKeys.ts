// SPDX-License-Identifier: AGPL-3.0-or-later

import { type KeyboardEvent, type RefObject, useEffect, useRef, useState } from 'react';

import { isPicked, nothing, pick, range, type Selection } from './selection';
import { itemOf, itemsOf, type Row } from './studyRows';

const page = 12; // rows that Page Up and Page Down move by

type Options = {
  rows: Row[];
  body: RefObject<HTMLElement | null>;
  selection: Selection;
  onSelection: (selection: Selection) => void;
  /** toggle unfolds a study, or folds it. */
  toggle: (row: Row) => void;
};

/** useStudyKeys moves the focus through rows, and picks by keys, as a treegrid does. */
export function useStudyKeys({ rows, body, selection, onSelection, toggle }: Options) {
  const [activeID, setActiveID] = useState('');
  const found = rows.findIndex((row) => row.id === activeID);
  const active = Math.max(found, 0);
  const wanted = useRef(false);
  /** Where a range begins, and what was picked before it. */
  const anchor = useRef<{ at: number; before: Selection } | null>(null);

  useEffect(() => {
    if (!wanted.current) return;
    wanted.current = false;
    const row = body.current?.querySelector<HTMLElement>(`[data-index="${active}"]`);
    row?.focus({ preventScroll: true });
    row?.scrollIntoView({ block: 'nearest' });
  });

  const focus = (to: number) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, to))];
    if (!row) return;
    wanted.current = true;
    setActiveID(row.id);
  };
  const extend = (from: number, to: number) => {
    const end = Math.max(0, Math.min(rows.length - 1, to));
    anchor.current ??= { at: from, before: selection };
    onSelection(pick(anchor.current.before, itemsOf(range(rows, anchor.current.at, end)), true));
    focus(end);
  };
  const move = (from: number, to: number, extending: boolean) => {
    if (extending) return extend(from, to);
    anchor.current = null;
    focus(to);
  };
  const parent = (at: number) => rows.findLastIndex((row, i) => i <= at && row.kind === 'study');

  /** act does what a key means on a row; false: it means nothing here. */
  const act = (e: KeyboardEvent, at: number, row: Row): boolean => {
    switch (e.key) {
      case 'ArrowDown':
        move(at, at + 1, e.shiftKey);
        return true;
      case 'ArrowUp':
        move(at, at - 1, e.shiftKey);
        return true;
      case 'PageDown':
        move(at, at + page, e.shiftKey);
        return true;
      case 'PageUp':
        move(at, at - page, e.shiftKey);
        return true;
      case 'Home':
        move(at, 0, e.shiftKey);
        return true;
      case 'End':
        move(at, rows.length - 1, e.shiftKey);
        return true;
      case 'ArrowRight':
        if (row.kind === 'study') (row.open ? () => focus(at + 1) : () => toggle(row))();
        return true;
      case 'ArrowLeft':
        if (row.kind !== 'study') focus(parent(at));
        else if (row.open) toggle(row);
        return true;
      case 'Enter':
        if (e.ctrlKey || e.metaKey || row.kind !== 'study') return false;
        toggle(row);
        return true;
      case ' ':
        anchor.current = null;
        pickRow(at);
        return true;
      case 'Escape':
        if (selection.size === 0) return false;
        anchor.current = null;
        onSelection(nothing);
        return true;
      default:
        return (e.ctrlKey || e.metaKey) && withControl(e.key, row);
    }
  };
  const withControl = (key: string, row: Row): boolean => {
    if (key === 'a') {
      onSelection(pick(selection, itemsOf(rows.filter((r) => r.kind === 'study')), true));
      return true;
    }
    if (key !== 'c' || getSelection()?.toString()) return false;
    const uid = row.kind === 'series' ? row.series.series_instance_uid : row.study.study_instance_uid;
    void navigator.clipboard.writeText(uid).catch(() => undefined);
    return true;
  };

  /** pickRow picks a row, or lets go of it; with Shift, all from the one that was picked last. */
  const last = useRef(-1);
  const pickRow = (at: number, shift = false) => {
    const item = itemOf(rows[at]);
    if (!item) return;
    const on = !isPicked(selection, item);
    const items = shift && last.current >= 0 ? itemsOf(range(rows, last.current, at)) : [item];
    last.current = at;
    onSelection(pick(selection, items, on));
  };

  return {
    active,
    setActive: (row: Row) => setActiveID(row.id),
    pickRow,
    onKeyDown: (e: KeyboardEvent, at: number) => {
      const row = rows[at];
      if (e.target !== e.currentTarget || !row || !act(e, at, row)) return;
      e.preventDefault();
      e.stopPropagation();
    },
  };
}
