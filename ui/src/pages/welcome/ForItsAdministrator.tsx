// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, CopyButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Fragment } from 'react';

import { getReceiver } from '../../api';
import { Failed, Loading } from '../../components/states';
import { asText, forItsAdministrator } from './forItsAdministrator';
import c from './Welcome.module.css';

/** ForItsAdministrator shows what has to be entered at the PACS. */
export function ForItsAdministrator() {
  const { data, error, refetch } = useQuery({
    queryKey: ['receiver'],
    queryFn: async () => (await getReceiver()).data,
    staleTime: Infinity,
  });
  const lines = data && forItsAdministrator(data, location.hostname);
  return (
    <section className={c.card} data-dense aria-labelledby="for-its-administrator">
      <div className="row">
        <h2 className="grow" id="for-its-administrator">
          For the administrator of the PACS
        </h2>
        {lines && (
          <CopyButton value={asText(lines)}>
            {({ copied, copy }) => (
              <Button
                variant="subtle"
                size="compact-sm"
                leftSection={
                  copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />
                }
                onClick={copy}
              >
                {copied ? 'Copied' : 'Copy'}
              </Button>
            )}
          </CopyButton>
        )}
      </div>
      {lines && (
        <dl className={c.values}>
          {lines.map(([what, value]) => (
            <Fragment key={what}>
              <dt>{what}</dt>
              <dd>{value}</dd>
            </Fragment>
          ))}
        </dl>
      )}
      {!lines && !error && <Loading rows={2} />}
      <Failed error={error} retry={() => void refetch()} />
    </section>
  );
}
