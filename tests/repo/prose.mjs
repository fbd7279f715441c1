// SPDX-License-Identifier: MIT
// Measures the prose of a Markdown page, so that a test can limit its lines and its sentences.

/** Lists all lines with their numbers. Lines of code fences, tables and comments are empty: they are not prose. */
function proseLines(text) {
  let fence = ''
  return text.split('\n').map((line, index) => {
    const [, mark = '', info = ''] = line.match(/^\s*(`{3,}|~{3,})(.*)$/) ?? []
    const isFence = mark !== '' || fence !== ''
    if (fence === '') fence = mark
    else if (mark.startsWith(fence) && info.trim() === '') fence = ''
    return { number: index + 1, prose: isFence || /^\s*(\||<!--)/.test(line) ? '' : line }
  })
}

/** Lists paragraphs, headings, list items and quotations, each with the number of its first line. */
function blocksOf(text) {
  const blocks = []
  let isOpen = false
  for (const { number, prose } of proseLines(text)) {
    const marker = prose.match(/^\s*(?:#+|[-*+]|\d+\.|>)\s/)?.[0] ?? ''
    const words = prose.slice(marker.length).trim()
    if (marker !== '' || !isOpen) blocks.push({ number, words })
    else blocks.at(-1).words += ` ${words}`
    isOpen = words !== '' && !marker.includes('#')
  }
  return blocks.filter(({ words }) => words !== '')
}

/** Takes out what is not read as words: a code span counts as one word, a link as its text. */
function withoutCode(words) {
  return words
    .replace(/(`+).+?\1/g, 'code')
    .replace(/!?\[([^\]]*)\]\([^)\s]*\)/g, '$1')
    .replace(/<https?:[^>]*>/g, 'link')
}

const SENTENCE_END = /(?<=[.?!][)"'”’*_]*)(?<!\b(?:e\.g|i\.e|vs|cf)\.)\s+/

/** longLines lists the lines of prose with more than `max` columns: `{ line, columns }`, lines counted from 1. */
export function longLines(text, max) {
  return proseLines(text)
    .map(({ number, prose }) => ({ line: number, columns: [...prose].length }))
    .filter(({ columns }) => columns > max)
}

/** longSentences lists the sentences of prose with more than `max` words: `{ line, words, sentence }`. */
export function longSentences(text, max) {
  return blocksOf(text).flatMap(({ number, words: block }) =>
    withoutCode(block)
      .split(SENTENCE_END)
      .map((sentence) => ({
        line: number,
        words: sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length,
        sentence
      }))
      .filter(({ words }) => words > max)
  )
}
