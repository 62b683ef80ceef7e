// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconKey } from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { type CreatedToken, listTokens, type Token } from '../../api';
import { Empty, Section } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { can, useMe } from '../../session/me';
import { CreatedSecret } from './CreatedSecret';
import { NewTokenForm } from './NewTokenForm';
import c from './Profile.module.css';
import { TokenTable } from './TokenTable';

const tokensKey = ['tokens'];

async function allTokens(): Promise<Token[]> {
  const all: Token[] = [];
  for (let cursor: string | undefined; ;) {
    const { data } = await listTokens({ query: { limit: 500, cursor } });
    all.push(...data.items);
    cursor = data.next_cursor;
    if (!cursor) return all;
  }
}

/** Tokens are the keys of one's own programs. */
export default function Tokens() {
  const me = useMe();
  const client = useQueryClient();
  const { data, error, refetch } = useQuery({ queryKey: tokensKey, queryFn: allTokens });
  const [made, setMade] = useState<CreatedToken>();
  const changed = () => void client.invalidateQueries({ queryKey: tokensKey });
  const allowed = can(me, 'tokens');
  return (
    <div className={`stack wide ${c.tokens}`}>
      <Section title="Create a token">
        {allowed ? (
          <div className="stack">
            <NewTokenForm
              forEver={can(me, 'tokens_without_expiry')}
              onMade={(token) => {
                setMade(token);
                changed();
              }}
            />
            {made && <CreatedSecret key={made.id} token={made} />}
          </div>
        ) : (
          <p>
            Your groups do not have the right <b className="strong">API tokens</b>. Ask an administrator.
          </p>
        )}
      </Section>
      <Section title="Your tokens" flush>
        {data && data.length > 0 ? (
          <TokenTable
            tokens={[...data].reverse()}
            onRevoked={(id) => {
              if (made?.id === id) setMade(undefined);
              changed();
            }}
          />
        ) : data ? (
          <Empty icon={<IconKey size={28} stroke={1.5} aria-hidden />} title="No token yet">
            With a token, a program of yours uses the REST API and the command line as you may.
          </Empty>
        ) : error ? (
          <Failed error={error} retry={() => void refetch()} />
        ) : (
          <Loading rows={3} />
        )}
      </Section>
    </div>
  );
}
