// SPDX-License-Identifier: AGPL-3.0-or-later

import { describe, expect, it } from 'vitest';

import type { JobDeidentification } from '../../api';
import { fakeJob } from '../../jobs/job.fake';
import { caution, codesOf, figuresOf, reasonWords, short, treated, verdict } from './report';

const by = { profile: 'adit-default', profile_version: '1', profile_sha256: 'ab', uid_generation: 1 };
const pseudonymized = fakeJob({ status: 'success', deidentified: by, pseudonymize: true });

const sum = (s: Partial<JobDeidentification> = {}): JobDeidentification => ({
  studies: 500,
  to_pseudonymize: 500,
  pseudonymized: 307,
  with_identity: 0,
  patients: 231,
  instances: 148_220,
  instances_with_identity: 0,
  attributes: {},
  codes: {},
  moved_to_utf8: 0,
  assumed_character_sets: {},
  held_back: [],
  excluded: {},
  ...s,
});

describe('the verdict', () => {
  it('says that every study got a pseudonym, when it did', () => {
    expect(verdict(pseudonymized, sum({ studies: 307, to_pseudonymize: 307 }))).toMatchObject({
      tone: 'success',
      title: 'Every study was sent under a pseudonym.',
      says: '307 studies were delivered, by one profile in one version.',
    });
  });
  it('does not speak for what was not sent, or is still to come', () => {
    const title = 'Every study that was sent went out under a pseudonym.';
    expect(verdict(pseudonymized, sum()).title).toBe(title);
    const now = { ...pseudonymized, status: 'in_progress' as const };
    expect(verdict(now, sum({ studies: 307, to_pseudonymize: 307 })).title).toBe(title);
  });
  it('tells of each study that went with its identity', () => {
    const mixed = sum({ to_pseudonymize: 498, with_identity: 2 });
    expect(verdict(pseudonymized, mixed)).toMatchObject({
      tone: 'warning',
      title: '2 studies were sent with their identity.',
      says: '307 studies were sent under a pseudonym.',
    });
    expect(verdict(pseudonymized, sum({ with_identity: 1 })).title).toBe(
      '1 study was sent with its identity.',
    );
  });
  it('says that a job did not de-identify', () => {
    const plain = sum({ to_pseudonymize: 0, pseudonymized: 0, with_identity: 3 });
    expect(verdict(fakeJob(), plain)).toMatchObject({
      title: '3 studies were sent with their identity.',
      says: 'This job does not de-identify.',
    });
    const none = sum({ to_pseudonymize: 0, pseudonymized: 0 });
    expect(verdict(fakeJob(), none)).toMatchObject({
      tone: 'warning',
      title: 'This job does not de-identify.',
    });
  });
  it('says that nothing was delivered', () => {
    expect(verdict(pseudonymized, sum({ pseudonymized: 0 }))).toMatchObject({
      tone: 'pending',
      title: 'Nothing has been delivered.',
    });
  });
  it('tells of studies that are yet to go with their identity', () => {
    const { tone, says } = verdict(pseudonymized, sum({ to_pseudonymize: 499 }));
    expect(tone).toBe('warning');
    expect(says).toContain('1 study of this job is sent with identity; nothing of that has been delivered.');
  });
  it('never calls it anonymous', () => {
    expect(caution(sum())).toMatch(/^What leaves ADIT is pseudonymized, not anonymous\./);
    expect(caution(sum({ to_pseudonymize: 0 }))).toContain('nothing of this job does');
    expect(caution(sum({ to_pseudonymize: 1 }))).toMatch(
      /^What leaves ADIT under a pseudonym is pseudonymized/,
    );
  });
});

describe('figures', () => {
  const heldBack = [
    { reason: 'burned-in', instances: 14, studies: 6, first: 10 },
    { reason: 'undecodable-text', unsafe: true, instances: 2, studies: 1, first: 12 },
  ];
  it('counts', () => {
    const all = figuresOf(pseudonymized, sum({ held_back: heldBack }));
    expect(all.map((f) => f.value)).toEqual(['231', '307', '148,220', '14', '2']);
    expect(verdict(pseudonymized, sum({ held_back: heldBack })).says).toContain(
      '14 images were left out by rule, and 2 images could not be de-identified.',
    );
  });
  it('counts whole modalities that are left out', () => {
    const byRule = (s: Parameters<typeof sum>[0]) => {
      const { value, small } = figuresOf(pseudonymized, sum(s))[3] ?? {};
      return [value, small];
    };
    expect(byRule({ excluded: { SR: 3 } })).toEqual(['3', 'images, not sent']);
    expect(byRule({ excluded: { SR: 0 } })).toEqual(['–', 'series of SR, not counted']);
    expect(byRule({ excluded: { SR: 0, KO: 2 }, held_back_truncated: true })).toEqual([
      '2',
      'images, not sent, or more, and series of SR',
    ]);
    expect(byRule({})).toEqual(['0', 'images, not sent']);
  });
  it('shows of a job that did not de-identify what was sent', () => {
    const plain = sum({ pseudonymized: 0, instances: 0, with_identity: 3, instances_with_identity: 30 });
    expect(figuresOf(fakeJob(), plain).map((f) => [f.value, f.small])).toEqual([
      ['3', 'of 500 requested, 3 with identity'],
      ['30', '30 with identity'],
    ]);
  });
});

describe('words', () => {
  it('names actions and keeps what it does not know', () => {
    expect(treated({ remove: 20, keep: 100, new: 1, uid: 0 }).map((t) => [t.words, t.n])).toEqual([
      ['Kept as it was', 100],
      ['Removed', 20],
      ['new', 1],
    ]);
  });
  it('names reasons', () => {
    expect(reasonWords({ reason: 'burned-in' })).toBe('Text may be burned into the pixels');
    expect(reasonWords({ reason: 'rejected at the source: Quality' })).toBe(
      'Rejected at the source: Quality',
    );
  });
  it('shortens large numbers', () => {
    expect([short(999), short(445_000), short(16_884_210)]).toEqual(['999', '445,000', '16.9 million']);
  });
  it('tells of codes that not all studies have', () => {
    const codes = codesOf(sum({ codes: { 113105: 300, 113100: 307 } }));
    expect(codes.map((c) => [c.code, c.studies])).toEqual([
      ['113100', ''],
      ['113105', 'in 300 of 307 studies'],
    ]);
  });
});
