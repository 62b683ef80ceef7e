// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconRoad } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import { Empty, Page, Section } from '../components/layout';

/** NoJob does not tell whether somebody else has a job of this number. */
export function NoJob() {
  return (
    <Page title="No such job" crumbs={<Link to="/jobs">Jobs</Link>}>
      <Section title="There is nothing at this address" flush>
        <Empty
          icon={<IconRoad size={34} stroke={1.4} aria-hidden />}
          title="There is nothing at this address, or it is somebody else’s"
          actions={
            <Button component={Link} to="/jobs">
              Jobs
            </Button>
          }
        >
          Check the number, or look for the job in the list.
        </Empty>
      </Section>
    </Page>
  );
}
