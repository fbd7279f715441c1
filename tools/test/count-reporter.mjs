// SPDX-License-Identifier: MIT
// A reporter of node:test that says how many tests `--grep` ran. A test that only ran sub-tests is not counted.
import { PARENTS, wanted } from './grep.mjs'

const isWanted = wanted()

/** countRan writes one line at the end: `ran N, N failed`. */
const countRan = async function* (source) {
  const hasChildren = []
  let [ran, failed] = [0, 0]
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const { nesting, name, skip, details } = data
    const isLeaf = !hasChildren[nesting + 1]
    hasChildren[nesting + 1] = false
    // A skipped test runs nothing, and one that the pattern leaves out is reported as skipped.
    if (skip !== undefined) continue
    hasChildren[nesting] = true
    if (!isLeaf || details.type === 'suite' || (PARENTS.includes(name) && !isWanted(name))) continue
    ran += 1
    if (type === 'test:fail') failed += 1
  }
  yield `ran ${ran}, ${failed} failed\n`
}

// biome-ignore lint/style/noDefaultExport: node:test takes a reporter from a default export.
export { countRan as default }
