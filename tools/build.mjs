// SPDX-License-Identifier: MIT
// Makes dist/: the error table's TypeScript side, the core as WebAssembly, one .js per .ts of js/, and
// the .d.ts files that users can reach. A step whose inputs have not changed is skipped. `--js` makes only what TypeScript
// needs; `--linked` takes the WebAssembly in build/wasm as it is.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import ts from 'typescript'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(root)
const jsOnly = process.argv.includes('--js')
const isLinked = process.argv.includes('--linked')

const fail = (message) => {
  console.error(`build: ${message}`)
  process.exit(1)
}

const run = (command, args, env = process.env) => {
  const { status, error, stdout, stderr } = spawnSync(command, args, { env, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (error) fail(`${command}: ${error.message}; tools/setup build installs what is missing`)
  if (status !== 0) {
    process.stderr.write(stdout + stderr)
    fail(`${command} ${args.join(' ')} failed`)
  }
  return stdout
}

/** files lists every file under the given files and folders, in order. */
const files = (paths) =>
  paths.flatMap((path) => {
    if (!existsSync(path)) return []
    if (!statSync(path).isDirectory()) return [path]
    return files(
      readdirSync(path)
        .sort()
        .map((name) => join(path, name))
    )
  })

const digest = (paths, extra = '') => {
  const hash = createHash('sha256').update(extra)
  for (const path of files(paths)) hash.update(`\0${path}\0`).update(readFileSync(path))
  return hash.digest('hex')
}

/** step runs `make` unless `outputs` exist and were made from the same inputs; a half-made step leaves no stamp. */
const step = (name, { inputs, outputs, extra }, make) => {
  const stamp = join('build', 'stamps', name)
  const want = digest([...inputs, 'tools/build.mjs'], extra)
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === want && outputs.every((path) => existsSync(path))) return
  const started = performance.now()
  rmSync(stamp, { force: true })
  make()
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, want)
  console.log(`build: ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
}

const isAlive = (pid) => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** lock lets one build at a time into this tree; a lock whose owner is gone is taken over. */
const lock = async () => {
  const path = join('build', 'lock')
  mkdirSync('build', { recursive: true })
  for (;;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' })
      process.on('exit', () => rmSync(path, { force: true }))
      for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
      return
    } catch {
      const owner = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0
      if (owner > 0 && !isAlive(owner)) rmSync(path, { force: true })
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

const cache = process.env.CS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'countersign')
const sodium = join(cache, 'libsodium-1.0.18')

const buildWasm = () => {
  // Debian's emcc finds `acorn` only there; a newer one has its own and never looks.
  const env = {
    ...process.env,
    NODE_PATH: [process.env.NODE_PATH, '/usr/share/nodejs'].filter(Boolean).join(delimiter)
  }
  run('emcmake', ['cmake', '--preset', 'wasm'], env)
  run('cmake', ['--build', '--preset', 'wasm'], env)
}

const wasms = ['countersign', 'countersign-client', 'countersign-knock', 'countersign-json']
/** What is compiled in, each with its licence beside it. */
const licences = { libsodium: join(sodium, 'LICENSE'), bearssl: join(cache, 'bearssl-0.6', 'LICENSE.txt') }

/** The modules with the files as text, by the file's name. */
const textModules = {
  countersign: 'core',
  'countersign-client': 'client',
  'countersign-knock': 'knock',
  'countersign-json': 'json'
}

const built = [
  ...wasms.map((name) => `dist/core/platform/${name}.wasm`),
  ...Object.values(textModules).map((name) => `dist/core/platform/${name}-wasm.js`),
  ...Object.keys(licences).map((name) => `dist/LICENSE.${name}`)
]

/** textOf writes bytes as text; js/core/load.ts reads it, and says how it is made. */
const textOf = (bytes) => {
  const codes = []
  for (const byte of bytes) {
    const value = (byte + 1) & 255
    const low = value % 83
    if (value >= 83) codes.push(39 + (value - low) / 83)
    codes.push(low + 43 < 92 ? low + 43 : low + 44)
  }
  const text = codes.map((code) => String.fromCharCode(code)).join('')
  // A page may hold the script between its tags.
  if (/<\/script/i.test(text)) fail('the text of a core would end a script element')
  return text
}

/** What js/core/load.ts gives to a module. */
const IMPORTS = ['_embind_register_function', 'emscripten_notify_memory_growth', 'proc_exit']

/** foreignImports lists what a module asks of its host and js/core/load.ts does not have. */
const foreignImports = (bytes) =>
  WebAssembly.Module.imports(new WebAssembly.Module(bytes)).filter(({ name }) => !IMPORTS.includes(name))

const copyWasm = () => {
  mkdirSync('dist/core/platform', { recursive: true })
  for (const name of wasms) {
    const bytes = readFileSync(`build/wasm/${name}.wasm`)
    for (const { name: asked } of foreignImports(bytes))
      fail(`${name}.wasm imports ${asked}, which js/core/load.ts lacks`)
    writeFileSync(`dist/core/platform/${name}.wasm`, bytes)
    const part = textModules[name]
    const code = `export const ${part}Wasm = "${textOf(bytes)}"\n`
    writeFileSync(`dist/core/platform/${part}-wasm.js`, `// SPDX-License-Identifier: MIT\n${code}`)
  }
  for (const [name, path] of Object.entries(licences)) copyFileSync(path, `dist/LICENSE.${name}`)
}

/** The client as one file for every script element, and the module that gives its exports. */
const iife = 'dist/countersign.iife.js'
const bundle = 'dist/countersign.bundle.js'

const IIFE_TYPES = `// SPDX-License-Identifier: MIT

import type * as client from './index.js'

declare global {
  /** The client, where a script tag has loaded this file. */
  var countersign: typeof client
}
`
const iifeTypes = 'dist/countersign.iife.d.ts'

const buildBundles = () => {
  const common = { entryPoints: ['dist/index.js'], bundle: true, platform: 'browser', target: 'es2022', write: false }
  const { outputFiles } = buildSync({
    ...common,
    minify: true,
    format: 'iife',
    globalName: 'countersign',
    banner: { js: '/* SPDX-License-Identifier: MIT */' },
    legalComments: 'none'
  })
  const [{ text }] = outputFiles
  if (/<\/script|\bimport\(|import\.meta/i.test(text)) fail(`${iife} is not for every script element and worker`)
  // In a module a `var` would be no global, and the bundle could not find it.
  const made = text.replace('"use strict";var countersign=', '"use strict";globalThis.countersign=')
  if (made === text) fail(`${iife} begins in another way`)
  writeFileSync(iife, made)
  const { metafile } = buildSync({ ...common, format: 'esm', metafile: true })
  const [{ exports }] = Object.values(metafile.outputs)
  const names = exports.sort().join(', ')
  writeFileSync(
    bundle,
    `// SPDX-License-Identifier: MIT\nimport './countersign.iife.js'\n\nexport const { ${names} } = globalThis.countersign\n`
  )
  writeFileSync(iifeTypes, IIFE_TYPES)
}

/** withTabs gives a text of the compiler with tabs for its steps of four blanks, outside of template literals: the tarball is smaller. */
const withTabs = (text) => {
  const literals = []
  const visit = (node) => {
    if (ts.isTemplateLiteralToken(node)) literals.push([node.getStart(), node.end])
    else ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('made.js', text, ts.ScriptTarget.ES2022, true))
  return text.replace(/^(?: {4})+/gm, (blanks, at) =>
    literals.some(([from, to]) => from < at && at < to) ? blanks : '\t'.repeat(blanks.length / 4)
  )
}

/** transpiler gives what writes the .js of a source, without comments: the .d.ts has the docstrings, js/ explains the code. */
const transpiler = () => {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile)
  // Alone, a source does not say that it is a module of a package of modules.
  const given = { ...config.compilerOptions, module: 'ESNext', moduleResolution: 'Bundler', removeComments: true }
  const { options: compilerOptions } = ts.convertCompilerOptionsFromJson(given, '.')
  return (source, made) => {
    const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), { fileName: source, compilerOptions })
    const [, first = '', rest] = /^(#!.*\n)?(.*)$/s.exec(outputText)
    mkdirSync(dirname(made), { recursive: true })
    writeFileSync(made, `${first}// SPDX-License-Identifier: MIT\n${withTabs(rest)}`)
  }
}

/** declarations gives the .d.ts files that the exports of package.json lead to: `all` of them, and those they `name`. */
const declarations = () => {
  const { exports, types } = JSON.parse(readFileSync('package.json', 'utf8'))
  const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves))
  const entries = leaves([exports, types]).filter((path) => path.endsWith('.d.ts'))
  const named = new Set(entries.map((path) => join(path)))
  const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '')
  const add = (set, from, name) => set.add(join(dirname(from), name).replace(/\.[jt]s$/, '.d.ts'))
  for (const path of named)
    for (const [, name] of read(path).matchAll(/^export [^;]*? from ['"](\.[^'"]+)['"]/gm)) add(named, path, name)
  const all = new Set(named)
  for (const path of all)
    for (const { fileName } of ts.preProcessFile(read(path)).importedFiles)
      if (fileName.startsWith('.')) add(all, path, fileName)
  return { all: [...all], named }
}

/** undocument takes the docstrings out of a .d.ts whose names no user can import: no editor ever shows them. */
const undocument = (path) => {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022)
  const text = ts.createPrinter({ removeComments: true }).printFile(source)
  writeFileSync(path, `// SPDX-License-Identifier: MIT\n${text}`)
}

/** buildTypeScript also removes what a deleted source had left behind, so that dist/ is always what js/ says. */
const buildTypeScript = () => {
  run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--emitDeclarationOnly'])
  copyFileSync('js/core/platform/wasm-module.d.ts', 'dist/core/platform/wasm-module.d.ts')
  const { all, named } = declarations()
  for (const path of all) if (existsSync(path) && !named.has(path)) undocument(path)
  const kept = new Set([...built, iife, bundle, iifeTypes, ...all])
  const transpile = transpiler()
  for (const source of files(['js']).filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))) {
    const made = join('dist', relative('js', source)).replace(/\.ts$/, '.js')
    transpile(source, made)
    kept.add(made)
  }
  for (const path of files(['dist'])) if (!kept.has(path)) rmSync(path)
}

await lock()
step(
  'errors',
  { inputs: ['include/countersign/errors.def', 'tools/generate-errors.mjs'], outputs: ['js/generated/errors.ts'] },
  () => run(process.execPath, ['tools/generate-errors.mjs'])
)
if (!jsOnly) {
  const inputs = ['CMakeLists.txt', 'CMakePresets.json', 'cmake', 'wasm', 'include', 'src']
  const linked = wasms.map((name) => `build/wasm/${name}.wasm`)
  if (!isLinked) step('wasm', { inputs, extra: run('emcc', ['--version']) + sodium, outputs: linked }, buildWasm)
  step('copies', { inputs: linked, outputs: built }, copyWasm)
}
step(
  'typescript',
  {
    inputs: ['js', 'tsconfig.json', 'package.json', 'package-lock.json'],
    outputs: ['dist/index.js', 'dist/index.d.ts']
  },
  buildTypeScript
)
step(
  'bundles',
  {
    inputs: ['dist/index.js', 'dist/client', 'dist/common', 'dist/core', 'dist/generated'],
    outputs: [iife, bundle, iifeTypes]
  },
  buildBundles
)
if (!jsOnly && existsSync('demo/page/build.mjs')) run(process.execPath, ['demo/page/build.mjs'])
