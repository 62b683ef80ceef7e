// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';

import { Problem } from '../api';
import { Note } from '../components/layout';

/** Broken stands in the place of a page that could not be drawn. */
export function Broken({ error }: { error: unknown }) {
  const sentence =
    error instanceof Problem
      ? error.message
      : 'This page has a fault of its own. Load it again; your work is kept.';
  return (
    <main style={{ maxWidth: 560, margin: '15vh auto', padding: 16 }}>
      <div className="stack">
        <h1>ADIT can’t show this page</h1>
        <Note tone="failure" role="alert">
          {sentence}
        </Note>
        <div className="row">
          <Button onClick={() => location.reload()}>Try again</Button>
          <Button variant="default" onClick={() => location.assign('/')}>
            Home
          </Button>
        </div>
      </div>
    </main>
  );
}
