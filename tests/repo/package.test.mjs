// SPDX-License-Identifier: MIT
// What is published: exactly the built files and the documents, by the rules of the registry, within the size budget.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { treeFiles } from '../../tools/lint/tree.mjs'
import { fieldsOf, REPOSITORY, withFields } from '../../tools/repository.mjs'
import { excess, measure } from '../../tools/size.mjs'
import { codeOf } from '../interop/shown-code.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const pkg = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))
const lock = readFileSync(`${root}/package-lock.json`, 'utf8')

/** The most bytes that an installation downloads. */
const MAX_TARBALL = 650_000

const pack = () => {
  const said = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  })
  const answer = JSON.parse(said)
  const [packed] = Array.isArray(answer) ? answer : Object.values(answer)
  return packed
}

test('publint finds nothing', async () => {
  const { messages } = await publint({ pkgDir: root, strict: true })
  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    []
  )
})

test('the tarball has at most 650,000 bytes', () => {
  const { size } = pack()
  assert.ok(size <= MAX_TARBALL, `${size} bytes: ${size - MAX_TARBALL} too many`)
})

test('the tarball holds exactly the built files and the documents', () => {
  const files = pack().files.map(({ path }) => path)
  const sources = readdirSync(`${root}/js`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(`${root}/js/`.length - 1).replace(/^\/+/, ''))
  const made = sources.map((name) => `dist/${name.replace(/\.ts$/, '')}`)
  const expected = [
    ...made.map((path) => `${path}.js`),
    'dist/LICENSE.bearssl',
    'dist/LICENSE.libsodium',
    'dist/core/platform/countersign-client.wasm',
    'dist/core/platform/countersign-json.wasm',
    'dist/core/platform/countersign-knock.wasm',
    'dist/core/platform/countersign.wasm',
    'dist/core/platform/client-wasm.js',
    'dist/core/platform/core-wasm.js',
    'dist/core/platform/json-wasm.js',
    'dist/core/platform/knock-wasm.js',
    'dist/core/platform/wasm-module.d.ts',
    'dist/countersign.bundle.js',
    'dist/countersign.iife.d.ts',
    'dist/countersign.iife.js',
    ...readdirSync(`${root}/docs/errors`).map((name) => `docs/errors/${name}`),
    'docs/browsers.md',
    'docs/command.md',
    'docs/guide/bundlers.md',
    'docs/guide/frames.md',
    'docs/guide/mounts.md',
    'docs/guide/own-login.md',
    'docs/guide/tour.md',
    'starter/gateway.js',
    'starter/index.html',
    'starter/main.ts',
    'LICENSE',
    'THIRD-PARTY-NOTICES.txt',
    'README.md',
    'SECURITY.md',
    'package.json'
  ]
  // The consumers' compilers show that no declaration is missing.
  const isDeclaration = (path) => made.includes(path.replace(/\.d\.ts$/, ''))
  assert.deepEqual(files.filter((path) => !isDeclaration(path)).sort(), expected.sort())
})

test('a declaration has docstrings where users can import its names, and only there', () => {
  const docsOf = (path) => (readFileSync(`${root}/dist/${path}`, 'utf8').match(/\/\*\*/g) ?? []).length
  for (const path of ['client/client.d.ts', 'server/types.d.ts', 'server/route.d.ts', 'client/options.d.ts'])
    assert.ok(docsOf(path) > 4, path)
  for (const path of ['core/wasm.d.ts', 'client/keys/key-vault.d.ts']) assert.equal(docsOf(path), 0, path)
})

test('no published file names a source map', () => {
  for (const { path } of pack().files)
    if (/\.[jt]s$/.test(path)) assert.doesNotMatch(readFileSync(`${root}/${path}`, 'utf8'), /sourceMappingURL/, path)
})

/** The links of a document to files, without their anchors, as paths of the tree. */
const linksOf = (path) =>
  Array.from(
    readFileSync(`${root}/${path}`, 'utf8')
      .replace(/```[\s\S]*?```/g, '')
      .matchAll(/\]\(([^)\s]+)\)/g)
  )
    .map(([, target]) => target.split('#')[0])
    .filter((target) => target !== '' && !/^https?:/.test(target))
    .map((target) => join(dirname(path), target))

// Where no repository is named, nothing else can show what a link leads to.
test('every link of README and of the error pages leads to a file of the tarball', () => {
  const files = pack().files.map(({ path }) => path)
  const documents = files.filter((path) => path === 'README.md' || path.startsWith('docs/'))
  assert.ok(documents.length > 60)
  for (const path of documents)
    assert.deepEqual(
      linksOf(path).filter((target) => !files.includes(target)),
      [],
      path
    )
})

test('README shows the files that countersign init writes, says how many lines they have, and begins with ten', () => {
  const linesOf = (text) => text.split('\n').filter((line) => line.trim() !== '').length
  const files = { 'gateway.js': 'js gateway.js', 'main.ts': 'ts main.ts', 'index.html': 'html index.html' }
  const texts = Object.entries(files).map(([name, fence]) => {
    const text = readFileSync(`${root}/starter/${name}`, 'utf8')
    assert.deepEqual(codeOf('README.md', fence), [text], name)
    return text
  })
  const [, said] = /write its (\d+) lines by hand/.exec(readFileSync(`${root}/README.md`, 'utf8'))
  assert.equal(linesOf(texts.join('')), Number(said))
  const [hello] = codeOf('README.md', 'js hello.mjs')
  assert.equal(linesOf(hello), 10)
})

test('package.json names the repository of tools/repository.mjs, and none while that is empty', () => {
  const { homepage, repository, bugs } = pkg
  const named = Object.fromEntries(Object.entries({ homepage, repository, bugs }).filter(([, value]) => value))
  assert.deepEqual(named, fieldsOf(REPOSITORY))
  assert.match(REPOSITORY, /^$|^https:\/\/[^/]+\/[^/]+\/[^/]+(?<!\.git)$/)
  assert.deepEqual(fieldsOf(''), {})
  const filled = withFields(pkg, fieldsOf('https://git.example/owner/name'))
  assert.deepEqual(filled.repository, { type: 'git', url: 'git+https://git.example/owner/name.git' })
  assert.deepEqual(filled.bugs, { url: 'https://git.example/owner/name/issues' })
  assert.equal(filled.homepage, 'https://git.example/owner/name#readme')
  assert.deepEqual(withFields(filled, {}), withFields(pkg, {}))
})

test('the notices name everything that is compiled in, and each licence is in the tarball', () => {
  const notices = readFileSync(`${root}/THIRD-PARTY-NOTICES.txt`, 'utf8')
  for (const words of [
    'Emscripten authors',
    'University of\nIllinois/NCSA',
    'Neither the names of Mozilla',
    'Rich Felker, et al.',
    'Apache-2.0 WITH LLVM-exception'
  ])
    assert.ok(notices.includes(words), words)
  const files = pack().files.map(({ path }) => path)
  for (const [path] of notices.matchAll(/dist\/LICENSE\.\w+/g)) assert.ok(files.includes(path), path)
  for (const name of ['libsodium', 'BearSSL', 'Emscripten', 'musl'])
    assert.match(notices, new RegExp(`^  ${name} `, 'm'))
})

test('the client has no dependency and no script that runs at installation', () => {
  assert.equal(pkg.dependencies, undefined)
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) assert.equal(pkg.scripts[name], undefined)
  assert.deepEqual(Object.keys(pkg.peerDependencies), Object.keys(pkg.peerDependenciesMeta))
  // What is named here orders the bundle, makes the global of script tags, or presets a module in workerd.
  assert.deepEqual(pkg.sideEffects, [
    './dist/core/platform/client-wasm.js',
    './dist/countersign.iife.js',
    './dist/workerd/*.js'
  ])
})

test('every export of package.json leads to a file', () => {
  const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves))
  for (const path of leaves([pkg.exports, pkg.main, pkg.types, pkg.unpkg, pkg.jsdelivr]))
    assert.ok(existsSync(`${root}/${path}`), path)
})

test('package-lock.json names no registry, and pins every package by its hash', () => {
  assert.ok(!/"resolved"|https?:\/\/[^"]*\.tgz/.test(lock))
  for (const [path, entry] of Object.entries(JSON.parse(lock).packages)) {
    if (path) assert.match(entry.integrity, /^sha512-/, path)
  }
})

test('the first download, and the client as one file, stay within their budgets', async () => {
  assert.deepEqual(excess(await measure()), [])
})

test('a page that makes messages of the JSON profiles downloads no reader of JSON, until it verifies one', async () => {
  const { metafile } = await build({
    stdin: {
      contents: "export * from 'countersign/action-proof'; export * from 'countersign/stats-event'",
      resolveDir: root
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    outdir: 'bundle',
    metafile: true,
    write: false
  })
  const chunks = Object.values(metafile.outputs)
  const withReader = chunks.filter(({ inputs }) => Object.keys(inputs).some((path) => path.endsWith('json-wasm.js')))
  assert.equal(withReader.length, 1)
  const [start] = chunks.filter(({ entryPoint }) => entryPoint === '<stdin>')
  const needed = start.imports
    .filter(({ kind }) => kind === 'import-statement')
    .map(({ path }) => metafile.outputs[path])
  assert.ok([start, ...needed].every((chunk) => chunk !== withReader[0] && chunk.bytes < 30_000))
})

test('no file of the tree names a folder of a machine or holds a secret', () => {
  const bad = [
    [/(?<![\w.])\/(home|Users|root|work|workspace|tmp)\/[\w.-]+/, 'a folder of a machine'],
    [/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/, 'a private key'],
    [/\b(?:AKIA|ghp_|npm_|xox[bp]-)[A-Za-z0-9]{16,}/, 'a token']
  ]
  const found = []
  for (const [path, text] of [...treeFiles(root), ['package-lock.json', lock]]) {
    if (path === 'tests/repo/package.test.mjs') continue
    for (const [pattern, what] of bad) {
      const match = pattern.exec(text)
      if (match) found.push(`${path}: ${what}: ${match[0].slice(0, 24)}`)
    }
  }
  assert.deepEqual(found, [])
})
