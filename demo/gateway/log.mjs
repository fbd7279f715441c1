// SPDX-License-Identifier: MIT
// One JSON line per event on stderr. JSON escapes control characters; what lies outside printable ASCII is escaped too.

const printable = (text) =>
  text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** createLog returns `line(event, fields)`, which writes at most `perSecond` lines a second and counts the rest. */
export const createLog = ({ write = (text) => process.stderr.write(text), now = Date.now, perSecond = 20 } = {}) => {
  let second = 0
  let written = 0
  let dropped = 0
  const line = (event, fields = {}) => {
    const at = Math.floor(now() / 1000)
    if (at !== second) {
      const lost = dropped
      second = at
      written = 0
      dropped = 0
      if (lost > 0) line('log.dropped', { lines: lost })
    }
    if (written >= perSecond) dropped += 1
    else {
      written += 1
      write(`${printable(JSON.stringify({ time: new Date(now()).toISOString(), event, ...fields }))}\n`)
    }
  }
  return { line }
}
