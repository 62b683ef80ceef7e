// SPDX-License-Identifier: AGPL-3.0-or-later

import { defaultRangeExtractor, useWindowVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useRef, useState } from 'react';

import { usePreferences } from '../session/me';

/** useRowHeight is how high a row is, in pixels, as one likes it. */
export function useRowHeight(): number {
  const [{ density }] = usePreferences();
  return density === 'comfortable' ? 42 : 34;
}

const allRendered = 100; // rows; of more, only those in sight are in the document

type Options = {
  count: number;
  /** How high a row will be, until it is drawn. */
  height: (index: number) => number;
  keyOf: (index: number) => string | number;
};

/** Place is a row that is drawn, and how much room rows that are not drawn take before it. */
export type Place = { index: number; gap: number };

/** useWindowRows gives the rows to draw of a list that scrolls with the page. Each has its data-index. */
export function useWindowRows<E extends HTMLElement>({ count, height, keyOf }: Options) {
  const list = useRef<E>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop((list.current?.getBoundingClientRect().top ?? 0) + scrollY), [count]);
  const many = count > allRendered;
  const virtual = useWindowVirtualizer({
    count,
    enabled: many,
    estimateSize: height,
    getItemKey: keyOf,
    scrollMargin: top,
    overscan: 10,
    // The row that has the focus stays, else the focus would be lost with it.
    rangeExtractor: (seen) => {
      const row = document.activeElement?.closest<HTMLElement>('[data-index]');
      const kept = row && list.current?.contains(row) ? Number(row.dataset.index) : -1;
      const indexes = new Set(defaultRangeExtractor(seen));
      if (kept >= 0 && kept < count) indexes.add(kept);
      return [...indexes].sort((a, b) => a - b);
    },
  });
  if (!many) {
    const places = Array.from({ length: count }, (_, index): Place => ({ index, gap: 0 }));
    return { list, places, after: 0, measure: undefined };
  }
  const items = virtual.getVirtualItems();
  const places = items.map(({ index, start }, i): Place => ({
    index,
    gap: start - (items[i - 1]?.end ?? top),
  }));
  return {
    list,
    places,
    after: virtual.getTotalSize() + top - (items.at(-1)?.end ?? top),
    measure: virtual.measureElement,
  };
}
