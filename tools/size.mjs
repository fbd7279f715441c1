// SPDX-License-Identifier: MIT
// Measures what a page downloads: all that `import 'countersign'` brings at first, with the core in it, as a bundler makes it,
// minified and compressed; and the client as one file. More than a budget fails. What is loaded when it is first needed is
// listed apart.
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')

/** The most bytes of a download, by compression. */
export const budgets = { first: { brotli: 42_000, gzip: 48_500 }, file: { brotli: 54_000 } }

/** brotli gives how many bytes are left after the strongest compression. */
export const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  }).length

/** bundle gives what a bundler makes of the entry: its files by name, and for each the names it imports at once. */
const bundle = async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(dist, 'index.js')],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    absWorkingDir: dist,
    outdir: 'bundle',
    metafile: true,
    write: false
  })
  return outputFiles.map(({ path, contents }) => {
    const name = relative(dist, path)
    const { imports, entryPoint = '' } = metafile.outputs[name]
    return { name, entryPoint, contents, needs: imports.filter(({ kind }) => kind === 'import-statement') }
  })
}

const sizesOf = (bytes) => ({ bytes: bytes.length, brotli: brotli(bytes), gzip: gzipSync(bytes, { level: 9 }).length })

/** measure gives { first, file, later }: the first download, the client as one file, and the parts that load later. */
export const measure = async () => {
  const files = await bundle()
  const first = new Set(['bundle/index.js'])
  for (const name of first) for (const { path } of files.find((file) => file.name === name).needs) first.add(path)
  // Compressed as one: a bundler that keeps shared code in the entry, as Rollup does, makes one file of it.
  const atFirst = Buffer.concat(files.filter(({ name }) => first.has(name)).map(({ contents }) => contents))
  const later = files
    .filter(({ name }) => !first.has(name))
    .map(({ entryPoint, contents }) => ({ name: entryPoint || 'shared', ...sizesOf(contents) }))
  const file = sizesOf(readFileSync(join(dist, 'countersign.iife.js')))
  return { first: sizesOf(atFirst), file, later }
}

/** excess lists what is over its budget, in words. */
export const excess = (sizes) =>
  Object.entries(budgets).flatMap(([part, limits]) =>
    Object.entries(limits)
      .filter(([how, most]) => sizes[part][how] > most)
      .map(([how, most]) => `${part}: ${sizes[part][how] - most} bytes over the budget of ${most} bytes ${how}`)
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sizes = await measure()
  const rows = [['at first', sizes.first], ['as one file', sizes.file], ...sizes.later.map((part) => [part.name, part])]
  for (const [name, { bytes, brotli, gzip }] of rows) {
    const [raw, small, usual] = [bytes, brotli, gzip].map((count) => String(count).padStart(7))
    console.log(`${name.padEnd(35)} ${raw} bytes ${small} brotli ${usual} gzip`)
  }
  for (const [part, limits] of Object.entries(budgets)) console.log(`budget ${part}: ${JSON.stringify(limits)}`)
  for (const line of excess(sizes)) {
    console.error(`size: ${line}`)
    process.exitCode = 1
  }
}
