// SPDX-License-Identifier: MIT
// No constant and no helper of js/ stands in two files.
import ts from 'typescript'
import { lineOf } from './tree.mjs'

// What is smaller says too little to be the same thing twice.
const MIN_NODES = 10
const MIN_TEXT = 8
/** Units, and the protocol's limit. Any other number may be equal by chance: 60,000 is a limit here and a pause there. */
const KNOWN_NUMBER = /^(SECOND|MINUTE|HOUR|DAY|WEEK)(_MS)?$|^[KMG]I?B$|^(MAX_)?ENVELOPE(_BYTES|_LIMIT)?$/i

/** Computes a number that is written as a product or a sum; undefined for everything else. */
const numberOf = (node) => {
  if (ts.isNumericLiteral(node)) return Number(node.text)
  if (ts.isParenthesizedExpression(node)) return numberOf(node.expression)
  if (!ts.isBinaryExpression(node)) return undefined
  const [left, right] = [numberOf(node.left), numberOf(node.right)]
  if (left === undefined || right === undefined) return undefined
  const { kind } = node.operatorToken
  if (kind === ts.SyntaxKind.AsteriskToken) return left * right
  if (kind === ts.SyntaxKind.AsteriskAsteriskToken) return left ** right
  if (kind === ts.SyntaxKind.PlusToken) return left + right
  return kind === ts.SyntaxKind.MinusToken ? left - right : undefined
}

const isOwnName = (node) =>
  (ts.isParameter(node) || ts.isVariableDeclaration(node) || ts.isBindingElement(node)) && ts.isIdentifier(node.name)

/** Writes the nodes of a function or a value without comments, types and layout; a name that it declares becomes a number. */
const shapeOf = (root) => {
  const own = new Map()
  const declare = (node) => {
    if (isOwnName(node) && !own.has(node.name.text)) own.set(node.name.text, own.size)
    ts.forEachChild(node, declare)
  }
  declare(root)
  const written = []
  const write = (node) => {
    if (ts.isTypeNode(node) || ts.isTypeParameterDeclaration(node)) return
    const number = ts.isExpression(node) ? numberOf(node) : undefined
    if (number !== undefined) written.push(number)
    else if (ts.isIdentifier(node)) {
      const isMember = ts.isPropertyAccessExpression(node.parent) && node.parent.name === node
      written.push(isMember ? node.text : (own.get(node.text) ?? node.text))
    } else {
      written.push(`${ts.SyntaxKind[node.kind]}${node.operator ?? ''}${JSON.stringify(node.text) ?? ''}`)
      ts.forEachChild(node, write)
    }
  }
  if (!ts.isFunctionLike(root)) write(root)
  else {
    root.parameters.forEach(write)
    written.push(
      root.asteriskToken ? '*' : '',
      root.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.AsyncKeyword)
    )
    const [only] = ts.isBlock(root.body) && root.body.statements.length === 1 ? root.body.statements : []
    // `{ return x }` and `=> x` are the same body.
    write(only && ts.isReturnStatement(only) && only.expression ? only.expression : root.body)
  }
  return written
}

/** Gives what makes two declarations the same thing; undefined for what is too small to say. */
const keyOf = (name, value) => {
  const number = numberOf(value)
  if (number !== undefined) return KNOWN_NUMBER.test(name) ? `number ${number}` : undefined
  if (ts.isStringLiteralLike(value)) return value.text.length >= MIN_TEXT ? `text ${value.text}` : undefined
  const written = shapeOf(value)
  return written.length >= MIN_NODES ? written.join(' ') : undefined
}

const declarationsOf = (statement) => {
  if (ts.isFunctionDeclaration(statement) && statement.body) return [[statement.name, statement]]
  if (!ts.isVariableStatement(statement)) return []
  return statement.declarationList.declarations
    .filter(({ name, initializer }) => initializer && ts.isIdentifier(name))
    .map(({ name, initializer }) => [name, initializer])
}

export const repeats = {
  name: 'repeats',
  check(tree, report) {
    const found = new Map()
    // A platform variant may say the same as its twin: nothing imports it by its path.
    const sources = tree.sources(/^js\/.*(?<!\.node)\.ts$/)
    // Common ground comes first: what stands there is the one that the others repeat.
    const isCommon = ([path]) => /\/common\//.test(path)
    for (const [path, source] of [...sources.filter(isCommon), ...sources.filter((file) => !isCommon(file))]) {
      for (const [name, value] of source.statements.flatMap(declarationsOf)) {
        const key = keyOf(name.text, value)
        if (!key) continue
        const first = found.get(key)
        if (!first) found.set(key, { path, name: name.text })
        else if (first.path !== path) {
          report(path, lineOf(name), `${name.text} is ${first.name} of ${first.path} again; let one file export it`)
        }
      }
    }
  }
}
