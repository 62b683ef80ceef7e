// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconSpeakerphone, IconTransfer } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import { getAnnouncement } from '../../api';
import { Empty, Note, Page, Section } from '../../components/layout';
import { LinkButton } from '../../components/LinkButton';
import { Failed, Loading } from '../../components/states';
import ui from '../../components/ui.module.css';
import { useBeside } from '../../jobs/feed';
import { freshWords, missingIn } from '../../jobs/fresh';
import { type JobFilter, useJobs } from '../../jobs/queries';
import { useLive } from '../../live';
import { can, useMe } from '../../session/me';
import { Servers, Start } from './Beside';
import c from './Home.module.css';
import { Ended, Running } from './JobLists';
import { homeJobs } from './jobs';
import { NeedsYou } from './NeedsYou';

const open: JobFilter = { mine: 'true', status: ['unverified', 'pending', 'in_progress', 'canceling'] };
const ended: JobFilter = {
  mine: 'true',
  status: ['canceled', 'success', 'warning', 'failure'],
  sort: '-ended_at',
};
const needing: JobFilter = { mine: 'true', status: ['warning', 'failure'], sort: '-ended_at' };

export default function Home() {
  const { live, lost } = useLive();
  const stale = !live && lost !== undefined;
  return (
    <Page title="Home">
      <div className="columns">
        <Announcement />
        <div className={ui.cols}>
          <div className="columns">
            <OwnJobs stale={stale} />
          </div>
          <div className="columns">
            <Start />
            <Servers stale={stale} />
          </div>
        </div>
      </div>
    </Page>
  );
}

/** Announcement is what staff tells everybody. That there is none, or that it can't be had, is no news. */
function Announcement() {
  const { data } = useQuery({
    queryKey: ['announcement'],
    queryFn: async () => (await getAnnouncement()).data,
  });
  if (!data?.text) return null;
  return (
    <Note icon={<IconSpeakerphone size={17} aria-hidden />}>
      <p className={c.announcement}>{data.text}</p>
    </Note>
  );
}

/** OwnJobs is what becomes of one's own jobs. */
function OwnJobs({ stale }: { stale: boolean }) {
  const me = useMe();
  const [beside, show] = useBeside();
  const lists = [useJobs(open), useJobs(ended), useJobs(needing)] as const;
  const failed = lists.find((l) => l.isError);
  if (failed) return <Failed error={failed.error} retry={() => void failed.refetch()} />;
  if (lists.some((l) => l.isPending)) {
    return (
      <Section title="Running and waiting" flush>
        <Loading rows={6} label="Loading jobs" />
      </Section>
    );
  }
  const all = lists.flatMap((l) => l.data?.pages.flatMap((p) => p.items) ?? []);
  const jobs = homeJobs(all, new Date());
  const shown = { jobs: all, more: lists[0].hasNextPage };
  const missing = missingIn(shown, beside, open, me.username);
  const fresh = missing.length > 0 ? { words: freshWords(shown, missing), show } : undefined;
  if (all.length === 0 && !fresh) return <FirstUse />;
  return (
    <>
      <NeedsYou jobs={jobs.needs} />
      <Running jobs={jobs.open} fresh={fresh} stale={stale} />
      <Ended jobs={jobs.ended} />
    </>
  );
}

/** FirstUse is for who has no job yet. */
function FirstUse() {
  const me = useMe();
  const may = can(me, 'selective_transfer');
  return (
    <Section title="Your jobs" flush>
      <Empty
        icon={<IconTransfer size={34} stroke={1.4} aria-hidden />}
        title="You have no job yet"
        actions={may && <LinkButton to="/selective-transfer">Start your first transfer</LinkButton>}
      >
        {may
          ? 'Search a PACS, pick studies, and ADIT sends them where you want. How far they are is shown here.'
          : 'Your groups have no right to transfer anything. Ask an administrator.'}
      </Empty>
    </Section>
  );
}
