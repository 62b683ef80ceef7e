// SPDX-License-Identifier: AGPL-3.0-or-later

import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { checkBatch, remarkBatch } from '../api';
import { useMe } from '../session/me';
import { type Loaded, remarksName, save, sizeFault, toBase64 } from './file';
import { type BatchKind, type Layout, putFile } from './kept';

/** What a file is read with. Another choice has it checked anew. */
export type Reading = { dates?: Layout; pseudonymize?: boolean };

const bodyOf = (kind: BatchKind, file: Loaded | undefined, { dates, pseudonymize }: Reading) => ({
  kind,
  file: file?.base64 ?? '',
  dates: dates ? dates : undefined,
  pseudonymize: pseudonymize ? true : undefined,
});

const keyOf = (kind: BatchKind, file: Loaded | undefined, { dates, pseudonymize }: Reading) =>
  ['batch', kind, file?.number ?? 0, dates ?? '', pseudonymize ?? false] as const;

const brief = { staleTime: Infinity, gcTime: 0 }; // nothing of a file stays longer than its page

/** useCheck has the server read a file, and tells what is in it. */
export function useCheck(kind: BatchKind, file: Loaded | undefined, reading: Reading) {
  return useQuery({
    ...brief,
    queryKey: keyOf(kind, file, reading),
    queryFn: async ({ signal }) => (await checkBatch({ body: bodyOf(kind, file, reading), signal })).data,
    enabled: file !== undefined,
    placeholderData: keepPreviousData,
  });
}

/** Checked is a file that was read, and with what. */
export type Checked = { kind: BatchKind; file: Loaded; reading: Reading };

/** useAllRows is useCheck that shows rows without a fault, too. */
export function useAllRows({ kind, file, reading }: Checked, enabled: boolean) {
  return useQuery({
    ...brief,
    queryKey: [...keyOf(kind, file, reading), 'all'],
    queryFn: async ({ signal }) =>
      (await checkBatch({ body: { ...bodyOf(kind, file, reading), all_rows: true }, signal })).data,
    enabled,
  });
}

/** useRemarks gives the rows of a file back with what is wrong with them, for the browser to save. */
export function useRemarks({ kind, file, reading }: Checked) {
  return useMutation({
    mutationFn: async () => (await remarkBatch({ body: bodyOf(kind, file, reading), parseAs: 'blob' })).data,
    onSuccess: (workbook) => save(workbook, remarksName(file.name)),
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
