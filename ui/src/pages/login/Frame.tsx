// SPDX-License-Identifier: AGPL-3.0-or-later

import type { ReactNode, SyntheticEvent } from 'react';

import { usePageTitle } from '../../components/layout';
import { Logo } from '../../shell/Logo';
import c from './Login.module.css';

const rings = Array.from({ length: 16 }, (_, i) => i);
const points = [
  [210, 220],
  [640, 260],
  [330, 470],
  [560, 500],
  [420, 150],
] as const;

type FrameProps = { title: string; says: ReactNode; onSubmit?: () => void; children: ReactNode };

/** Frame is what the pages before the login look like: a form, and a picture beside it. */
export function Frame({ title, says, onSubmit, children }: FrameProps) {
  usePageTitle(title);
  const Box = onSubmit ? 'form' : 'div';
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    onSubmit?.();
  };
  return (
    <div className={c.wrap}>
      <main className={c.form}>
        <Box className={c.box} {...(onSubmit && { onSubmit: submit, noValidate: true })}>
          <div className={c.brand}>
            <Logo size={34} />
            ADIT
          </div>
          <div>
            <h1 className={c.title}>{title}</h1>
            <p className="dim small">{says}</p>
          </div>
          {children}
        </Box>
        <div id="overlays" />
      </main>
      <aside className={c.art} aria-hidden>
        <svg className={c.rings} viewBox="0 0 700 800" preserveAspectRatio="xMidYMid slice">
          {rings.map((i) => (
            <ellipse
              key={i}
              cx="420"
              cy="330"
              rx={70 + i * 26}
              ry={44 + i * 25}
              fill="none"
              stroke="#5cc0cb"
              strokeOpacity={0.34 - i * 0.018}
              strokeWidth="1.4"
              transform={`rotate(${-18 + i * 1.6} 420 330)`}
            />
          ))}
          {points.map(([x, y], i) => (
            <circle
              key={x}
              cx={x}
              cy={y}
              r={i % 2 ? 5 : 7}
              fill={i % 2 ? '#0a3f48' : '#5cc0cb'}
              stroke="#5cc0cb"
              strokeWidth="2"
            />
          ))}
        </svg>
        <div className={c.promise}>
          <h2>Every image arrives, or you are told which one did not.</h2>
          <ul>
            <li>Within the hours and connections that each PACS allows</li>
            <li>Pseudonymized on the way, with a report for each study</li>
            <li>Live, from the first image to the last</li>
          </ul>
        </div>
      </aside>
    </div>
  );
}
