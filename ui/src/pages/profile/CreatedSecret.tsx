// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, CopyButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';

import type { CreatedToken } from '../../api';
import { Note } from '../../components/layout';
import c from './Profile.module.css';
import { curl } from './words';

/** CreatedSecret shows a token that was just made: nobody can see it again. */
export function CreatedSecret({ token }: { token: CreatedToken }) {
  return (
    <Note tone="success" role="status">
      <div className="stack">
        <span>
          <b>Copy it now: it is not shown again.</b> Whoever has it can do what you may do, except what takes
          your password.
        </span>
        <div className="row wrap">
          <code className={`mono ${c.secret}`}>{token.secret}</code>
          <CopyButton value={token.secret}>
            {({ copied, copy }) => (
              <Button
                size="compact-sm"
                variant="default"
                leftSection={
                  copied ? <IconCheck size={14} aria-hidden /> : <IconCopy size={14} aria-hidden />
                }
                onClick={copy}
              >
                {copied ? 'Copied' : 'Copy the token'}
              </Button>
            )}
          </CopyButton>
        </div>
        <span className="small">Put it into a variable, and try it:</span>
        <pre
          className={c.curl}
        >{`read -rs ADIT_TOKEN   # paste it, and press Enter\n${curl(location.origin)}`}</pre>
      </div>
    </Note>
  );
}
