// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconHelpCircle } from '@tabler/icons-react';
import { lazy, type ReactNode, Suspense, useState } from 'react';

import { useFocusBack } from './focus';

const HelpDialog = lazy(() => import('./HelpDialog'));

/** Help is a button beside a title that opens what there is to say about the page. */
export function Help({ title, children }: { title: string; children: ReactNode }) {
  const [opened, open] = useState(false);
  const [used, use] = useState(false);
  const opener = useFocusBack(opened);
  return (
    <>
      <Button
        ref={opener}
        variant="subtle"
        size="compact-sm"
        leftSection={<IconHelpCircle size={16} aria-hidden />}
        onClick={() => {
          use(true);
          open(true);
        }}
      >
        Help
      </Button>
      {used && (
        <Suspense fallback={null}>
          <HelpDialog title={title} opened={opened} onClose={() => open(false)}>
            {children}
          </HelpDialog>
        </Suspense>
      )}
    </>
  );
}
