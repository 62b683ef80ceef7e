// SPDX-License-Identifier: AGPL-3.0-or-later

import { Modal } from '@mantine/core';

import { useMe } from '../session/me';
import { modulesOf } from './modules';
import c from './Shell.module.css';

/** KeyList tells which keys there are. */
export default function KeyList({ onClose }: { onClose: () => void }) {
  const keys: [keys: string[], does: string][] = [
    [['Ctrl', 'K'], 'Go to a page, a job or a server, or do something'],
    [['/'], 'To the search field of the page'],
    ...modulesOf(useMe()).map((m): [string[], string] => [['g', m.key], m.label]),
    [['Esc'], 'Close, stop or clear'],
    [['↑', '↓'], 'From row to row, in tables of studies'],
    [['Space'], 'Pick the study or series'],
    [['Ctrl', 'Enter'], 'Start the transfer, or create the job'],
    [['?'], 'This list'],
  ];
  return (
    <Modal opened onClose={onClose} title="Keys">
      <dl className={c.keys}>
        {keys.map(([pressed, does]) => (
          <div key={does}>
            <dt>
              {pressed.map((k) => (
                <kbd key={k}>{k}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p className="small dim">Single-key shortcuts can be switched off in your preferences.</p>
    </Modal>
  );
}
