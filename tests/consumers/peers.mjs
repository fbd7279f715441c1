// SPDX-License-Identifier: MIT
// The optional peers in the versions that projects have, beside those that the other tests run on: the package is installed
// without force, and the tests of this tree run against it there.

import { cp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const tests = dirname(dirname(fileURLToPath(import.meta.url)))
/** What the tests of stores and streams are made of. */
const PARTS = ['server', 'unit/harness', 'vectors']

const peer = (name, packages, files) => ({
  name,
  packages,
  try: async (project) => {
    // npm refuses here what does not fit the ranges of the package.
    await project.run('npm', 'install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', project.tarball)
    const folder = join(project.folder, 'tests')
    await rm(folder, { recursive: true, force: true })
    for (const part of PARTS) await cp(join(tests, part), join(folder, part), { recursive: true })
    for (const file of files) await project.run(process.execPath, '--test', join(folder, 'server', file))
  }
})

const redis = (version) =>
  peer(
    `redis ${version.split('.')[0]}, stores`,
    { redis: version },
    ['conformance', 'copies', 'start', 'watch'].map((name) => `stores/redis/${name}.test.mjs`)
  )

export const peers = [
  redis('4.7.1'),
  redis('5.12.1'),
  peer('ws 7, events', { ws: '7.5.14' }, ['events/websocket.test.mjs']),
  peer('ws 8, events', { ws: '8.16.0' }, ['events/websocket.test.mjs'])
]
