// SPDX-License-Identifier: MIT
// Tries the packed package in every consumer, one at a time, and prints one table. It ends with 1 when one failed.
//
//   node tests/consumers/main.mjs [NAME…]
//
// NAME tries the consumers whose name has this part. Tools are installed into the project's cache (CS_CACHE), once. A consumer
// that this machine cannot have is skipped, with the reason.
import { missingEngine } from '../runners/browsers/launch.mjs'
import { common } from './common.mjs'
import { installed } from './installed.mjs'
import { openProject, pack, Unavailable, versionOf } from './project.mjs'
import { createStage } from './stage.mjs'

const names = process.argv.slice(2).map((name) => name.toLowerCase())
const isWanted = ({ name }) => names.length === 0 || names.some((part) => name.toLowerCase().includes(part))
const chosen = [...common, ...installed].filter(isWanted)

const stage = createStage()
const failures = []

const tryOne = async (consumer, tarball) => {
  const project = await openProject(consumer, tarball)
  try {
    await consumer.try(project, stage)
  } finally {
    await project.close()
  }
}

const resultOf = async (consumer, tarball) => {
  try {
    await tryOne(consumer, tarball)
    return ['ok']
  } catch (error) {
    if (error instanceof Unavailable) return ['skipped', error.message]
    const missing = missingEngine('chromium')
    if (missing && error.message.startsWith('chromium')) return ['skipped', `no Chromium: ${missing}`]
    failures.push(consumer.name)
    console.error(`${consumer.name}: ${error.message}\n`)
    return ['FAILED']
  }
}

const row = (cells) => `| ${cells.join(' | ')} |`

const { tarball, remove } = await pack()
console.log(row(['consumer', 'version', 'result', 'seconds', 'reason']))
console.log('|---|---|---|---|---|')
for (const consumer of chosen) {
  const started = performance.now()
  const [result, reason = ''] = await resultOf(consumer, tarball)
  console.log(
    row([consumer.name, versionOf(consumer), result, ((performance.now() - started) / 1000).toFixed(1), reason])
  )
}
const version = await stage.version()
if (version) console.log(`\npages ran in Chromium ${version}`)
await Promise.all([stage.close(), remove()])
if (failures.length > 0) console.error(`failed: ${failures.join(', ')}`)
if (chosen.length === 0) console.error(`no consumer has such a name: ${names.join(', ')}`)
process.exitCode = failures.length > 0 || chosen.length === 0 ? 1 : 0
