// SPDX-License-Identifier: AGPL-3.0-or-later

import '@mantine/spotlight/styles.css';

import { Spotlight, spotlight, type SpotlightActionGroupData } from '@mantine/spotlight';
import { IconArrowRight, IconHash, IconKey, IconMoon, IconSearch, IconSun } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';

import { listJobs } from '../api';
import { kindWords } from '../components/jobs';
import { statusWords } from '../components/status';
import { useMe } from '../session/me';
import { useScheme } from '../session/scheme';
import { modulesOf } from './modules';

const icon = { size: 18, stroke: 1.6, 'aria-hidden': true };

/** Palette goes to pages and jobs, and does things, by their names. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const go = useNavigate();
  const me = useMe();
  const [query, setQuery] = useState('');
  const [scheme, choose] = useScheme();
  const { data: jobs } = useQuery({
    queryKey: ['jobs', 'palette'],
    queryFn: async () => (await listJobs({ query: { mine: 'true', limit: 20 } })).data.items,
  });
  useEffect(() => spotlight.open(), []);

  const number = /^#?(\d{1,18})$/.exec(query.trim())?.[1];
  const open = (id: string) => void go({ to: '/jobs/$id', params: { id } });
  const shown = jobs ?? [];
  const groups: SpotlightActionGroupData[] = [
    {
      group: 'Do',
      actions: [
        ...modulesOf(me)
          .filter((m) => m.group === 'Transfer')
          .map((m) => ({
            id: `new ${m.to}`,
            label: `New ${m.label.toLowerCase()}`,
            description: m.does,
            leftSection: <m.icon {...icon} />,
            onClick: () => void go({ to: m.to }),
          })),
        scheme === 'dark'
          ? {
              id: 'light',
              label: 'Light colours',
              leftSection: <IconSun {...icon} />,
              onClick: () => choose('light'),
            }
          : {
              id: 'dark',
              label: 'Dark colours',
              leftSection: <IconMoon {...icon} />,
              onClick: () => choose('dark'),
            },
      ],
    },
    {
      group: 'Jobs',
      actions: [
        ...(number && !shown.some((j) => String(j.id) === number)
          ? [
              {
                id: number,
                label: `Job ${number}`,
                leftSection: <IconHash {...icon} />,
                onClick: () => open(number),
              },
            ]
          : []),
        ...shown.map((j) => ({
          id: String(j.id),
          label: `Job ${j.id}`,
          description: [kindWords(j.kind), statusWords[j.status], j.project].filter(Boolean).join(' · '),
          leftSection: <IconHash {...icon} />,
          onClick: () => open(String(j.id)),
        })),
      ],
    },
    {
      group: 'Pages',
      actions: [
        ...modulesOf(me).map((m) => ({
          id: m.to,
          label: m.label,
          leftSection: <IconArrowRight {...icon} />,
          onClick: () => void go({ to: m.to }),
        })),
        {
          id: '/profile',
          label: 'Profile and tokens',
          leftSection: <IconKey {...icon} />,
          onClick: () => void go({ to: '/profile' }),
        },
      ],
    },
  ];
  return (
    <Spotlight
      actions={groups}
      query={query}
      onQueryChange={setQuery}
      onSpotlightClose={onClose}
      attributes={{ content: { 'aria-label': 'Go to or do' } }}
      lockScroll={false}
      overlayProps={{ blur: 0, backgroundOpacity: 0.45 }}
      shortcut={null}
      nothingFound="Nothing of that name. Patients are searched in Selective Transfer."
      highlightQuery
      maxHeight={420}
      limit={30}
      scrollable
      searchProps={{
        leftSection: <IconSearch size={18} aria-hidden />,
        placeholder: 'A page, the number of a job, or what to do',
        'aria-label': 'Go to or do',
      }}
    />
  );
}
