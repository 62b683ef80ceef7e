// SPDX-License-Identifier: AGPL-3.0-or-later
// What all tests in a browser share: Debian's Chromium against a running ADIT, with an eye on everything that goes wrong
// unseen: messages in the console, violations of the CSP, requests to elsewhere, patients' values where none belongs.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--force-color-profile=srgb',
];

export async function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: flags,
  });
}

/** Traffic is the requests of a page that are on their way. */
class Traffic {
  #requests = new Set();
  #waiting = [];

  constructor(page) {
    const end = (r) => {
      this.#requests.delete(r);
      if (this.none) this.#waiting.splice(0).forEach((done) => done());
    };
    page.on('request', (r) => this.#requests.add(r));
    page.on('requestfinished', end);
    page.on('requestfailed', end);
    page.on('close', () => this.#waiting.splice(0).forEach((done) => done()));
  }

  get none() {
    return this.#requests.size === 0;
  }

  /** ended waits until there are none. */
  ended() {
    return this.none ? undefined : new Promise((done) => this.#waiting.push(done));
  }
}

const traffic = new WeakMap();

/** Watched is a browser context that notes what nobody sees. */
export class Watched {
  faults = [];
  /** Texts that stand for patients' values: they may occur nowhere but in the page itself. */
  secrets = [];

  static async open(browser, base, options = {}) {
    const watched = new Watched();
    watched.base = base;
    watched.context = await browser.newContext({
      baseURL: base,
      viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
      colorScheme: options.scheme ?? 'light',
      // A phone's scrollbar takes no room.
      ...(options.phone && { isMobile: true, hasTouch: true }),
      reducedMotion: 'reduce',
      timezoneId: options.timezone ?? 'Europe/Berlin',
      locale: 'en-GB',
      storageState: options.storageState,
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    watched.secrets = options.secrets ?? [];
    watched.context.on('page', (page) => watched.watch(page));
    watched.page = await watched.context.newPage();
    return watched;
  }

  watch(page) {
    traffic.set(page, new Traffic(page));
    page.on('console', (m) => {
      // A refused request is written there by the browser itself; the tests look at the page instead.
      if (
        ['error', 'warning'].includes(m.type()) &&
        !/^Failed to load resource|WebSocket connection/.test(m.text())
      ) {
        this.faults.push(`console: ${m.text()}`);
      }
      this.search('console', m.text());
    });
    page.on('pageerror', (e) => this.faults.push(`error in the page: ${e.message}`));
    page.on('request', (r) => {
      const url = r.url();
      if (!url.startsWith(this.base) && !/^(blob:|data:)/.test(url))
        this.faults.push(`request to elsewhere: ${url}`);
      this.search('URL', decodeURIComponent(url));
    });
    page.on('framenavigated', (f) => this.search('address', decodeURIComponent(f.url())));
    page.addInitScript(() =>
      document.addEventListener('securitypolicyviolation', (e) =>
        console.error(`CSP: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`),
      ),
    );
  }

  search(where, text) {
    for (const secret of this.secrets) {
      if (text.includes(secret)) this.faults.push(`a patient's value in the ${where}: ${text.slice(0, 200)}`);
    }
  }

  /** logIn logs in by the API, as the page does. */
  async logIn(username, password) {
    const answer = await this.context.request.post('/api/v1/session', { data: { username, password } });
    if (!answer.ok()) throw new Error(`login: ${answer.status()} ${await answer.text()}`);
  }

  /** checkStored looks for patients' values in title and storage. */
  async checkStored(page = this.page) {
    const stored = await page.evaluate(() =>
      JSON.stringify([document.title, { ...localStorage }, { ...sessionStorage }, document.cookie]),
    );
    this.search('title or storage', stored);
  }

  /** done fails if anything went wrong unseen. */
  done() {
    if (this.faults.length > 0) throw new Error([...new Set(this.faults)].join('\n'));
  }
}

/** Downloads are the files that a browser takes into a folder, as it does for people. */
export class Downloads {
  #all = [];
  #waiting = [];

  static async into(folder, browser, page) {
    const downloads = new Downloads();
    const own = await page.context().newCDPSession(page);
    const { targetInfo } = await own.send('Target.getTargetInfo');
    const session = await browser.newBrowserCDPSession();
    session.on('Browser.downloadWillBegin', ({ guid, suggestedFilename }) =>
      downloads.#hear({ guid, name: suggestedFilename, state: 'inProgress' }),
    );
    session.on('Browser.downloadProgress', ({ guid, state }) => downloads.#hear({ guid, state }));
    await session.send('Browser.setDownloadBehavior', {
      behavior: 'allow',
      browserContextId: targetInfo.browserContextId,
      downloadPath: folder,
      eventsEnabled: true,
    });
    return downloads;
  }

  #hear(news) {
    const known = this.#all.find((d) => d.guid === news.guid);
    if (known) Object.assign(known, news);
    else this.#all.push(news);
    this.#waiting.splice(0).forEach((done) => done());
  }

  /** reached waits until the download of a number, from 0, has a state: inProgress, completed or canceled. */
  async reached(i, state) {
    while (this.#all[i]?.state !== state) {
      if (state !== 'inProgress' && this.#all[i] && !['inProgress', state].includes(this.#all[i].state))
        throw new Error(`download ${i} is ${this.#all[i].state}, not ${state}`);
      await new Promise((done) => this.#waiting.push(done));
    }
    return this.#all[i];
  }

  get begun() {
    return this.#all.length;
  }
}

/** settled waits until nothing is on its way, the page has nothing to do, and nothing moves. */
export async function settled(page) {
  await page.locator('h1').first().waitFor();
  const requests = traffic.get(page);
  const loading = page.locator('.vh:text-matches("^Loading")');
  // What a page makes of an answer may be a request: it is done when it asks for nothing after two rests.
  for (let rests = 0; rests < 2; rests++) {
    await requests.ended();
    await loading.first().waitFor({ state: 'detached' });
    await page.evaluate(() => new Promise((done) => globalThis.requestIdleCallback(done)));
    if (!requests.none) rests = -1;
  }
  await page.evaluate(() => document.fonts.ready);
  await drawn(page);
}

/** drawn waits until what has changed is drawn. */
export function drawn(page) {
  return page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
}

const standards = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** violations are what axe finds on a page, in a few lines each; by some rules, or by all of the standards. */
export async function violations(page, rules) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axeSource);
  const found = await page.evaluate(
    (runOnly) => globalThis.axe.run(document, { runOnly, resultTypes: ['violations'] }),
    rules ? { type: 'rule', values: rules } : { type: 'tag', values: standards },
  );
  const where = (node) => `    ${node.target.join(' ')}: ${node.any[0]?.message ?? node.failureSummary}`;
  return found.violations.map((v) => [`${v.id}: ${v.help}`, ...v.nodes.slice(0, 4).map(where)].join('\n'));
}

/** overflow tells by how many pixels a page is wider than the window, once it is drawn, and by what. */
export async function overflow(page) {
  await drawn(page);
  return page.evaluate(() => {
    const by = document.documentElement.scrollWidth - innerWidth;
    if (by <= 0) return '';
    const wide = [...document.querySelectorAll('body *')].filter(
      (e) => e.getBoundingClientRect().right > innerWidth + 1,
    );
    const name = (e) => `${e.tagName.toLowerCase()}.${[...e.classList].join('.')}`;
    return `${by} px wider than the window: ${wide.slice(0, 4).map(name).join(', ')}`;
  });
}
