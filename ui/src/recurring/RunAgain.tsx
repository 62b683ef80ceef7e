// SPDX-License-Identifier: AGPL-3.0-or-later

import { Choice } from '../components/Choice';
import { Section } from '../components/layout';
import { useMe } from '../session/me';
import { type Again, againOf, firstPlan, type PlanForm } from './plan';
import { PlanFields } from './PlanFields';
import c from './Recurring.module.css';

type RunAgainProps = {
  /** Absent: it runs once. */
  again: Again | undefined;
  change: (part: { again: Again | undefined }) => void;
  mass?: boolean;
};

/** RunAgain chooses whether something runs once, or again and again. */
export default function RunAgain({ again, change, mass = false }: RunAgainProps) {
  const me = useMe();
  const put = (form: PlanForm) => change({ again: againOf(form, mass) });
  return (
    <Section
      title="Run again"
      right={
        <Choice
          small
          label="How often it runs"
          data={[
            { value: 'once', label: 'Once' },
            { value: 'again', label: 'Again and again' },
          ]}
          value={again ? 'again' : 'once'}
          onChange={(value) =>
            value === 'again' ? put(again?.form ?? firstPlan) : change({ again: undefined })
          }
        />
      }
    >
      {again && (
        <>
          <PlanFields form={again.form} change={(part) => put({ ...again.form, ...part })} overlaps={mass} />
          <p className={c.each}>
            {mass
              ? 'Each run looks through the days until the day before, and transfers what earlier runs have not.'
              : 'Each run gives what earlier ones have not found.'}{' '}
            It runs with the rights that you have then.{' '}
            {me.mail && 'You get a mail if it fails or finds nothing new.'}
          </p>
        </>
      )}
    </Section>
  );
}
