// SPDX-License-Identifier: AGPL-3.0-or-later

import '@fontsource-variable/inter/wght.css';
import './mantine.css';
import './theme.gen.css';
import './global.css';

import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { lazy, Suspense, useState, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';

import { queries } from './api';
import { asked, onAsked } from './api/gate';
import { backCloses } from './back';
import { router } from './router';
import { theme } from './theme';

const Gate = lazy(() => import('./session/Gate'));

/** Asked loads the dialogs of the gate when something is asked for the first time, and leaves them there to close. */
function Asked() {
  const ask = useSyncExternalStore(onAsked, asked);
  const [needed, need] = useState(false);
  if (ask && !needed) need(true);
  return needed && <Gate />;
}

backCloses(router.history);

// After an upgrade of the server the parts of the old page are gone.
addEventListener('vite:preloadError', () => location.reload());

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no #root');
createRoot(root).render(
  <MantineProvider
    theme={theme}
    defaultColorScheme="auto"
    colorSchemeManager={localStorageColorSchemeManager({ key: 'adit-scheme' })}
    withCssVariables={false}
    withGlobalClasses={false}
  >
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
      <Suspense fallback={null}>
        <Asked />
      </Suspense>
    </QueryClientProvider>
  </MantineProvider>,
);
