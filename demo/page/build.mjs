// SPDX-License-Identifier: MIT
// Bundles the page from the packed tarball: what a stranger would install is what the page runs on.
// build/demo/node_modules/countersign (the tarball) → build/demo/page (the sources) → build/demo/public (what is served)
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../../', import.meta.url))
const source = join(root, 'demo/page')
const target = join(root, 'build/demo')
const out = join(target, 'public')

const run = (command, args) =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

const filesIn = (folder) =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort()

/** stateOf digests everything the page is made from. */
const stateOf = () => {
  const hash = createHash('sha256')
  for (const path of [...filesIn(source), ...filesIn(join(root, 'dist')), join(root, 'package.json')]) {
    hash.update(`${relative(root, path)}\0`).update(readFileSync(path))
  }
  return hash.digest('hex')
}

const unpack = () => {
  const modules = join(target, 'node_modules')
  rmSync(modules, { recursive: true, force: true })
  mkdirSync(modules, { recursive: true })
  const packed = JSON.parse(
    run('npm', ['pack', '--json', '--silent', '--ignore-scripts', '--pack-destination', target])
  )
  const tarball = join(target, packed[0].filename)
  run('tar', ['-xzf', tarball, '-C', modules])
  renameSync(join(modules, 'package'), join(modules, 'countersign'))
}

const bundle = async () => {
  const page = join(target, 'page')
  rmSync(page, { recursive: true, force: true })
  rmSync(out, { recursive: true, force: true })
  // The sources are built beside the tarball, so that `countersign` is found there and nowhere else.
  cpSync(source, page, { recursive: true })
  mkdirSync(out, { recursive: true })
  for (const name of ['index.html', 'mark.svg']) cpSync(join(source, name), join(out, name))
  await build({
    entryPoints: { app: join(page, 'app.mjs'), style: join(page, 'app.css') },
    entryNames: '[name]',
    outdir: out,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: ['chrome115', 'firefox115', 'safari17'],
    minify: true,
    sourcemap: 'linked',
    legalComments: 'none',
    logLevel: 'warning'
  })
}

const stamp = join(target, 'stamp')
const state = stateOf()
if (!existsSync(join(out, 'index.html')) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== state) {
  rmSync(stamp, { force: true })
  unpack()
  await bundle()
  writeFileSync(stamp, state)
}
