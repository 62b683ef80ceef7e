// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconDots } from '@tabler/icons-react';
import { lazy, Suspense, useState } from 'react';

import { IconButton } from '../components/controls';
import type { Acting } from './acting';

const load = () => import('./JobMenuOpened');
const JobMenuOpened = lazy(load);

export type JobMenuProps = {
  acting: Acting;
  /** Opens the report of what de-identification did, if there is one. */
  report?: () => void;
};

/** JobMenu offers what is allowed now. Where nothing is, and there is no report, it is not there. */
export function JobMenu({ acting, report }: JobMenuProps) {
  const [used, use] = useState(false);
  if (acting.allowed.length === 0 && !report) return null;
  const button = (
    <IconButton
      label={`Actions of job ${acting.job.id}`}
      aria-haspopup="menu"
      onPointerEnter={() => void load()}
      onClick={() => use(true)}
    >
      <IconDots size={17} aria-hidden />
    </IconButton>
  );
  return (
    <Suspense fallback={button}>{used ? <JobMenuOpened acting={acting} report={report} /> : button}</Suspense>
  );
}
