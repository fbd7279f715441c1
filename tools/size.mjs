// SPDX-License-Identifier: MIT
// Measures what a page downloads: the core, and all that `import 'countersign'` brings at first (the core's glue included) as
// a bundler makes it, minified and compressed with Brotli at its best. More than the budget fails. What is loaded when it is
// first needed is listed apart.
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'
import { build } from 'esbuild'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')

export const budget = 40_000

const brotli = (bytes) =>
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

/** measure lists each part as { name, bytes, brotli }; `isLater` marks what is not downloaded at first. */
export const measure = async () => {
  const files = await bundle()
  const first = new Set(['bundle/index.js'])
  for (const name of first) for (const { path } of files.find((file) => file.name === name).needs) first.add(path)
  // Compressed as one: a bundler that keeps shared code in the entry, as Rollup does, makes one file of it.
  const atFirst = Buffer.concat(files.filter(({ name }) => first.has(name)).map(({ contents }) => contents))
  const later = files.filter(({ name }) => !first.has(name))
  const parts = [
    ['countersign-client.wasm', readFileSync(join(dist, 'core/platform/countersign-client.wasm')), false],
    ['glue and client', atFirst, false],
    ...later.map(({ entryPoint, contents }) => [entryPoint || 'shared', contents, true])
  ]
  return parts.map(([name, bytes, isLater]) => ({ name, bytes: bytes.length, brotli: brotli(bytes), isLater }))
}

/** sizeOf sums up what is downloaded at first. */
export const sizeOf = (parts) => parts.reduce((sum, { brotli, isLater }) => sum + (isLater ? 0 : brotli), 0)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const parts = await measure()
  const total = sizeOf(parts)
  for (const { name, bytes, brotli, isLater } of parts) {
    const note = isLater ? ', when needed' : ''
    console.log(`${name.padEnd(23)} ${String(bytes).padStart(7)} bytes ${String(brotli).padStart(7)} brotli${note}`)
  }
  console.log(`${'at first'.padEnd(31)}       ${String(total).padStart(7)} brotli, budget ${budget}`)
  if (total > budget) {
    console.error(`size: ${total - budget} bytes over the budget`)
    process.exitCode = 1
  }
}
