// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';

import type { ServerNow } from '../../api';
import { Slots, Spark } from '../../components/charts';
import { NodeName } from '../../components/controls';
import { Section } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { Badge } from '../../components/status';
import ui from '../../components/ui.module.css';
import { latelySays, stateOf, useLately, useServersNow } from '../../servers/queries';
import { useMe } from '../../session/me';
import { modulesOf } from '../../shell/modules';
import c from './Home.module.css';

/** Start leads to what one may do. */
export function Start() {
  const modules = modulesOf(useMe()).filter((m) => m.does);
  return (
    <Section title="Start something" flush>
      {modules.length === 0 && (
        <p className={c.plain}>
          Your groups have no right to transfer or look at anything. Ask an administrator.
        </p>
      )}
      <ul className={c.start}>
        {modules.map((m) => (
          <li key={m.to}>
            <Link to={m.to}>
              <m.icon size={18} stroke={1.7} aria-hidden />
              <b>{m.label}</b>
              <span>{m.does}</span>
            </Link>
          </li>
        ))}
      </ul>
    </Section>
  );
}

const mostServers = 8;

/** Servers tells what holds now of the servers that one may use: those that take no jobs first. */
export function Servers({ stale }: { stale: boolean }) {
  const { data, error, isPending, refetch } = useServersNow();
  const [all, showAll] = useState(false);
  const ranks = { failure: 0, warning: 1, none: 2, success: 3 };
  const rank = (s: ServerNow) => ranks[stateOf(s).tone ?? 'none'];
  const servers = [...(data ?? [])];
  if (servers.length > mostServers) servers.sort((a, b) => rank(a) - rank(b));
  return (
    <Section title="Servers now" flush>
      {error && <Failed error={error} retry={() => void refetch()} />}
      {isPending && <Loading rows={3} label="Loading servers" />}
      {data?.length === 0 && <p className={c.plain}>Your groups may use no server. Ask an administrator.</p>}
      <ul className={`${c.list} ${stale ? ui.stale : ''}`}>
        {servers.slice(0, all ? undefined : mostServers).map((s) => (
          <li key={s.id} className={c.server}>
            <Server server={s} />
          </li>
        ))}
      </ul>
      {servers.length > mostServers && !all && (
        <div className={c.foot}>
          <Button variant="subtle" size="compact-sm" onClick={() => showAll(true)}>
            All {servers.length}
          </Button>
        </div>
      )}
    </Section>
  );
}

function Server({ server }: { server: ServerNow }) {
  const state = stateOf(server);
  const cap = server.in_force.batch;
  const open = state.tone === 'success';
  const used = `${server.batch_in_use} of ${cap} for jobs`;
  const { data: images } = useLately(server.name, useMe().is_staff);
  return (
    <>
      <span>
        <NodeName name={server.name} />
      </span>
      <Badge tone={state.tone} title={open ? state.says : undefined}>
        {state.word}
      </Badge>
      {!open && <span className={`small dim ${c.serverSays}`}>{state.says}</span>}
      {cap > 0 && (
        <span className="small dim num row">
          <Slots used={server.batch_in_use} of={cap} label={`Connections in use: ${used}`} />
          <span aria-hidden>{used}</span>
        </span>
      )}
      {images?.some((n) => n > 0) && (
        <span className={c.lately}>
          <Spark data={images} label={latelySays(images)} />
        </span>
      )}
    </>
  );
}
