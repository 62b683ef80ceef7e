// SPDX-License-Identifier: AGPL-3.0-or-later

import c from './ui.module.css';

type SlotsProps = { used: number; of: number; label: string };

/** Slots shows how many of a few places are taken, as squares. */
export function Slots({ used, of, label }: SlotsProps) {
  return (
    <span className={c.slots} role="img" aria-label={label}>
      {Array.from({ length: Math.min(Math.max(of, used), 16) }, (_, i) => (
        <i key={i} data-on={i < used || undefined} />
      ))}
    </span>
  );
}

/** Spark is a line so small that it only tells whether a figure rose or fell; its label says the rest. */
export function Spark({ data, label }: { data: number[]; label: string }) {
  const [wide, high] = [64, 18];
  const top = Math.max(...data, 1);
  const x = (i: number) => (i / Math.max(data.length - 1, 1)) * wide;
  const y = (v: number) => high - 2 - (v / top) * (high - 4);
  const line = data.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
  return (
    <svg width={wide} height={high} className={c.spark} role="img" aria-label={label}>
      <title>{label}</title>
      <polygon points={`0,${high} ${line} ${wide},${high}`} fill="var(--adit-primary)" opacity="0.14" />
      <polyline
        points={line}
        fill="none"
        stroke="var(--adit-primary)"
        strokeWidth="1.5"
        strokeLinejoin="round"
      />
    </svg>
  );
}

type AreaProps = {
  /** In equal steps of time. */
  data: number[];
  unit: string;
  /** What stands below the first and the last value. */
  from: string;
  to: string;
  height?: number;
  label: string;
};

const width = 600;
const axis = 18;

/** Area is a small chart of a figure over time. */
export function Area({ data, unit, from, to, height = 96, label }: AreaProps) {
  const high = height - axis;
  const highest = Math.max(...data);
  const top = scale(highest);
  const x = (i: number) => (i / Math.max(data.length - 1, 1)) * width;
  const y = (v: number) => high - (v / (top * 1.05)) * (high - 6);
  const line = data.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ');
  const ticks = [top / 2, top];
  return (
    <figure className={c.area} role="img" aria-label={label}>
      <svg viewBox={`0 0 ${width} ${high}`} preserveAspectRatio="none" height={high} aria-hidden>
        {ticks.map((t) => (
          <line
            key={t}
            x1="0"
            x2={width}
            y1={y(t)}
            y2={y(t)}
            stroke="var(--adit-line)"
            vectorEffect="non-scaling-stroke"
          />
        ))}
        <polygon points={`0,${high} ${line} ${width},${high}`} fill="var(--adit-primary)" opacity="0.13" />
        <polyline
          points={line}
          fill="none"
          stroke="var(--adit-primary)"
          strokeWidth="1.8"
          vectorEffect="non-scaling-stroke"
          strokeLinejoin="round"
        />
      </svg>
      <div className={c.areaAxis} aria-hidden>
        <span>{from}</span>
        <span>
          {ticks.join(' / ')} {unit}
        </span>
        <span>{to}</span>
      </div>
    </figure>
  );
}

/** scale is the least round number that is not below a value. */
function scale(value: number): number {
  if (value <= 0) return 1;
  const ten = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].map((f) => f * ten).find((v) => v >= value) ?? value;
}
