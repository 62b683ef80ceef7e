// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, CopyButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import { getReceiver } from '../../api';
import { Failed, Loading } from '../../components/states';
import { forItsAdministrator } from './forItsAdministrator';
import c from './Welcome.module.css';

/** ForItsAdministrator shows what has to be entered at the PACS. */
export function ForItsAdministrator() {
  const { data, error, refetch } = useQuery({
    queryKey: ['receiver'],
    queryFn: async () => (await getReceiver()).data,
    staleTime: Infinity,
  });
  const text = data && forItsAdministrator(data, location.hostname);
  return (
    <section className={c.card} data-dense aria-labelledby="for-its-administrator">
      <div className="row">
        <h2 className="grow" id="for-its-administrator">
          For the administrator of the PACS
        </h2>
        {text && (
          <CopyButton value={text}>
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
      {text && (
        <pre className={c.pre} tabIndex={0} aria-label="What has to be entered at the PACS" role="group">
          {text}
        </pre>
      )}
      {!text && !error && <Loading rows={2} />}
      <Failed error={error} retry={() => void refetch()} />
    </section>
  );
}
