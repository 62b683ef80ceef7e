// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link, useLocation } from '@tanstack/react-router';
import { useState } from 'react';

import { requestPassword } from '../../api';
import { NewPassword } from '../../components/NewPassword';
import { Note } from '../../components/layout';
import { Failed } from '../../components/states';
import { Frame } from './Frame';
import c from './Login.module.css';

/** Reset asks for a mail with a link, or, where the link has led here, for the new password. */
export default function Reset() {
  const { hash: code } = useLocation();
  return code ? <Choose key={code} code={code} /> : <AskForLink />;
}

function AskForLink() {
  const [account, setAccount] = useState('');
  const ask = useMutation({ mutationFn: () => requestPassword({ body: { account } }) });
  return (
    <Frame
      title="Forgot your password?"
      says="ADIT mails you a link to choose a new one."
      onSubmit={() => ask.mutate()}
    >
      <Failed error={ask.error} />
      {ask.isSuccess ? (
        <Note tone="success" role="status">
          If there is such an account with a mail address, a mail is on its way. Its link works once. No mail
          after some minutes? Ask an administrator.
        </Note>
      ) : (
        <>
          <TextInput
            label="Username or mail address"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            autoFocus
            value={account}
            onChange={(e) => setAccount(e.currentTarget.value)}
          />
          <Button type="submit" fullWidth loading={ask.isPending} disabled={!account}>
            Send the link
          </Button>
        </>
      )}
      <div className={c.ways}>
        <Link to="/login">Back to login</Link>
      </div>
    </Frame>
  );
}

function Choose({ code }: { code: string }) {
  const [done, setDone] = useState(false);
  if (done) {
    return (
      <Frame title="Your password is set" says="Log in with it from now on.">
        <Button component={Link} to="/login" fullWidth>
          Log in
        </Button>
      </Frame>
    );
  }
  return (
    <Frame
      title="Choose a password"
      says="At least 12 characters. A few words that nobody would guess are good."
    >
      <NewPassword code={code} onDone={() => setDone(true)} />
      <div className={c.ways}>
        <Link to="/reset">Ask for another link</Link>
      </div>
    </Frame>
  );
}
