// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconAlertTriangle, IconCircleCheck, IconLoader2 } from '@tabler/icons-react';

import { findings } from '../../servers/check';
import type { Report } from '../../servers/useDoctor';
import c from './Welcome.module.css';

/** FoundList shows what the check of a PACS has found so far. */
export function FoundList({ report }: { report: Report }) {
  const found = findings(report.checks);
  const running = report.state === 'running';
  if (found.length === 0 && !running) return null;
  return (
    <ul className={c.found} aria-label="What ADIT found">
      {found.map((f) => (
        <li key={f.key} data-failed={!f.ok || undefined}>
          {f.ok ? (
            <IconCircleCheck size={17} role="img" aria-label="Passed" />
          ) : (
            <IconAlertTriangle size={17} role="img" aria-label="Failed" />
          )}
          <span>
            <b className="strong">{f.title}:</b> {f.says}
          </span>
        </li>
      ))}
      {running && (
        <li data-running>
          <IconLoader2 size={17} aria-hidden />
          <span role="status">Asking the PACS…</span>
        </li>
      )}
    </ul>
  );
}
