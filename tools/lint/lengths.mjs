// SPDX-License-Identifier: MIT
// Lengths of files, and of functions and classes without their comments. Today's longer ones stand in ratchet.json and may only shrink.
import ts from 'typescript'
import { code, lineOf, linesOf } from './tree.mjs'

export const FILE_LINES = 400
export const BODY_LINES = 120

const nameOf = (node) => {
  if (node.name) return node.name.getText()
  const { parent } = node
  const isNamed = ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)
  if (isNamed || ts.isPropertyDeclaration(parent)) return parent.name.getText()
  return ts.isConstructorDeclaration(node) ? 'constructor' : undefined
}

/** Counts the lines of a text that hold more than a comment: what explains a body does not make it longer. */
const codeLines = (text) =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .split('\n')
    .filter((line) => !/^\s*(?:\/\/.*)?$/.test(line)).length

/** Finds functions and classes: { path, name, line, lines }. A name carries the names around it: `Client.#send`. */
const scriptBodies = (path, source) => {
  const found = []
  const visit = (node, around) => {
    let names = around
    if ((ts.isFunctionLike(node) && node.body) || ts.isClassLike(node)) {
      const name = nameOf(node) ?? 'function'
      names = [...around, name]
      found.push({ path, name: names.join('.'), line: lineOf(node), lines: codeLines(node.getText()) })
    }
    ts.forEachChild(node, (child) => visit(child, names))
  }
  visit(source, [])
  return found
}

/** Finds functions and classes of C++ by its format: they begin and end at the first column. */
const nativeBodies = (path, text) => {
  const found = []
  const all = text.split('\n')
  let begun
  for (const [index, line] of all.entries()) {
    if (/^[^\s#/}]/.test(line) && !/^(namespace|extern|using|template)\b/.test(line) && begun === undefined)
      begun = index
    if (begun !== undefined && /^\};?$/.test(line)) {
      const name = /(\w+)\s*[({:]/.exec(all[begun])?.[1] ?? 'block'
      found.push({ path, name, line: begun + 1, lines: codeLines(all.slice(begun, index + 1).join('\n')) })
    }
    if (/^\S.*;$|^\}/.test(line)) begun = undefined
  }
  return found
}

/** Measures every file and body of the tree: { files, bodies }, the longest first. A suite of tests is as long as its file. */
export function measure(tree) {
  const files = tree.files(code).map(([path, text]) => ({ path, name: '', line: 1, lines: linesOf(text) }))
  const bodies = [
    ...tree.sources(/^(?!tests\/)/).flatMap(([path, source]) => scriptBodies(path, source)),
    ...tree.files(/^(src|include|wasm)\/.*\.[ch]pp$/).flatMap(([path, text]) => nativeBodies(path, text))
  ]
  const longestFirst = (a, b) => b.lines - a.lines
  return { files: files.sort(longestFirst), bodies: bodies.sort(longestFirst) }
}

const keyOf = ({ path, name }) => (name ? `${path}#${name}` : path)
/** Gives what is over its limit: key → { path, line, lines, limit }. */
const overLimit = (tree) => {
  const { files, bodies } = measure(tree)
  const found = new Map()
  const add = (limit) => (item) => {
    const key = keyOf(item)
    // Two bodies of one name in one file share an entry: the longer one counts.
    if (item.lines > limit && !found.has(key)) found.set(key, { ...item, limit })
  }
  files.forEach(add(FILE_LINES))
  bodies.forEach(add(BODY_LINES))
  return found
}

/** Lowers and removes entries of a ratchet, and never adds or raises one. */
export function lowered(tree, ratchet) {
  const long = overLimit(tree)
  return Object.fromEntries(
    Object.entries(ratchet)
      .filter(([key]) => long.has(key))
      .map(([key, lines]) => [key, Math.min(lines, long.get(key).lines)])
  )
}

export const lengths = {
  name: 'lengths',
  check(tree, report, { ratchet }) {
    const long = overLimit(tree)
    for (const [key, { path, name, line, lines, limit }] of long) {
      const what = name ? `${name} has ${lines} lines` : `has ${lines} lines`
      const allowed = ratchet[key]
      if (allowed === undefined) report(path, line, `${what}, more than ${limit}; divide it by what its parts do`)
      else if (lines > allowed) report(path, line, `${what}, more than the ${allowed} it had; it may only shrink`)
    }
    for (const [key, allowed] of Object.entries(ratchet)) {
      const lines = long.get(key)?.lines
      if (lines === undefined) report('tools/lint/ratchet.json', 1, `${key} is not too long any more; remove its entry`)
      else if (lines < allowed) report('tools/lint/ratchet.json', 1, `${key} has ${lines} lines; lower its ${allowed}`)
    }
  }
}
