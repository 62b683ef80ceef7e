// SPDX-License-Identifier: AGPL-3.0-or-later
// What people do without a mouse, for flows whose browsers have none (visit with mouse: false).

import assert from 'node:assert/strict';

/** noMouse has every touch of a pointer be a fault. Where the browser makes a click of a key, it says so by its detail. */
export const noMouse = (page) =>
  page.addInitScript(() => {
    const refuse = (e) => console.error(`a pointer was used: ${e.type}`);
    for (const type of ['pointerdown', 'pointermove', 'mousedown'])
      globalThis.addEventListener(type, refuse, { capture: true });
  });

/** named is what people are told of what has the focus: the same words that they know it by on the screen. */
const named = (page) =>
  page.evaluate(() => {
    const e = document.activeElement;
    if (e.matches('body,h1')) return ''; // which have the focus only at first
    return (e.getAttribute('aria-label') ?? e.labels?.[0]?.textContent ?? e.textContent ?? '').trim();
  });

/** covering is what lies above what has the focus; empty: it is seen. */
const covering = (page) =>
  page.evaluate(() => {
    const e = document.activeElement;
    if (!e.matches('a,button,input:not([type=radio])')) return '';
    const { left, top, width, height } = e.getBoundingClientRect();
    const above = document.elementFromPoint(left + width / 2, top + height / 2);
    if (!above || e.contains(above) || above.contains(e)) return '';
    return [...(e.labels ?? [])].some((l) => l.contains(above)) ? '' : above.outerHTML.slice(0, 200);
  });

/** Keys is somebody at a keyboard. */
export class Keys {
  constructor(page) {
    this.page = page;
    this.keyboard = page.keyboard;
  }

  /** to presses Tab until what has the focus has a name. It must be seen then: only a toast may cover it for a while. */
  async to(name, key = 'Tab') {
    const seen = [];
    for (let i = 0; i < 120; i++) {
      const now = await named(this.page);
      if (name.test(now)) {
        let by = await covering(this.page);
        for (let tries = 0; by && tries < 80; tries++) {
          await this.page.waitForTimeout(100);
          by = await covering(this.page);
        }
        assert.equal(by, '', `${now} has the focus, but something covers it`);
        return;
      }
      seen.push(now.slice(0, 30));
      await this.keyboard.press(key);
    }
    assert.fail(`no key leads to ${name}: ${seen.join(' | ')}`);
  }

  /** press presses a key where something of a name is. */
  async press(name, key = 'Enter') {
    await this.to(name);
    await this.keyboard.press(key);
  }

  /** type writes into the field of a name, instead of what is there. */
  async type(name, text) {
    await this.to(name);
    await this.keyboard.press('Control+a');
    await this.keyboard.type(text);
  }

  /** choose chooses from the list of a field. */
  async choose(name, option) {
    await this.to(name);
    await this.keyboard.press('ArrowDown');
    await this.page.getByRole('option', { name: option }).waitFor();
    const chosen = this.page.locator('[role=option][data-combobox-selected]');
    for (let i = 0; i < 20; i++) {
      if ((await chosen.count()) && option.test(await chosen.innerText())) break;
      await this.keyboard.press('ArrowDown');
    }
    await this.keyboard.press('Enter');
  }

  /** item opens the menu of a button and chooses from it. */
  async item(button, name) {
    await this.press(button);
    await this.page.getByRole('menuitem', { name }).waitFor();
    await this.page.locator('[role=menu]:focus-within').waitFor();
    await this.to(name, 'ArrowDown');
    await this.keyboard.press('Enter');
  }

  /** row goes to a row of a table of studies. */
  async row(name) {
    const row = this.page.getByRole('row', { name });
    await row.waitFor();
    for (let i = 0; i < 60; i++) {
      if (await row.evaluate((e) => e === document.activeElement)) return row;
      const inGrid = await this.page.evaluate(() => document.activeElement.matches('[role=row]'));
      await this.keyboard.press(inGrid ? 'ArrowDown' : 'Tab');
    }
    return assert.fail(`no key leads to the row ${name}`);
  }

  /** back waits until the focus is where it was before a dialog. */
  async back(name) {
    await this.page.getByRole('dialog').waitFor({ state: 'detached' });
    for (let tries = 0; tries < 100 && !name.test(await named(this.page)); tries++)
      await this.page.waitForTimeout(20);
    assert.match(await named(this.page), name, 'the focus is back where it was before the dialog');
  }
}
