// SPDX-License-Identifier: AGPL-3.0-or-later
// Sets the colour scheme before the first paint; a file of its own, since the CSP allows no inline script.
(function () {
  var s = null;
  try {
    s = localStorage.getItem('adit-scheme');
  } catch {
    /* blocked: follow the system */
  }
  if (s !== 'light' && s !== 'dark')
    s = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.setAttribute('data-mantine-color-scheme', s);
})();
