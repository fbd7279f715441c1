// SPDX-License-Identifier: MIT
// An audit log whose every line names the hash of the one before: a line that was changed, left out or put in shows. Whoever can
// write the whole file can write a new chain; keep its head elsewhere from time to time.

import { createHash } from 'node:crypto'
import { optionsOf } from '../../../core/args.ts'
import { writeCanonical } from '../../common/canonical-json.ts'

const START = '0'.repeat(64)

function hashOf(previous: string, text: string): string {
  return createHash('sha256').update(`${previous}\n${text}`).digest('hex')
}

/** A chain of records. */
export type AuditLog = {
  /** Writes a record as one line. */
  add(record: object): void
  /** The hash of the last line; 64 zeros before the first. */
  readonly head: string
}

/**
 * Makes lines `{"hash","previous","record"}` and gives each to `write`; `head` goes on where an earlier log ended.
 *
 * @example
 * ```ts
 * const audit = createAuditLog({ write: (line) => stream.write(line) })
 * const proofs = actionProofs({ ...options, onRecord: audit.add })
 * ```
 */
export function createAuditLog(options: { write: (line: string) => void; head?: string }): AuditLog {
  const { write, head: start = START } = optionsOf(options, 'createAuditLog')
  let head = start
  return {
    add(record) {
      const clean = JSON.parse(JSON.stringify(record))
      const hash = hashOf(head, writeCanonical(clean))
      write(`${JSON.stringify({ hash, previous: head, record: clean })}\n`)
      head = hash
    },
    get head() {
      return head
    }
  }
}

/** Follows the lines of a log; gives its head, or the number (from 1) of the first line that does not follow. */
export function verifyAuditLog(
  lines: Iterable<string>,
  head: string = START
): { ok: true; head: string } | { ok: false; line: number } {
  let previous = head
  let number = 0
  for (const line of lines) {
    number++
    try {
      const entry = JSON.parse(line)
      const hash = hashOf(previous, writeCanonical(entry.record))
      if (entry.previous !== previous || entry.hash !== hash) return { ok: false, line: number }
      previous = hash
    } catch {
      return { ok: false, line: number }
    }
  }
  return { ok: true, head: previous }
}
