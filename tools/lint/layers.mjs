// SPDX-License-Identifier: MIT
// Who may import whom: layers by folder, no arrow back up between sibling folders, no chain that ends where it began.
import { posix } from 'node:path'
import { nativeProblem } from './layers-native.mjs'
import { linksOf } from './tree.mjs'

/**
 * From the ground up: a file imports lower floors and its own. A name that ends in `/` is a folder, with all in it that
 * has no floor of its own; the longest name counts. Folders of one floor do not import each other.
 */
const client = [
  ['js/generated/'],
  ['js/common/'],
  ['js/core/'],
  [
    'js/client/options',
    'js/client/call-options',
    'js/client/listeners',
    'js/client/random',
    'js/client/server-clock',
    'js/client/tabs'
  ],
  ['js/client/keys/'],
  ['js/client/transport/'],
  // events/ is loaded when the page first listens, session/ in part when it first enrols.
  ['js/client/trust/', 'js/client/session/', 'js/client/events/'],
  ['js/client/'],
  ['js/json/', 'js/queue/', 'js/react/'],
  ['js/index']
]
/** The server stands beside the client. */
const server = [
  ['js/server/support/'],
  ['js/server/stores/types', 'js/server/limits'],
  [
    'js/server/types',
    'js/server/handler',
    'js/server/step-up',
    'js/server/migration-phase',
    'js/server/client-signature',
    'js/server/server-key',
    'js/server/options'
  ],
  ['js/server/stores/'],
  ['js/server/stores/memory/', 'js/server/stores/lmdb/', 'js/server/stores/redis/', 'js/server/stores/conformance/'],
  ['js/server/builtin/'],
  ['js/server/exchange/'],
  ['js/server/http/'],
  ['js/server/enrollment/', 'js/server/events/'],
  ['js/server/']
]

/** The server shares with the client only what carries no state of either. */
const serverMayUse = ['js/common/', 'js/generated/', 'js/core/']
/** A profile stands beside both: it shares the same, and its own server part a few helpers with the gateway. */
const profileMayUse = [
  'js/common/',
  'js/generated/',
  'js/core/platform/',
  'js/core/args.ts',
  'js/core/load.ts',
  'js/core/wasm.ts'
]
const profileServerMayUse = [
  'js/server/support/',
  'js/server/types.ts',
  'js/server/stores/types.ts',
  'js/server/stores/lmdb/environment.ts',
  'js/server/stores/redis/'
]
/** countersign/testing and the entries for workerd stand above the rest and may use all; nothing of the package uses them. */
const testing = 'js/testing/'
const workerd = 'js/workerd/'

/** Arrows that the floors forbid and that stand for a reason: { from, to, reason }. The list may only shrink. */
const exceptions = []

const within = (names) => (target) => names.some((name) => target.startsWith(name))

/** Finds the floor of a path: { floor, name }; undefined when it has none. */
const floorOf = (floors, path) => {
  const stem = path.replace(/(\.d)?\.[tj]s$/, '')
  const found = floors
    .flatMap((names, floor) => names.map((name) => ({ floor, name })))
    .filter(({ name }) => (name.endsWith('/') ? stem.startsWith(name) : stem === name))
  return found.sort((a, b) => b.name.length - a.name.length)[0]
}

const floorProblem = (floors, path, target) => {
  const [own, other] = [floorOf(floors, path), floorOf(floors, target)]
  if (!own || !other) return `${own ? target : path} is on no floor; add it to tools/lint/layers.mjs`
  const isFolder = own.name.endsWith('/') || other.name.endsWith('/')
  const isBeside = other.floor === own.floor && other.name !== own.name && isFolder
  return other.floor > own.floor || isBeside ? `may not import ${target}; only lower floors` : undefined
}

const profileProblem = (path, target) => {
  const [own, part] = path.split('/').slice(2)
  const isServer = part === 'server'
  if (!target.startsWith('js/')) {
    const isOutside = part === 'node' || isServer
    return target.startsWith('node:') || (isOutside && target === 'lmdb')
      ? undefined
      : `a profile may not depend on ${target}`
  }
  if (target.startsWith('js/profiles/')) {
    const [other, otherPart] = target.split('/').slice(2)
    if (other !== own && other !== 'common') return `a profile may not import ${target}`
    return otherPart === 'server' && !isServer ? `the client's side of a profile may not import ${target}` : undefined
  }
  const isShared = within(profileMayUse)(target) || (isServer && within(profileServerMayUse)(target))
  return isShared ? undefined : `a profile may not import ${target}`
}

/** The command stands above everything, the explainer beside the profiles; nothing of the package uses the command. */
const commandProblem = (path, target) => {
  if (path.startsWith('js/cli/')) {
    return target.startsWith('js/') || target.startsWith('node:')
      ? undefined
      : `the command may not depend on ${target}`
  }
  return target.startsWith('js/explain/') || within(profileMayUse)(target)
    ? undefined
    : `the explainer may not import ${target}`
}

const serverProblem = (path, target) => {
  if (!target.startsWith('js/')) return undefined
  if (target.startsWith('js/server/')) return floorProblem(server, path, target)
  return within(serverMayUse)(target) ? undefined : `the server may not import ${target}`
}

const clientProblem = (path, target) => {
  if (!target.startsWith('js/')) {
    const isHook = path.startsWith('js/react/') && target === 'react'
    return target.startsWith('node:') || isHook ? undefined : `the client may not depend on ${target}`
  }
  if (target.startsWith('js/server/')) return `the client may not import ${target}`
  return floorProblem(client, path, target)
}

const linkProblem = (path, target) => {
  if (/^(src|include|wasm|tests\/native|tests\/fuzz|examples)\//.test(path)) return nativeProblem(path, target)
  if (path.startsWith('demo/')) {
    return /^(js|dist|src)\//.test(target) ? `the demo uses public names only, not ${target}` : undefined
  }
  if (!path.startsWith('js/') || path.startsWith(testing) || path.startsWith(workerd)) return undefined
  if (target.startsWith(testing)) return 'only tests use countersign/testing'
  if (target.startsWith(workerd)) return 'only package.json names the entries for workerd'
  if (path.startsWith('js/cli/') || path.startsWith('js/explain/')) return commandProblem(path, target)
  if (target.startsWith('js/cli/')) return 'nothing may import the command'
  if (path.startsWith('js/profiles/')) return profileProblem(path, target)
  if (target.startsWith('js/profiles/')) return `only a profile may import ${target}`
  return path.startsWith('js/server/') ? serverProblem(path, target) : clientProblem(path, target)
}

/** Finds a way in a graph that ends where it began: [a, b, a]; undefined when there is none. */
const findCycle = (graph) => {
  const done = new Set()
  const visit = (node, trail) => {
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node]
    if (done.has(node)) return undefined
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...trail, node])
      if (cycle) return cycle
    }
    done.add(node)
    return undefined
  }
  for (const node of graph.keys()) {
    const cycle = visit(node, [])
    if (cycle) return cycle
  }
  return undefined
}

const exceptionFor = (allowed, path, target) => allowed.find(({ from, to }) => from === path && to === target)

/** Gives what each file of the tree uses: path → targets. */
const linkMap = (tree, pattern) =>
  new Map(tree.files(pattern).map(([path, text]) => [path, linksOf(path, text).map(({ target }) => target)]))

/** Gives the imports between sibling folders of js/: folder above them → graph of the siblings. */
const siblingGraphs = (links, allowed) => {
  const graphs = new Map()
  for (const [path, targets] of links) {
    for (const target of targets.filter((name) => name.startsWith('js/'))) {
      if (exceptionFor(allowed, path, target)) continue
      const [own, other] = [posix.dirname(path).split('/'), posix.dirname(target).split('/')]
      const shared = own.findIndex((name, depth) => name !== other[depth])
      if (shared < 1 || other.length <= shared) continue
      const above = own.slice(0, shared).join('/')
      const graph = graphs.get(above) ?? new Map()
      graphs.set(above, graph)
      const names = graph.get(`${above}/${own[shared]}`) ?? new Set()
      graph.set(`${above}/${own[shared]}`, names.add(`${above}/${other[shared]}`))
    }
  }
  return graphs
}

export const layers = {
  name: 'layers',
  check(tree, report, { allowed = exceptions } = {}) {
    const used = new Set()
    const said = new Set()
    for (const [path, text] of tree.files(/\.(ts|mjs|[ch]pp)$/)) {
      for (const { target, line } of linksOf(path, text)) {
        const problem = linkProblem(path, target)
        if (!problem) continue
        const exception = exceptionFor(allowed, path, target)
        if (exception) used.add(exception)
        else if (!said.has(`${path} ${problem}`)) report(path, line, problem)
        said.add(`${path} ${problem}`)
      }
    }
    for (const exception of allowed.filter((entry) => !used.has(entry))) {
      const { from, to } = exception
      report('tools/lint/layers.mjs', 1, `${from} needs no exception for ${to}; remove it`)
    }
  }
}

export const cycles = {
  name: 'cycles',
  check(tree, report) {
    const cycle = findCycle(linkMap(tree, /\.(ts|mjs|[ch]pp)$/))
    if (cycle) report(cycle[0], 1, `imports go round: ${cycle.join(' -> ')}; move what both need below them`)
  }
}

export const folderCycles = {
  name: 'folder-cycles',
  check(tree, report, { allowed = exceptions } = {}) {
    for (const graph of siblingGraphs(linkMap(tree, /^js\/.*\.ts$/), allowed).values()) {
      const cycle = findCycle(graph)
      if (cycle) report(cycle[0], 1, `folders import each other: ${cycle.join(' -> ')}; move what both need below them`)
    }
  }
}
