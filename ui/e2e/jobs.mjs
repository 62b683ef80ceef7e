// SPDX-License-Identifier: AGPL-3.0-or-later
// Jobs that the tests look at, made by the API.

/** call calls the API with the session of a browser, and gives what it answers. */
export async function call({ page }, method, path, data) {
  const answer = await page.request.fetch(`/api/v1${path}`, { method, data, timeout: 120_000 });
  const text = await answer.text();
  if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** ended waits until a job has ended, and gives it. */
export async function ended(watched, id) {
  for (;;) {
    const job = await call(watched, 'GET', `/jobs/${id}`);
    if (['success', 'warning', 'failure', 'canceled'].includes(job.status)) return job;
    await watched.page.waitForTimeout(200); // ends by the time-out of the test
  }
}

/** newJob makes a job of some studies of PACS-A. */
export function newJob(watched, studies, more = {}) {
  return call(watched, 'POST', '/jobs', {
    kind: 'selective_transfer',
    source: 'PACS-A',
    destination: 'RESEARCH',
    studies,
    ...more,
  });
}

/** slowJob makes a job of all studies of PACS-A, which goes on for many minutes. */
export async function slowJob(watched) {
  await call(watched, 'PUT', '/servers/PACS-A/schedule', {
    default: { batch: 4, interactive: 2, studies_per_minute: 3, mb_per_second: 0.1 },
  });
  const found = await call(watched, 'POST', '/servers/PACS-A/studies:search', { patient_name: 'Phantom*' });
  const studies = found.items.map(({ study_instance_uid, patient_id }) => ({
    study_instance_uid,
    patient_id,
  }));
  return newJob(watched, studies, { pseudonymize: true, project: 'TRIAL-A' });
}

/** newQuery makes a batch query of PACS-A, of lines of CSV, and gives its job. */
export async function newQuery(watched, lines) {
  const file = Buffer.from(lines.join('\n')).toString('base64');
  const { jobs } = await call(watched, 'POST', '/batch-queries', {
    sources: ['PACS-A'],
    file,
    title: 'Cohort',
  });
  return jobs[0];
}

/** newDryRun looks through some days of PACS-A, by a filter. */
export function newDryRun(watched, start_date, end_date, filter) {
  return call(watched, 'POST', '/mass-transfers', {
    source: 'PACS-A',
    destination: 'RESEARCH',
    start_date,
    end_date,
    filters: [filter],
    dry_run: true,
  });
}

/** newRecurrence has CT of PACS-A transferred again and again, from a day on. */
export function newRecurrence(watched, start_date) {
  return call(watched, 'POST', '/recurrences', {
    at: '02:00',
    weekdays: ['mon', 'thu'],
    overlap_days: 7,
    mass: {
      source: 'PACS-A',
      destination: 'RESEARCH',
      title: 'Lung CT',
      start_date,
      filters: [{ modality: 'CT' }],
    },
  });
}

/** close keeps jobs away from PACS-A for two hours, and gives the time of day in Berlin at which it opens; open lets them in. */
export async function close(staff) {
  const from = hours(2);
  await call(staff, 'PUT', '/servers/PACS-A/schedule', {
    default: { batch: 0, interactive: 2 },
    windows: [{ from, to: hours(3), time_zone: 'Europe/Berlin', batch: 4, interactive: 2 }],
  });
  return from;
}

export const open = (staff) =>
  call(staff, 'PUT', '/servers/PACS-A/schedule', { default: { batch: 4, interactive: 2 } });

/** hours is the time of day in Berlin in so many hours. */
function hours(n) {
  return new Date(Date.now() + n * 3_600_000).toLocaleTimeString('en-GB', {
    timeZone: 'Europe/Berlin',
    hour: '2-digit',
    minute: '2-digit',
  });
}

/**
 * madeJobs makes a job that succeeds under pseudonyms, one that fails, a batch query, the dry run of a mass transfer, a
 * run of a recurrence, and one that waits until its window opens.
 */
export async function madeJobs(owner, world, visit) {
  const manager = await visit('manager');
  const success = await newJob(owner, [{ study_instance_uid: world.studies[0].uid }], {
    pseudonymize: true,
    project: 'lung-screening',
  });
  const failure = await newJob(owner, [
    { study_instance_uid: `1.2.826.0.1.3680043.8.498.${'4'.repeat(38)}` }, // as long as a UID may be
    { study_instance_uid: world.studies[1].uid },
  ]);
  await ended(owner, success.id);
  await ended(owner, failure.id);
  const query = await newQuery(owner, [
    'PatientID,Modality',
    'PHANTOM-101,CT',
    'PHANTOM-107,MR',
    'PHANTOM-404,CT',
  ]);
  await ended(owner, query.id);
  const mass = await newDryRun(owner, '2026-01-01', '2026-11-30', { modality: 'CT' });
  await ended(owner, mass.id);
  const { id } = await newRecurrence(owner, '2026-11-01');
  await ended(owner, (await call(owner, 'POST', `/recurrences/${id}:run`)).job_id);
  await close(manager);
  const waiting = await newJob(owner, [{ study_instance_uid: world.studies[2].uid }]);
  return {
    success: success.id,
    failure: failure.id,
    failedTask: 1,
    waiting: waiting.id,
    query: query.id,
    mass: mass.id,
  };
}
