// SPDX-License-Identifier: AGPL-3.0-or-later

import { useElementSize } from '@mantine/hooks';
import {
  type CSSProperties,
  type KeyboardEvent,
  memo,
  type SyntheticEvent,
  useMemo,
  useRef,
  useState,
} from 'react';

import { count } from '../../format/numbers';
import {
  type Block,
  blocksOf,
  daysWords,
  foundSays,
  levelOf,
  type Shade,
  shadeWords,
  step,
  topOf,
  weekdays,
  wholeYear,
} from '../../mass/calendar';
import type { MassPartition } from '../../api';
import c from './Chart.module.css';

type ChartProps = {
  partitions: MassPartition[];
  weekly: boolean;
  shade: Shade;
  chosen: number | undefined;
  choose: (partition: number) => void;
};

const names = 34; // pixels, for the weekdays
const largest = 26; // pixels of a day, with the gap
const gap = 3;

/** pitchOf is how far the days of a calendar lie apart, and how many weeks have room beside each other. */
function pitchOf(width: number, weeks: number): { pitch: number; room: number } {
  const least = width < 560 ? 19 : 15;
  const wide = Math.max(0, width - names);
  const most = Math.max(1, Math.floor(wide / least));
  // All of it in one block; else a year in each; else as much as there is room for.
  const room = weeks <= most ? weeks : most >= wholeYear ? wholeYear : most;
  return { pitch: Math.min(largest, Math.floor(wide / room)), room };
}

/**
 * Chart shows how much each partition has: days as a calendar by shades, weeks as bars. It is walked through by arrow
 * keys; who would rather read numbers has the table.
 */
export function Chart({ partitions, weekly, shade, chosen, choose }: ChartProps) {
  const { ref, width } = useElementSize();
  const grid = useRef<HTMLDivElement>(null);
  const [at, move] = useState(0);
  const [pointed, point] = useState<number>();
  const [first, last] = [partitions[0], partitions.at(-1)];
  const weeks = useMemo(() => blocksOf(partitions, weekly, Infinity)[0]?.columns ?? 0, [partitions, weekly]);
  const { pitch, room } = pitchOf(width, weeks);
  const blocks = useMemo(
    () => (width > 0 ? blocksOf(partitions, weekly, room) : []),
    [partitions, weekly, room, width],
  );
  const top = useMemo(() => topOf(partitions, shade), [partitions, shade]);
  const place = useMemo(() => new Map(partitions.map((p, i) => [p.task_id, i])), [partitions]);
  if (!first || !last) return <div ref={ref} className={c.chart} />;

  const indexOf = (e: SyntheticEvent) => {
    const cell = (e.target as HTMLElement).closest<HTMLElement>('[data-i]');
    return cell ? Number(cell.dataset.i) : undefined;
  };
  const pressed = (e: KeyboardEvent) => {
    const here = indexOf(e);
    if (here === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      const task = partitions[here]?.task_id;
      if (task !== undefined) choose(task);
      return;
    }
    const next = step(e.key, here, partitions, weekly);
    if (next === undefined) return;
    e.preventDefault();
    move(next);
    grid.current?.querySelector<HTMLElement>(`[data-i='${next}']`)?.focus();
  };
  const shown = partitions[pointed ?? place.get(chosen ?? -1) ?? -1];
  return (
    <div ref={ref} className={c.chart}>
      <div
        ref={grid}
        className={c.blocks}
        style={{ '--pitch': `${pitch}px`, '--gap': `${weekly ? 2 : gap}px` } as CSSProperties}
        onKeyDown={pressed}
        onClick={(e) => {
          const task = partitions[indexOf(e) ?? -1]?.task_id;
          if (task !== undefined) choose(task);
        }}
        onFocus={(e) => {
          const i = indexOf(e);
          if (i === undefined) return;
          move(i);
          point(i);
        }}
        onBlur={() => point(undefined)}
        onPointerOver={(e) => point(indexOf(e))}
        onPointerLeave={() => point(undefined)}
      >
        {blocks.map((block, i) => (
          <Part
            key={block.cells[0]?.partition.task_id}
            block={block}
            named={block.label !== blocks[i - 1]?.label}
            weekly={weekly}
            shade={shade}
            top={top}
            place={place}
            at={at}
            chosen={chosen}
          />
        ))}
      </div>
      <div className={c.foot}>
        <p className="small num">
          {shown ? (
            <>
              <b className="strong">{daysWords(shown)}:</b> {foundSays(shown)}
            </>
          ) : (
            <span className="dim">
              A click on a {weekly ? 'week' : 'day'} shows its series below. By keys: arrows, then Enter.
            </span>
          )}
        </p>
        <Legend top={top} words={shadeWords[shade]} weekly={weekly} partitions={partitions} />
      </div>
    </div>
  );
}

type PartProps = Pick<ChartProps, 'weekly' | 'shade' | 'chosen'> & {
  block: Block;
  /** Its label is not that of the block above. */
  named: boolean;
  top: number;
  place: ReadonlyMap<number, number>;
  at: number;
};

/** Part is a block of the calendar. */
function Part({ block, named, weekly, shade, top, place, at, chosen }: PartProps) {
  const rows = weekly ? [''] : weekdays;
  return (
    <div className={c.block}>
      {named && <div className={c.label}>{block.label}</div>}
      <div
        role="grid"
        aria-label={block.label}
        className={weekly ? c.bars : c.days}
        style={{ '--columns': block.columns } as CSSProperties}
      >
        <div role="row" aria-hidden className={c.line}>
          {block.months.map(({ column, name }) => (
            <span key={column} className={c.month} style={{ gridColumn: `${column + 2} / span 3` }}>
              {name}
            </span>
          ))}
        </div>
        {rows.map((name, row) => (
          <div key={name} role="row" className={c.line}>
            {name && (
              <span role="rowheader" className={c.weekday} style={{ gridRow: row + 2 }}>
                <span className={row % 2 ? 'vh' : undefined}>{name}</span>
              </span>
            )}
            {block.cells
              .filter((cell) => cell.row === row)
              .map(({ partition: p, column }) => {
                const i = place.get(p.task_id) ?? 0;
                return (
                  <Day
                    key={p.task_id}
                    index={i}
                    column={column + 2}
                    row={row + 2}
                    status={p.status}
                    level={levelOf(p[shade], top)}
                    share={weekly ? Math.min(1, p[shade] / top) : undefined}
                    label={`${daysWords(p)}: ${foundSays(p)}`}
                    reached={i === at}
                    chosen={p.task_id === chosen}
                  />
                );
              })}
          </div>
        ))}
      </div>
    </div>
  );
}

type DayProps = {
  index: number;
  column: number;
  row: number;
  status: MassPartition['status'];
  level: number;
  /** How high its bar is; absent: it has a shade. */
  share?: number;
  label: string;
  /** It is where the keys are. */
  reached: boolean;
  chosen: boolean;
};

const Day = memo(function Day(props: DayProps) {
  const { index, column, row, status, level, share, label, reached, chosen } = props;
  return (
    <span
      role="gridcell"
      tabIndex={reached ? 0 : -1}
      data-i={index}
      data-level={level}
      data-status={status}
      aria-label={label}
      aria-selected={chosen}
      className={share === undefined ? c.day : c.bar}
      style={{ gridColumn: column, gridRow: row }}
    >
      {share !== undefined && <i style={{ '--share': `${share * 100}%` } as CSSProperties} />}
    </span>
  );
});

type LegendProps = { top: number; words: string; weekly: boolean; partitions: MassPartition[] };

/** Legend says what shades and marks mean; those that are not there are not explained. */
function Legend({ top, words, weekly, partitions }: LegendProps) {
  const some = (...statuses: MassPartition['status'][]) =>
    partitions.some((p) => statuses.includes(p.status));
  const mark = (status: string, says: string) => (
    <span>
      <i className={weekly ? c.base : c.day} data-status={status} data-level={0} aria-hidden /> {says}
    </span>
  );
  return (
    <div className={`${c.legend} small dim num`}>
      {some('pending', 'in_progress', 'canceled') && mark('pending', 'not looked through')}
      {some('warning') && mark('warning', 'may have more')}
      {some('failure') && mark('failure', 'failed')}
      {weekly ? (
        <span>
          to {count(top)} {words}
        </span>
      ) : (
        <span className={c.scale}>
          0
          {[0, 1, 2, 3, 4, 5].map((level) => (
            <i key={level} className={c.day} data-level={level} data-status="success" aria-hidden />
          ))}
          {count(top)} {words}
        </span>
      )}
    </div>
  );
}
