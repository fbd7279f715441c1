// SPDX-License-Identifier: MIT
// What js/ declares at the top of its files: types named once, functions as functions, no state.
import ts from 'typescript'
import { isExported, lineOf, listedExports } from './tree.mjs'

const js = /^js\//
const isType = (node) =>
  ts.isTypeAliasDeclaration(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isClassDeclaration(node) ||
  ts.isEnumDeclaration(node)

/** Gives the types that js/ declares: name → [{ path, line, exported }], one entry a file. */
const typesOf = (tree) => {
  const found = new Map()
  for (const [path, source] of tree.sources(js)) {
    const listed = listedExports(source)
    const seen = new Set()
    for (const node of source.statements) {
      if (!isType(node) || !node.name || seen.has(node.name.text)) continue
      const name = node.name.text
      seen.add(name)
      const places = found.get(name) ?? []
      places.push({ path, line: lineOf(node), exported: isExported(node) || listed.has(name) })
      found.set(name, places)
    }
  }
  return found
}

/** Gives [name, places] of every type name that several files export, and the same of names that several files declare. */
export function repeatedTypes(tree) {
  const all = [...typesOf(tree)]
  const exported = all.map(([name, places]) => [name, places.filter((place) => place.exported)])
  const several = ([, places]) => places.length > 1
  const twice = exported.filter(several)
  const declared = all.filter(several).filter(([name]) => !twice.some(([other]) => other === name))
  return { exported: twice, declared }
}

export const typeNames = {
  name: 'type-names',
  check(tree, report) {
    for (const [name, [first, ...others]] of repeatedTypes(tree).exported) {
      for (const { path, line } of others) {
        report(path, line, `exports a type ${name}, as ${first.path} does; rename one, or import the other`)
      }
    }
  }
}

/** Looks through brackets and type assertions. */
const bare = (node) => {
  let inner = node
  while (
    inner &&
    (ts.isParenthesizedExpression(inner) || ts.isAsExpression(inner) || ts.isSatisfiesExpression(inner))
  ) {
    inner = inner.expression
  }
  return inner
}

export const functionDeclarations = {
  name: 'functions',
  check(tree, report) {
    for (const [path, source] of tree.sources(js)) {
      const listed = listedExports(source)
      for (const statement of source.statements.filter(ts.isVariableStatement)) {
        for (const { name, initializer } of statement.declarationList.declarations) {
          const value = bare(initializer)
          if (!value || !(ts.isArrowFunction(value) || ts.isFunctionExpression(value))) continue
          if (!isExported(statement) && !listed.has(name.getText())) continue
          report(path, lineOf(name), `exports ${name.getText()} as a constant; declare it with \`function\``)
        }
      }
    }
  }
}

export const moduleState = {
  name: 'module-state',
  check(tree, report) {
    for (const [path, source] of tree.sources(js)) {
      for (const statement of source.statements.filter(ts.isVariableStatement)) {
        const isDeclared = statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword)
        if (isDeclared || statement.declarationList.flags & ts.NodeFlags.BlockScoped & ts.NodeFlags.Const) continue
        const names = statement.declarationList.declarations.map(({ name }) => name.getText())
        report(path, lineOf(statement), `keeps ${names.join(', ')} in the module; let a factory or an object own it`)
      }
    }
  }
}
