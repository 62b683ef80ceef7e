// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';

import { Kept, useKept } from '../kept';

type Toast = { message: string; open?: { label: string; go: () => void } };

const any = new Kept(false);

/** useAnyToast tells whether there was a toast yet: until then nothing has to be there to show it. */
export function useAnyToast(): boolean {
  return useKept(any);
}

/** toast tells news that is not visible on the page; never an error of one's own action. */
export async function toast({ message, open }: Toast): Promise<void> {
  const { notifications } = await import('@mantine/notifications');
  any.set(true);
  const id = notifications.show({
    message: (
      <span className="row">
        <span className="grow">{message}</span>
        {open && (
          <Button
            variant="subtle"
            size="compact-sm"
            onClick={() => {
              notifications.hide(id);
              open.go();
            }}
          >
            {open.label}
          </Button>
        )}
      </span>
    ),
  });
}
