// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconFileSpreadsheet, IconRefresh } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';

import type { FailureGroup, Job } from '../../api';
import { asks, counts, isMass } from '../../components/jobs';
import { Section } from '../../components/layout';
import { Failed, Loading } from '../../components/states';
import { count, counted } from '../../format/numbers';
import { PickAgain } from '../../jobs/PickAgain';
import { wronglyNamed } from '../../jobs/words';
import type { Acting } from '../../jobs/acting';
import { actionWords } from '../../jobs/actions';
import type { useFailures } from '../../jobs/job';
import { reasonOf, retrySays } from './failed';
import c from './JobPage.module.css';

type WhatWentWrongProps = {
  acting: Acting;
  failures: ReturnType<typeof useFailures>;
  /** Of a mass transfer: how many studies failed. */
  failedStudies?: number;
  show: (status: FailureGroup['status']) => void;
};

/** WhatWentWrong lists why tasks failed or have warnings, each with what can be done about it. */
export function WhatWentWrong({ acting, failures, failedStudies = 0, show }: WhatWentWrongProps) {
  const { job } = acting;
  const { data, error, refetch } = failures;
  const groups = data?.items ?? [];
  const failed = job.tasks.failure;
  const words = retrySays(failed, groups, job);
  const mayRetry = acting.allowed.includes('retry');
  return (
    <Section
      title="What went wrong, and what to do"
      flush
      right={
        (isMass(job) ? failedStudies : failed) > 0 && (
          <Button
            component="a"
            href={`/api/v1/jobs/${job.id}/${asks(job) ? 'failed-rows?format=xlsx' : 'failed-studies'}`}
            download
            variant="default"
            size="compact-sm"
            leftSection={<IconFileSpreadsheet size={15} aria-hidden />}
          >
            Download{' '}
            {isMass(job)
              ? counted(failedStudies, 'failed study', 'failed studies')
              : counts(job, failed, 'failed ')}
          </Button>
        )
      }
    >
      {!data && !error && <Loading rows={2} label="Loading what went wrong" />}
      {!data && error && (
        <div className={c.pad}>
          <Failed error={error} retry={() => void refetch()} />
        </div>
      )}
      <ul className={c.reasons}>
        {groups.map((group) => (
          <Group
            key={`${group.status}${group.message}`}
            group={group}
            job={job}
            show={show}
            retry={
              mayRetry && (group.retry_helps || group.status === 'failure')
                ? {
                    words: actionWords('retry', job),
                    start: () => acting.start('retry'),
                    running: acting.running,
                  }
                : undefined
            }
          />
        ))}
      </ul>
      {data?.truncated && <p className={c.foot}>There are more reasons than these.</p>}
      {words && (
        <p className={c.foot}>{mayRetry ? words : `${words} It is possible when the job has ended.`}</p>
      )}
    </Section>
  );
}

type GroupProps = {
  group: FailureGroup;
  job: Job;
  show: (status: FailureGroup['status']) => void;
  retry: { words: string; start: () => void; running: boolean } | undefined;
};

function Group({ group, job, show, retry }: GroupProps) {
  const { title, says } = reasonOf(group);
  const only = group.tasks === 1 ? group.first[0] : undefined;
  return (
    <li>
      <span className={c.number} data-status={group.status}>
        {count(group.tasks)}
        <span className="vh"> {counts(job, group.tasks).replace(/^\S+ /, '')}: </span>
      </span>
      <div className={c.reason}>
        <b className="strong">{title}</b>
        {says && <p>{says}</p>}
      </div>
      <div className={c.cure}>
        {group.status === 'failure' && wronglyNamed(group.message) && (
          <PickAgain job={job} studies={group.tasks} compact />
        )}
        {retry && (
          <Button
            variant={group.retry_helps ? 'light' : 'subtle'}
            size="compact-sm"
            leftSection={<IconRefresh size={14} aria-hidden />}
            aria-label={retry.words}
            loading={retry.running}
            onClick={retry.start}
          >
            Retry
          </Button>
        )}
        {only ? (
          <Button
            component={Link}
            to={`/jobs/${job.id}/tasks/${only.seq}`}
            variant="subtle"
            size="compact-sm"
            aria-label={`Show task ${only.seq}`}
          >
            Show
          </Button>
        ) : (
          <Button
            variant="subtle"
            size="compact-sm"
            aria-label={`Show tasks: ${group.status}`}
            onClick={() => show(group.status)}
          >
            Show
          </Button>
        )}
      </div>
    </li>
  );
}
