// SPDX-License-Identifier: AGPL-3.0-or-later

import { Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';

import { problemOf } from '../api/problem';
import { Facts } from '../components/layout';
import { Failed, Loading } from '../components/states';

/** About is what the program tells of itself, beside the API (http/about.go). */
type About = {
  name: string;
  version: string;
  commit: string;
  license: string;
  source: string;
  notice: string;
};

async function about(): Promise<About> {
  const answer = await fetch('/about').catch(() => undefined);
  if (!answer?.ok) throw problemOf(undefined, answer);
  return (await answer.json()) as About;
}

type AboutDialogProps = { opened: boolean; onClose: () => void; onClosed: () => void };

/** AboutDialog says what ADIT is, and where its source is. */
export default function AboutDialog({ opened, onClose, onClosed }: AboutDialogProps) {
  const { data, error, refetch } = useQuery({ queryKey: ['about'], queryFn: about, staleTime: Infinity });
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      returnFocus={false}
      onExitTransitionEnd={onClosed}
      title="About ADIT"
    >
      <div className="stack prose">
        <p>
          Automated DICOM Transfer. <b className="strong">Not a medical device</b>: for research use, not for
          diagnosis or treatment.
        </p>
        {error && <Failed error={error} retry={() => void refetch()} />}
        {!data && !error && <Loading rows={3} />}
        {data && (
          <>
            <Facts
              items={[
                ['Version', data.version],
                [
                  'Commit',
                  <span key="commit" className="mono">
                    {data.commit}
                  </span>,
                ],
                ['Licence', data.license],
                [
                  'Source',
                  <a key="source" href={data.source} target="_blank" rel="noreferrer" className="ul">
                    {data.source}
                  </a>,
                ],
                [
                  'Work of others',
                  <a key="others" href="/licenses.txt" target="_blank" className="ul">
                    Third-party licences of these pages
                  </a>,
                ],
              ]}
            />
            <p className="small dim">{data.notice}</p>
          </>
        )}
      </div>
    </Modal>
  );
}
