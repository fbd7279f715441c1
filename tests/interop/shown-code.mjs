// SPDX-License-Identifier: MIT
// Runs the JavaScript that a Markdown page shows, its imports included, with the names the page takes for granted.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const AsyncFunction = (async () => {}).constructor

/** codeOf lists the blocks of a page whose fence begins with the given words. */
export const codeOf = (path, fence) => {
  const text = readFileSync(root + path, 'utf8')
  return Array.from(text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm))
    .filter(([, words]) => words === fence)
    .map(([, , code]) => code)
}

/** runCode runs a block as a module would run: static imports become imports through `load`. Resolves to `results`' names. */
export const runCode = (code, names, { load = (name) => import(name), results = [] } = {}) => {
  const body = code.replace(/^import (\{[^}]+\}) from ('[^']+')$/gm, 'const $1 = await load($2)')
  const run = new AsyncFunction('load', ...Object.keys(names), `${body}\nreturn { ${results.join(', ')} }`)
  return run(load, ...Object.values(names))
}
