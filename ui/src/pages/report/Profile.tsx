// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery } from '@tanstack/react-query';

import { type DeidBy, getProfile, type JobDeidentification } from '../../api';
import { Copy } from '../../components/controls';
import { Facts } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { Badge } from '../../components/status';
import { count } from '../../format/numbers';
import c from './Report.module.css';
import { codesOf } from './report';

/** Profile names what a job de-identified by, so that nobody can take another one for it. */
export function Profile({ by, sum }: { by: DeidBy; sum: JobDeidentification }) {
  const codes = codesOf(sum);
  return (
    <Facts
      items={[
        ['Name', `${by.profile}, version ${by.profile_version}`],
        [
          'SHA-256',
          <span key="sha" className={c.hash}>
            <Copy text={by.profile_sha256} label="the SHA-256 of the profile" />
          </span>,
        ],
        ['UID generation', count(by.uid_generation)],
        ['Key', 'of the project'],
        codes.length > 0 && [
          'Codes (CID 7050)',
          <ul key="codes" className={c.codes}>
            {codes.map((k) => (
              <li key={k.code}>
                <Badge>{k.code}</Badge>
                <span>
                  {k.words}
                  {k.studies && <span className="dim"> · {k.studies}</span>}
                </span>
              </li>
            ))}
          </ul>,
        ],
      ]}
    />
  );
}

/** Words are the profile in plain words, if ADIT has it as it was then. */
export function Words({ by }: { by: DeidBy }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['profile', by.profile, by.profile_version],
    queryFn: async () =>
      (await getProfile({ path: { name: by.profile }, query: { version: by.profile_version } })).data,
  });
  return (
    <section>
      <h3>In plain words</h3>
      {error && <Failed error={error} retry={() => void refetch()} />}
      {!data && !error && <Loading rows={3} label="Loading the profile" />}
      {data && data.sha256 === by.profile_sha256 && (
        <ul className={c.words}>
          {data.words.map((w) => (
            <li key={w}>{w}</li>
          ))}
        </ul>
      )}
      {data && data.sha256 !== by.profile_sha256 && (
        <p className={c.says}>
          The profile of this name and version says something else today than when the job was made. What it
          said then is not kept in words.
        </p>
      )}
    </section>
  );
}
