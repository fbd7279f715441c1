// SPDX-License-Identifier: MIT
// The first project of a newcomer, in an empty folder: written by `countersign init`, and by hand as README says. A real browser
// signs in there, makes a typed request, hears an event and signs out.

import { equal, match, rejects } from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { codeOf } from '../interop/shown-code.mjs'
import { launch } from '../runners/browsers/launch.mjs'
import { startProcess } from '../runners/browsers/process.mjs'
import { HUNG_MS, until } from '../unit/harness/wait.mjs'
import { Unavailable } from './project.mjs'
import { freePort } from './stage.mjs'

const exec = promisify(execFile)
const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
const FILES = { 'gateway.js': 'js gateway.js', 'main.ts': 'ts main.ts', 'index.html': 'html index.html' }
const env = { ...process.env, NO_COLOR: '1', CI: '1', npm_config_prefer_offline: 'true', npm_config_loglevel: 'error' }

const open = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-starter-'))
  const started = []
  const run = async (program, ...args) => {
    try {
      return await exec(program, args, { cwd: folder, env, timeout: HUNG_MS })
    } catch (error) {
      const [, reason] =
        /npm error code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ENOTCACHED)/.exec(error.stderr) ?? []
      if (reason) throw new Unavailable(`${program} ${args.join(' ')}: ${reason}`)
      throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stdout}${error.stderr}`)
    }
  }
  return {
    folder,
    run,
    read: (name) => readFile(join(folder, name), 'utf8'),
    write: (name, text) => writeFile(join(folder, name), text),
    start: async (ready, program, ...args) => {
      const child = await startProcess(program, args, { cwd: folder, env, ready })
      started.push(child)
      return child
    },
    stop: () => Promise.all(started.splice(0).map((child) => child.stop())),
    remove: () => rm(folder, { recursive: true, force: true })
  }
}

/** moved puts other ports into the files: somebody else may listen on those of README. */
const moved = async (project) => {
  const ports = { 8080: await freePort(), 5173: await freePort() }
  for (const name of ['gateway.js', 'main.ts'])
    await project.write(
      name,
      (await project.read(name)).replace(/\b(8080|5173)\b/g, (port) => ports[port])
    )
  return String(ports[5173])
}

/** visit does in the page what a person does, and reads in it what a person reads. */
const visit = async (url, gateway) => {
  const browser = await launch('chromium')
  try {
    const page = await browser.newPage()
    await page.goto(url)
    const shown = (words) =>
      until(() => page.evaluate((text) => document.body.innerText.includes(text), words), `"${words}" in the page`)
    await shown('no-session')
    await page.evaluate(() => {
      globalThis.prompt = () => new Promise((resolve) => (globalThis.type = resolve))
    })
    await page.tap('#sign-in')
    const [, code] = await until(() => /your code is (\d+)/.exec(gateway.output()), 'the code')
    await until(() => page.evaluate(() => typeof globalThis.type === 'function'), 'the question for the code')
    await page.evaluate((typed) => globalThis.type(typed), code)
    await shown('ready')
    await page.tap('#add')
    await shown('note.added {"text":"hello"}')
    await shown('5 characters')
    await page.tap('#sign-out')
    await shown('signed-out')
  } finally {
    await browser.close()
  }
}

const vites = {
  dev: async (project, port) => project.start(/localhost:\d+/, 'npx', 'vite', '--port', port, '--strictPort'),
  build: async (project, port) => {
    await project.run('npx', 'vite', 'build')
    await project.start(/localhost:\d+/, 'npx', 'vite', 'preview', '--port', port, '--strictPort')
  }
}

/** tryPage serves the page in each way, each with a gateway that was just started. */
const tryPage = async (project) => {
  const port = await moved(project)
  for (const serve of Object.values(vites)) {
    try {
      const gateway = await project.start(undefined, process.execPath, 'gateway.js')
      await serve(project, port)
      await visit(`http://localhost:${port}`, gateway)
    } finally {
      await project.stop()
    }
  }
}

const inEmptyFolder = (tryIn) => async (given) => {
  const project = await open()
  try {
    await tryIn(project, given)
  } finally {
    await project.stop()
    await project.remove()
  }
}

const init = inEmptyFolder(async (project, { tarball }) => {
  // npx would take the package from the registry.
  await project.run('npx', '--yes', '--package', tarball, 'countersign', 'init', '.')
  await rejects(project.run('npx', '--yes', '--package', tarball, 'countersign', 'init', '.'), /is not empty/)
  await project.run('npm', 'install', '--no-audit', '--no-fund', tarball)
  await project.run('npm', 'run', 'build')
  const page = await project.read('main.ts')
  await project.write('main.ts', page.replace("text: 'hello'", 'text: 5'))
  await rejects(project.run('npm', 'run', 'build'), /'number' is not assignable to type 'string'/)
  await project.write('main.ts', page)
  await tryPage(project)
})

const byHand = (version) =>
  inEmptyFolder(async (project, { tarball }) => {
    const [commands] = codeOf('README.md', 'sh by hand')
    for (const line of commands.trim().split('\n')) {
      const given = line.replace(/install countersign/, `install ${tarball}`).replace(/ vite$/, ` vite@${version}`)
      const { stdout } = await project.run('sh', '-c', given)
      const [printed] = /serverKeys: .*/.exec(stdout) ?? []
      if (printed) project.serverKeys = printed
    }
    equal(JSON.parse(await project.read('node_modules/vite/package.json')).version, version)
    for (const [name, fence] of Object.entries(FILES)) {
      const [text] = codeOf('README.md', fence)
      // The one line that the page asks to replace.
      await project.write(name, name === 'main.ts' ? text.replace(/serverKeys: .*/, project.serverKeys) : text)
    }
    match(await project.read('main.ts'), new RegExp(project.serverKeys.slice(0, 40).replace(/[[{]/g, '\\$&')))
    const options = '--noEmit --strict --allowJs --skipLibCheck --target es2022 --lib es2022,dom,dom.iterable'
    const typed = `${options} --module esnext --moduleResolution bundler main.ts`.split(' ')
    await project.run(process.execPath, tsc, ...typed)
    await tryPage(project)
  })

export const starters = [
  { name: 'countersign init', version: 'Vite 8', try: init },
  ...['5.4.21', '8.4.0'].map((version) => ({
    name: `README by hand, Vite ${version.split('.')[0]}`,
    version,
    try: byHand(version)
  }))
]
