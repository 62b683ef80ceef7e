// SPDX-License-Identifier: AGPL-3.0-or-later

import { Button } from '@mantine/core';
import { IconCheck } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { type ReactNode, useEffect, useRef } from 'react';

import { usePageTitle } from '../../components/layout';
import { doLater } from '../../session/enter';
import { Logo } from '../../shell/Logo';
import c from './Welcome.module.css';

const steps = ['Your password', 'Your first PACS', 'Who may use it', 'A first search'];

type StepProps = {
  /** Which step it is, from 0. */
  at: number;
  title: string;
  says: ReactNode;
  children: ReactNode;
};

/** Step is one step of the first run, with the way that is done and the way ahead. */
export function Step({ at, title, says, children }: StepProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const go = useNavigate();
  usePageTitle(title);
  useEffect(() => {
    if (at > 0) heading.current?.focus({ preventScroll: true }); // a field of the first step has it
    scrollTo(0, 0);
  }, [at, title]);
  const later = () => {
    doLater();
    void go({ to: '/' });
  };
  return (
    <div className={c.wrap}>
      <header className={c.top}>
        <Logo />
        ADIT
        <span className="grow" />
        {at > 0 && (
          <Button variant="subtle" size="compact-sm" onClick={later}>
            Do this later
          </Button>
        )}
      </header>
      <main className={c.body}>
        <ol className={c.steps} aria-label="Steps">
          {steps.map((step, i) => (
            <li key={step} aria-current={i === at ? 'step' : undefined} data-done={i < at || undefined}>
              <i aria-hidden>{i < at ? <IconCheck size={13} /> : i + 1}</i>
              <span>
                {step}
                {i < at && <span className="vh"> (done)</span>}
              </span>
            </li>
          ))}
        </ol>
        <div className="stack wide">
          <div className={c.title}>
            <h1 tabIndex={-1} ref={heading}>
              {title}
            </h1>
            <p className="dim">{says}</p>
          </div>
          {children}
        </div>
        <div id="overlays" />
      </main>
    </div>
  );
}
