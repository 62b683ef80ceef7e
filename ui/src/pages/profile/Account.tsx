// SPDX-License-Identifier: AGPL-3.0-or-later

import { Select } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { changeMe } from '../../api';
import { Facts, Section } from '../../components/layout';
import { Failed } from '../../components/states';
import { askMe, meKey, useMe } from '../../session/me';
import { inOrder, permissionWords } from '../../session/permissions';
import { AboutYou } from './AboutYou';
import { OwnPassword } from './OwnPassword';
import c from './Profile.module.css';

/** role says in a word what somebody is in ADIT. */
function role(me: { is_staff: boolean; is_superuser: boolean }): string {
  if (me.is_superuser) return 'Superuser';
  return me.is_staff ? 'Staff' : 'User';
}

/** Account is who one is, the password, and what one may do. */
export default function Account() {
  const me = useMe();
  return (
    <div className={c.cols}>
      <div className={`stack wide ${c.account}`}>
        <AboutYou me={me} />
        <OwnPassword me={me} />
      </div>
      <div className="stack wide">
        <Section title="Groups">
          <div className="stack">
            <Facts
              items={[
                ['Username', me.username],
                ['Role', role(me)],
                ['Groups', me.groups.join(', ') || 'none'],
              ]}
            />
            {me.groups.length > 0 ? (
              <ActiveGroup groups={me.groups} active={me.active_group} />
            ) : (
              <p className="small dim">
                You belong to no group yet, and so to no project. Ask an administrator.
              </p>
            )}
          </div>
        </Section>
        <Section title="What you may do">
          {me.is_superuser ? (
            <p>Everything: you are a superuser.</p>
          ) : me.permissions.length === 0 ? (
            <p>Your groups give you no permission yet. Ask an administrator.</p>
          ) : (
            <ul className={c.rights}>
              {inOrder(me.permissions).map((p) => (
                <li key={p}>
                  {permissionWords(p).name}
                  <span>{permissionWords(p).does}</span>
                </li>
              ))}
            </ul>
          )}
        </Section>
      </div>
    </div>
  );
}

function ActiveGroup({ groups, active }: { groups: string[]; active: string }) {
  const client = useQueryClient();
  const join = useMutation({
    mutationFn: (active_group: string) => askMe(() => changeMe({ body: { active_group } })),
    onSuccess: (me) => client.setQueryData(meKey, me),
  });
  return (
    <>
      <Select
        label="Active group"
        description="Jobs that name no project go into that of this group."
        data={groups}
        value={active || null}
        disabled={join.isPending}
        onChange={(group) => group && join.mutate(group)}
      />
      <Failed error={join.error} />
    </>
  );
}
