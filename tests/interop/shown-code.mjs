// SPDX-License-Identifier: MIT
// Runs the JavaScript that a Markdown page shows, its imports included, with the names the page takes for granted.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))
const AsyncFunction = (async () => {}).constructor

/** codeOf lists the blocks of a page whose fence begins with the given words. */
export const codeOf = (path, fence) => {
  const text = readFileSync(root + path, 'utf8')
  return Array.from(text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm))
    .filter(([, words]) => words === fence)
    .map(([, , code]) => code)
}

/**
 * writeModules writes the blocks `js NAME` of a page as modules into a new folder, where this package and `packages` are
 * installed: `{ folder, load(name), remove() }`. `paths` has the paths of modules that need another one than NAME.mjs.
 */
export const writeModules = (page, names, packages = [], paths = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-shown-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/countersign'))
  for (const name of packages) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  const fileOf = (name) => join(folder, paths[name] ?? `${name}.mjs`)
  for (const name of names) {
    const [code, ...others] = codeOf(page, `js ${name}`)
    if (code === undefined || others.length > 0) throw new Error(`${page} must show "js ${name}" once`)
    mkdirSync(join(fileOf(name), '..'), { recursive: true })
    writeFileSync(fileOf(name), code)
  }
  const load = (name) => import(pathToFileURL(fileOf(name)))
  return { folder, load, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** runCode runs a block as a module would run: static imports become imports through `load`. Resolves to `results`' names. */
export const runCode = (code, names, { load = (name) => import(name), results = [] } = {}) => {
  const body = code.replace(/^import (\{[^}]+\}) from ('[^']+')$/gm, 'const $1 = await load($2)')
  const run = new AsyncFunction('load', ...Object.keys(names), `${body}\nreturn { ${results.join(', ')} }`)
  return run(load, ...Object.values(names))
}
