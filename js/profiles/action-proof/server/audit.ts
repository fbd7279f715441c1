// SPDX-License-Identifier: MIT
// An audit log in which every line holds the hash of the line before. A changed, missing or inserted line breaks the
// chain. A person who can write the whole file can write a new chain, so keep a copy of the head elsewhere.

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
 * Creates an audit log that passes each line, `{"hash","previous","record"}`, to `write`. Pass `head` to continue an
 * earlier log.
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

/** Verifies the chain of a log's lines. Returns its head, or the number (from 1) of the first line that breaks it. */
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
