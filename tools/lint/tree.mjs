// SPDX-License-Identifier: MIT
// The files that the rules look at, and how the rules read them.
import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'

const ignored = new Set(['.git', 'node_modules', 'build', 'dist', 'data', 'generated', 'api', '__pycache__'])

/** Files with a licence line. */
export const licensed = /\.(ts|mjs|cpp|hpp|c|def|py|sh|css|cmake)$|CMakeLists\.txt$|^tools\/[a-z-]+$/
/** Files whose length counts. */
export const code = /\.(ts|mjs|cpp|hpp|c|py|sh|css)$|^tools\/[a-z-]+$/
const read = (path) => licensed.test(path) || path.endsWith('.md') || path === 'package.json'

/** Reads every file of the tree that a rule may look at, as [path, text]. */
export function treeFiles(root, folder = '') {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return ignored.has(entry.name) ? [] : treeFiles(root, path)
    return entry.isFile() && read(path) ? [[path, readFileSync(join(root, path), 'utf8')]] : []
  })
}

/** Blanks comments out and keeps the lines. */
export function withoutComments(text) {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1')
}

/** Says on which line an index of a text lies. */
export function lineAt(text, index) {
  return text.slice(0, index).split('\n').length
}

/** Says how many lines a text has. */
export function linesOf(text) {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

/** Finds what a file uses: [{ target, line }], the target as a path of the tree or as a public name. */
export function linksOf(path, text) {
  const plain = withoutComments(text)
  const pattern = /\.[ch]pp$/.test(path) ? /#include "([^"]+)"/g : /(?:\bfrom|\bimport)\s*\(?\s*'([^']+)'/g
  return [...plain.matchAll(pattern)].map(({ index, 1: name }) => {
    let target = name
    if (name.startsWith('.')) target = posix.join(posix.dirname(path), name)
    else if (name.startsWith('countersign/') && /\.(hpp|def)$/.test(name)) target = `include/${name}`
    return { target, line: lineAt(plain, index) }
  })
}

/** Files in memory. Each file is parsed at most once. */
export class Tree {
  #files
  #parsed = new Map()

  constructor(files) {
    this.#files = new Map(files)
  }

  /** Gives [path, text] of every file whose path matches. */
  files(pattern = /(?:)/) {
    return [...this.#files].filter(([path]) => pattern.test(path))
  }

  text(path) {
    return this.#files.get(path)
  }

  /** Gives [path, syntax tree] of every TypeScript or JavaScript file whose path matches. */
  sources(pattern) {
    return this.files(pattern)
      .filter(([path]) => /\.(ts|mjs)$/.test(path))
      .map(([path]) => [path, this.#parse(path)])
  }

  #parse(path) {
    let source = this.#parsed.get(path)
    if (!source) {
      const kind = path.endsWith('.ts') ? ts.ScriptKind.TS : ts.ScriptKind.JS
      source = ts.createSourceFile(path, this.text(path), ts.ScriptTarget.Latest, true, kind)
      this.#parsed.set(path, source)
    }
    return source
  }
}

/** Says on which line a node of a syntax tree begins. */
export function lineOf(node) {
  const source = node.getSourceFile()
  return source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
}

/** Says whether a top-level statement has the modifier `export`. */
export function isExported(statement) {
  return statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false
}

/** Gives the local names that `export { a, b as c }` lists, re-exports from other files apart. */
export function listedExports(source) {
  return new Set(
    source.statements
      .filter((node) => ts.isExportDeclaration(node) && !node.moduleSpecifier && node.exportClause)
      .flatMap((node) => (ts.isNamedExports(node.exportClause) ? [...node.exportClause.elements] : []))
      .map((element) => (element.propertyName ?? element.name).text)
  )
}
