// SPDX-License-Identifier: MIT
// Measures what a page downloads: the core, and all that `import 'countersign'` brings (the core's glue included) as a
// bundler makes it, minified and compressed with Brotli at its best. More than the budget fails.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'
import { build } from 'esbuild'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')

export const budget = 40_000

const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length }
  }).length

/** measure lists each part as { name, bytes, brotli }. */
export const measure = async () => {
  const { outputFiles } = await build({
    entryPoints: [join(dist, 'index.js')],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    legalComments: 'none',
    write: false
  })
  const parts = [
    ['countersign-client.wasm', readFileSync(join(dist, 'countersign-client.wasm'))],
    ['glue and client', outputFiles[0].contents]
  ]
  return parts.map(([name, bytes]) => ({ name, bytes: bytes.length, brotli: brotli(bytes) }))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const parts = await measure()
  const total = parts.reduce((sum, part) => sum + part.brotli, 0)
  for (const { name, bytes, brotli } of parts) {
    console.log(`${name.padEnd(23)} ${String(bytes).padStart(7)} bytes ${String(brotli).padStart(7)} brotli`)
  }
  console.log(`${'together'.padEnd(31)}       ${String(total).padStart(7)} brotli, budget ${budget}`)
  if (total > budget) {
    console.error(`size: ${total - budget} bytes over the budget`)
    process.exitCode = 1
  }
}
