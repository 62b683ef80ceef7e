// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Checkbox, Select, TextInput } from '@mantine/core';
import { IconFolderPlus, IconPlus } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type SyntheticEvent, useState } from 'react';

import { type Access, type Group, type Me, type Node, problem } from '../../api';
import { Failed } from '../../components/states';
import { meKey } from '../../session/me';
import { inOrder, permissionWords } from '../../session/permissions';
import { FolderForm } from './FolderForm';
import { NodeUses } from './NodeUses';
import { named, open, type Plan, toChange, type Use, usesNow } from './open';
import c from './Welcome.module.css';

const newGroup = '\0new'; // no group can be called so

type OpenFormProps = {
  me: Me;
  nodes: Node[];
  groups: Group[];
  access: Access[];
  added: string[];
  onFolder: (name: string) => void;
  onAnother: () => void;
  onDone: () => void;
};

export function OpenForm({ me, nodes, groups, access, added, onFolder, onAnother, onDone }: OpenFormProps) {
  const client = useQueryClient();
  const first = named(groups, me.active_group) ?? groups[0];
  const [chosen, choose] = useState(first?.name ?? newGroup);
  const [name, setName] = useState('Radiology');
  // By the group. What nobody has ticked is as the group has it; a new one gets all permissions, and all nodes.
  const [ticked, tick] = useState<Record<string, string[]>>({});
  const [changed, change] = useState<Record<string, Record<string, Use>>>({});
  const [folder, addFolder] = useState(false);
  const group = chosen === newGroup ? undefined : named(groups, chosen);
  const permissions = ticked[chosen] ?? (group?.permissions.length ? group.permissions : me.permissions);
  const uses = { ...usesNow(group, nodes, access, added), ...changed[chosen] };
  const save = useMutation({
    mutationFn: (plan: Plan) => open(plan, me),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: meKey });
      await client.invalidateQueries();
      onDone();
    },
  });
  const submit = (e: SyntheticEvent) => {
    e.preventDefault();
    save.mutate({ group: group?.name ?? name, permissions, uses: toChange(group, uses, access) });
  };
  const refused = problem(save.error);
  return (
    <>
      <form className={c.card} id="open" onSubmit={submit} noValidate>
        <div className={`stack ${c.narrow}`}>
          {groups.length > 0 && (
            <Select
              label="Group"
              data={[
                ...groups.map((g) => ({ value: g.name, label: g.name })),
                { value: newGroup, label: 'A new group…' },
              ]}
              value={chosen}
              onChange={(value) => choose(value ?? newGroup)}
            />
          )}
          {!group && (
            <TextInput
              label="Name of the new group"
              value={name}
              maxLength={150}
              error={refused?.of('name') || undefined}
              onChange={(e) => setName(e.currentTarget.value)}
            />
          )}
          <p className="small dim">You will be a member yourself. Others join later.</p>
        </div>
        <fieldset className={c.fieldset}>
          <legend>Its members may</legend>
          <Checkbox.Group value={permissions} onChange={(p) => tick({ ...ticked, [chosen]: p })}>
            <div className={c.permissions}>
              {inOrder(me.permissions).map((p) => (
                <Checkbox
                  key={p}
                  value={p}
                  label={permissionWords(p).name}
                  description={permissionWords(p).does}
                />
              ))}
            </div>
          </Checkbox.Group>
        </fieldset>
        <NodeUses
          nodes={nodes}
          uses={uses}
          onChange={(node, use) => change({ ...changed, [chosen]: { ...changed[chosen], [node]: use } })}
        />
        <div className="row wrap">
          <Button variant="default" leftSection={<IconPlus size={15} aria-hidden />} onClick={onAnother}>
            {nodes.length > 0 ? 'Add another PACS' : 'Add a PACS'}
          </Button>
          <Button
            variant="default"
            leftSection={<IconFolderPlus size={15} aria-hidden />}
            aria-expanded={folder}
            onClick={() => addFolder(!folder)}
          >
            Add a folder
          </Button>
        </div>
      </form>
      {folder && (
        <FolderForm
          onAdded={(name) => {
            onFolder(name);
            addFolder(false);
          }}
          onCancel={() => addFolder(false)}
        />
      )}
      <Failed error={group ? refused : refused?.besides('name')} />
      <div className="row wrap">
        <Button type="submit" form="open" loading={save.isPending} disabled={!group && name.trim() === ''}>
          Save and go on
        </Button>
        <span className="small dim">All of this can be changed later.</span>
      </div>
    </>
  );
}
