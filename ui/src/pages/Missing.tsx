// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconRoad } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import { Empty, Page, Section } from '../components/layout';

/** Missing is what is at an address at which nothing is. It does not tell whether somebody else has something there. */
export default function Missing() {
  return (
    <Page title="Nothing here">
      <Section title="There is nothing at this address" flush>
        <Empty
          icon={<IconRoad size={34} stroke={1.4} aria-hidden />}
          title="There is nothing here, or it is somebody else’s"
          actions={
            <Button component={Link} to="/">
              Home
            </Button>
          }
        >
          Check the address, or look for it in the list of jobs.
        </Empty>
      </Section>
    </Page>
  );
}
