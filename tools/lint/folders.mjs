// SPDX-License-Identifier: MIT
// Where files stand: one file at the top of js/, a purpose for every folder, and no file too short to be a thing.
import { posix } from 'node:path'
import ts from 'typescript'
import { lineAt, linesOf } from './tree.mjs'

const SHORT_LINES = 25
const source = /\.(ts|mjs|js|py|[ch]pp|c|sh)$/

export const topOfJs = {
  name: 'top-of-js',
  check(tree, report) {
    for (const [path] of tree.files(/^js\/[^/]+$/)) {
      if (path !== 'js/index.ts') report(path, 1, 'stands at the top of js/; move it into the folder of its noun')
    }
  }
}

/** Gives the folders of a path, the longest first, without those above `js/x` or `tests/x`. */
const foldersOf = (path) => {
  const parts = posix.dirname(path).split('/')
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('/')).filter((name) => name.includes('/'))
}

/**
 * ARCHITECTURE.md says the purpose of a folder in one row of a table: | `js/client/keys/` | the stored device key |.
 * Each folder of js/ that holds a source file has a row, and so has each folder directly in tests/.
 */
export const purposes = {
  name: 'purposes',
  check(tree, report) {
    const page = 'ARCHITECTURE.md'
    const text = tree.text(page) ?? ''
    const rows = new Map()
    for (const { index, 1: folder, 2: purpose } of text.matchAll(/^\| *`((?:js|tests)\/[^`]*?)\/?` *\|([^|\n]*)/gm)) {
      const line = lineAt(text, index)
      if (rows.has(folder)) report(page, line, `names ${folder} twice; leave one row`)
      if (!/[a-z]/i.test(purpose)) report(page, line, `says no purpose of ${folder}; write one`)
      rows.set(folder, line)
    }
    const needed = new Set()
    const known = new Set()
    for (const [path] of tree.files(/^(js|tests)\/.*\//)) {
      const folders = foldersOf(path)
      for (const folder of folders) known.add(folder)
      if (source.test(path)) needed.add(path.startsWith('js/') ? folders[0] : folders.at(-1))
    }
    for (const folder of [...needed].sort()) {
      if (!rows.has(folder)) report(page, 1, `has no row for ${folder}; add | \`${folder}/\` | its purpose |`)
    }
    for (const [folder, line] of rows) {
      if (!known.has(folder) && tree.text(folder) === undefined)
        report(page, line, `names ${folder}, which is not there; remove the row`)
    }
  }
}

/** Gives what package.json publishes, as files of js/. */
const entriesOf = (text) => {
  const { exports = {}, bin = {}, imports = {} } = JSON.parse(text ?? '{}')
  const leaves = (value) => (typeof value === 'string' ? [value] : Object.values(value).flatMap(leaves))
  return leaves([exports, bin, imports]).map((name) => name.replace('./dist/', 'js/').replace(/(\.d\.ts|\.js)$/, '.ts'))
}

/** Gives the files that another file loads by `import('…')`, when they are needed: lazy doors. */
const doorsOf = (tree) => {
  const found = []
  for (const [path, file] of tree.sources(/^js\//)) {
    const visit = (node) => {
      const isImport = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
      const [target] = isImport ? node.arguments : []
      if (target && ts.isStringLiteral(target)) found.push(posix.join(posix.dirname(path), target.text))
      ts.forEachChild(node, visit)
    }
    visit(file)
  }
  return found
}

/** Short files that are a thing of their own, each with the reason. */
export const shortFiles = {}

export const shortness = {
  name: 'short-files',
  check(tree, report, { short = shortFiles } = {}) {
    const allowed = new Set([...entriesOf(tree.text('package.json')), ...doorsOf(tree)])
    for (const [path, text] of tree.files(/^js\/.*\.ts$/)) {
      const isVariant = path.endsWith('.node.ts') || tree.text(path.replace(/\.ts$/, '.node.ts')) !== undefined
      const lines = linesOf(text)
      if (lines >= SHORT_LINES || allowed.has(path) || isVariant || path.endsWith('.d.ts')) {
        if (short[path]) report(path, 1, 'needs no exception for its length; remove it from tools/lint/folders.mjs')
      } else if (!short[path]) {
        report(path, 1, `has ${lines} lines, fewer than ${SHORT_LINES}; put it where it is used`)
      }
    }
    for (const path of Object.keys(short)) {
      if (tree.text(path) === undefined) report('tools/lint/folders.mjs', 1, `names ${path}, which is not there`)
    }
  }
}
