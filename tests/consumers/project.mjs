// SPDX-License-Identifier: MIT
// A consumer's project: a folder with the packed package, the tools it names, and its files.

import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startProcess } from '../runners/browsers/process.mjs'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const projects = fileURLToPath(new URL('projects/', import.meta.url))
const cache = process.env.CS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'countersign')
const exec = promisify(execFile)

const runIn = async (cwd, env, program, ...args) => {
  try {
    return await exec(program, args, { cwd, env, timeout: HUNG_MS, maxBuffer: 1 << 26 })
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stdout}${error.stderr}`)
  }
}

/** pack makes the tarball as npm publishes it, in a folder of its own: `{ tarball, remove() }`. */
export const pack = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-pack-'))
  const args = ['pack', '--ignore-scripts', '--offline', '--pack-destination', folder]
  await runIn(root, process.env, 'npm', ...args)
  const [name] = await readdir(folder)
  return { tarball: join(folder, name), remove: () => rm(folder, { recursive: true, force: true }) }
}

/** versionOf gives the version of the tool that a consumer is named after; none where it is the platform. */
export const versionOf = ({ version, packages = {} }) => version ?? Object.values(packages)[0] ?? ''

/** What this machine cannot have; it says why. */
export class Unavailable extends Error {}

const install = async (folder, packages) => {
  const specs = Object.entries(packages).map(([name, version]) => `${name}@${version}`)
  const stamp = join(folder, 'installed')
  const there = await readFile(stamp, 'utf8').catch(() => undefined)
  if (there === specs.join(' ')) return
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
  if (specs.length > 0) {
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']
    await runIn(folder, process.env, 'npm', 'install', '--save-exact', ...quiet, ...specs).catch(({ message }) => {
      const [, reason = 'npm failed'] = /npm error (?!code |syscall |errno )(.*)/.exec(message) ?? []
      throw new Unavailable(`npm install ${specs.join(' ')}: ${reason}`)
    })
  }
  await writeFile(stamp, specs.join(' '))
}

// What tools keep of an earlier package would hide the one that is tried.
const LEFT = ['dist', '.next', '.parcel-cache', 'node_modules/.vite', 'node_modules/.cache', 'node_modules/countersign']

/**
 * openProject makes the folder of a consumer with exactly these packages and the package of `tarball`. A folder that something
 * was installed into is kept between runs, in the project's cache. Consumers of one `place` share it. `extra` names folders of projects/ that are laid over the common files. A project has `folder`, `read(name)`,
 * `write(name, text)`, `run(program, ...arguments)`, and `start(ready, program, ...arguments)`, which resolves to the match of
 * `ready` in what the program prints; `close()` ends what was started.
 */
export const openProject = async ({ name, packages = {}, place = name, extra = [] }, tarball) => {
  const isKept = Object.keys(packages).length > 0
  const slug = place.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const folder = isKept ? join(cache, 'consumers', slug) : await mkdtemp(join(tmpdir(), 'countersign-consumer-'))
  await install(folder, packages)
  for (const left of LEFT) await rm(join(folder, left), { recursive: true, force: true })
  for (const part of ['', ...extra]) {
    const filter = (source) => part !== '' || source === projects || /\.\w+$/.test(source)
    await cp(join(projects, part), folder, { recursive: true, filter })
  }
  const home = join(folder, 'node_modules/countersign')
  await mkdir(home, { recursive: true })
  await runIn(folder, process.env, 'tar', '-xzf', tarball, '-C', home, '--strip-components=1')
  const bins = [folder, root].map((place) => join(place, 'node_modules/.bin'))
  const env = { ...process.env, NO_COLOR: '1', CI: '1', PATH: [...bins, process.env.PATH].join(delimiter) }
  const started = []
  return {
    folder,
    tarball,
    read: (file) => readFile(join(folder, file), 'utf8'),
    write: (file, text) => writeFile(join(folder, file), text),
    run: (program, ...args) => runIn(folder, env, program, ...args),
    start: async (ready, program, ...args) => {
      const child = await startProcess(program, args, { ready, env, cwd: folder })
      started.push(child)
      return child.match
    },
    close: async () => {
      await Promise.all(started.map((child) => child.stop()))
      if (!isKept) await rm(folder, { recursive: true, force: true })
    }
  }
}
