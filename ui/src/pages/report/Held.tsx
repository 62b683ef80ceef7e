// SPDX-License-Identifier: AGPL-3.0-or-later

import { Link } from '@tanstack/react-router';

import type { HeldBack, JobDeidentification } from '../../api';
import ui from '../../components/ui.module.css';
import { count, counted } from '../../format/numbers';
import c from './Report.module.css';
import { reasonWords } from './report';

/** Held lists what was not sent, and why. */
export function Held({ job, sum }: { job: number; sum: JobDeidentification }) {
  const excluded = Object.entries(sum.excluded);
  const none = sum.held_back.length === 0 && excluded.length === 0;
  return (
    <section>
      <h3>Not sent, and why</h3>
      {none ? (
        <p className={c.says}>Nothing was left out or held back.</p>
      ) : (
        <table className={`${ui.table} ${c.held}`}>
          <thead>
            <tr>
              <th>Why</th>
              <th>Where</th>
              <th className={ui.right}>Images</th>
            </tr>
          </thead>
          <tbody>
            {sum.held_back.map((h) => (
              <tr key={`${h.reason}${h.unsafe}`}>
                <td>
                  {reasonWords(h)}
                  <span className="dim">
                    {' '}
                    · {h.unsafe ? 'could not be de-identified' : 'left out by a rule'}
                  </span>
                </td>
                <td>
                  <Where job={job} held={h} />
                </td>
                <td className={ui.right}>{count(h.instances)}</td>
              </tr>
            ))}
            {excluded.map(([modality, n]) => (
              <tr key={modality}>
                <td>
                  Modality {modality}
                  <span className="dim"> · left out by a rule</span>
                </td>
                <td className="dim">{n > 0 ? 'the source’s own count' : 'the source gives no count'}</td>
                <td className={ui.right}>{n > 0 ? count(n) : '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {sum.held_back_truncated && (
        <p className={c.says}>More was left out of some studies than their reports list.</p>
      )}
    </section>
  );
}

function Where({ job, held }: { job: number; held: HeldBack }) {
  return (
    <>
      {counted(held.studies, 'study', 'studies')}
      {held.studies > 1 ? ', first in ' : ': '}
      <Link to="/jobs/$id/tasks/$seq" params={{ id: String(job), seq: String(held.first) }} className="ul">
        task {held.first}
      </Link>
    </>
  );
}
