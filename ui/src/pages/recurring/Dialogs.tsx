// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Modal } from '@mantine/core';
import { useState } from 'react';

import { Failed } from '../../components/states';
import QuestionDialog from '../../jobs/QuestionDialog';
import { formOf, planSays, readPlan } from '../../recurring/plan';
import { PlanFields } from '../../recurring/PlanFields';
import { removing } from '../../recurring/words';
import type { Acting } from './acting';

type DialogProps = { acting: Acting; onClosed: () => void };

/** Dialogs asks what has to be asked before something is done to a recurrence. */
export default function Dialogs({ asked, ...rest }: DialogProps & { asked: 'time' | 'remove' }) {
  return asked === 'time' ? <TimeDialog {...rest} /> : <RemoveDialog {...rest} />;
}

function RemoveDialog({ acting, onClosed }: DialogProps) {
  const { r, asking, ask, start, running, error } = acting;
  return (
    <QuestionDialog
      opened={asking === 'remove'}
      question={removing(r)}
      running={running}
      error={error}
      answer={(yes) => (yes ? start('remove') : ask(undefined))}
      onClosed={onClosed}
    />
  );
}

/** TimeDialog changes when something runs. */
function TimeDialog({ acting, onClosed }: DialogProps) {
  const { r, asking, ask, start, running, error } = acting;
  const [form, setForm] = useState(() => formOf(r));
  const mass = r.kind === 'mass_transfer';
  const plan = readPlan(form, mass);
  return (
    <Modal
      opened={asking === 'time'}
      onClose={() => ask(undefined)}
      title="When it runs"
      size="lg"
      returnFocus={false}
      onExitTransitionEnd={onClosed}
    >
      <div className="stack">
        <PlanFields form={form} change={(part) => setForm({ ...form, ...part })} overlaps={mass} />
        <Failed error={error} />
        <p className="small dim">{plan ? `${planSays(plan)}.` : 'Correct when it runs.'}</p>
        <div className="row wrap end">
          <Button variant="default" onClick={() => ask(undefined)}>
            Leave it as it is
          </Button>
          <Button disabled={!plan} loading={running} onClick={() => plan && start({ plan })}>
            Change
          </Button>
        </div>
      </div>
    </Modal>
  );
}
