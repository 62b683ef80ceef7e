// SPDX-License-Identifier: AGPL-3.0-or-later
// By the keyboard: a study is taken away as a zip, which is whole or not there; why it does not begin is told.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Downloads, settled, violations } from '../browser.mjs';

export default async function ({ world, visit, wish, browser }) {
  // The address of a download names the study by its UID, as all of the API does.
  const secrets = world.secrets.filter((s) => !/^[0-9.]+$/.test(s));
  const folder = mkdtempSync(join(tmpdir(), 'download-'));
  const zips = () => readdirSync(folder).filter((name) => name.endsWith('.zip'));
  const { page, keys } = await visit('researcher', { mouse: false, secrets });
  const downloads = await Downloads.into(folder, browser, page);
  const dialog = page.getByRole('dialog', { name: 'Download' });

  const found = async (by, source, patient, row) => {
    await by.page.goto(`/selective-transfer?source=${source}&destination=RESEARCH`);
    await by.keys.type(/^Patient ID/, patient);
    await by.page.keyboard.press('Enter');
    await by.keys.row(row);
    await by.page.keyboard.press('Space');
    await by.page.getByRole('button', { name: 'Start transfer' }).waitFor();
  };
  const opened = async () => {
    await keys.press(/^Download…$/);
    await dialog.waitFor();
  };
  const withIdentity = async () => {
    await keys.choose(/^Pseudonyms/, /identity/i);
    await dialog.getByText(/downloaded unchanged/).waitFor();
    await keys.press(/^Download$/);
  };

  try {
    // A whole study, with the identity.
    const study = world.studies[0];
    await found({ page, keys }, 'PACS-A', study.patient_id, /2026-11-11/);
    await opened();
    await dialog.getByText(`1 study, ${study.images} images`).waitFor();
    await keys.press(/^Download$/);
    await dialog.getByText('Type the pseudonym.').waitFor();
    await withIdentity();
    const whole = await downloads.reached(0, 'completed');
    assert.equal(whole.name, `study_download_${study.uid}.zip`);
    await wish(`unzip ${study.images} ${join(folder, whole.name)}`);
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press('Escape');
    await keys.back(/^Download…$/);

    // Two of its series, under a pseudonym.
    await keys.row(/2026-11-11/);
    await page.keyboard.press('Space');
    await page.keyboard.press('ArrowRight');
    for (const series of [/Thorax 1.0 lung/, /Thorax 3.0 mediastinum/]) {
      await keys.row(series);
      await page.keyboard.press('Space');
    }
    await opened();
    await dialog.getByText('2 series of a study, 10 images').waitFor();
    await keys.type(/^Pseudonym\b(?!s)/, 'SUBJ-7');
    await page.keyboard.press('Enter');
    const series = await downloads.reached(1, 'completed');
    assert.ok(!series.name.includes(study.uid), series.name);
    await wish(`unzip 10 ${join(folder, series.name)}`);

    // What the server refuses is told in its words; nothing is downloaded.
    await keys.type(/^Pseudonym\b(?!s)/, 'A\\B');
    await page.keyboard.press('Enter');
    await dialog
      .getByRole('alert')
      .getByText(/pseudonym/i)
      .first()
      .waitFor();
    assert.equal(downloads.begun, 2);
    assert.deepEqual(await violations(page), []);
    await page.keyboard.press('Escape');
    await keys.back(/^Download…$/);

    // One that has begun goes on without the dialog.
    await found({ page, keys }, 'WAITING', 'PHANTOM-130', /CT Abdomen/);
    await opened();
    await withIdentity();
    const begun = await downloads.reached(2, 'inProgress');
    await page.keyboard.press('Escape');
    await keys.back(/^Download…$/);
    assert.ok(!zips().includes(begun.name), 'it has not its name yet');
    await wish('go on');
    await downloads.reached(2, 'completed');
    await wish(`unzip 10 ${join(folder, begun.name)}`);
    rmSync(join(folder, begun.name));

    // A PACS breaks off in the middle: the browser says that it failed, and there is no such file.
    const before = zips();
    await found({ page, keys }, 'BREAKING', 'PHANTOM-130', /CT Abdomen/);
    await opened();
    await withIdentity();
    const broken = await downloads.reached(3, 'canceled');
    assert.equal(broken.name, begun.name);
    assert.deepEqual(zips(), before);
    await page.keyboard.press('Escape');

    // Who may not see patients has to type a pseudonym; who may not download is not offered it.
    const taker = await visit('taker', { mouse: false, secrets });
    await found(taker, 'PACS-A', study.patient_id, /2026-11-11/);
    await taker.keys.press(/^Download…$/);
    await taker.page
      .getByRole('dialog')
      .getByLabel(/^Pseudonym/)
      .waitFor();
    assert.equal(await taker.page.getByRole('dialog').getByLabel('Pseudonyms').count(), 0);
    const looker = await visit('looker', { mouse: false, secrets });
    await found(looker, 'PACS-A', study.patient_id, /2026-11-11/);
    await settled(looker.page);
    assert.equal(await looker.page.getByRole('button', { name: 'Download…' }).count(), 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
