// SPDX-License-Identifier: MIT
// The packed package, unconfigured, in the consumers that need no installation: each signs, and verifies what it is answered.
import { after, before, test } from 'node:test'
import { browsersRequired, missingEngine } from '../runners/browsers/launch.mjs'
import { common } from './common.mjs'
import { openProject, pack } from './project.mjs'
import { createStage } from './stage.mjs'

const stage = createStage()
const packed = {}
const skip = !browsersRequired && missingEngine('chromium')

before(async () => Object.assign(packed, await pack()))
after(() => Promise.all([stage.close(), packed.remove()]))

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
