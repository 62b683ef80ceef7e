// SPDX-License-Identifier: AGPL-3.0-or-later

import type { CSSProperties } from 'react';

import type { JobDeidentification } from '../../api';
import { count, counted } from '../../format/numbers';
import c from './Report.module.css';
import { short, treated } from './report';

/** Attributes shows how many attributes were treated in which way. */
export function Attributes({ sum }: { sum: JobDeidentification }) {
  const all = treated(sum.attributes);
  if (all.length === 0) return null;
  const most = Math.max(...all.map((t) => t.n));
  const assumed = Object.entries(sum.assumed_character_sets);
  return (
    <section>
      <h3>Attributes, counted over all images</h3>
      <dl className={c.attributes}>
        {all.map((t) => (
          <div key={t.name} className={c.attribute}>
            <dt>{t.words}</dt>
            <dd className={c.track} aria-hidden>
              <i
                data-kept={t.name === 'keep' || undefined}
                style={{ '--w': `${Math.max(1, (t.n / most) * 100)}%` } as CSSProperties}
              />
            </dd>
            <dd className={c.n} title={count(t.n)}>
              {short(t.n)}
            </dd>
          </div>
        ))}
      </dl>
      {sum.moved_to_utf8 > 0 && (
        <p className={c.says}>
          The text of {counted(sum.moved_to_utf8, 'image')} was moved to UTF-8, since its character set cannot
          hold a new value.
        </p>
      )}
      {assumed.map(([set, n]) => (
        <p key={set} className={c.says}>
          {counted(n, 'image declares', 'images declare')} no character set; the text was read as {set}.
        </p>
      ))}
    </section>
  );
}
