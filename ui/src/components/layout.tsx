// SPDX-License-Identifier: AGPL-3.0-or-later

import { IconInfoCircle } from '@tabler/icons-react';
import { Fragment, type ReactNode, useEffect, useId, useRef } from 'react';

import { type Status, statusIcons, tone as colours } from './status';
import c from './ui.module.css';

/** usePageTitle names the page in the tab of the browser. It must hold no patient's value. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} – ADIT`;
  }, [title]);
}

type PageProps = {
  title: string;
  /** What leads here, as links. */
  crumbs?: ReactNode;
  /** Beside the title. */
  after?: ReactNode;
  actions?: ReactNode;
  /** Its content is as wide as a sheet of paper. */
  paper?: boolean;
  children: ReactNode;
};

/** Page is a page with its title. It takes the focus, so that a screen reader tells where one is. */
export function Page({ title, crumbs, after, actions, paper, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  usePageTitle(title);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <div className={c.page} data-paper={paper}>
      <header className={c.pageHead}>
        {crumbs && (
          <nav className={c.crumbs} aria-label="Breadcrumb">
            {crumbs}
          </nav>
        )}
        <h1 tabIndex={-1} ref={heading}>
          {title}
        </h1>
        {after}
        {actions && <div className={c.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

type SectionProps = {
  title: ReactNode;
  right?: ReactNode;
  /** Without a margin around the content. */
  flush?: boolean;
  /** Absent: there is nothing but the head. */
  children?: ReactNode;
};

export function Section({ title, right, flush, children }: SectionProps) {
  const id = useId();
  return (
    <section className={c.section} aria-labelledby={id}>
      <div className={c.sectionHead}>
        <h2 id={id}>{title}</h2>
        <div className="grow" />
        {right}
      </div>
      {children && (
        <div className={c.sectionBody} data-flush={flush}>
          {children}
        </div>
      )}
    </section>
  );
}

type NoteProps = { tone?: Status; icon?: ReactNode; role?: 'alert' | 'status'; children: ReactNode };

/** Note is a sentence that has to be read, in the colour of a status. */
export function Note({ tone = 'in_progress', icon, role, children }: NoteProps) {
  const Icon = tone === 'in_progress' ? IconInfoCircle : statusIcons[tone];
  return (
    <div className={c.note} style={colours(tone)} role={role}>
      {icon ?? <Icon size={17} aria-hidden />}
      <div>{children}</div>
    </div>
  );
}

export type Figure = { label: string; value: ReactNode; small?: ReactNode };

export function Figures({ items }: { items: Figure[] }) {
  return (
    <dl className={c.figures}>
      {items.map((i) => (
        <div className={c.figure} key={i.label}>
          <dt>{i.label}</dt>
          <dd>
            {i.value}
            {i.small !== undefined && <small>{i.small}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Fact is a line of Facts; false: it is left out. */
export type Fact = [label: string, value: ReactNode] | false;

export function Facts({ items }: { items: Fact[] }) {
  return (
    <dl className={c.facts}>
      {items.map(
        (item) =>
          item && (
            <Fragment key={item[0]}>
              <dt>{item[0]}</dt>
              <dd>{item[1]}</dd>
            </Fragment>
          ),
      )}
    </dl>
  );
}

type EmptyProps = { icon: ReactNode; title: string; actions?: ReactNode; children: ReactNode };

/** Empty says that there is nothing, and what to do. */
export function Empty({ icon, title, actions, children }: EmptyProps) {
  return (
    <div className={c.empty}>
      {icon}
      <strong>{title}</strong>
      <p>{children}</p>
      {actions && <div className={c.emptyActions}>{actions}</div>}
    </div>
  );
}
