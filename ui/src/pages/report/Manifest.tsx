// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconFileCertificate } from '@tabler/icons-react';

import { exportJobManifest, problem } from '../../api';
import c from './Report.module.css';

/** Manifest saves the manifest of a job, if its project keeps them: only the server knows. */
export function Manifest({ id }: { id: number }) {
  const save = useMutation({
    mutationFn: async () => {
      // It may be large: only its beginning is waited for here, then the browser saves it.
      const begun = new AbortController();
      await exportJobManifest({ path: { id }, parseAs: 'stream', signal: begun.signal });
      begun.abort();
      location.assign(`/api/v1/jobs/${id}/manifest`);
    },
  });
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconFileCertificate size={15} aria-hidden />}
        loading={save.isPending}
        onClick={() => save.mutate()}
      >
        Manifest
      </Button>
      {save.error && (
        <p className={c.refused} role="alert">
          {problem(save.error)?.message}
        </p>
      )}
    </>
  );
}
