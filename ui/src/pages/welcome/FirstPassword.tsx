// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';

import { beginSession, queries } from '../../api';
import { NewPassword } from '../../components/NewPassword';
import { Note } from '../../components/layout';
import { Failed } from '../../components/states';
import { Step } from './Step';
import c from './Welcome.module.css';

/** The account that the first start of ADIT makes. */
const administrator = 'admin';

type FirstPasswordProps = { code: string; onDone: () => void };

/** FirstPassword has the administrator choose a password, and logs in by it. */
export default function FirstPassword({ code, onDone }: FirstPasswordProps) {
  const go = useNavigate();
  const enter = useMutation({
    mutationFn: async (password: string) => {
      await beginSession({ body: { username: administrator, password } });
      queries.clear();
      await go({ to: '/welcome', hash: '', replace: true }); // the code leaves the address
    },
    onSuccess: onDone,
  });
  return (
    <Step
      at={0}
      title="Welcome to ADIT"
      says="First choose a password for the administrator. ADIT asks for it again before anything that changes who may do what."
    >
      <div className={c.card}>
        <div className={`stack ${c.narrow}`}>
          <p>
            You log in as <b>{administrator}</b>. Take at least 12 characters; a few words that nobody would
            guess are good.
          </p>
          {enter.error ? (
            <>
              <Failed error={enter.error} />
              <p>Your password is set, but it was not possible to log in with it.</p>
              <Button component={Link} to="/login" fullWidth>
                Log in
              </Button>
            </>
          ) : (
            <NewPassword code={code} onDone={enter.mutate} />
          )}
        </div>
      </div>
      <Note>
        <b>The link does not work any more?</b> It works once, for a day. Start ADIT again: as long as nobody
        has a password, it prints a new link.
      </Note>
    </Step>
  );
}
