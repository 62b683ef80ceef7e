// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconShieldCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import type { Job, JobOfSource } from '../../api';
import { Copy } from '../../components/controls';
import { asks } from '../../components/jobs';
import { Facts, Section } from '../../components/layout';
import { Moment } from '../../components/Moment';
import { useDeidSum } from '../../jobs/deid';
import { date as dicomDate } from '../../format/dicom';
import { count } from '../../format/numbers';
import { cardOf, filterSays } from '../../mass/filters';
import type { MassFilter, MassTransfer } from '../../api';
import { notSentSays } from '../../jobs/notSent';
import { KnownNode } from '../../servers/KnownNode';
import { useMe } from '../../session/me';
import { identitySays } from './deid';
import c from './JobPage.module.css';

type AboutProps = {
  job: Job;
  /** Of a batch query: the jobs of all its sources. */
  batch?: JobOfSource[];
  /** What a mass transfer looks for. */
  mass?: MassTransfer;
};

/** About is what a job was asked to do, and by whom. */
export function About({ job, batch, mass }: AboutProps) {
  return (
    <div className={c.column}>
      <Section title="About">
        <JobFacts job={job} batch={batch} mass={mass} />
      </Section>
      {!asks(job) && (
        <Section title="De-identification">
          <Identity job={job} />
        </Section>
      )}
      <p className={c.command}>
        <span>By command:</span>
        <span className="mono">
          <Copy text={`adit job get ${job.id}`} label="the command" />
        </span>
      </p>
    </div>
  );
}

function JobFacts({ job, batch = [], mass }: AboutProps) {
  const me = useMe();
  const others = batch.filter((j) => j.id !== job.id);
  const by = job.deidentified;
  const trial = [job.trial_protocol_name, job.trial_protocol_id && `(${job.trial_protocol_id})`];
  return (
    <Facts
      items={[
        job.title !== undefined && ['Title', job.title],
        job.description !== undefined && ['Description', job.description],
        job.ethics_id !== undefined && ['Ethics ID', job.ethics_id],
        [asks(job) ? 'Source' : 'From', <KnownNode key="from" name={job.source} />],
        job.destination !== '' && ['To', <KnownNode key="to" name={job.destination} />],
        others.length > 0 && ['Same file', <Others key="others" jobs={others} />],
        mass !== undefined && ['Days', daysSay(mass)],
        mass !== undefined && ['Filters', <FilterList key="filters" filters={mass.filters} />],
        job.recurrence_id !== undefined && ['Runs again', <Again key="again" id={job.recurrence_id} />],
        ['Project', job.project],
        by !== undefined && ['Profile', `${by.profile}, version ${by.profile_version}`],
        by !== undefined && ['Profile hash', <Sha256 key="hash" of={by.profile_sha256} />],
        trial.some(Boolean) && ['Trial', trial.filter(Boolean).join(' ')],
        me.is_staff && ['Owner', job.owner],
        ['Created', <Moment key="created" at={job.created_at} />],
        job.started_at !== undefined && ['Started', <Moment key="started" at={job.started_at} />],
        job.ended_at !== undefined && ['Ended', <Moment key="ended" at={job.ended_at} />],
        job.outside_windows === true && ['Runs', 'also while its servers are closed for jobs'],
        ['Mail at the end', job.mail_when_finished ? 'yes' : 'no'],
      ]}
    />
  );
}

/** Others are the jobs that were made of the same file, for other sources. */
function Others({ jobs }: { jobs: JobOfSource[] }) {
  return jobs.map(({ id, source }) => (
    <div key={id}>
      <Link to="/jobs/$id" params={{ id: String(id) }}>
        Job {id}
      </Link>{' '}
      asks {source}
    </div>
  ));
}

/** Again leads to the recurrence that made a job. */
function Again({ id }: { id: number }) {
  return (
    <>
      a run of{' '}
      <Link to="/jobs/recurring" hash={String(id)}>
        recurrence {id}
      </Link>
    </>
  );
}

function daysSay({ start_date, end_date, partitions }: MassTransfer): string {
  const date = (day: string) => dicomDate(day.replaceAll('-', ''));
  const days = start_date === end_date ? date(start_date) : `${date(start_date)} to ${date(end_date)}`;
  return partitions === 'weekly' ? `${days}, week by week` : days;
}

const fewFilters = 5;

function FilterList({ filters }: { filters: MassFilter[] }) {
  const more = filters.length - fewFilters;
  return (
    <ul className={c.filters}>
      {filters.slice(0, fewFilters).map((filter, i) => (
        <li key={i}>
          {filterSays(cardOf(filter))}
          {filter.mode === 'exclude' && ': left out'}
        </li>
      ))}
      {more > 0 && <li className="dim">and {count(more)} more</li>}
    </ul>
  );
}

function Sha256({ of }: { of: string }) {
  return <Copy text={of} shown={`${of.slice(0, 8)}…${of.slice(-4)}`} label="the SHA-256 of the profile" />;
}

function Identity({ job }: { job: Job }) {
  const { data: sum } = useDeidSum(job, job.deidentified !== undefined);
  const says = [identitySays(job, sum), sum && notSentSays(sum)].filter(Boolean).join(' ');
  return (
    <div className="stack">
      {says && <p className={c.says}>{says}</p>}
      <Button
        component={Link}
        to={`/jobs/${job.id}/deidentification`}
        variant="default"
        fullWidth
        leftSection={<IconShieldCheck size={16} aria-hidden />}
      >
        Report for data protection
      </Button>
    </div>
  );
}
