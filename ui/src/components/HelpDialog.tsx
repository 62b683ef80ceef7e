// SPDX-License-Identifier: AGPL-3.0-or-later

import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';

type HelpDialogProps = { title: string; opened: boolean; onClose: () => void; children: ReactNode };

/** HelpDialog shows what Help opens. */
export default function HelpDialog({ title, opened, onClose, children }: HelpDialogProps) {
  return (
    <Modal opened={opened} onClose={onClose} title={title} size="lg">
      <div className="stack prose">{children}</div>
    </Modal>
  );
}
