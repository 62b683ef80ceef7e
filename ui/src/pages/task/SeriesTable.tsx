// SPDX-License-Identifier: AGPL-3.0-or-later

import { useState } from 'react';
import { Button } from '@mantine/core';

import type { Series, Task } from '../../api';
import { Copy } from '../../components/controls';
import { Section } from '../../components/layout';
import { final, Fraction, type Status } from '../../components/status';
import ui from '../../components/ui.module.css';
import { shortUID } from '../../format/dicom';
import { bytes, count } from '../../format/numbers';
import c from './TaskPage.module.css';

const atFirst = 50; // a study may have thousands of series

/** SeriesTable is how far each series of a study is. */
export function SeriesTable({ series, status }: { series: Series[]; status: Task['status'] }) {
  const [all, showAll] = useState(false);
  const shown = all ? series : series.slice(0, atFirst);
  return (
    <Section title={series.length > 0 ? `${count(series.length)} series` : 'Series'} flush>
      {series.length === 0 ? (
        <p className={c.none}>
          {final(status)
            ? 'ADIT knows of no series of this study.'
            : 'What the study holds is known once its transfer has started.'}
        </p>
      ) : (
        <table className={`${ui.table} ${c.series}`}>
          <thead>
            <tr>
              <th>Series Instance UID</th>
              <th className={ui.right}>Expected</th>
              <th className={ui.right}>Delivered</th>
              <th className={ui.right}>Verified</th>
              <th className={`${ui.right} ${c.size}`}>Size</th>
              <th className={c.bar}>Progress</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((s) => (
              <Line key={s.series_instance_uid} series={s} status={status} />
            ))}
          </tbody>
        </table>
      )}
      {shown.length < series.length && (
        <div className={c.more}>
          <Button variant="subtle" size="compact-sm" onClick={() => showAll(true)}>
            Show all {count(series.length)} series
          </Button>
        </div>
      )}
    </Section>
  );
}

function Line({ series: s, status }: { series: Series; status: Task['status'] }) {
  const complete = s.expected > 0 && s.delivered >= s.expected;
  const tone: Status = complete ? 'success' : status === 'pending' ? 'in_progress' : status;
  return (
    <tr>
      <td className={c.uid}>
        <Copy
          text={s.series_instance_uid}
          shown={shortUID(s.series_instance_uid)}
          label="the Series Instance UID"
        />
      </td>
      <td className={ui.right} data-label="Expected">
        {count(s.expected)}
      </td>
      <td className={ui.right} data-label="Delivered">
        {count(s.delivered)}
      </td>
      <td className={ui.right} data-label="Verified">
        {s.verified > 0 ? count(s.verified) : '–'}
      </td>
      <td className={`${ui.right} ${c.size}`} data-label="Size">
        {bytes(s.bytes)}
      </td>
      <td className={c.bar}>
        <Fraction
          done={s.delivered}
          of={s.expected}
          tone={tone}
          label={`${s.delivered} of ${s.expected} images delivered`}
        />
      </td>
    </tr>
  );
}
