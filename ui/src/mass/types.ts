// SPDX-License-Identifier: AGPL-3.0-or-later

import type { Job } from '../api';
import { client } from '../api/gen/client.gen';

/** MassFilter says which series a mass transfer is about. */
export type MassFilter = {
  mode?: 'include' | 'exclude';
  modality?: string;
  institution_name?: string;
  apply_institution_on_study?: boolean;
  study_description?: string;
  series_description?: string;
  series_number?: number;
  min_age?: number;
  max_age?: number;
  min_number_of_series_related_instances?: number;
};

export type NewMassTransfer = {
  title?: string;
  description?: string;
  ethics_id?: string;
  source: string;
  destination: string;
  project?: string;
  start_date: string;
  end_date: string;
  partitions?: 'daily' | 'weekly';
  filters: MassFilter[];
  dry_run?: boolean;
  pseudonymize?: boolean;
  leave_out_rejected?: boolean;
  trial_protocol_id?: string;
  trial_protocol_name?: string;
  mail_when_finished?: boolean;
};

export type MassTasks = { all: number; success: number; warning: number; failure: number };

export type MassCount = {
  patients: number;
  studies: number;
  series: number;
  instances: number;
  uncounted: number;
};

export type MassTransfer = {
  start_date: string;
  end_date: string;
  partitions: 'daily' | 'weekly';
  filters: MassFilter[];
  dry_run: boolean;
  found: MassCount;
  looked: MassTasks;
  moved: MassTasks;
};

export type MassPartition = {
  task_id: number;
  seq: number;
  from: string;
  to: string;
  status: 'pending' | 'in_progress' | 'canceled' | 'success' | 'warning' | 'failure';
  message: string;
  searched: number;
  studies: number;
  series: number;
  instances: number;
};

export type MassVolume = {
  id: number;
  task_id?: number;
  partition: string;
  status: 'found' | 'pending' | 'in_progress' | 'canceled' | 'success' | 'warning' | 'failure';
  patient_id: string;
  accession_number: string;
  study_instance_uid: string;
  series_instance_uid: string;
  modality: string;
  study_description: string;
  series_description: string;
  series_number?: number;
  study_date: string;
  study_time: string;
  institution_name: string;
  instances?: number;
  delivered: number;
};

type Page<T> = { items: T[]; next_cursor?: string; truncated: boolean };
type OfJob<Q = never> = { path: { id: number }; query?: Q; signal?: AbortSignal };
type Answer<T> = Promise<{ data: T }>;

const get = <T>(url: string, options: object) =>
  client.get<{ 200: T }, unknown, true>({ url, ...options }) as unknown as Answer<T>;
const post = <T>(url: string, options: { headers?: object; body?: unknown; path?: { id: number } }) =>
  client.post<{ 200: T }, unknown, true>({
    url,
    ...options,
    headers: { 'Content-Type': 'application/json', ...options.headers },
  }) as unknown as Answer<T>;

export const createMassTransfer = (options: {
  body: NewMassTransfer;
  headers: { 'Idempotency-Key': string };
}) => post<Job>('/api/v1/mass-transfers', options);

export const getMassTransfer = (options: OfJob) => get<MassTransfer>('/api/v1/jobs/{id}/mass', options);

export const listPartitions = (options: OfJob<{ limit?: number; cursor?: string }>) =>
  get<Page<MassPartition>>('/api/v1/jobs/{id}/partitions', options);

export const listVolumes = (
  options: OfJob<{ limit?: number; cursor?: string; status?: string; partition?: number }>,
) => get<Page<MassVolume>>('/api/v1/jobs/{id}/volumes', options);

export const readMassFilters = (options: { body: { file: string } }) =>
  post<{ filters: MassFilter[] }>('/api/v1/mass-filters:read', options);

export const beginJob = (options: OfJob) => post<Job>('/api/v1/jobs/{id}:begin', options);
