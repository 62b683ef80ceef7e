// SPDX-License-Identifier: AGPL-3.0-or-later
// Retrieves through ADIT with dicomweb-client and dcmjs. The argument is the folder of the npm packages.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { readdirSync, readFileSync } from 'node:fs'

const require = createRequire(process.argv[2] + '/')
globalThis.XMLHttpRequest = require('xhr2')
const { api } = require('dicomweb-client')
const dcmjs = require('dcmjs')
const { multipartDecode } = dcmjs.utilities.message
dcmjs.log.setLevel?.('silent')

const told = JSON.parse(readFileSync(0, 'utf8'))
const url = `${told.url}/dicom-web/${told.ae_title}`
const headers = { Authorization: `Bearer ${told.token}` }
const client = new api.DICOMwebClient({ url, headers })

const exact = (b) => b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength)
const read = (buffer) => dcmjs.data.DicomMessage.readFile(buffer, { ignoreErrors: true })
const text = (file, tag) => file.dict[tag]?.Value?.[0]
const pixels = (file) => file.dict['7FE00010']?.Value?.map((v) => Buffer.from(v)) ?? []

const stored = new Map()
for (const name of readdirSync(told.files)) {
  const file = read(exact(readFileSync(`${told.files}/${name}`)))
  stored.set(text(file, '00080018'), file)
}
const of = (study, series) =>
  [...stored].filter(([, f]) => text(f, '0020000D') === study && (!series || text(f, '0020000E') === series))
const studies = [...new Set([...stored.values()].map((f) => text(f, '0020000D')))]

// same says where objects differ from those that the server holds.
function same(objects, want) {
  const files = objects.map(read)
  assert.deepEqual(files.map((f) => text(f, '00080018')).sort(), want.map(([uid]) => uid).sort())
  for (const f of files) {
    assert.deepEqual(pixels(f), pixels(stored.get(text(f, '00080018'))))
  }
}

const checks = {
  async search() {
    for (const study of studies) {
      const [found] = await client.searchForStudies({ queryParams: { StudyInstanceUID: study } })
      assert.equal(found['0020000D'].Value[0], study)
      const series = await client.searchForSeries({ studyInstanceUID: study })
      for (const one of series) {
        const seriesInstanceUID = one['0020000E'].Value[0]
        const images = await client.searchForInstances({ studyInstanceUID: study, seriesInstanceUID })
        assert.equal(images.length, of(study, seriesInstanceUID).length)
        for (const i of images) assert.equal(typeof (i['00200013']?.Value?.[0] ?? 0), 'number')
      }
    }
  },

  async retrieve() {
    for (const studyInstanceUID of studies) {
      same(await client.retrieveStudy({ studyInstanceUID }), of(studyInstanceUID))
      for (const seriesInstanceUID of new Set(of(studyInstanceUID).map(([, f]) => text(f, '0020000E')))) {
        const want = of(studyInstanceUID, seriesInstanceUID)
        same(await client.retrieveSeries({ studyInstanceUID, seriesInstanceUID }), want)
        const [sopInstanceUID] = want[0]
        same([await client.retrieveInstance({ studyInstanceUID, seriesInstanceUID, sopInstanceUID })], [want[0]])
      }
    }
  },

  async metadata() {
    for (const studyInstanceUID of studies) {
      const rows = await client.retrieveStudyMetadata({ studyInstanceUID })
      assert.equal(rows.length, of(studyInstanceUID).length)
      for (const row of rows) {
        const set = dcmjs.data.DicomMetaDictionary.naturalizeDataset(row)
        assert.equal(set.StudyInstanceUID, studyInstanceUID)
        if (set.Rows) assert.equal(typeof set.InstanceNumber, 'number')
        if (set.PixelSpacing) assert.deepEqual([...set.PixelSpacing].map((n) => typeof n), ['number', 'number'])
      }
    }
  },

  async frames() {
    for (const [sopInstanceUID, f] of stored) {
      if (!f.dict['7FE00010']) continue
      const at = { studyInstanceUID: text(f, '0020000D'), seriesInstanceUID: text(f, '0020000E'), sopInstanceUID }
      const n = Number(text(f, '00280008') ?? 1)
      const frameNumbers = Array.from({ length: n }, (_, i) => i + 1)
      const whole = Buffer.concat(pixels(f))
      if (text({ dict: f.meta }, '00020010') === '1.2.840.10008.1.2.5') continue // it can't ask for RLE
      const got = await client.retrieveInstanceFrames({ ...at, frameNumbers })
      assert.deepEqual(Buffer.concat(got.map((b) => Buffer.from(b))), whole)
    }
  },

  // As OHIF asks, by the types that it sends.
  async multipart() {
    for (const [uid, f] of stored) {
      if (!f.dict['7FE00010']) continue
      const at = `${url}/studies/${text(f, '0020000D')}/series/${text(f, '0020000E')}/instances/${uid}`
      for (const Accept of [
        'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
        'multipart/related; type=application/octet-stream; transfer-syntax=*',
      ]) {
        const answer = await fetch(`${at}/frames/1`, { headers: { ...headers, Accept } })
        assert.equal(answer.status, 200)
        const parts = multipartDecode(await answer.arrayBuffer())
        assert.equal(parts.length, 1)
        const whole = pixels(f)[0]
        if (Number(text(f, '00280008') ?? 1) === 1 && text({ dict: f.meta }, '00020010') < '1.2.840.10008.1.2.2') assert.equal(parts[0].byteLength, whole.length)
      }
      const [row] = await (await fetch(`${at}/metadata`, { headers })).json()
      const answer = await fetch(new URL(row['7FE00010'].BulkDataURI, at), { headers: { ...headers, Accept: '*/*' } })
      assert.equal(answer.status, 200)
    }
  },
}

let failed = false
for (const [name, check] of Object.entries(checks)) {
  try {
    await check()
  } catch (error) {
    failed = true
    console.error(`${name}: ${error?.stack ?? JSON.stringify({ message: error?.message, status: error?.status })}`)
  }
}
if (failed) process.exit(1)
process.stdout.write(JSON.stringify(Object.keys(checks)), () => process.exit()) // connections are kept open
