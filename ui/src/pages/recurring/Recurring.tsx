// SPDX-License-Identifier: AGPL-3.0-or-later

import { useMediaQuery } from '@mantine/hooks';
import { IconRepeat } from '@tabler/icons-react';
import { Link, useLocation } from '@tanstack/react-router';

import type { Recurrence } from '../../api';
import { Empty, Page, Section } from '../../components/layout';
import { LinkButton } from '../../components/LinkButton';
import { Failed, Loading } from '../../components/states';
import ui from '../../components/ui.module.css';
import { counted } from '../../format/numbers';
import { useRecurrences } from '../../recurring/queries';
import { can, useMe } from '../../session/me';
import c from './Recurring.module.css';
import { Card, Row } from './Row';

/** Recurring lists what runs again and again. */
export default function Recurring() {
  const list = useRecurrences(true);
  return (
    <Page title="What runs again" crumbs={<Link to="/jobs">Jobs</Link>}>
      <Section
        title={
          <span className="num">{list.data ? counted(list.data.length, 'recurrence') : 'Recurrences'}</span>
        }
        flush
      >
        {list.error && <Failed error={list.error} retry={() => void list.refetch()} />}
        {list.isPending && <Loading rows={3} label="Loading what runs again" />}
        {list.data && (list.data.length > 0 ? <List all={list.data} /> : <Nothing />)}
      </Section>
    </Page>
  );
}

function List({ all }: { all: Recurrence[] }) {
  const narrow = useMediaQuery('(max-width: 1080px)', undefined, { getInitialValueInEffect: false });
  const { hash } = useLocation();
  const named = (r: Recurrence) => hash === String(r.id);
  if (narrow) {
    return (
      <ul className={c.cards}>
        {all.map((r) => (
          <Card key={r.id} r={r} named={named(r)} />
        ))}
      </ul>
    );
  }
  return (
    <table className={`${ui.table} ${c.table}`}>
      <thead>
        <tr>
          <th className={c.whatCol}>What</th>
          <th className={c.nodesCol}>From and to</th>
          <th className={c.whenCol}>When</th>
          <th>Last run</th>
          <th className={c.menuCol}>
            <span className="vh">Actions</span>
          </th>
        </tr>
      </thead>
      {all.map((r) => (
        <Row key={r.id} r={r} named={named(r)} />
      ))}
    </table>
  );
}

function Nothing() {
  const me = useMe();
  const [mass, query] = [can(me, 'mass_transfer'), can(me, 'batch_query')];
  return (
    <Empty
      icon={<IconRepeat size={34} stroke={1.4} aria-hidden />}
      title="Nothing runs again"
      actions={
        (mass || query) && (
          <>
            {mass && <LinkButton to="/mass-transfer">Mass Transfer</LinkButton>}
            {query && (
              <LinkButton to="/batch-query" variant={mass ? 'default' : 'filled'}>
                Batch Query
              </LinkButton>
            )}
          </>
        )
      }
    >
      {mass || query
        ? 'A mass transfer or a batch query can run again and again, each time for what is new. Choose so under “Run again” on its page.'
        : 'Your groups have no right to a mass transfer or a batch query. Ask an administrator.'}
    </Empty>
  );
}
