// SPDX-License-Identifier: MIT
// The consumers that are installed first, with pinned versions; `npm run test:consumers` tries them after the common ones.

import { deepEqual, match } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../interop/shown-code.mjs'
import { launch } from '../runners/browsers/launch.mjs'
import { hashOf, startServer } from './common.mjs'
import { compilers } from './compilers.mjs'
import { peers } from './peers.mjs'
import { freePort, htmlOf, startGateway, startRedirect } from './stage.mjs'
import { starters } from './starter.mjs'

const module = '<script type="module" src="/main.js"></script>'

/** built makes a page with a command, and serves what lies in dist/ afterwards. A tool that makes scripts alone gets a page. */
const built =
  (files, ...command) =>
  async (project, stage) => {
    await project.run(...command)
    await stage.checkPage({ files, folder: `${project.folder}/dist` })
  }

const vite = (version) => {
  const [major] = version.split('.')
  const shared = { packages: { vite: version }, place: `vite-${major}` }
  return [
    { name: `Vite ${major}, build`, ...shared, try: built({}, 'vite', 'build') },
    {
      name: `Vite ${major}, dev`,
      ...shared,
      try: async (project, stage) => {
        const address = ['--host', '127.0.0.1', '--port', String(await freePort()), '--strictPort']
        const [, base] = await project.start(/(http:\/\/127\.0\.0\.1:\d+)/, 'vite', ...address)
        await stage.checkPage({ base })
      }
    }
  ]
}

const script = { '/': htmlOf(module) }

const bundlers = [
  ...['5.4.21', '6.4.6', '7.3.8', '8.4.0'].flatMap(vite),
  {
    name: 'webpack 5',
    packages: { webpack: '5.113.0', 'webpack-cli': '7.3.1' },
    try: built(script, 'webpack', '--mode', 'production', '--entry', './main.js')
  },
  {
    name: 'Rspack 2',
    packages: { '@rspack/core': '2.3.4', '@rspack/cli': '2.2.8' },
    try: built(script, 'rspack', 'build', '--mode', 'production', '--entry', './main.js')
  },
  {
    name: 'Rollup 4',
    packages: { rollup: '4.68.8', '@rollup/plugin-node-resolve': '16.0.3' },
    try: built(script, 'rollup', 'main.js', '--plugin', 'node-resolve', '--format', 'es', '--dir', 'dist')
  },
  {
    name: 'Parcel 2',
    packages: { parcel: '2.16.4' },
    try: async (project, stage) => {
      await project.run('parcel', 'build', 'index.html', '--no-cache', '--dist-dir', 'dist')
      // Parcel finds its parts by an import map that it writes into the page.
      const [, map] = /<script type="?importmap"?>(.*?)<\/script>/s.exec(await project.read('dist/index.html'))
      const policy = { 'script-src': `'self' 'wasm-unsafe-eval' ${hashOf(map)}` }
      await stage.checkPage({ folder: `${project.folder}/dist`, policy })
    }
  }
]

const NEXT = { packages: { next: '16.4.6', react: '19.3.1', 'react-dom': '19.3.1' }, place: 'next', extra: ['next'] }
// Next writes scripts into its pages.
const NEXT_POLICY = { 'script-src': "'self' 'unsafe-inline' 'wasm-unsafe-eval'", 'style-src': "'unsafe-inline'" }

/** recipe gives the code that the guide shows under a name. */
const recipe = (name) => codeOf('docs/guide/mounts.md', `js ${name}`)[0]

const next = (name, ...options) => ({
  name: `Next 16, ${name}`,
  ...NEXT,
  try: async (project, stage) => {
    await mkdir(join(project.folder, 'app/[...path]'), { recursive: true })
    await project.write('app/[...path]/route.js', recipe('next'))
    await project.run('next', 'build', ...options)
    const port = String(await freePort())
    await project.start(/Ready in/, 'next', 'start', '--hostname', '127.0.0.1', '--port', port)
    const base = `http://127.0.0.1:${port}`
    await stage.checkPage({ base, policy: NEXT_POLICY })
    await stage.checkClient(`${base}/server`)
    await stage.checkServer(base)
  }
})

/** Chromium makes the id of an unpacked extension from its folder's name. */
const extensionId = (folder) =>
  createHash('sha256')
    .update(folder)
    .digest('hex')
    .slice(0, 32)
    .replace(/./g, (digit) => 'abcdefghijklmnop'[Number.parseInt(digit, 16)])

const extension = {
  name: 'Chrome MV3, extension page',
  extra: ['extension'],
  try: async (project, stage) => {
    const { folder } = project
    const origin = `chrome-extension://${extensionId(folder)}`
    // Its origin is allowed by name, so the extension asks for no permission for the gateway's host.
    const gateway = await startGateway([origin])
    const policy = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src ${gateway.url}`
    const manifest = {
      manifest_version: 3,
      name: 'consumer',
      version: '1',
      content_security_policy: { extension_pages: policy }
    }
    await project.write('manifest.json', JSON.stringify(manifest))
    await project.run('esbuild', 'main.js', '--bundle', '--splitting', '--format=esm', '--outdir=dist')
    const browser = await launch('chromium', {
      args: [`--disable-extensions-except=${folder}`, `--load-extension=${folder}`]
    })
    try {
      await stage.visit(`${origin}/page.html${gateway.search}`, { browser })
    } finally {
      await Promise.all([browser.close(), gateway.close()])
    }
  }
}

const VITEST = { vitest: '4.1.12', jsdom: '27.4.0', 'happy-dom': '21.0.4' }

const vitest = ['node', 'jsdom', 'happy-dom'].flatMap((environment) =>
  ['external', 'inlined'].map((how) => ({
    name: `vitest 4 in ${environment}, ${how}`,
    packages: VITEST,
    place: 'vitest',
    extra: ['vitest'],
    try: async (project) => {
      // The origin of these pages, as vitest has it by default.
      const gateway = await startGateway(['http://localhost:3000'])
      const deps = how === 'inlined' ? { inline: ['countersign'] } : {}
      const config = { test: { environment, server: { deps } } }
      try {
        await project.write('search.js', `export const search = ${JSON.stringify(gateway.search)}`)
        await project.write('vitest.config.js', `export default ${JSON.stringify(config)}`)
        await project.run('vitest', 'run')
      } finally {
        await gateway.close()
      }
    }
  }))
)

const WORKERD = [
  ...['--bundle', '--format=esm', '--outdir=dist', '--conditions=workerd', '--external:node:*'],
  ...['--loader:.wasm=copy', '--asset-names=[name]']
]

const BUN = '1.4.5'
const DENO = '2.9.6'

const runtimes = [
  // The lowest that engines allow, and the newest of the later lines.
  ...['20.16.0', '22.23.3', '24.21.0'].map((version) => ({
    name: `Node ${version.split('.')[0]}`,
    packages: { node: version },
    try: startServer('node', 'serve.js')
  })),
  { name: 'Bun', packages: { bun: BUN }, try: startServer('bun', 'serve.js') },
  { name: 'Deno', packages: { deno: DENO }, try: startServer('deno', 'run', '--allow-all', 'serve.js') },
  {
    name: 'workerd',
    packages: { workerd: '1.20261117.1' },
    extra: ['workerd'],
    try: async (project, stage) => {
      await project.run('esbuild', 'worker.js', ...WORKERD)
      const [, port] = await project.start(/"port":(\d+)/, 'workerd', 'serve', '--control-fd=1', 'config.capnp')
      await stage.checkServer(`http://127.0.0.1:${port}`)
      const away = await startRedirect()
      try {
        const answer = await fetch(`http://127.0.0.1:${port}/client${away.search}`)
        match(await answer.text(), /ERR_NETWORK.*the server redirected POST /)
      } finally {
        await away.close()
      }
    }
  }
]

// The sender's address is found by itself: the runtime gives it to hono, and hono to the gateway.
const hono = (name, packages, ...command) => ({
  name: `hono 4 on ${name}`,
  packages: { hono: '4.13.19', ...packages },
  extra: ['hono'],
  try: async (project, stage) => {
    await project.write('hono.mjs', recipe('hono'))
    const [, port] = await project.start(/port (\d+)/, ...command, 'serve-hono.js')
    const url = `http://127.0.0.1:${port}`
    await stage.checkServer(url)
    deepEqual(await (await fetch(`${url}/addresses`)).json(), ['127.0.0.1'])
  }
})

const frameworks = [hono('Bun', { bun: BUN }, 'bun'), hono('Deno', { deno: DENO }, 'deno', 'run', '--allow-all')]

const checks = [
  {
    name: 'publint --strict',
    version: '0.3.25',
    try: (project) => project.run('publint', 'run', project.tarball, '--strict')
  },
  {
    name: 'attw --profile esm-only',
    packages: { '@arethetypeswrong/cli': '0.18.5' },
    try: (project) => project.run('attw', project.tarball, '--profile', 'esm-only', '--format', 'ascii', '--no-emoji')
  }
]

export const installed = [
  ...starters,
  ...bundlers,
  next('Turbopack', '--turbopack'),
  next('webpack', '--webpack'),
  extension,
  ...vitest,
  ...runtimes,
  ...frameworks,
  ...peers,
  ...compilers,
  ...checks
]
