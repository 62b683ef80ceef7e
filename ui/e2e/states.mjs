// SPDX-License-Identifier: AGPL-3.0-or-later
// The pages of ADIT in the states that they can be in: for the crawl, and for pictures.

const search = async (page) => {
  await page.getByLabel('Patient name').fill('Phantom*');
  await page.getByRole('button', { name: 'Search', exact: true }).click();
  await page
    .getByRole('status')
    .getByText(/stud(y|ies) of PACS-A/)
    .waitFor();
};

const pickFirst = async (page) => {
  await search(page);
  await page
    .getByRole('checkbox', { name: /^Pick study/ })
    .first()
    .check();
};

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

/**
 * statesOf lists what there is to see: who looks (null: nobody is logged in), where, and what is done before. jobs are the
 * numbers of jobs that have run: one that succeeded, one that failed, one that waits.
 */
export function statesOf({ jobs, source, destination }) {
  const selective = `/selective-transfer?source=${source}&destination=${destination}`;
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
    { name: 'task-failure', who: 'manager', path: `/jobs/${jobs.failure}/tasks/1` },
    { name: 'report', who: 'researcher', path: `/jobs/${jobs.success}/deidentification` },
    { name: 'selective', who: 'researcher', path: selective },
    { name: 'selective-found', who: 'researcher', path: selective, do: search },
    { name: 'selective-picked', who: 'researcher', path: selective, do: pickFirst },
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
        await page.getByRole('button', { name: /researcher/ }).click();
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
