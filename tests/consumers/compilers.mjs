// SPDX-License-Identifier: MIT
// TypeScript on both sides of the version that this tree is built with: the lowest that reads the declarations, and the newest.
// They check the declarations themselves too, those of servers without the DOM library.

import { cp } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const sources = fileURLToPath(new URL('typescript/', import.meta.url))
const FILES = { page: ['client.ts'], server: ['server.ts', 'testing.ts', 'entries.ts'] }
const LIBRARIES = {
  page: { lib: ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'], types: [] },
  server: { lib: ['ES2022'], types: ['node'] }
}

const configOf = (part) => ({
  compilerOptions: {
    ...LIBRARIES[part],
    target: 'ES2022',
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true
  },
  files: FILES[part]
})

const typescript = (version) => ({
  name: `TypeScript ${version.split('.').slice(0, 2).join('.')}`,
  packages: { typescript: version, '@types/node': '20.19.43' },
  try: async (project) => {
    await cp(sources, project.folder, { recursive: true })
    for (const part of ['page', 'server']) {
      await project.write(`${part}.json`, JSON.stringify(configOf(part)))
      await project.run('tsc', '-p', `${part}.json`)
    }
  }
})

export const compilers = ['5.7.3', '5.9.3', '7.0.2'].map(typescript)
