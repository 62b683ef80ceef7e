// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconFileUpload } from '@tabler/icons-react';
import { type ReactNode, useEffect, useRef, useState } from 'react';

import c from './DropZone.module.css';

type DropZoneProps = {
  icon: ReactNode;
  /** What files can be chosen, as the attribute of an input says it. */
  accept: string;
  /** What stands on the button, which is the way for keys. */
  button: string;
  /** Whether the button is not what one most likely wants now. */
  quiet?: boolean;
  loading: boolean;
  onFiles: (files: File[]) => void;
  children: ReactNode;
};

/** useDrop takes files that are dropped anywhere on the page, and tells whether some are being dragged over it. */
export function useDrop(onFiles: (files: File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(onFiles);
  useEffect(() => {
    latest.current = onFiles;
  });
  useEffect(() => {
    const carriesFiles = (e: DragEvent) => e.dataTransfer?.types.includes('Files') ?? false;
    const drag = (e: DragEvent) => {
      if (!carriesFiles(e)) return;
      e.preventDefault();
      setOver(true);
    };
    const leave = (e: DragEvent) => {
      if (e.relatedTarget === null) setOver(false); // it has left the window
    };
    const drop = (e: DragEvent) => {
      setOver(false);
      if (!carriesFiles(e)) return;
      e.preventDefault();
      latest.current([...(e.dataTransfer?.files ?? [])]);
    };
    addEventListener('dragover', drag);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', drag);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
  return over;
}

type FileButtonProps = Pick<DropZoneProps, 'accept' | 'button' | 'quiet' | 'loading' | 'onFiles'> & {
  size?: 'compact-sm';
};

/** FileButton is a button that asks for a file. */
export function FileButton({ accept, button, quiet, loading, onFiles, size }: FileButtonProps) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button
        variant={quiet ? 'default' : 'filled'}
        size={size}
        leftSection={<IconFileUpload size={16} aria-hidden />}
        loading={loading}
        onClick={() => input.current?.click()}
      >
        {button}
      </Button>
      <input
        ref={input}
        type="file"
        accept={accept}
        hidden
        onChange={(e) => {
          const files = [...(e.currentTarget.files ?? [])];
          e.currentTarget.value = ''; // the same file may be chosen again, once it is corrected
          if (files.length > 0) onFiles(files);
        }}
      />
    </>
  );
}

/** DropZone takes files that are chosen, or dropped anywhere on the page: one that misses it would replace the page. */
export function DropZone({ icon, children, ...file }: DropZoneProps) {
  const over = useDrop(file.onFiles);
  return (
    <div className={c.zone} data-over={over || undefined}>
      {icon}
      <div className={c.words}>{children}</div>
      <FileButton {...file} />
    </div>
  );
}
