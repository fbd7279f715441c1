// SPDX-License-Identifier: MIT
// Reads the transition tables of the client for the suites that take their cases from them.

/** Lists the states that a table names, and the one in which a client starts. */
export const statesOf = (table, first) => [
  ...new Set([first, ...Object.values(table).flatMap(({ to, from = [] }) => [to, ...from])])
]

/** Lists the states that a table leads through when the events happen one after the other. */
export const pathOf = (table, first, events) => {
  const path = []
  let state = first
  for (const event of events) {
    const { to, from } = table[event]
    if ((from && !from.includes(state)) || to === state) continue
    state = to
    path.push(state)
  }
  return path
}
