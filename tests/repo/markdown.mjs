// SPDX-License-Identifier: MIT
// Reads Markdown as the tests of the documents need it: anchors, links and rules. Each function that looks for faults returns
// them as a list of texts; an empty list means that there is none.

/** Removes fenced code, but keeps the number of lines, so that a fault can be named by its line. */
const withoutFences = (text) => text.replace(/^ *```[\s\S]*?^ *```/gm, (block) => block.replace(/.+/g, ''))

/** Returns the anchor that GitHub gives a heading. */
const slugOf = (title) =>
  title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\- ]/gu, '')
    .replaceAll(' ', '-')

/** Lists the anchors of a text: those of its headings, as GitHub numbers equal ones, and those written as `<a id="…">`. */
export function anchorsOf(text) {
  const plain = withoutFences(text)
  const seen = new Map()
  const headings = Array.from(plain.matchAll(/^#+ (.*)$/gm), ([, title]) => {
    const slug = slugOf(title)
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
  return [...headings, ...Array.from(plain.matchAll(/<a id="([^"]*)"><\/a>/g), ([, id]) => id)]
}

/** Lists the links of a text as { label, target }; links in code do not count. */
export const linksOf = (text) =>
  Array.from(withoutFences(text).matchAll(/`[^`]*`|\[((?:`[^`]*`|[^\]`])*)\]\(([^)\s]+)\)/g), ([, label, target]) => ({
    label,
    target
  })).filter(({ target }) => target !== undefined)

/** Lists the numbers of the rules in the order in which the text defines them. */
export const rulesOf = (text) =>
  Array.from(text.matchAll(/^(?:<a id="[^"]*"><\/a>)?\*\*R(\d+)\.\*\*/gm), ([, number]) => Number(number))

/** Names the rules that do not begin with an anchor of their own number. */
export const rulesWithoutAnchor = (text) =>
  Array.from(text.matchAll(/^(.*?)\*\*R(\d+)\.\*\*/gm))
    .filter(([, anchor, number]) => anchor !== `<a id="r${number}"></a>`)
    .map(([, , number]) => `R${number} has no anchor`)

/** Names what is wrong with an index of rules: a table of | [R1](#r1) | title | [section](#anchor) |. */
export function indexFaults(text) {
  const rows = Array.from(
    withoutFences(text).matchAll(/^\| (?:\[R(\d+)\]\(#r(\d+)\)) \| (.+) \| \[.+\]\(#(.+)\) \|$/gm),
    ([, number, anchor, title, section]) => ({ number: Number(number), anchor: Number(anchor), title, section })
  )
  const rules = rulesOf(text).sort((a, b) => a - b)
  const numbers = rows.map(({ number }) => number)
  const faults = rows.flatMap(({ number, anchor, title, section }) => {
    const words = title.split(' ').length
    return [
      ...(anchor === number ? [] : [`the index leads from R${number} to R${anchor}`]),
      ...(words >= 2 && words <= 8 ? [] : [`the title of R${number} has ${words} words`]),
      ...(section === sectionOf(text, number) ? [] : [`R${number} is not in #${section}`])
    ]
  })
  if (numbers.join() !== rules.join()) faults.push(`the index lists ${numbers.join()}, the rules are ${rules.join()}`)
  return faults
}

/** Returns the anchor of the heading under which a rule stands. */
function sectionOf(text, number) {
  const before = withoutFences(text).split(`**R${number}.**`)[0]
  const title = Array.from(before.matchAll(/^##+ (.*)$/gm)).at(-1)?.[1]
  return title === undefined ? undefined : slugOf(title)
}

/** Names the links that name one rule and lead to another, or to none. `rules` are the numbers that exist. */
export const ruleLinkFaults = (text, rules) =>
  linksOf(text).flatMap(({ label, target }) => {
    const number = /#r(\d+)$/.exec(target)?.[1]
    if (number === undefined) return []
    if (!rules.includes(Number(number))) return [`${target} leads to no rule`]
    const named = /^R(\d+)$/.exec(label)?.[1]
    return named === undefined || named === number ? [] : [`[${label}] leads to R${number}`]
  })

/** Names the rules that running text mentions without a link. A rule does not link to itself. */
export function unlinkedMentions(text, unused = []) {
  const faults = []
  let current
  withoutFences(text)
    .split('\n')
    .forEach((line, index) => {
      const start = /^<a id="r(\d+)"><\/a>\*\*R\d+\.\*\*/.exec(line)
      if (start) current = start[1]
      if (line.startsWith('#')) current = undefined
      const plain = line.replace(/`[^`]*`|\[[^\]]*\]\([^)]*\)|\*\*R\d+\.\*\*/g, '')
      for (const [, number] of plain.matchAll(/\bR(\d+)\b/g)) {
        if (number !== current && !unused.includes(Number(number))) faults.push(`line ${index + 1} mentions R${number}`)
      }
    })
  return faults
}
