// SPDX-License-Identifier: MIT
// The tarball as its users meet it: installed into an empty project, imported in Node, compiled against, bundled for a page.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { codeOf } from '../interop/shown-code.mjs'
import { startProcess } from '../runners/browsers/process.mjs'
import { HUNG_MS } from '../unit/harness/wait.mjs'
import { freePort } from './stage.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const here = fileURLToPath(new URL('.//', import.meta.url))
const project = mkdtempSync(join(tmpdir(), 'countersign-consumer-'))
const exec = promisify(execFile)

const run = async (program, ...args) => {
  try {
    return await exec(program, args, { cwd: project, timeout: HUNG_MS })
  } catch (error) {
    assert.fail(`${program} ${args.join(' ')}\n${error.stdout}${error.stderr}`)
  }
}

before(async () => {
  await exec('npm', ['pack', '--ignore-scripts', '--offline', '--pack-destination', project], { cwd: root })
  const [tarball] = readdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await run('npm', 'install', '--offline', '--no-audit', '--no-fund', `./${tarball}`)
})

after(() => rmSync(project, { recursive: true, force: true }))

test('nothing else is installed with it', () => {
  const installed = readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))
  assert.deepEqual(installed, ['countersign'])
})

test('its entries work in Node', async () => {
  const script = `
    import { connect, memoryStore } from 'countersign'
    import { loadCore } from 'countersign/core'
    import { importDeviceKey } from 'countersign/stats-event'
    import { createGateway, memoryReplayStore, memorySessionStore } from 'countersign/server'
    import { readFile } from 'node:fs/promises'
    const core = await loadCore(await readFile(new URL(import.meta.resolve('countersign/countersign.wasm'))))
    const ours = Buffer.from(core.sha256(new TextEncoder().encode('abc'))).toString('hex')
    const { deviceId } = await importDeviceKey('0'.repeat(64))
    console.log([ours.slice(0, 8), typeof connect, typeof createGateway, typeof memorySessionStore, deviceId.length].join(' '))`
  writeFileSync(join(project, 'entries.mjs'), script)
  const { stdout } = await run(process.execPath, 'entries.mjs')
  assert.equal(stdout.trim(), 'ba7816bf function function function 16')
})

test('the ten lines at the top of README work', async () => {
  const [code] = codeOf('README.md', 'js hello.mjs')
  const port = await freePort()
  // The port of README may be taken. Nothing else is changed.
  writeFileSync(join(project, 'hello.mjs'), code.replaceAll('8080', String(port)))
  const ready = /^Hello Ada, you are guest:[A-Za-z0-9_-]{22}$/m
  const child = await startProcess(process.execPath, ['hello.mjs'], { cwd: project, ready })
  await child.stop()
})

test('without lmdb and ws the gateway for development says what is missing, and works', async () => {
  const words = ['node_modules/countersign/dist/cli/main.js', 'gateway', '--dev', '--port', '0']
  const child = await startProcess(process.execPath, words, { cwd: project, ready: /serverKeys: .*\n/ })
  assert.match(child.output(), /in memory until it ends \(npm install lmdb keeps them\)/)
  assert.match(child.output(), /\(npm install ws adds WebSocket\)/)
  await child.stop()
})

test('an application tests itself with countersign/testing, from the tarball', async () => {
  const source = readFileSync(join(here, 'typescript/testing.ts'), 'utf8')
  // What TypeScript leaves of it: types are all on these few lines.
  const script = source
    .replace(/, type \w+/g, '')
    .replace(/: (LinkFaults|LogEntry\[\]|Promise<string>)/g, '')
    .concat('\nconsole.log(await buy())\n')
  writeFileSync(join(project, 'testing.mjs'), script)
  const { stdout } = await run(process.execPath, 'testing.mjs')
  assert.equal(stdout.trim(), '4711 cs.time')
})

test('without lmdb or redis their entries say what is missing, and the others do not care', async () => {
  for (const name of ['lmdb', 'redis']) {
    const script = `import('countersign/server/${name}').then(() => 'loaded', (error) => error.code).then(console.log)`
    const { stdout } = await run(process.execPath, '--input-type=module', '--eval', script)
    assert.equal(stdout.trim(), 'ERR_MODULE_NOT_FOUND')
  }
})

const compiler = join(root, 'node_modules/typescript/bin/tsc')
const nodeNext = { module: 'NodeNext', moduleResolution: 'NodeNext' }
const bundled = { module: 'ESNext', moduleResolution: 'Bundler' }

/** What an application for pages, and a server, have of libraries. tests/consumers/compilers.mjs tries other compilers. */
const PAGE = { lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'], types: [] }
const SERVER = { lib: ['ES2022'], types: ['node'] }

const compile = async (options, files) => {
  const folder = mkdtempSync(join(project, 'types-'))
  for (const file of files) cpSync(join(here, 'typescript', file), join(folder, file))
  const compilerOptions = {
    target: 'ES2022',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
    noEmit: true,
    ...options
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  await run(process.execPath, compiler, '-p', folder)
}

/** The types of other packages, as an application installs them. */
const link = (...names) => {
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true })
  for (const name of names) {
    const path = join(project, 'node_modules', name)
    if (!existsSync(path)) symlinkSync(join(root, 'node_modules', name), path)
  }
}

test('its types compile strictly in an application for pages, with every check of the declarations', async () => {
  await compile({ ...PAGE, ...nodeNext }, ['client.ts'])
  await compile({ ...PAGE, ...bundled }, ['client.ts'])
})

test('its types compile strictly in a server, without the DOM library, with every check of the declarations', async () => {
  link('@types/node', 'undici-types')
  await compile({ ...SERVER, ...nodeNext }, ['server.ts', 'testing.ts', 'entries.ts'])
  await compile({ ...SERVER, ...bundled }, ['server.ts', 'entries.ts'])
})

test('its typed routes compile strictly with validators', async () => {
  link('@types/node', 'undici-types', 'zod', 'valibot')
  await compile({ ...PAGE, types: ['node'], ...bundled, skipLibCheck: true }, ['routes.ts'])
})

test('the entries that a server compiles are all but those that bring no types of their own', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const listed = Array.from(
    readFileSync(join(here, 'typescript/entries.ts'), 'utf8').matchAll(/from 'countersign(.*)'/g),
    ([, path]) => `.${path}`
  )
  const other = (name) => /\.wasm$|\.js(on)?$|^\.\/(bundle|react)$/.test(name)
  assert.deepEqual(
    listed.sort(),
    Object.keys(exports)
      .filter((name) => !other(name))
      .sort()
  )
})

test('its hooks compile strictly in a component', async () => {
  link('@types/react', 'csstype')
  await compile({ ...PAGE, types: ['react'], ...bundled, skipLibCheck: true }, ['hooks.ts'])
})

test('a bundler makes a page of it that needs nothing of Node, and the core is in it', async () => {
  cpSync(join(here, 'page/main.mjs'), join(project, 'main.mjs'))
  const { outputFiles, metafile } = await build({
    entryPoints: [join(project, 'main.mjs')],
    absWorkingDir: project,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    metafile: true,
    write: false,
    logLevel: 'silent'
  })
  const [{ text }] = outputFiles
  assert.ok(!/from\s*['"]node:|require\(|\beval\(|new Function\(/.test(text))
  assert.ok(!/new URL\([^)]*\.wasm|import\.meta/.test(text), 'no file has to be found')
  const foreign = Object.keys(metafile.inputs).filter(
    (path) => !/^(main\.mjs|node_modules\/countersign\/dist\/)/.test(path)
  )
  assert.deepEqual(foreign, [])
  // The whole core is not for pages.
  const others = Object.keys(metafile.inputs).filter((path) => /\/(server|profiles)\/|core-wasm/.test(path))
  assert.deepEqual(others, [])
})

test('an application without the server part carries none of it, and importing nothing costs nothing', async () => {
  const { outputFiles } = await build({
    stdin: {
      contents:
        "import 'countersign'; import 'countersign/core'; import 'countersign/stats-event'; import 'countersign/knock'; import 'countersign/action-proof'; import 'countersign/explain'",
      resolveDir: project
    },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    logLevel: 'silent'
  })
  assert.equal(outputFiles[0].text.replace(/\/\/.*|\s/g, ''), '')
})

test('the published files name no path outside of them', () => {
  const dist = join(project, 'node_modules/countersign/dist')
  for (const entry of readdirSync(dist, { recursive: true })) {
    if (!/\.(js|d\.ts|map)$/.test(entry)) continue
    assert.ok(!readFileSync(join(dist, entry), 'utf8').includes(root), entry)
  }
})
