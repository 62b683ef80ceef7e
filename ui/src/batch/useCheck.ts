// SPDX-License-Identifier: AGPL-3.0-or-later

import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { checkBatch } from '../api';
import { useMe } from '../session/me';
import { type Loaded, sizeFault, toBase64 } from './file';
import { type BatchKind, type Layout, putFile } from './kept';

/** What a file is read with. Another choice has it checked anew. */
export type Reading = { dates?: Layout; pseudonymize?: boolean };

/** useCheck has the server read a file, and tells what is in it. */
export function useCheck(kind: BatchKind, file: Loaded | undefined, { dates, pseudonymize }: Reading) {
  return useQuery({
    queryKey: ['batch', kind, file?.number ?? 0, dates ?? '', pseudonymize ?? false],
    queryFn: async ({ signal }) => {
      const body = {
        kind,
        file: file?.base64 ?? '',
        dates: dates ? dates : undefined,
        pseudonymize: pseudonymize ? true : undefined,
      };
      return (await checkBatch({ body, signal })).data;
    },
    enabled: file !== undefined,
    staleTime: Infinity,
    gcTime: 0, // nothing of a file stays longer than its page
    placeholderData: keepPreviousData,
  });
}

/** useTaking reads a file that somebody chose or dropped, and says why it did not. */
export function useTaking(kind: BatchKind) {
  const me = useMe();
  const [fault, setFault] = useState('');
  const take = ([file, ...others]: File[]) => {
    if (!file) return;
    const wrong = others.length > 0 ? 'Choose one file at a time.' : sizeFault(file.size, me.is_staff);
    setFault(wrong);
    if (wrong) return;
    toBase64(file).then(
      (base64) => putFile(kind, file.name, base64),
      () => setFault('The browser could not read the file. Save and close it, and choose it again.'),
    );
  };
  return { fault, take };
}
