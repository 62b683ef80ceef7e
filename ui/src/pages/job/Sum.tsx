// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconAdjustments, IconTransfer } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';

import type { Job } from '../../api';
import { Figures, Section } from '../../components/layout';
import { Failed } from '../../components/states';
import { final } from '../../components/status';
import { count } from '../../format/numbers';
import { placeJob, reloadJobs } from '../../jobs/queries';
import { takeBack } from '../../mass/kept';
import { useReloadMass } from '../../mass/queries';
import { beginJob, type MassTransfer } from '../../api';
import { gapsSays, goesSays } from '../../mass/words';
import { can, lockOf, useMe } from '../../session/me';
import c from './Found.module.css';

type SumProps = {
  job: Job;
  mass: MassTransfer;
  /** What was found has been erased since, but for how much it was. */ erased: boolean;
};

/** Sum is what a mass transfer has found altogether, and what can be done with it. */
export default function Sum({ job, mass, erased }: SumProps) {
  const { patients, studies, series, instances, uncounted } = mass.found;
  const besides = uncounted > 0 ? `and those of ${count(uncounted)} series, not counted` : undefined;
  return (
    <Section title="What was found">
      <div className={c.sum}>
        <Figures
          items={[
            { label: 'Patients', value: count(patients) },
            { label: 'Studies', value: count(studies) },
            { label: 'Series', value: count(series) },
            { label: 'Images', value: count(instances), small: besides },
          ]}
        />
        {mass.dry_run && final(job.status) && <Next job={job} mass={mass} erased={erased} />}
      </div>
    </Section>
  );
}

/** Next is what can be done once a dry run has ended: transfer what it has found, or look for something else. */
function Next({ job, mass, erased }: SumProps) {
  const me = useMe();
  const go = useNavigate();
  const reload = useReloadMass(job.id);
  const begin = useMutation({
    mutationFn: async () => (await beginJob({ path: { id: job.id } })).data,
    onSuccess: (now) => {
      placeJob(now);
      reloadJobs('counts');
      reload();
    },
  });
  if (!can(me, 'mass_transfer') || lockOf(me, 'mass_transfer')) return null;
  const change = () => {
    takeBack(job, mass);
    const { source, destination, project } = job;
    void go({ to: '/mass-transfer', search: { source, destination, project } });
  };
  const nothing = mass.found.studies === 0;
  const gaps = gapsSays(mass);
  return (
    <div className={c.next}>
      <p className="grow">
        {nothing ? (
          emptySays(erased)
        ) : (
          <b className="strong">{goesSays(mass.found, job.deidentified !== undefined, job.destination)}</b>
        )}{' '}
        <span className="dim">{!nothing && 'Nothing has been sent yet.'}</span> {gaps}
      </p>
      <div className="row wrap">
        <Button variant="default" leftSection={<IconAdjustments size={16} aria-hidden />} onClick={change}>
          Change the filters
        </Button>
        {!nothing && job.status !== 'canceled' && (
          <Button
            leftSection={<IconTransfer size={16} aria-hidden />}
            loading={begin.isPending}
            onClick={() => begin.mutate()}
          >
            Transfer what was found
          </Button>
        )}
      </div>
      {begin.error && (
        <div className={c.whole}>
          <Failed error={begin.error} />
        </div>
      )}
    </div>
  );
}

function emptySays(erased: boolean): string {
  return erased
    ? 'It ended too long ago: what it found is no longer known. Take its filters, and look again.'
    : 'Nothing of these days fits the filters. Change them, or look at other days.';
}
