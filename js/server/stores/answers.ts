// SPDX-License-Identifier: MIT
// Answers of requests with an idempotency key, over any table of records with transactions: written once for memory and for
// LMDB.

import { CountersignError } from '../../common/errors.ts'
import { integerOf, optionsOf } from '../../core/args.ts'
import { encodeText, sha256 } from '../support/encoding.ts'
import type { AnswerClaim, AnswerStore, AnswerVerdict, KeptAnswer } from '../types.ts'
import { memoryRecords, type Records } from './record-table.ts'

/** A key that is remembered. Bytes are kept as text, so that any encoding of records will do. */
type Kept = {
  owner: string
  fingerprint: string
  token: string
  heldUntilMs: number
  expiresMs: number
  /** It is over; without an answer nobody can say how it ended. */
  isOver?: boolean
  answer?: Omit<KeptAnswer, 'payload'> & { payload: string }
}

type Count = { owned: number }

const SWEPT_EACH_TIME = 16
const OWNERS_SHARE = 64

const textOf = (bytes: Uint8Array): string => encodeText(bytes, 'base64url')
const keyName = (key32: Uint8Array): string => `key/${textOf(key32)}`

const give = ({ payload, ...answer }: NonNullable<Kept['answer']>): KeptAnswer => ({
  ...answer,
  payload: new Uint8Array(Buffer.from(payload, 'base64url'))
})

function judge(kept: Kept, claim: AnswerClaim): AnswerVerdict {
  if (kept.fingerprint !== textOf(claim.fingerprint32)) return { state: 'conflict' }
  if (kept.answer) return { state: 'kept', answer: give(kept.answer) }
  if (!kept.isOver && kept.heldUntilMs > claim.nowMs)
    return { state: 'held', retryAfterMs: kept.heldUntilMs - claim.nowMs }
  return { state: claim.repeatable ? 'claimed' : 'unknown' }
}

/** createAnswerStore makes an AnswerStore over records; one owner has 1/64 of them at most. */
export function createAnswerStore(records: Records): AnswerStore {
  const quota = Math.max(1, Math.floor(records.capacity / OWNERS_SHARE))
  let isClosed = false

  const transact = async <T>(work: () => T): Promise<T> => {
    if (isClosed) throw new CountersignError('ERR_CLOSED')
    return records.transact(work)
  }
  const ownedBy = (owner: string): number => (records.get(owner) as Count | undefined)?.owned ?? 0
  const remove = (name: string, { owner }: Kept): void => {
    records.remove(name)
    const owned = ownedBy(owner) - 1
    if (owned > 0) records.put(owner, { owned } satisfies Count)
    else records.remove(owner)
  }
  // Each new record looks at more old ones than it adds, so what has expired cannot pile up.
  const sweep = (nowMs: number): void => {
    for (const name of records.next(SWEPT_EACH_TIME)) {
      const kept = records.get(name) as Kept | undefined
      if (kept && kept.expiresMs <= nowMs) remove(name, kept)
    }
  }
  const find = (name: string, nowMs: number): Kept | undefined => {
    const kept = records.get(name) as Kept | undefined
    if (!kept || kept.expiresMs > nowMs) return kept
    remove(name, kept)
    return undefined
  }
  const begin = (name: string, claim: AnswerClaim, owner: string): void =>
    records.put(name, {
      owner,
      fingerprint: textOf(claim.fingerprint32),
      token: claim.token,
      heldUntilMs: claim.nowMs + claim.holdMs,
      expiresMs: claim.nowMs + claim.keepMs
    } satisfies Kept)

  return {
    claim: (claim) =>
      transact((): AnswerVerdict => {
        const name = keyName(claim.key32)
        const kept = find(name, claim.nowMs)
        if (kept) {
          const verdict = judge(kept, claim)
          if (verdict.state === 'claimed') begin(name, claim, kept.owner)
          return verdict
        }
        sweep(claim.nowMs)
        const owner = `owner/${textOf(sha256(claim.owner))}`
        const owned = ownedBy(owner)
        // Two records: the key, and the owner's count.
        if (records.size() + 2 > records.capacity || owned >= quota) return { state: 'full' }
        records.put(owner, { owned: owned + 1 } satisfies Count)
        begin(name, claim, owner)
        return { state: 'claimed' }
      }),

    finish: (key32, token, answer, { keepMs, nowMs }) =>
      transact(() => {
        const name = keyName(key32)
        const kept = records.get(name) as Kept | undefined
        if (kept?.token !== token || kept.isOver) return false
        const ended = { ...kept, isOver: true, expiresMs: nowMs + keepMs }
        records.put(name, answer ? { ...ended, answer: { ...answer, payload: textOf(answer.payload) } } : ended)
        return true
      }),

    release: (key32, token) =>
      transact(() => {
        const name = keyName(key32)
        const kept = records.get(name) as Kept | undefined
        if (kept?.token !== token || kept.isOver) return false
        remove(name, kept)
        return true
      }),

    size: () => records.size(),

    async close() {
      isClosed = true
      await records.close()
    }
  }
}

const DEFAULT_CAPACITY = 16_384
const MAX_CAPACITY = 2 ** 24

/**
 * memoryAnswerStore keeps answers for the life of the process: what a process that ended had begun is forgotten with it, and
 * a client's next try runs it again. Keep them in LMDB where that matters.
 *
 * @example
 * ```ts
 * const answers = memoryAnswerStore()
 * ```
 */
export function memoryAnswerStore(options: { capacity?: number } = {}): AnswerStore {
  const { capacity = DEFAULT_CAPACITY } = optionsOf(options, 'memoryAnswerStore')
  return createAnswerStore(memoryRecords(integerOf(capacity, 2, MAX_CAPACITY, 'memoryAnswerStore: capacity')))
}
