// SPDX-License-Identifier: AGPL-3.0-or-later
// The pages of ADIT in the states that they can be in: for the crawl, and for pictures.

const search = async (page) => {
  await page.getByLabel('Patient name').fill('Phantom*');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page
    .getByRole('status')
    .getByText(/stud(y|ies) of PACS-A/)
    .waitFor();
  await page
    .getByRole('checkbox', { name: /^Pick study/ })
    .first()
    .waitFor();
};

const pickFirst = async (page) => {
  await search(page);
  await page
    .getByRole('checkbox', { name: /^Pick study/ })
    .first()
    .check();
  await page
    .getByRole('region', { name: 'Transfer' })
    .getByRole('button', { name: 'Start transfer' })
    .waitFor();
};

/** chosen puts a file of rows into a batch page. */
const chosen =
  (...lines) =>
  async (page) => {
    const file = { name: 'cohort.csv', mimeType: 'text/csv', buffer: Buffer.from(lines.join('\n')) };
    await page.locator('input[type=file]').setInputFiles(file);
    await page
      .getByRole('status')
      .filter({ hasText: /\d rows?\b/ })
      .first()
      .waitFor();
    await page
      .getByRole('heading', { name: /^(Faults|What ADIT has read)$/ })
      .first()
      .waitFor();
  };

const faultyQuery = chosen(
  'PatientID,PatientName,PatientBirthDate,From,Until,Modality,StudyDescription,Cohort',
  '0062115936,,,2019-01-01,2019-12-31,CT,*thorax*,A',
  ',"Apple, Annie",27.04.1945,,,CT,,A',
  '4711,,,2019-12-31,2019-01-01,MR,,B',
  '0062115938,,,,,,,B',
  '0062115939,,,31.12.2019,,CT,,B',
);

const faultyTransfer = chosen(
  'PatientID,StudyInstanceUID,SeriesInstanceUID,Pseudonym,SiteCode',
  'PHANTOM-0012,2.25.22879575250007935358642846861840966230,,SUBJ-0012,H1',
  'PHANTOM-0054,1.2.840.113619.2.55.3.6O4688,,SUBJ-0054,H1',
  'PHANTOM-0131,2.25.22879575250007935358642846861840966231,,SUBJ^0131,H2',
  'PHANTOM-0012,2.25.22879575250007935358642846861840966245,,SUBJ-0245,H2',
  'PHANTOM-0301,,,SUBJ-0301,H2',
);

const broken = (pattern) => async (page) => {
  await page.route(pattern, (route) =>
    route.fulfill({
      status: 500,
      contentType: 'application/problem+json',
      body: JSON.stringify({
        title: 'Internal Server Error',
        status: 500,
        code: 'internal',
        detail: 'ADIT has met a fault of its own. Try again; if it stays, tell your administrator.',
        request_id: 'CTVK7HGOMFXI54PD25X2KHFRDB',
      }),
    }),
  );
  await page.reload();
  await page.getByRole('alert').first().waitFor();
};

/** filled has a filter that includes, and one that excludes. */
async function filled(page) {
  await page.getByRole('button', { name: 'This year' }).click();
  await page.getByLabel('Modality').fill('CT');
  await page.getByLabel('Study description').fill('*head*');
  await page.getByLabel('Minimum age').fill('18');
  await page.getByRole('button', { name: 'Add a filter' }).click();
  await page.getByRole('button', { name: 'Exclude', exact: true }).click();
  await page.getByLabel('Series description').fill('*topogram*');
}

/**
 * statesOf lists what there is to see: who looks (null: nobody is logged in), where, and what is done before. jobs are the
 * numbers of jobs that have run: one that succeeded, one that failed and its task that did, one that waits, a batch
 * query, a dry run.
 */
export function statesOf({ jobs, source, destination }) {
  const selective = `/selective-transfer?source=${source}&destination=${destination}`;
  const batchTransfer = `/batch-transfer?source=${source}&destination=${destination}`;
  const massTransfer = `/mass-transfer?source=${source}&destination=${destination}`;
  return [
    { name: 'login', who: null, path: '/login' },
    {
      name: 'login-wrong',
      who: null,
      path: '/login',
      do: async (page) => {
        await page.getByLabel('Username').fill('nobody');
        await page.getByRole('textbox', { name: 'Password' }).fill('nothing');
        await page.getByRole('button', { name: 'Log in' }).click();
        await page.getByRole('alert').waitFor();
      },
    },
    { name: 'register', who: null, path: '/register' },
    { name: 'reset', who: null, path: '/reset' },
    { name: 'reset-choose', who: null, path: '/reset#0000000000000000000000000000000000000000' },
    { name: 'welcome-password', who: null, path: '/welcome#0000000000000000000000000000000000000000' },
    { name: 'welcome', who: 'admin', path: '/welcome' },
    { name: 'home', who: 'researcher', path: '/' },
    { name: 'home-new', who: 'colleague', path: '/' },
    { name: 'jobs', who: 'researcher', path: '/jobs' },
    { name: 'jobs-everybody', who: 'manager', path: '/jobs?all=true' },
    { name: 'jobs-none', who: 'colleague', path: '/jobs' },
    { name: 'jobs-filtered', who: 'researcher', path: '/jobs?status=canceled' },
    { name: 'jobs-broken', who: 'researcher', path: '/jobs', do: broken('**/api/v1/jobs?*') },
    { name: 'job-success', who: 'researcher', path: `/jobs/${jobs.success}` },
    { name: 'job-failure', who: 'researcher', path: `/jobs/${jobs.failure}` },
    { name: 'job-waiting', who: 'researcher', path: `/jobs/${jobs.waiting}` },
    {
      name: 'job-cancel',
      who: 'researcher',
      path: `/jobs/${jobs.waiting}`,
      do: async (page) => {
        await page.getByRole('button', { name: 'More' }).click();
        await page.getByRole('menuitem', { name: /^Cancel/ }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    { name: 'job-missing', who: 'researcher', path: '/jobs/999999' },
    { name: 'task', who: 'researcher', path: `/jobs/${jobs.success}/tasks/1` },
    { name: 'task-failure', who: 'manager', path: `/jobs/${jobs.failure}/tasks/${jobs.failedTask}` },
    { name: 'report', who: 'researcher', path: `/jobs/${jobs.success}/deidentification` },
    { name: 'selective', who: 'researcher', path: selective },
    { name: 'selective-found', who: 'researcher', path: selective, do: search },
    { name: 'selective-picked', who: 'researcher', path: selective, do: pickFirst },
    {
      name: 'selective-download',
      who: 'researcher',
      path: selective,
      do: async (page) => {
        await pickFirst(page);
        await page.getByRole('button', { name: 'Download…' }).click();
        await page.getByRole('dialog').getByLabel('Project').waitFor();
      },
    },
    { name: 'selective-no-right', who: 'visitor', path: '/selective-transfer' },
    {
      name: 'help',
      who: 'researcher',
      path: selective,
      do: async (page) => {
        await page.getByRole('button', { name: 'Help' }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    { name: 'batch-query', who: 'researcher', path: `/batch-query?source=${source}` },
    { name: 'batch-query-faults', who: 'researcher', path: `/batch-query?source=${source}`, do: faultyQuery },
    {
      name: 'batch-query-fine',
      who: 'researcher',
      path: `/batch-query?source=${source}`,
      do: chosen('PatientID,Modality,Cohort', 'PHANTOM-001,CT,A', 'PHANTOM-002,"CT, MR",B'),
    },
    { name: 'batch-no-right', who: 'visitor', path: '/batch-transfer' },
    { name: 'batch-transfer', who: 'researcher', path: batchTransfer },
    { name: 'batch-transfer-faults', who: 'researcher', path: batchTransfer, do: faultyTransfer },
    {
      name: 'batch-options',
      who: 'researcher',
      path: batchTransfer,
      do: async (page) => {
        await page.getByRole('button', { name: /^Title, ethics/ }).click();
        await page.getByLabel('Title').fill('Stroke cohort');
      },
    },
    {
      name: 'batch-help',
      who: 'researcher',
      path: '/batch-query',
      do: async (page) => {
        await page.getByRole('button', { name: 'Help' }).click();
        await page.getByRole('dialog').getByText('AccessionNumber', { exact: true }).waitFor();
      },
    },
    {
      name: 'job-query',
      who: 'researcher',
      path: `/jobs/${jobs.query}`,
      do: async (page) => {
        await page
          .getByRole('table', { name: 'Results' })
          .getByRole('checkbox', { name: /^Pick the study/ })
          .first()
          .check();
      },
    },
    { name: 'task-query', who: 'researcher', path: `/jobs/${jobs.query}/tasks/1` },
    { name: 'mass', who: 'researcher', path: massTransfer, do: filled },
    {
      name: 'mass-json',
      who: 'researcher',
      path: massTransfer,
      do: async (page) => {
        await page.getByRole('button', { name: 'JSON' }).click();
        await page.getByLabel('Filters as JSON').fill('[\n  { "modalty": "CT" }\n]');
        await page.getByText(/Did you mean modality/).waitFor();
      },
    },
    {
      name: 'mass-help',
      who: 'researcher',
      path: massTransfer,
      do: async (page) => {
        await page.getByRole('button', { name: 'Help' }).click();
        await page.getByRole('dialog').getByText('min_age', { exact: true }).waitFor();
      },
    },
    {
      name: 'job-mass',
      who: 'researcher',
      path: `/jobs/${jobs.mass}`,
      do: (page) => page.getByRole('gridcell').first().waitFor(),
    },
    {
      name: 'job-mass-table',
      who: 'researcher',
      path: `/jobs/${jobs.mass}`,
      do: async (page) => {
        await page.getByRole('button', { name: 'Table', exact: true }).click();
        await page.getByRole('table', { name: /^Days/ }).getByRole('cell').first().waitFor();
      },
    },
    {
      name: 'mass-again',
      who: 'researcher',
      path: massTransfer,
      do: async (page) => {
        await filled(page);
        await page.getByRole('button', { name: 'Again and again' }).click();
        await page.getByLabel('Time').fill('2');
        await page.getByLabel('Until').focus();
        await page.getByText('A time of day, such as 02:00.').waitFor();
        await page.evaluate(() => window.scrollTo(0, 0));
      },
    },
    {
      name: 'query-again',
      who: 'researcher',
      path: `/batch-query?source=${source}`,
      do: (page) => page.getByRole('button', { name: 'Again and again' }).click(),
    },
    { name: 'recurring', who: 'researcher', path: '/jobs/recurring' },
    { name: 'recurring-everybody', who: 'manager', path: '/jobs/recurring#1' },
    { name: 'recurring-none', who: 'colleague', path: '/jobs/recurring' },
    {
      name: 'recurring-broken',
      who: 'researcher',
      path: '/jobs/recurring',
      do: broken('**/api/v1/recurrences?*'),
    },
    {
      name: 'recurring-time',
      who: 'researcher',
      path: '/jobs/recurring',
      do: async (page) => {
        await page
          .getByRole('button', { name: /^Actions of/ })
          .first()
          .click();
        await page.getByRole('menuitem', { name: 'Change the time…' }).click();
        await page.getByRole('dialog').getByLabel('Time').waitFor();
      },
    },
    {
      name: 'recurring-remove',
      who: 'researcher',
      path: '/jobs/recurring',
      do: async (page) => {
        await page
          .getByRole('button', { name: /^Actions of/ })
          .first()
          .click();
        await page.getByRole('menuitem', { name: 'Remove…' }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
    { name: 'task-mass', who: 'researcher', path: `/jobs/${jobs.mass}/tasks/1` },
    { name: 'profile', who: 'researcher', path: '/profile' },
    { name: 'tokens', who: 'researcher', path: '/profile?tab=tokens' },
    { name: 'preferences', who: 'researcher', path: '/profile?tab=preferences' },
    { name: 'nothing-here', who: 'researcher', path: '/nowhere' },
    {
      name: 'palette',
      who: 'researcher',
      path: '/',
      do: async (page) => {
        await page.keyboard.press('Control+k');
        await page.getByRole('dialog').waitFor();
      },
    },
    {
      name: 'keys',
      who: 'researcher',
      path: '/',
      do: async (page) => {
        await page.keyboard.press('?');
        await page.getByRole('dialog').waitFor();
      },
    },
    {
      name: 'user-menu',
      who: 'researcher',
      path: '/',
      wide: true,
      do: async (page) => {
        await page.getByRole('button', { name: /researcher|admin/ }).click();
        await page.getByRole('menu').waitFor();
      },
    },
    {
      name: 'about',
      who: 'researcher',
      path: '/',
      wide: true,
      do: async (page) => {
        await page.getByRole('button', { name: /researcher|admin/ }).click();
        await page.getByRole('menuitem', { name: /^About/ }).click();
        await page.getByRole('dialog').getByText('Licence', { exact: true }).waitFor();
      },
    },
    {
      name: 'navigation',
      who: 'researcher',
      path: '/jobs',
      narrow: true,
      do: async (page) => {
        await page.getByRole('button', { name: 'Menu' }).click();
        await page.getByRole('dialog').waitFor();
      },
    },
  ];
}
