// SPDX-License-Identifier: AGPL-3.0-or-later

import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router';

import { Broken } from './pages/Broken';
import { known, welcomed } from './session/enter';
import { Shell } from './shell/Shell';

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);

const whole = (value: unknown) => (Number.isSafeInteger(value) ? Number(value) : undefined);

const root = createRootRoute({ component: Outlet, errorComponent: Broken });

// Whoever enters by this route is known.
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  beforeLoad: async ({ location }) => ({ me: await known(location.href) }),
});

const shell = createRoute({ getParentRoute: () => inside, id: 'shell', component: Shell });

const home = createRoute({
  getParentRoute: () => shell,
  path: '/',
  beforeLoad: ({ context }) => welcomed(context.me),
  component: lazyRouteComponent(() => import('./pages/home/Home')),
});

/** JobsSearch is what the address of the list of jobs says. */
export type JobsSearch = {
  all?: true;
  status?: string;
  kind?: string;
  source?: string;
  destination?: string;
  project?: string;
  sort?: string;
};

const jobs = createRoute({
  getParentRoute: () => shell,
  path: '/jobs',
  validateSearch: (s: Record<string, unknown>): JobsSearch => ({
    all: s.all === true ? true : undefined,
    status: text(s.status),
    kind: text(s.kind),
    source: text(s.source),
    destination: text(s.destination),
    project: text(s.project),
    sort: text(s.sort),
  }),
  component: lazyRouteComponent(() => import('./pages/jobs/Jobs')),
});

const recurring = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/recurring',
  component: lazyRouteComponent(() => import('./pages/recurring/Recurring')),
});

const job = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$id',
  // row: of the file, for what a batch query found; partition: its task, for what a mass transfer found
  validateSearch: (s: Record<string, unknown>): { status?: string; row?: number; partition?: number } => ({
    status: text(s.status),
    row: whole(s.row),
    partition: whole(s.partition),
  }),
  component: lazyRouteComponent(() => import('./pages/job/JobPage')),
});

const task = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$id/tasks/$seq',
  component: lazyRouteComponent(() => import('./pages/task/TaskPage')),
});

const report = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$id/deidentification',
  component: lazyRouteComponent(() => import('./pages/report/Report')),
});

const selective = createRoute({
  getParentRoute: () => shell,
  path: '/selective-transfer',
  validateSearch: (s: Record<string, unknown>): { source?: string; destination?: string } => ({
    source: text(s.source),
    destination: text(s.destination),
  }),
  component: lazyRouteComponent(() => import('./pages/selective/Selective')),
});

/** BatchSearch is what the address of a batch page says; several sources are parted by commas. */
export type BatchSearch = { source?: string; destination?: string; project?: string };

const batchSearch = (s: Record<string, unknown>): BatchSearch => ({
  source: text(s.source),
  destination: text(s.destination),
  project: text(s.project),
});

const batchQuery = createRoute({
  getParentRoute: () => shell,
  path: '/batch-query',
  validateSearch: batchSearch,
  component: lazyRouteComponent(() => import('./pages/batch-query/BatchQuery')),
});

const batchTransfer = createRoute({
  getParentRoute: () => shell,
  path: '/batch-transfer',
  validateSearch: batchSearch,
  component: lazyRouteComponent(() => import('./pages/batch-transfer/BatchTransfer')),
});

const massTransfer = createRoute({
  getParentRoute: () => shell,
  path: '/mass-transfer',
  validateSearch: batchSearch,
  component: lazyRouteComponent(() => import('./pages/mass-transfer/MassTransfer')),
});

const profile = createRoute({
  getParentRoute: () => shell,
  path: '/profile',
  validateSearch: (s: Record<string, unknown>): { tab?: string } => ({ tab: text(s.tab) }),
  component: lazyRouteComponent(() => import('./pages/profile/Profile')),
});

const missing = createRoute({
  getParentRoute: () => shell,
  path: '/$',
  component: lazyRouteComponent(() => import('./pages/Missing')),
});

// The first run: by the one-time code behind #, as long as nobody can log in; then for superusers.
const welcome = createRoute({
  getParentRoute: () => root,
  path: '/welcome',
  beforeLoad: async ({ location }) => {
    if (location.hash) return;
    const me = await known(location.href);
    if (!me.is_superuser) redirect({ to: '/', throw: true });
  },
  component: lazyRouteComponent(() => import('./pages/welcome/Welcome')),
});

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: (s: Record<string, unknown>): { next?: string } => ({ next: text(s.next) }),
  component: lazyRouteComponent(() => import('./pages/login/Login')),
});

const register = createRoute({
  getParentRoute: () => root,
  path: '/register',
  component: lazyRouteComponent(() => import('./pages/login/Register')),
});

// The code of a mail stands behind #, where no log and no proxy sees it.
const reset = createRoute({
  getParentRoute: () => root,
  path: '/reset',
  component: lazyRouteComponent(() => import('./pages/login/Reset')),
});

export const router = createRouter({
  routeTree: root.addChildren([
    inside.addChildren([
      shell.addChildren([
        home,
        jobs,
        recurring,
        job,
        task,
        report,
        selective,
        batchQuery,
        batchTransfer,
        massTransfer,
        profile,
        missing,
      ]),
    ]),
    welcome,
    login,
    register,
    reset,
  ]),
  defaultPreload: 'intent',
  defaultErrorComponent: Broken,
  scrollRestoration: true,
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
