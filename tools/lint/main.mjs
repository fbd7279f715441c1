// SPDX-License-Identifier: MIT
// Checks the rules that this repository keeps about itself, and prints what it counted.
//
//   node tools/lint/main.mjs [--lower]
//
// --lower lowers the entries of ratchet.json to what the files have now, and removes those that are not needed any more.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { functionDeclarations, moduleState, repeatedTypes, typeNames } from './declarations.mjs'
import { markdownWidth, protocol, protocolRules } from './documents.mjs'
import { purposes, shortness, topOfJs } from './folders.mjs'
import { cycles, folderCycles, layers } from './layers.mjs'
import { lengths, lowered, measure } from './lengths.mjs'
import { licences, ownership } from './owners.mjs'
import { repeats } from './repeats.mjs'
import { Tree, treeFiles } from './tree.mjs'

const rules = [
  licences,
  ownership,
  layers,
  cycles,
  folderCycles,
  topOfJs,
  purposes,
  typeNames,
  lengths,
  shortness,
  functionDeclarations,
  moduleState,
  markdownWidth,
  protocol,
  repeats
]

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'))

const checkNames = (names) => {
  const unknown = names.find((name) => !rules.some((rule) => rule.name === name))
  if (unknown) throw new Error(`there is no rule ${unknown}`)
}

/**
 * Finds the breaches of the named rules, or of all: [{ rule, path, line, message }]. `context` may hold the `ratchet` of
 * long files and bodies, the `allowed` arrows between layers and the `short` files that have a reason.
 */
export function breaches(tree, context = {}, names = rules.map(({ name }) => name)) {
  const { ratchet = {}, ...more } = context
  checkNames(names)
  return rules
    .filter(({ name }) => names.includes(name))
    .flatMap(({ name, check }) => {
      const found = []
      check(tree, (path, line, message) => found.push({ rule: name, path, line, message }), { ratchet, ...more })
      return found
    })
}

export const textOf = ({ path, line, message }) => `${path}:${line}: ${message}`

/** Reads the tree at `root` and what lies beside the rules: { tree, ratchet, pending }. */
export function readTree() {
  const pending = join(here, 'pending.json')
  return {
    tree: new Tree(treeFiles(root)),
    ratchet: readJson(join(here, 'ratchet.json')),
    pending: existsSync(pending) ? readJson(pending) : []
  }
}

const countsOf = (tree, ratchet, found) => {
  const { files, bodies } = measure(tree)
  const types = repeatedTypes(tree)
  const { rules: numbered, uncited } = protocolRules(tree)
  const longest = ({ path, name, lines }) => `${lines} lines, ${path}${name && ` ${name}`}`
  const lets = found.filter(({ rule }) => rule === 'module-state').length
  return [
    `files ${tree.files().length}, of them in js/ ${tree.files(/^js\//).length}`,
    `longest file ${longest(files[0])}`,
    `longest function or class ${longest(bodies[0])}`,
    `duplicate type names ${types.exported.length}, of types that one file keeps to itself ${types.declared.length}`,
    `module-level let ${lets}`,
    `rules of PROTOCOL.md ${numbered.length}, cited ${numbered.length - uncited.length}`,
    `ratchet entries left ${Object.keys(ratchet).length}`
  ]
}

const run = () => {
  const { tree, ratchet, pending } = readTree()
  if (process.argv.includes('--lower')) {
    writeFileSync(join(here, 'ratchet.json'), `${JSON.stringify(lowered(tree, ratchet), null, 2)}\n`)
    return
  }
  checkNames(pending)
  const found = breaches(tree, { ratchet })
  const enforced = found.filter(({ rule }) => !pending.includes(rule))
  for (const breach of enforced) console.error(textOf(breach))
  for (const line of countsOf(tree, ratchet, found)) console.log(line)
  for (const name of pending) {
    console.log(`not enforced yet: ${name}, breaches ${found.filter(({ rule }) => rule === name).length}`)
  }
  process.exitCode = enforced.length > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) run()
