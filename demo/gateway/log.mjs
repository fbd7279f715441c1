// SPDX-License-Identifier: MIT
// One JSON line per event on stderr. JSON escapes control characters; what lies outside printable ASCII is escaped too.

const WINDOW_MS = 1000

const printable = (text) =>
  text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

const runLater = (run, afterMs) => setTimeout(run, afterMs).unref()

/**
 * createLog returns `line(event, fields)`. It writes at most `perSecond` lines of one kind in a second, so that a flood of one
 * kind hides no other. Then one line says how many of them were left out. The kind is the event, with the code of a refusal.
 */
export const createLog = ({
  write = (text) => process.stderr.write(text),
  now = Date.now,
  perSecond = 10,
  later = runLater
} = {}) => {
  const kinds = new Map()
  const put = (event, fields) =>
    write(`${printable(JSON.stringify({ time: new Date(now()).toISOString(), event, ...fields }))}\n`)
  const open = (kind) => {
    const counts = { written: 0, dropped: 0 }
    kinds.set(kind, counts)
    later(() => {
      kinds.delete(kind)
      if (counts.dropped > 0) put('log.dropped', { kind, lines: counts.dropped })
    }, WINDOW_MS)
    return counts
  }
  return {
    line(event, fields = {}) {
      const kind = fields.code === undefined ? event : `${event} ${fields.code}`
      const counts = kinds.get(kind) ?? open(kind)
      if (counts.written >= perSecond) counts.dropped += 1
      else {
        counts.written += 1
        put(event, fields)
      }
    }
  }
}
