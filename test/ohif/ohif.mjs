// SPDX-License-Identifier: AGPL-3.0-or-later
// Looks at a study with OHIF, logged in: node ohif.mjs PLAYWRIGHT, with what to do on the standard input.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { chromium } = createRequire(process.argv[2] + '/')('playwright-core')
const told = JSON.parse(readFileSync(0, 'utf8'))
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--enable-unsafe-swiftshader', '--use-gl=angle', '--use-angle=swiftshader', '--ignore-gpu-blocklist'],
})
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
context.setDefaultTimeout(120_000)
const page = await context.newPage()
const asked = []
const said = []
page.on('response', (r) => {
  const path = new URL(r.url()).pathname
  if (path.startsWith('/dicom-web/')) asked.push(`${r.status()} ${path} ${r.request().headers().accept ?? ''}`)
})
page.on('console', (m) => said.push(m.text()))
page.on('pageerror', (e) => said.push(String(e)))

// brightness reads the picture that is shown, as lines of grey values from 0 to 255.
const brightness = () =>
  page.evaluate(() => {
    const canvas = document.querySelector('canvas.cornerstone-canvas')
    if (!canvas) return null
    const copy = document.createElement('canvas')
    ;[copy.width, copy.height] = [canvas.width, canvas.height]
    const to = copy.getContext('2d')
    to.drawImage(canvas, 0, 0)
    const { data, width, height } = to.getImageData(0, 0, canvas.width, canvas.height)
    return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => data[4 * (y * width + x)]))
  })

// looksLikeAPhantom says whether a picture has its ring of bone, brighter than what is within, on dark air.
function looksLikeAPhantom(rows) {
  if (!rows?.length) return false
  const row = rows[rows.length >> 1]
  const most = Math.max(...row)
  if (most < 100) return false
  const lit = row.map((v, x) => (v > most * 0.8 ? x : -1)).filter((x) => x >= 0)
  const [left, right] = [lit[0], lit.at(-1)]
  const column = rows.map((r) => r[(left + right) >> 1])
  const high = column.map((v, y) => (v > most * 0.8 ? y : -1)).filter((y) => y >= 0)
  const shape = (right - left) / (high.at(-1) - high[0])
  const within = row.slice(left + Math.round((right - left) * 0.15), left + Math.round((right - left) * 0.25))
  const mean = within.reduce((a, b) => a + b, 0) / within.length
  return row[Math.max(0, left - 12)] < 40 && Math.abs(shape - told.shape) < 0.1 * told.shape && mean < most * 0.8
}

const checks = {
  async login() {
    const answer = await context.request.post(`${told.url}/api/v1/session`, {
      data: { username: 'admin', password: told.password },
    })
    assert(answer.ok(), await answer.text())
  },

  async list() {
    await page.goto(told.url)
    await page.getByText(told.patient).first().waitFor()
  },

  async image() {
    await page.goto(`${told.url}/viewer?StudyInstanceUIDs=${told.study}`)
    const end = Date.now() + 120_000
    while (!looksLikeAPhantom(await brightness())) {
      assert(Date.now() < end, 'no phantom is to be seen')
      await page.waitForTimeout(250)
    }
  },

  async thumbnails() {
    const pictures = page.locator('[data-cy="study-browser-thumbnail"] img')
    await pictures.nth(told.series - 1).waitFor()
    assert.equal(await pictures.count(), told.series)
    for (const one of await pictures.all()) {
      await one.evaluate((i) => i.complete || new Promise((done) => i.addEventListener('load', done)))
      assert((await one.evaluate((i) => i.naturalWidth)) > 0, 'a thumbnail is no picture')
    }
  },

  // A page of an allowed origin may use DICOMweb, one of another may not.
  async origins() {
    const get = (at) =>
      page.evaluate(
        async ([url, accept]) => {
          try {
            const answer = await fetch(url, { credentials: 'include', headers: { Accept: accept } })
            await answer.arrayBuffer()
            return answer.status
          } catch {
            return 0
          }
        },
        [`${told.adit}${at}`, 'multipart/related; type="application/octet-stream"; transfer-syntax=*'],
      )
    assert.equal(await get(`/dicom-web/PACS/studies/${told.study}/metadata`), 200)
    assert.equal(await get(told.frame), 200)
    assert.equal(await get('/api/v1/jobs'), 0)
    await page.goto(told.other)
    assert.equal(await get(told.frame), 0)
  },

  async failures() {
    const failed = asked.filter((a) => !a.startsWith('2'))
    assert.deepEqual(failed, [])
  },
}

let failed = false
for (const [name, check] of Object.entries(checks)) {
  try {
    await check()
  } catch (error) {
    failed = true
    console.error(`${name}: ${error.stack}`)
    if (told.pictures) await page.screenshot({ path: `${told.pictures}/${name}.png` })
  }
}
if (failed) console.error([...new Set(asked)].slice(0, 60).join('\n'), '\n', said.slice(-20).join('\n').slice(0, 3000))
await browser.close()
if (failed) process.exit(1)
process.stdout.write(JSON.stringify(Object.keys(checks)), () => process.exit())
