// SPDX-License-Identifier: MIT
// The packed package, unconfigured, in the consumers that need no installation: each signs, and verifies what it is answered.
import { deepEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { browsersRequired, missingEngine } from '../runners/browsers/launch.mjs'
import { common } from './common.mjs'
import { installed } from './installed.mjs'
import { openProject, pack, versionOf } from './project.mjs'
import { createStage } from './stage.mjs'

const stage = createStage()
const packed = {}
// What is refused, the checks of the package, and the Node that runs are no consumers of their own.
const isInGuide = ({ name }) => !/refused$|^publint|^attw|^Node$/.test(name)
const rowOf = ({ name, ...consumer }) => `| ${[name, versionOf(consumer)].join(' | ')} |`.replace('|  |', '| |')
const skip = !browsersRequired && missingEngine('chromium')

before(async () => Object.assign(packed, await pack()))
after(() => Promise.all([stage.close(), packed.remove()]))

test('the guide lists each consumer with the version that is tried', () => {
  const guide = readFileSync(new URL('../../docs/guide/bundlers.md', import.meta.url), 'utf8')
  const unlisted = [...common, ...installed].filter(
    (consumer) => isInGuide(consumer) && !guide.includes(rowOf(consumer))
  )
  deepEqual(unlisted.map(rowOf), [])
})

for (const consumer of common) {
  test(`a consumer: ${consumer.name}`, { skip }, async () => {
    const project = await openProject(consumer, packed.tarball)
    try {
      await consumer.try(project, stage)
    } finally {
      await project.close()
    }
  })
}
