// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Modal } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';

import { revokeToken, type Token } from '../../api';
import { Failed } from '../../components/states';
import ui from '../../components/ui.module.css';
import { exact, when } from '../../format/times';
import c from './Profile.module.css';
import { ends } from './words';

type TokenTableProps = { tokens: Token[]; onRevoked: (id: number) => void };

export function TokenTable({ tokens, onRevoked }: TokenTableProps) {
  const [asked, ask] = useState<Token>();
  const [opened, open] = useState(false);
  return (
    <>
      <table className={ui.table}>
        <thead>
          <tr>
            <th scope="col">Description</th>
            <th scope="col" className={ui.hideS}>
              Created
            </th>
            <th scope="col" className={ui.hideS}>
              Expires
            </th>
            <th scope="col">
              <span className="vh">Revoke</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((t) => (
            <tr key={t.id}>
              <td className={c.description}>
                {t.description || <span className="dim">none</span>}
                <span className={`small dim ${c.onlyS}`}>
                  created {when(new Date(t.created_at))} · expires: {ends(t)}
                </span>
              </td>
              <td className={`num nowrap ${ui.hideS}`} title={exact(new Date(t.created_at))}>
                {when(new Date(t.created_at))}
              </td>
              <td className={`num nowrap ${ui.hideS}`} title={t.expires_at && exact(new Date(t.expires_at))}>
                {ends(t)}
              </td>
              <td className={ui.right}>
                <Button
                  variant="subtle"
                  color="red"
                  size="compact-sm"
                  aria-label={`Revoke ${t.description || `token ${t.id}`}`}
                  onClick={() => {
                    ask(t);
                    open(true);
                  }}
                >
                  Revoke
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <Modal opened={opened} onClose={() => open(false)} title="Revoke this token?">
        {asked && (
          <Revoke
            key={asked.id}
            token={asked}
            onKept={() => open(false)}
            onRevoked={() => {
              open(false);
              onRevoked(asked.id);
            }}
          />
        )}
      </Modal>
    </>
  );
}

type RevokeProps = { token: Token; onKept: () => void; onRevoked: () => void };

function Revoke({ token, onKept, onRevoked }: RevokeProps) {
  const revoke = useMutation({
    mutationFn: () => revokeToken({ path: { id: token.id } }),
    onSuccess: onRevoked,
  });
  return (
    <div className="stack">
      <p>
        It was created {when(new Date(token.created_at))}. Programs that use it are refused from their next
        request on. This cannot be undone; jobs that they created go on.
      </p>
      <Failed error={revoke.error} />
      <div className="row end">
        <Button variant="default" data-autofocus onClick={onKept}>
          Keep it
        </Button>
        <Button color="red" loading={revoke.isPending} onClick={() => revoke.mutate()}>
          Revoke the token
        </Button>
      </div>
    </div>
  );
}
