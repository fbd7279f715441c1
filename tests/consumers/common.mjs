// SPDX-License-Identifier: MIT
// The consumers that need no installation; `npm test` tries them. An entry is `{ name, version, try(project, stage) }`;
// `packages` pins what is installed for it.

import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { version as esbuild } from 'esbuild'
import { run } from './projects/flow.js'
import { htmlOf, startGateway } from './stage.mjs'

/** hashOf names an inline script in a policy. */
export const hashOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const script = (text) => ['text/javascript', text]
const module = '<script type="module" src="/main.js"></script>'

// The flow as a classic script has it: `countersign` is the global of the IIFE.
const RUN = `const run = ${run};`
const SHOW = '.then((outcome) => { globalThis.outcome = outcome })'
const IN_PAGE = `${RUN} run(countersign, location.search)${SHOW}`
const ON_MESSAGE = 'run(countersign, event.data)'

const iifeOf = (project) => project.read('node_modules/countersign/dist/countersign.iife.js')

/** The page's side of a service worker: it asks, and the answer is the outcome. */
const ASK_SERVICE_WORKER = (type) => `
  navigator.serviceWorker.register('/worker.js', { type: '${type}' })
  navigator.serviceWorker.ready.then(({ active }) => active.postMessage(location.search))
  navigator.serviceWorker.onmessage = ({ data }) => { globalThis.outcome = data }`
const ANSWER_PAGE = `${RUN}
  onmessage = (event) => event.waitUntil(${ON_MESSAGE}.then((outcome) => event.source.postMessage(outcome)))`

const serviceWorker = (type, load) => async (project, stage) => {
  const files = {
    '/': htmlOf('<script src="/page.js"></script>'),
    '/page.js': script(ASK_SERVICE_WORKER(type)),
    '/worker.js': script(`${load}\n${ANSWER_PAGE}`)
  }
  await stage.checkPage({ files, folder: project.folder, policy: { 'worker-src': "'self'" } })
}

/** server starts what a command makes a server of, and asks it. */
export const startServer =
  (...command) =>
  async (project, stage) => {
    const [, port] = await project.start(/port (\d+)/, ...command)
    await stage.checkServer(`http://127.0.0.1:${port}`)
  }

const bundledServer = (format, file) => async (project, stage) => {
  await project.run('esbuild', 'serve.js', '--bundle', '--platform=node', `--format=${format}`, `--outfile=${file}`)
  // It may find nothing that it did not bring.
  await rm(join(project.folder, 'node_modules'), { recursive: true })
  await startServer(process.execPath, file)(project, stage)
}

const fromFile = (how, options, error) => ({
  name: `IIFE in a page from file:, ${how}`,
  try: async (project, stage) => {
    const gateway = await startGateway([], options)
    const [, html] = htmlOf(`<script>${await iifeOf(project)}</script><script>${IN_PAGE}</script>`)
    await project.write('page.html', html)
    try {
      const page = pathToFileURL(join(project.folder, 'page.html'))
      await stage.visit(page + gateway.search, { error })
    } finally {
      await gateway.close()
    }
  }
})

export const common = [
  {
    name: 'import map, one entry',
    try: async (project, stage) => {
      const map = '{"imports":{"countersign":"/node_modules/countersign/dist/index.js"}}'
      const files = { '/': htmlOf(`<script type="importmap">${map}</script>${module}`) }
      const policy = { 'script-src': `'self' 'wasm-unsafe-eval' ${hashOf(map)}` }
      await stage.checkPage({ files, folder: project.folder, policy })
    }
  },
  {
    name: 'IIFE in a script tag',
    try: async (project, stage) => {
      const iife = '/node_modules/countersign/dist/countersign.iife.js'
      const files = {
        '/': htmlOf(`<script src="${iife}"></script><script src="/page.js"></script>`),
        '/page.js': script(IN_PAGE)
      }
      await stage.checkPage({ files, folder: project.folder })
    }
  },
  {
    name: 'IIFE inline, hash policy',
    try: async (project, stage) => {
      const texts = [await iifeOf(project), IN_PAGE]
      const files = { '/': htmlOf(...texts.map((text) => `<script>${text}</script>`)) }
      const policy = { 'script-src': `'wasm-unsafe-eval' ${texts.map(hashOf).join(' ')}` }
      await stage.checkPage({ files, policy })
    }
  },
  {
    name: 'IIFE in a blob worker',
    try: async (project, stage) => {
      const text = `${await iifeOf(project)};${RUN} onmessage = (event) => ${ON_MESSAGE}.then(postMessage)`
      const page = `
        const worker = new Worker(URL.createObjectURL(new Blob([${JSON.stringify(text)}])))
        worker.onmessage = ({ data }) => { globalThis.outcome = data }
        worker.postMessage(location.search)`
      const files = { '/': htmlOf('<script src="/page.js"></script>'), '/page.js': script(page) }
      await stage.checkPage({ files, policy: { 'worker-src': 'blob:' } })
    }
  },
  fromFile('refused', {}, /ERR_NETWORK .*: this page has no origin: serve it over https/),
  fromFile('admitted by allowOpaqueOrigin', { allowOpaqueOrigin: true }),
  {
    name: 'IIFE in a sandboxed frame, refused',
    try: async (project, stage) => {
      const tell = `${RUN} run(countersign, location.search).then((outcome) => parent.postMessage(outcome, '*'))`
      const frame = `
        onmessage = ({ data }) => { globalThis.outcome = data }
        const frame = document.createElement('iframe')
        frame.sandbox = 'allow-scripts'
        frame.src = '/frame' + location.search
        document.documentElement.append(frame)`
      const texts = [await iifeOf(project), tell]
      const files = {
        '/': htmlOf('<script src="/page.js"></script>'),
        '/page.js': script(frame),
        '/frame': htmlOf(...texts.map((text) => `<script>${text}</script>`))
      }
      const policy = {
        'script-src': `'self' 'wasm-unsafe-eval' ${texts.map(hashOf).join(' ')}`,
        'frame-src': "'self'"
      }
      const error = /ERR_STORAGE_BLOCKED .*: this page has no origin: serve it over https/
      await stage.checkPage({ files, policy }, error)
    }
  },
  {
    name: 'service worker, classic',
    try: serviceWorker('classic', "importScripts('/node_modules/countersign/dist/countersign.iife.js')")
  },
  {
    name: 'service worker, module, unbundled',
    try: serviceWorker('module', "import * as countersign from '/node_modules/countersign/dist/countersign.bundle.js'")
  },
  {
    name: 'esbuild, page',
    version: esbuild,
    try: async (project, stage) => {
      await project.run('esbuild', 'main.js', '--bundle', '--splitting', '--format=esm', '--outdir=dist')
      await stage.checkPage({ files: { '/': htmlOf(module) }, folder: `${project.folder}/dist` })
    }
  },
  { name: 'esbuild, server as ESM', version: esbuild, try: bundledServer('esm', 'dist/server.mjs') },
  { name: 'esbuild, server as CJS', version: esbuild, try: bundledServer('cjs', 'dist/server.cjs') },
  { name: 'Node', version: process.versions.node, try: startServer(process.execPath, 'serve.js') }
]
