// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, Modal } from '@mantine/core';

import { Failed } from '../components/states';
import type { Question } from './actions';

type QuestionDialogProps = {
  opened: boolean;
  question: Question;
  running: boolean;
  error: unknown;
  answer: (yes: boolean) => void;
  onClosed?: () => void;
};

/** QuestionDialog asks before something is lost. What is safe has the focus. */
export default function QuestionDialog(props: QuestionDialogProps) {
  const { opened, question, running, error, answer, onClosed } = props;
  return (
    <Modal
      opened={opened}
      onClose={() => answer(false)}
      title={question.title}
      returnFocus={false}
      onExitTransitionEnd={onClosed}
    >
      <div className="stack">
        <p>{question.says}</p>
        <Failed error={error} />
        <div className="row wrap end">
          <Button variant="default" data-autofocus onClick={() => answer(false)}>
            {question.keep}
          </Button>
          <Button color="red" loading={running} onClick={() => answer(true)}>
            {question.go}
          </Button>
        </div>
      </div>
    </Modal>
  );
}
