// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import { useNodes } from '../../servers/queries';
import { possible } from './open';
import { Step } from './Step';
import c from './Welcome.module.css';

/** FirstSearch leads to Selective Transfer: from the PACS that was added first, or one that can be searched. */
export default function FirstSearch({ source: added }: { source: string | undefined }) {
  const { data: nodes = [] } = useNodes();
  const sources = nodes.filter((n) => possible(n).source).map((n) => n.name);
  const source = added !== undefined && sources.includes(added) ? added : sources[0];
  const destination = nodes.find((n) => n.name !== source && possible(n).destination)?.name;
  return (
    <Step at={3} title="ADIT is ready" says="Look for a study that you know, and see whether it comes up.">
      <div className={c.card}>
        <ol className={c.next}>
          <li>
            <b className="strong">Search.</b> Type a patient ID, a name or a date. Results come as the PACS
            answers.
          </li>
          <li>
            <b className="strong">Pick studies.</b> ADIT says what will happen before you start it: how many
            images, how large, under which pseudonym, and when.
          </li>
          <li>
            <b className="strong">Watch.</b> A job is a Success only when its destination has acknowledged
            every image.
          </li>
        </ol>
        <div className="row wrap">
          <Button
            renderRoot={(props) => (
              <Link {...props} to="/selective-transfer" search={{ source, destination }} />
            )}
            leftSection={<IconSearch size={15} aria-hidden />}
          >
            {source ? `Search ${source}` : 'Go to Selective Transfer'}
          </Button>
          <Button component={Link} to="/" variant="default">
            Go to the start page
          </Button>
        </div>
        {source && !destination && (
          <p className="small dim">
            There is no other server or folder to send studies to yet. Searching works without one.
          </p>
        )}
      </div>
    </Step>
  );
}
