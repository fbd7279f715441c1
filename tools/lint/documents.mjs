// SPDX-License-Identifier: MIT
// Markdown stays narrow enough to read and to compare; every rule of PROTOCOL.md can be linked to and is cited.
import { lineAt } from './tree.mjs'

const COLUMNS = 110

export const markdownWidth = {
  name: 'markdown-width',
  check(tree, report) {
    for (const [path, text] of tree.files(/\.md$/)) {
      let fence
      for (const [index, line] of text.split('\n').entries()) {
        const [, mark] = /^[\s>]*(`{3,}|~{3,})/.exec(line) ?? []
        if (fence) {
          if (mark?.startsWith(fence)) fence = undefined
        } else if (mark) fence = mark
        else if (
          !/^\s*\|/.test(line) &&
          [...line].length > COLUMNS &&
          /\S\s+\S/.test(line.replace(/^\s*[-*>#\d.]+/, ''))
        )
          report(path, index + 1, `has ${[...line].length} columns, more than ${COLUMNS}; break the line`)
      }
    }
  }
}

const page = 'PROTOCOL.md'
const places = /^(js|src|include|wasm|tests|docs)\/.*\.(ts|mjs|cpp|hpp|c|def|py|md)$/

const definitionsOf = (text) =>
  [...text.matchAll(/^(.*?)\*\*R(\d+)\.\*\*/gm)].map(({ index, 1: before, 2: number }) => ({
    number: Number(number),
    line: lineAt(text, index),
    anchored: before.includes(`<a id="r${number}"></a>`)
  }))

/** Gives the numbers of the rules that a text cites, with the index: "R7", and all four of "R70 to R73". */
const citationsOf = (text) =>
  [...text.matchAll(/\bR(\d+)\b(?:\s*(?:to|through|-|–|…)\s*R(\d+)\b)?/g)].flatMap(({ index, 1: from, 2: to = from }) =>
    Array.from({ length: Math.max(1, to - from + 1) }, (_, step) => ({ number: Number(from) + step, index }))
  )

/** Gives the rules of PROTOCOL.md and those of them that nothing cites. */
export function protocolRules(tree) {
  const rules = definitionsOf(tree.text(page) ?? '')
  const cited = new Set()
  for (const [, text] of tree.files(places)) for (const { number } of citationsOf(text)) cited.add(number)
  return { rules, uncited: rules.filter(({ number }) => !cited.has(number)) }
}

export const protocol = {
  name: 'protocol-rules',
  check(tree, report) {
    const { rules, uncited } = protocolRules(tree)
    const seen = new Set()
    for (const { number, line, anchored } of rules) {
      if (!anchored) report(page, line, `R${number} has no anchor; write <a id="r${number}"></a> before it`)
      if (seen.has(number)) report(page, line, `R${number} stands twice; a number is never given again`)
      seen.add(number)
    }
    for (const { number, line } of uncited) {
      report(page, line, `nothing cites R${number}; name it where the code keeps it or a test proves it`)
    }
    for (const [path, text] of tree.files(places)) {
      for (const { number, index } of citationsOf(text)) {
        if (!seen.has(number)) report(path, lineAt(text, index), `cites R${number}, which ${page} does not have`)
      }
    }
  }
}
