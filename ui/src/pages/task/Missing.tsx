// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useState } from 'react';

import { Copy } from '../../components/controls';
import { Section } from '../../components/layout';
import ui from '../../components/ui.module.css';
import { shortUID } from '../../format/dicom';
import { count } from '../../format/numbers';
import { sentence } from '../../jobs/words';
import c from './TaskPage.module.css';
import type { Missed } from './words';

const atFirst = 100;

type MissingProps = { missed: Missed[]; truncated: boolean; at: string };

/** Missing lists the instances that a destination has not acknowledged, with the reason. */
export function Missing({ missed, truncated, at }: MissingProps) {
  const [all, showAll] = useState(false);
  const shown = all ? missed : missed.slice(0, atFirst);
  return (
    <Section title={`Missing at ${at}`} flush>
      <table className={`${ui.table} ${c.missing}`}>
        <thead>
          <tr>
            <th>SOP Instance UID</th>
            <th>Why</th>
            <th>DICOM status</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((m) => (
            <tr key={`${m.series} ${m.sop_instance_uid}`}>
              <td className={c.uid}>
                <Copy
                  text={m.sop_instance_uid}
                  shown={shortUID(m.sop_instance_uid)}
                  label="the SOP Instance UID"
                />
              </td>
              <td>{sentence(m.reason)}</td>
              <td className="mono" data-label="DICOM status">
                {m.status ?? '–'}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {shown.length < missed.length && (
        <div className={c.more}>
          <Button variant="subtle" size="compact-sm" onClick={() => showAll(true)}>
            Show all {count(missed.length)}
          </Button>
        </div>
      )}
      {truncated && <p className={c.none}>More is missing than ADIT lists.</p>}
    </Section>
  );
}
