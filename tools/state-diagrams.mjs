// SPDX-License-Identifier: MIT
// Writes the diagrams and tables of docs/guide/states.md from the transition tables of the client. Needs a build:
// `node tools/build.mjs && node tools/state-diagrams.mjs`. A test in tests/repo fails where the page is behind the tables.

import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { connectionTransitions } from '../dist/client/events/connection-state.js'
import { clientTransitions } from '../dist/client/session/client-state.js'

export const page = new URL('../docs/guide/states.md', import.meta.url)

const tables = [
  {
    name: 'client.state',
    source: 'js/client/session/client-state.ts',
    transitions: clientTransitions,
    types: { states: 'ClientState', events: 'SessionEvent' },
    first: ['no-session', 'ready', 'revoked', 'key-lost']
  },
  {
    name: 'connection.state',
    source: 'js/client/events/connection-state.ts',
    transitions: connectionTransitions,
    types: { states: 'ConnectionState', events: 'ConnectionEvent' },
    first: ['idle']
  }
]

const sentence = (text) => text[0].toUpperCase() + text.slice(1)

/** Reads the list in the doc comment of a type: `- name: meaning`, by name. Throws where there is none. */
export const meaningsOf = (source, type) => {
  const [before, after] = source.split(`export type ${type} =`)
  if (after === undefined) throw new Error(`there is no type ${type}`)
  const comment = before.slice(before.lastIndexOf('/**')).replace(/^ *\/?\*+\/? ?/gm, '')
  const meanings = Array.from(comment.matchAll(/^- `([a-z-]+)`: ((?:.|\n(?! *\n|- ))+)/gm), ([, name, text]) => [
    name,
    sentence(text.replace(/\s+/g, ' ').trim())
  ])
  if (meanings.length === 0) throw new Error(`the comment of ${type} lists nothing`)
  return new Map(meanings)
}

/** Mermaid allows no hyphen in the name of a state. */
const idOf = (state) => state.replaceAll('-', '_')

const ANY = 'any state'

/** Draws a table in Mermaid. An arrow from `any state` stands for one from each state; one that leads back is left out. */
export const diagramOf = (transitions, states, first) => {
  const labels = new Map()
  for (const [event, { to, from = [ANY] }] of Object.entries(transitions)) {
    for (const state of from) {
      if (state === to) continue
      const arrow = `${idOf(state.replace(' ', '-'))} --> ${idOf(to)}`
      labels.set(arrow, [...(labels.get(arrow) ?? []), event])
    }
  }
  return [
    '```mermaid',
    'stateDiagram-v2',
    ...[...states, ANY].map((state) => `  state "${state}" as ${idOf(state.replace(' ', '-'))}`),
    ...first.map((state) => `  [*] --> ${idOf(state)}`),
    ...Array.from(labels, ([arrow, events]) => `  ${arrow}: ${events.join(', ')}`),
    '```'
  ].join('\n')
}

const listed = (states) => states.map((state) => `\`${state}\``).join(', ')

const render = ({ source, transitions, types, first }) => {
  const text = readFileSync(new URL(`../${source}`, import.meta.url), 'utf8')
  const states = meaningsOf(text, types.states)
  const events = meaningsOf(text, types.events)
  const unexplained = Object.keys(transitions).filter((event) => !events.has(event))
  if (unexplained.length > 0) throw new Error(`${source} does not explain ${unexplained.join(', ')}`)
  const rows = Object.entries(transitions).map(
    ([event, { to, from }]) => `| \`${event}\` | ${events.get(event)} | ${from ? listed(from) : ANY} | \`${to}\` |`
  )
  return [
    diagramOf(transitions, [...states.keys()], first),
    '',
    '| State | Meaning |',
    '|---|---|',
    ...Array.from(states, ([state, meaning]) => `| \`${state}\` | ${meaning} |`),
    '',
    '| Event | What has happened | Counts in | Leads to |',
    '|---|---|---|---|',
    ...rows
  ].join('\n')
}

/** Returns the text of the page with its parts between the markers made anew. Throws where a marker is missing. */
export const renderPage = (text) =>
  tables.reduce((written, table) => {
    const marker = new RegExp(`(<!-- ${table.name} -->\n)[\\s\\S]*?(<!-- end of ${table.name} -->)`)
    if (!marker.test(written)) throw new Error(`the page has no markers of ${table.name}`)
    return written.replace(marker, (_, begin, end) => `${begin}\n${render(table)}\n\n${end}`)
  }, text)

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, renderPage(readFileSync(page, 'utf8')))
