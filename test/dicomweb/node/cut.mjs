// SPDX-License-Identifier: AGPL-3.0-or-later
// Retrieves by fetch through what cuts each answer somewhere, and wants to be told each time. The connection is to be
// kept: an answer with "Connection: close" ends for Node's fetch where the connection does, even in the middle of a chunk.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const { token, more } = JSON.parse(readFileSync(0, 'utf8'))
let whole = 0
for (let n = 0; n < more.times; n++) {
  let body, boundary
  try {
    const answer = await fetch(more.at, { headers: { Authorization: `Token ${token}` } })
    boundary = answer.headers.get('Content-Type').split('boundary=')[1].replaceAll('"', '')
    body = Buffer.from(await answer.arrayBuffer())
  } catch {
    continue
  }
  const text = body.toString('latin1').replaceAll(boundary, '-')
  const sum = createHash('sha256').update(Buffer.from(text, 'latin1')).digest('hex')
  assert.equal(sum, more.want, `${body.length} bytes were taken for the whole`)
  whole++
}
assert(whole < more.times, 'nothing was cut')
process.stdout.write(JSON.stringify(['fetch']), () => process.exit())
