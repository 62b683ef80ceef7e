// SPDX-License-Identifier: AGPL-3.0-or-later

import { ActionIcon, CopyButton } from '@mantine/core';
import { IconCheck, IconCopy, IconFolder, IconServer2 } from '@tabler/icons-react';
import type { ComponentProps, ReactNode } from 'react';

import c from './ui.module.css';

type CopyProps = { text: string; /** instead of the whole text */ shown?: string; label: string };

/** Copy shows a text that a click puts into the clipboard. */
export function Copy({ text, shown, label }: CopyProps) {
  return (
    <CopyButton value={text}>
      {({ copied, copy }) => (
        <button
          type="button"
          className={c.copy}
          title={text}
          onClick={(e) => {
            e.stopPropagation();
            copy();
          }}
        >
          <span className="num">{shown ?? text}</span>
          {copied ? <IconCheck size={13} aria-hidden /> : <IconCopy size={13} aria-hidden />}
          <span className="vh">{copied ? 'Copied' : `Copy ${label}`}</span>
        </button>
      )}
    </CopyButton>
  );
}

type IconButtonProps = { label: string; children: ReactNode } & ComponentProps<'button'>;

/** IconButton is a button without a word, whose name is shown when one points at it. */
export function IconButton({ label, children, ...rest }: IconButtonProps) {
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size={28}
      aria-label={label}
      title={label}
      {...rest}
      className={c.iconButton}
    >
      {children}
    </ActionIcon>
  );
}

type NodeNameProps = { name: string; kind?: 'server' | 'folder'; /** says what it is */ full?: boolean };

/** NodeName is a DICOM node as people call it: "DICOM Server PACS-A". */
export function NodeName({ name, kind = 'server', full }: NodeNameProps) {
  const Icon = kind === 'folder' ? IconFolder : IconServer2;
  return (
    <span className={full ? undefined : 'nowrap'}>
      <Icon size={14} stroke={1.7} aria-hidden className={c.nodeIcon} />
      <span className={full ? undefined : 'vh'}>{kind === 'folder' ? 'DICOM Folder ' : 'DICOM Server '}</span>
      {name}
    </span>
  );
}
