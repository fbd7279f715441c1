// SPDX-License-Identifier: MIT
// What every runner of the suites needs: their names, the vectors, and the reference gateway they talk to.

import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { startProcess } from './browsers/process.mjs'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const pickSuites = () => {
  const all = readdirSync(join(root, 'tests/unit'), { recursive: true })
    .filter((name) => name.endsWith('.suite.mjs'))
    .sort()
  const beginnings = process.env.COUNTERSIGN_SUITES?.split(',') ?? ['']
  const lost = beginnings.filter((beginning) => !all.some((name) => name.startsWith(beginning)))
  if (lost.length > 0) throw new Error(`COUNTERSIGN_SUITES: no suite of tests/unit begins with ${lost.join(' or ')}`)
  return all.filter((name) => beginnings.some((beginning) => name.startsWith(beginning)))
}

/**
 * suiteFiles names the suites, as paths from the root. COUNTERSIGN_SUITES=client/events,queue picks those whose name in
 * tests/unit begins with one of these; one that begins no name is an error.
 */
export const suiteFiles = pickSuites().map((name) => `tests/unit/${name}`)

/** importSuite loads a suite file into this process. */
export const importSuite = (file) => import(pathToFileURL(join(root, file)))

/** nameOf is what a suite is called in reports. */
export const nameOf = (file) => file.replace(/^tests\/unit\/|\.suite\.mjs$/g, '')

/** vectors reads a file of tests/vectors: parsed where it is JSON, as text elsewhere or where `as` says so. */
export const vectors = async (name, as) => {
  const text = await readFile(join(root, 'tests/vectors', name), 'utf8')
  return name.endsWith('.json') && as !== 'text' ? JSON.parse(text) : text
}

/** startGateway starts the reference gateway on a free port with a folder of its own: `{ url, stop() }`. */
export const startGateway = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-suites-'))
  const env = {
    PORT: '0',
    HOST: '127.0.0.1',
    DATA_DIR: folder,
    LABEL: 'demo',
    SMTP_URL: '',
    TRUSTED_PROXY: '',
    ORIGINS: ''
  }
  const gateway = await startProcess(process.execPath, [join(root, 'demo/gateway/main.mjs')], {
    env,
    ready: /ready at (http:\/\/\S+)/
  })
  return {
    url: gateway.match[1].replace(/\/$/, ''),
    stop: async () => {
      await gateway.stop()
      await rm(folder, { recursive: true, force: true })
    }
  }
}
