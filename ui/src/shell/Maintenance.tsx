// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconTool } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useEffect } from 'react';

import { countJobs, maintenance, queries } from '../api';
import { Empty } from '../components/layout';
import ui from '../components/ui.module.css';
import { live } from '../live';

const title = 'ADIT is under maintenance';
const every = 30_000; // milliseconds between two looks

/** Maintenance stands before the page while only staff may work. The page waits behind it, with all that was typed. */
export default function Maintenance({ says }: { says: string }) {
  const { mutate, isPending } = useMutation({
    mutationFn: () => countJobs({ query: { mine: 'true' } }),
    onSuccess: () => {
      maintenance.set('');
      live.start();
      void queries.invalidateQueries();
    },
  });
  useEffect(() => {
    const timer = setInterval(mutate, every);
    return () => clearInterval(timer);
  }, [mutate]);
  return (
    <div className={ui.page}>
      <header className={ui.pageHead}>
        <h1>Maintenance</h1>
      </header>
      <Empty
        icon={<IconTool size={34} stroke={1.4} aria-hidden />}
        title={title}
        actions={
          <Button variant="default" loading={isPending} onClick={() => mutate()}>
            Try again
          </Button>
        }
      >
        <span role="status">{says.startsWith(title) ? 'Running transfers continue.' : says}</span> This page
        comes back by itself.
      </Empty>
    </div>
  );
}
