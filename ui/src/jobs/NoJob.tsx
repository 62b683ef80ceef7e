// SPDX-License-Identifier: AGPL-3.0-or-later

import { Link } from '@tanstack/react-router';

import { Nowhere } from '../components/Nowhere';

/** NoJob is the page of a job that is not there. */
export function NoJob() {
  return (
    <Nowhere title="No such job" crumbs={<Link to="/jobs">Jobs</Link>} to="/jobs">
      Check the number, or look for the job in the list.
    </Nowhere>
  );
}
