// SPDX-License-Identifier: MIT
// `countersign init DIR`: a page with Vite and its gateway, in the files of README. It writes all of them or none.

import { mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { serverKeyFile } from '../server/server-key.ts'
import { CliError } from './input.ts'
import { keyLine } from './keygen.ts'

const COPIED = ['gateway.js', 'main.ts', 'index.html']
const KEY = 'server.key'
const read = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8')
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)
const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

const TYPESCRIPT = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2022', 'DOM', 'DOM.Iterable'],
    module: 'ESNext',
    moduleResolution: 'Bundler',
    types: [],
    strict: true,
    // The page takes the types of its requests from gateway.js.
    allowJs: true,
    skipLibCheck: true,
    noEmit: true
  },
  include: ['main.ts']
}

/** A folder's name as npm allows it. */
const nameOf = (folder: string): string =>
  basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+/, '')
    .slice(0, 100) || 'notes'

async function manifestOf(folder: string): Promise<object> {
  const { version } = JSON.parse(await read('package.json')) as { version: string }
  return {
    name: nameOf(folder),
    private: true,
    type: 'module',
    scripts: { gateway: 'node gateway.js', dev: 'vite', build: 'tsc && vite build' },
    dependencies: { countersign: `^${version}`, zod: '^4.0.0' },
    devDependencies: { typescript: '^6.0.0', vite: '^8.0.0' }
  }
}

/** Resolves to true where the folder is there already. Rejects with a CliError where something is in it. */
async function isThere(folder: string): Promise<boolean> {
  try {
    if ((await readdir(folder)).length > 0)
      throw new CliError(`${folder} is not empty; init writes into a new folder only`)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error instanceof CliError ? error : new CliError(`cannot use ${folder} (${codeOf(error)})`)
  }
}

/**
 * Writes the project. Resolves to the lines that say what to do next.
 * Rejects with a CliError when the folder is not empty or cannot be written; what it had written is gone then.
 */
export async function init(given: string): Promise<string> {
  const folder = resolve(given)
  const files = new Map<string, string>()
  for (const name of COPIED) files.set(name, await read(`starter/${name}`))
  files.set('package.json', json(await manifestOf(folder)))
  files.set('tsconfig.json', json(TYPESCRIPT))
  files.set('.gitignore', `node_modules/\ndist/\n${KEY}\n`)
  const wasThere = await isThere(folder)
  const written: string[] = []
  try {
    if (!wasThere) await mkdir(folder)
    written.push(join(folder, KEY))
    const line = keyLine(await serverKeyFile(join(folder, KEY)))
    files.set('main.ts', (files.get('main.ts') as string).replace(/serverKeys: .*/, line))
    for (const [name, text] of files) {
      written.push(join(folder, name))
      await writeFile(join(folder, name), text, { flag: 'wx' })
    }
  } catch (error) {
    // What somebody else has put there in the meantime is theirs.
    if (codeOf(error) === 'EEXIST') written.pop()
    for (const path of written) await rm(path, { force: true }).catch(() => {})
    if (!wasThere) await rmdir(folder).catch(() => {})
    throw new CliError(`cannot write ${folder} (${codeOf(error)})`)
  }
  return `${[KEY, ...files.keys()].join(', ')} are in ${folder}

Next:

  cd ${given}
  npm install
  npm run gateway    # in one terminal: it prints the codes that sign in
  npm run dev        # in another: the page is at http://localhost:5173
`
}
