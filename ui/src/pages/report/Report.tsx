// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import {
  IconDownload,
  IconFileCertificate,
  IconPrinter,
  IconShieldCheck,
  IconShieldExclamation,
} from '@tabler/icons-react';
import { Link, useParams } from '@tanstack/react-router';
import { useEffect } from 'react';

import { type Job, type JobDeidentification, problem } from '../../api';
import { kindWords } from '../../components/jobs';
import { Facts, Figures, Note, Page } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { final, tone } from '../../components/status';
import { exact } from '../../format/times';
import { useDeidSum } from '../../jobs/deid';
import { NoJob } from '../../jobs/NoJob';
import { useJob } from '../../jobs/job';
import { KnownNode } from '../../servers/KnownNode';
import { Attributes } from './Attributes';
import { Held } from './Held';
import { Profile, Words } from './Profile';
import c from './Report.module.css';
import { caution, figuresOf, verdict } from './report';

/** Report is what de-identification did to the studies of a job, for the data protection officer; it can be printed. */
export default function Report() {
  const { id } = useParams({ from: '/inside/shell/jobs/$id/deidentification' });
  const number = Number(id);
  return Number.isSafeInteger(number) && number > 0 ? <Asked key={number} id={number} /> : <NoJob />;
}

function Asked({ id }: { id: number }) {
  const { data: job, error, refetch } = useJob(id);
  if (job) return <OfJob job={job} />;
  if (problem(error)?.status === 404) return <NoJob />;
  return (
    <Page title="De-identification report" crumbs={<Crumbs id={id} />}>
      {error ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : (
        <Loading rows={9} label="Loading the job" />
      )}
    </Page>
  );
}

function Crumbs({ id }: { id: number }) {
  return (
    <>
      <Link to="/jobs">Jobs</Link>
      <span aria-hidden>/</span>
      <Link to="/jobs/$id" params={{ id: String(id) }}>
        Job {id}
      </Link>
    </>
  );
}

function OfJob({ job }: { job: Job }) {
  const { data: sum, error, refetch, dataUpdatedAt } = useDeidSum(job);
  usePaperColours();
  return (
    <Page
      paper
      title="De-identification report"
      crumbs={<Crumbs id={job.id} />}
      actions={
        sum && (
          <>
            {job.deidentified && <Exports job={job} />}
            <Button
              variant="default"
              leftSection={<IconPrinter size={15} aria-hidden />}
              onClick={() => window.print()}
            >
              Print
            </Button>
          </>
        )
      }
    >
      {!sum && error && <Failed error={error} retry={() => void refetch()} />}
      {!sum && !error && <Loading rows={9} label="Loading the report" />}
      {sum && <Paper job={job} sum={sum} at={new Date(dataUpdatedAt)} />}
    </Page>
  );
}

/** usePaperColours prints dark text on white, whatever colours the screen has. */
function usePaperColours(): void {
  useEffect(() => {
    const root = document.documentElement;
    const scheme = 'data-mantine-color-scheme';
    let was: string | null = null;
    const before = () => {
      was = root.getAttribute(scheme);
      root.setAttribute(scheme, 'light');
    };
    const after = () => {
      if (was !== null) root.setAttribute(scheme, was);
    };
    window.addEventListener('beforeprint', before);
    window.addEventListener('afterprint', after);
    return () => {
      window.removeEventListener('beforeprint', before);
      window.removeEventListener('afterprint', after);
    };
  }, []);
}

function Exports({ job }: { job: Job }) {
  return (
    <>
      <Button
        component="a"
        href={`/api/v1/jobs/${job.id}/deidentification:export`}
        download
        variant="default"
        leftSection={<IconDownload size={15} aria-hidden />}
      >
        CSV, without originals
      </Button>
      {job.deidentified?.manifest && final(job.status) && (
        <Button
          component="a"
          href={`/api/v1/jobs/${job.id}/manifest`}
          download
          variant="default"
          leftSection={<IconFileCertificate size={15} aria-hidden />}
        >
          Manifest
        </Button>
      )}
    </>
  );
}

function Paper({ job, sum, at }: { job: Job; sum: JobDeidentification; at: Date }) {
  const { tone: shade, title, says } = verdict(job, sum);
  const Icon = shade === 'warning' ? IconShieldExclamation : IconShieldCheck;
  return (
    <article className={c.paper}>
      <div className={c.verdict} style={tone(shade)}>
        <Icon size={28} aria-hidden />
        <div>
          <h2>{title}</h2>
          <p>
            {says} {caution(sum)}
          </p>
        </div>
      </div>
      {!final(job.status) && (
        <Note tone="pending">
          The job has not ended: these are its numbers at {exact(at)}, and they change.
        </Note>
      )}
      <Figures items={figuresOf(job, sum)} />
      <div className={c.halves}>
        <section>
          <h3>What was done, and under whose responsibility</h3>
          <Who job={job} at={at} />
        </section>
        {job.deidentified && (
          <section>
            <h3>Profile</h3>
            <Profile by={job.deidentified} sum={sum} />
          </section>
        )}
      </div>
      {job.deidentified && (
        <>
          <Words by={job.deidentified} />
          <Attributes sum={sum} />
          <Held job={job.id} sum={sum} />
        </>
      )}
    </article>
  );
}

function Who({ job, at }: { job: Job; at: Date }) {
  const trial = [job.trial_protocol_name, job.trial_protocol_id && `(${job.trial_protocol_id})`];
  return (
    <Facts
      items={[
        ['Job', `${job.id}, ${kindWords(job.kind)}`],
        ['Project', job.project],
        ['Requested by', job.owner],
        ['From', <KnownNode key="from" name={job.source} />],
        ['To', <KnownNode key="to" name={job.destination} />],
        trial.some(Boolean) && ['Trial', trial.filter(Boolean).join(' ')],
        ['Created', <Exact key="created" at={new Date(job.created_at)} />],
        job.started_at !== undefined && ['Started', <Exact key="started" at={new Date(job.started_at)} />],
        job.ended_at !== undefined && ['Ended', <Exact key="ended" at={new Date(job.ended_at)} />],
        ['This report', <Exact key="at" at={at} />],
      ]}
    />
  );
}

/** Exact is an instant on paper, where there is no today. */
function Exact({ at }: { at: Date }) {
  return <span className="num">{exact(at)}</span>;
}
