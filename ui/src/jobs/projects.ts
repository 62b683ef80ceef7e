// SPDX-License-Identifier: AGPL-3.0-or-later

import { useQuery } from '@tanstack/react-query';

import { listProjects, type Project } from '../api';

export const projectsKey = ['projects'];

/** useProjects gives the projects that one belongs to; staff: all. */
export function useProjects() {
  return useQuery({
    queryKey: projectsKey,
    queryFn: async () => {
      const all: Project[] = [];
      for (let cursor: string | undefined; ;) {
        const { data } = await listProjects({ query: { limit: 500, sort: 'name', cursor } });
        all.push(...data.items);
        cursor = data.next_cursor;
        if (!cursor) return all;
      }
    },
  });
}

/** projectWords is what a project is called where one chooses it. */
export function projectWords(p: Project): string {
  return p.is_default ? `${p.name} (${p.group})` : p.name;
}
