// SPDX-License-Identifier: MIT
// Checks the layers of ARCHITECTURE.md: who may include or import whom, which file alone may name which part of the
// platform, that every file says its licence and stays readable. Run by `npm run lint` and by tests/meta.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ignored = new Set(['.git', '.github', 'node_modules', 'build', 'dist', 'data', 'generated', 'api', '__pycache__'])

/** A file of a layer may use lower layers and its own; nobody uses a higher one, and no chain of imports ends where it began. */
const cppLayers = [
  ['include/countersign/errors.def'],
  ['include/countersign/protocol.hpp'],
  ['include/countersign/error.hpp'],
  ['include/countersign/result.hpp'],
  ['*/bytes'],
  ['*/sha256', '*/ed25519', '*/clock', '*/marker', '*/frame'],
  ['*/replay', '*/request', '*/enrollment', '*/rsa', '*/knock'],
  ['*/response'],
  // Above responses: the server signs both, and one check of its signature serves both.
  ['*/event'],
  ['*/json/text', '*/json/number'],
  ['*/json/document'],
  ['*/json/canonical'],
  ['*/json/stats_event', '*/json/action_proof'],
  ['wasm/'],
  ['tests/native/', 'tests/fuzz/', 'examples/']
]

const jsLayers = [
  [
    'common/types',
    'generated/',
    'core/platform/glue',
    'core/platform/wasm-source',
    'core/platform/hash-source',
    'core/platform/knock-source'
  ],
  ['common/errors', 'common/platform', 'common/base64', 'common/algorithms', 'common/stage-events'],
  ['core/', 'client/keys/device-key', 'client/keys/indexed-db', 'client/keys/key-store', 'client/transport/digest'],
  ['client/options', 'client/server-clock', 'client/limits', 'client/listeners', 'client/random', 'client/tabs'],
  ['client/keys/key-vault', 'client/keys/key-record'],
  ['client/transport/'],
  ['client/call-options'],
  // Loaded when somebody first listens, by event-streams; it imports nothing that the client has downloaded already.
  ['client/events/'],
  [
    'client/client',
    'client/runtime',
    'client/session/device-session',
    'client/lazy-parts',
    'client/lazy',
    'client/session/enroll-by-email',
    'client/keys/create-key',
    'client/keys/key-info',
    'client/keys/storage-report',
    'client/transport/ask-time',
    'client/session/rotate-key',
    'client/trust/server-keys',
    'client/trust/delivered-keys',
    'client/session/enroll',
    'client/events/index',
    'client/outstanding',
    'client/session/session-list',
    'queue/',
    'index'
  ]
]
const jsNames = (layer) => jsLayers[layer].map((name) => `js/${name}`)
/** The server stands beside the client and shares only what carries no state of either. */
const serverMayUse = [...jsNames(0), ...jsNames(1), 'js/core/']
/** A profile stands beside both: it shares the same with the client, and its own server part a few helpers with the gateway. */
const profileMayUse = [...jsNames(0), ...jsNames(1), 'js/core/args', 'js/core/load', 'js/core/wasm']
const profileServerMayUse = ['support/', 'types', 'stores/types', 'stores/redis/'].map((name) => `js/server/${name}`)

/** countersign/testing stands above both and may use either; nothing of the package uses it. */
const testing = 'js/testing/'

/** What is named nowhere else, comments apart. */
const owners = [
  {
    what: 'Emscripten',
    pattern: /emscripten/i,
    within: /^(src|include|wasm)\/.*\.[ch]pp$/,
    only: /^wasm\/(knock_)?bindings\.cpp$/
  },
  {
    what: "WebAssembly's memory",
    pattern: /\bHEAPU?\d|\.memory\b|WebAssembly\.Memory/,
    within: /^js\//,
    only: /^js\/core(-wasm|-load|\/wasm|\/load|\/index)?\.ts$/
  },
  {
    what: 'crypto.subtle',
    pattern: /\bsubtle\b/,
    within: /^js\/(?!server\/)/,
    only: /^js\/(keys|digest|client\/keys\/device-key|client\/transport\/digest|profiles\/(common\/)?(hmac|aes-gcm))\.ts$/
  },
  {
    what: 'IndexedDB',
    pattern: /\bindexedDB\b|\bIDB[A-Z]/,
    within: /^js\//,
    only: /^js\/(client\/keys\/)?indexed-db\.ts$/
  },
  {
    what: 'Node',
    pattern: /from 'node:/,
    within: /^js\//,
    only: /^js\/(server\/|testing\/|cli\/|profiles\/[a-z-]+\/(server|node)\/|core\/platform\/(wasm|hash|knock)-source\.node\.ts)/
  },
  { what: 'a default export', pattern: /^export default /m, within: /^(js|tools|demo|tests|bench)\//, only: /^$/ },
  {
    what: 'input, output, time or randomness in the core',
    pattern:
      /#include <(chrono|ctime|time\.h|random|iostream|fstream|cstdio|stdio\.h|thread|mutex|filesystem)>|\bgetenv\b/,
    within: /^(src|include)\//,
    only: /^$/
  },
  {
    what: 'exceptions or types at run time in the core',
    pattern: /\b(throw|try|catch|dynamic_cast|typeid)\b/,
    within: /^(src|include|wasm)\//,
    only: /^$/
  }
]

const code = /\.(ts|mjs|cpp|hpp|c|py|sh|css)$|^tools\/[a-z-]+$/
const licensed = /\.(ts|mjs|cpp|hpp|c|def|py|sh|css|cmake)$|CMakeLists\.txt$|^tools\/[a-z-]+$/
const maxLines = 300

/** withoutComments blanks comments out and keeps the lines. */
const withoutComments = (text) =>
  text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1')

const lineAt = (text, index) => text.slice(0, index).split('\n').length

const cppLayerOf = (path) => {
  const stem = path.replace(/^(src|include\/countersign)\//, '*/').replace(/\.[ch]pp$/, '')
  return cppLayers.findIndex((names) =>
    names.some((name) => name === path || name === stem || (name.endsWith('/') && path.startsWith(name)))
  )
}

const jsLayerOf = (path) => {
  const stem = path.replace(/^js\//, '').replace(/(\.d)?\.[tj]s$/, '')
  return jsLayers.findIndex((names) =>
    names.some((name) => (name.endsWith('/') ? stem.startsWith(name) : stem === name || stem.startsWith(`${name}.`)))
  )
}

/** linksOf finds what a file uses: [path in the tree or public name, line]. */
const linksOf = (path, text) => {
  const found = []
  const pattern = /\.[ch]pp$/.test(path) ? /#include "([^"]+)"/g : /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g
  for (const match of text.matchAll(pattern)) {
    const [, name] = match
    let target = name
    if (name.startsWith('.')) target = posix.join(posix.dirname(path), name)
    else if (name.startsWith('countersign/') && /\.(hpp|def)$/.test(name)) target = `include/${name}`
    found.push([target, lineAt(text, match.index)])
  }
  return found
}

const profileProblem = (path, target) => {
  const [own, part] = path.split('/').slice(2)
  const isServer = part === 'server'
  if (!target.startsWith('js/')) {
    const isOutside = part === 'node' || isServer
    return target.startsWith('node:') || target === '#knock-source' || (isOutside && target === 'lmdb')
      ? undefined
      : `a profile may not depend on ${target}`
  }
  if (target.startsWith('js/profiles/')) {
    const [other, otherPart] = target.split('/').slice(2)
    if (other === 'common') return undefined
    if (other !== own) return `a profile may not import ${target}`
    return otherPart === 'server' && !isServer ? `the client's side of a profile may not import ${target}` : undefined
  }
  const isShared = profileMayUse.some((name) => target.startsWith(name))
  return isShared || (isServer && profileServerMayUse.some((name) => target.startsWith(name)))
    ? undefined
    : `a profile may not import ${target}`
}

/** The command stands above everything, the explainer beside the profiles; nothing of the package uses the command. */
const commandProblem = (path, target) => {
  if (path.startsWith('js/cli/')) {
    return target.startsWith('js/') || target.startsWith('node:')
      ? undefined
      : `the command may not depend on ${target}`
  }
  return target.startsWith('js/explain/') || profileMayUse.some((name) => target.startsWith(name))
    ? undefined
    : `the explainer may not import ${target}`
}

const linkProblem = (path, target) => {
  if (/^(src|include|wasm|tests\/native|tests\/fuzz|examples)\//.test(path)) {
    if (!target.startsWith('include/')) return undefined
    const [own, other] = [cppLayerOf(path), cppLayerOf(target)]
    if (own < 0 || other < 0) return `${own < 0 ? path : target} is in no layer of tools/check-layers.mjs`
    const self =
      cppLayers[own].some((name) => name.startsWith('*/')) &&
      target.endsWith(`/${posix.basename(path).replace(/\.cpp$/, '.hpp')}`)
    return other > own || (other === own && !self && own < cppLayers.length - 2)
      ? `may not include ${target}`
      : undefined
  }
  if (path.startsWith(testing)) return undefined
  if (path.startsWith('js/') && target.startsWith(testing)) return 'only tests use countersign/testing'
  if (path.startsWith('js/cli/') || path.startsWith('js/explain/')) return commandProblem(path, target)
  if (target.startsWith('js/cli/')) return 'nothing may import the command'
  if (path.startsWith('js/profiles/')) return profileProblem(path, target)
  if (target.startsWith('js/profiles/')) return `only a profile may import ${target}`
  if (path.startsWith('js/server/')) {
    if (!target.startsWith('js/') || target.startsWith('js/server/')) return undefined
    return serverMayUse.some((name) => target.startsWith(name)) ? undefined : `the server may not import ${target}`
  }
  if (path.startsWith('js/')) {
    if (!target.startsWith('js/'))
      return target.startsWith('#') || target.startsWith('node:') ? undefined : `the client may not depend on ${target}`
    if (target.startsWith('js/server/')) return `the client may not import ${target}`
    const [own, other] = [jsLayerOf(path), jsLayerOf(target)]
    if (own < 0 || other < 0) return `${own < 0 ? path : target} is in no layer of tools/check-layers.mjs`
    return other > own ? `may not import ${target}` : undefined
  }
  if (path.startsWith('demo/'))
    return /^(js|dist|src)\//.test(target) ? `the demo uses public names only, not ${target}` : undefined
  return undefined
}

const findCycle = (links) => {
  const done = new Set()
  const visit = (path, trail) => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (done.has(path)) return undefined
    for (const next of links.get(path) ?? []) {
      const cycle = visit(next, [...trail, path])
      if (cycle) return cycle
    }
    done.add(path)
    return undefined
  }
  for (const path of links.keys()) {
    const cycle = visit(path, [])
    if (cycle) return cycle
  }
  return undefined
}

/** violations names every breach in the files given as [path, text]; no breach is an empty list. */
export const violations = (files) => {
  const found = []
  const links = new Map()
  for (const [path, text] of files) {
    const lines = text.split('\n').length - 1
    if (code.test(path) && lines > maxLines) found.push(`${path}: ${lines} lines, more than ${maxLines}`)
    const head = text.split('\n', 2)
    const first = head[0].startsWith('#!') ? head[1] : head[0]
    if (licensed.test(path) && !first?.includes('SPDX-License-Identifier: MIT')) found.push(`${path}:1: no SPDX line`)
    if (!/\.(ts|mjs|[ch]pp)$/.test(path)) continue
    const plain = withoutComments(text)
    for (const { what, pattern, within, only } of owners) {
      if (!within.test(path) || only.test(path)) continue
      const at = plain.search(pattern)
      if (at >= 0) found.push(`${path}:${lineAt(plain, at)}: names ${what}`)
    }
    const uses = linksOf(path, plain)
    links.set(
      path,
      uses.map(([target]) => target)
    )
    for (const [target, line] of uses) {
      const problem = linkProblem(path, target)
      if (problem) found.push(`${path}:${line}: ${problem}`)
    }
  }
  const cycle = findCycle(links)
  if (cycle) found.push(`imports go round: ${cycle.join(' -> ')}`)
  return found
}

/** treeFiles reads every file of the tree that could be checked, as [path, text]. */
export const treeFiles = (root, folder = '') =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return ignored.has(entry.name) ? [] : treeFiles(root, path)
    return entry.isFile() && licensed.test(path) ? [[path, readFileSync(join(root, path), 'utf8')]] : []
  })

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = violations(treeFiles(dirname(dirname(fileURLToPath(import.meta.url)))))
  for (const line of found) console.error(line)
  process.exitCode = found.length > 0 ? 1 : 0
}
