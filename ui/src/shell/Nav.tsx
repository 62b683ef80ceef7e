// SPDX-License-Identifier: AGPL-3.0-or-later

import { Link } from '@tanstack/react-router';

import { useJobCounts } from '../jobs/queries';
import { useMe } from '../session/me';
import { modulesOf } from './modules';
import c from './Shell.module.css';

/** Nav is the navigation; onGo is called when one has chosen. */
export function Nav({ onGo }: { onGo?: () => void }) {
  const shown = modulesOf(useMe());
  const running = useJobCounts({ mine: 'true' }).data?.in_progress ?? 0;
  const groups = [...new Set(shown.map((m) => m.group))];
  return (
    <nav className={c.nav} aria-label="Main">
      {groups.map((group) => (
        <div key={group ?? ''} role="group" aria-label={group ?? 'Start'}>
          {group && (
            <div className={c.group} aria-hidden>
              {group}
            </div>
          )}
          <ul>
            {shown
              .filter((m) => m.group === group)
              .map((m) => (
                <li key={m.to}>
                  <Link
                    to={m.to}
                    className={c.link}
                    activeOptions={{ exact: m.to === '/' }}
                    onClick={onGo}
                    title={m.label}
                  >
                    <m.icon size={17} stroke={1.7} aria-hidden />
                    <span className={c.word}>{m.label}</span>
                    {m.to === '/jobs' && running > 0 && (
                      <span className={c.count}>
                        {running}
                        <span className="vh"> in progress</span>
                      </span>
                    )}
                  </Link>
                </li>
              ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
