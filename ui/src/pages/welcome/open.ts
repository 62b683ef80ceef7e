// SPDX-License-Identifier: AGPL-3.0-or-later

import {
  type Access,
  addGroup,
  addMember,
  changeGroup,
  changeMe,
  type Group,
  listAccess,
  listGroups,
  type Me,
  type Node,
  setAccess,
  type Supports,
} from '../../api';

/** Use is how a group may use a DICOM node. */
export type Use = { source: boolean; destination: boolean };

/** possible tells how a DICOM node can be used at all. */
export function possible(node: Node): Use {
  if (node.kind === 'folder') return { source: false, destination: true };
  const s = node.server?.supports ?? {};
  const any = (...services: (keyof Supports)[]) => services.some((service) => s[service]);
  const searched = any('study_root_find', 'patient_root_find', 'qido');
  const read = any('study_root_get', 'study_root_move', 'patient_root_get', 'patient_root_move', 'wado');
  return { source: searched && read, destination: any('store', 'stow') };
}

/** Plan is who may use what. */
export type Plan = {
  group: string;
  permissions: string[];
  /** What is to be changed, by the name of the DICOM node. */
  uses: Record<string, Use>;
};

const none: Use = { source: false, destination: false };

/** usesNow tells how a group may use the DICOM nodes. A new group is offered all that is possible, as is a new node. */
export function usesNow(
  group: Group | undefined,
  nodes: Node[],
  access: Access[],
  added: string[],
): Record<string, Use> {
  const of = (node: Node): Use => {
    if (!group || added.includes(node.name)) return possible(node);
    const has = access.find((a) => a.group === group.name && a.node === node.name);
    return has ? { source: has.source, destination: has.destination } : none;
  };
  return Object.fromEntries(nodes.map((n) => [n.name, of(n)]));
}

/** toChange are the uses that a group does not have as they are wanted. */
export function toChange(
  group: Group | undefined,
  uses: Record<string, Use>,
  access: Access[],
): Record<string, Use> {
  const differs = ([node, use]: [string, Use]) => {
    const has = access.find((a) => a.group === group?.name && a.node === node) ?? none;
    return has.source !== use.source || has.destination !== use.destination;
  };
  return Object.fromEntries(Object.entries(uses).filter(differs));
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** named finds a group by its name, in any case of letters. */
export function named(groups: Group[], name: string): Group | undefined {
  return groups.find((g) => same(g.name, name.trim()));
}

/** equal reports whether two lists hold the same, in whatever order. */
export function equal(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((x) => b.includes(x));
}

/** allGroups gives all groups, page after page. */
export async function allGroups(): Promise<Group[]> {
  const all: Group[] = [];
  for (let cursor: string | undefined; ;) {
    const { data } = await listGroups({ query: { limit: 500, cursor } });
    all.push(...data.items);
    cursor = data.next_cursor;
    if (!cursor) return all;
  }
}

/** allAccess gives which groups may use which DICOM nodes, page after page. */
export async function allAccess(): Promise<Access[]> {
  const all: Access[] = [];
  for (let cursor: string | undefined; ;) {
    const { data } = await listAccess({ query: { limit: 500, cursor } });
    all.push(...data.items);
    cursor = data.next_cursor;
    if (!cursor) return all;
  }
}

/** open does what a plan says. What was done already when a try failed is not done twice by the next one. */
export async function open(plan: Plan, me: Me): Promise<void> {
  const group = await groupOf(plan);
  if (!me.groups.includes(group)) await addMember({ path: { group, username: me.username } });
  if (!me.active_group) await changeMe({ body: { active_group: group } });
  for (const [node, use] of Object.entries(plan.uses)) await setAccess({ body: { group, node, ...use } });
}

/** groupOf makes or changes the group of a plan, and gives its name. */
async function groupOf({ group: name, permissions }: Plan): Promise<string> {
  const group = named(await allGroups(), name);
  if (!group) return (await addGroup({ body: { name: name.trim(), permissions } })).data.name;
  if (!equal(group.permissions, permissions)) {
    await changeGroup({ path: { group: group.name }, body: { permissions } });
  }
  return group.name;
}
