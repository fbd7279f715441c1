// SPDX-License-Identifier: MIT
// The counterpart of wasm/judgements.hpp: judgements of requests.

import type * as J from '../common/judgement.ts'
import { badArgument, bytesOf, lengthOf, optionsOf, sizedBytesOf, timeOf } from './args.ts'
import { ALGORITHMS } from './messages.ts'
import type { Wasm } from './wasm.ts'

// All in the order of the C++ enums.
const STEPS: readonly J.JudgeStep[] = [
  'refuse',
  'verify-key',
  'verify-previous',
  'reserve',
  'reserve-or-limit',
  'end-session'
]
const SIGNERS: readonly J.Judgement['signer'][] = ['none', 'key', 'previous']
const SIDES: readonly J.Judgement['side'][] = ['inside', 'past', 'future']
const VERDICTS: readonly J.JudgedReservation['verdict'][] = ['reserved', 'used', 'too-old', 'full', 'limited']

const IS_KNOWN = 1
const IS_ACTIVE = 2
const HAS_PREVIOUS = 4
const IS_BURNT = 8
const LARGEST_KEY = 65

const indexOf = <T>(names: readonly T[], value: T, name: string): number => {
  const index = names.indexOf(value)
  if (index < 0) throw badArgument(`${name} must be one of ${names.join(', ')}`)
  return index
}

type Key = { algorithm: unknown; publicKey: unknown }
type KeyArgument = { kind: number; bytes: Uint8Array }
const noKey: KeyArgument = { kind: 0, bytes: new Uint8Array() }

// A key that cannot be one verifies nothing, so it goes to the core without its bytes.
const readKey = ({ algorithm, publicKey }: Key, verdict: boolean | undefined): KeyArgument => {
  const kind = ALGORITHMS.indexOf(algorithm as (typeof ALGORITHMS)[number])
  const bytes = bytesOf(publicKey, 'publicKey')
  if (kind < 0 || lengthOf(bytes) > LARGEST_KEY) return noKey
  return { kind: verdict === undefined ? kind : kind + (verdict === true ? 4 : 2), bytes }
}

const readTime = (time: J.JudgeTime) => {
  const { nowMs, pastMs, futureMs, isBurnt = false } = optionsOf(time, 'time')
  const times = [timeOf(nowMs, 'nowMs'), timeOf(pastMs, 'pastMs'), timeOf(futureMs, 'futureMs')] as const
  return { times, isBurnt: isBurnt === true }
}

const readRefusal = (wasm: Wasm, at: number): J.JudgedRefusal | undefined => {
  const stageSize = wasm.number(at)
  const codeSize = wasm.number(at + 1)
  const waitMs = wasm.number(at + 2)
  if (codeSize === 0) return undefined
  const stage = wasm.outAscii(0, stageSize) as J.JudgedRefusal['stage']
  const code = wasm.outAscii(stageSize, codeSize)
  return waitMs < 0 ? { stage, code } : { stage, code, retryAfterMs: waitMs }
}

/** Judges a request as RequestJudge says. */
export function judgeRequest(wasm: Wasm, ...given: Parameters<J.RequestJudge['judgeRequest']>): J.Judgement {
  const [request, session, es256, time] = given
  const { signingInput, signature } = optionsOf(request, 'request')
  const input = bytesOf(signingInput, 'signingInput')
  const signed = sizedBytesOf(signature, 64, 'signature')
  const { key: keyVerdict, previous: previousVerdict } = optionsOf(es256, 'es256')
  const { times, isBurnt } = readTime(time)
  const previous = session?.previous
  const key = session ? readKey(session, keyVerdict) : noKey
  const former = previous ? readKey(previous, previousVerdict) : noKey
  const replacedMs = previous ? timeOf(previous.replacedMs, 'replacedMs') : 0
  let facts = isBurnt ? IS_BURNT : 0
  if (session) facts += IS_KNOWN
  if (session?.status === 'active') facts += IS_ACTIVE
  if (previous) facts += HAS_PREVIOUS
  return wasm.large(lengthOf(input) + 64 + 2 * LARGEST_KEY, false, () => {
    wasm.put(signed)
    const inputSize = wasm.put(input)
    const keySize = wasm.put(key.bytes)
    const formerSize = wasm.put(former.bytes)
    wasm.check(
      wasm.call.judge_request(inputSize, keySize, key.kind, formerSize, former.kind, replacedMs, facts, ...times)
    )
    const refusal = readRefusal(wasm, 4)
    return {
      next: STEPS[wasm.number(0)] as J.JudgeStep,
      signer: SIGNERS[wasm.number(1)] as J.Judgement['signer'],
      side: SIDES[wasm.number(2)] as J.Judgement['side'],
      expiresMs: wasm.number(3),
      ...(refusal && { refusal })
    }
  })
}

/** Judges what came of the store's step as RequestJudge says. */
export function judgeReservation(
  wasm: Wasm,
  ...given: Parameters<J.RequestJudge['judgeReservation']>
): J.JudgedRefusal | undefined {
  const [judgement, time, reservation] = given
  const { next, side } = optionsOf(judgement, 'judgement')
  const { times, isBurnt } = readTime(time)
  const { verdict, waitMs = 0, floorMs, doneMs } = optionsOf(reservation, 'reservation')
  wasm.check(
    wasm
      .begin()
      .call.judge_reservation(
        indexOf(STEPS, next, 'next'),
        indexOf(SIDES, side, 'side'),
        indexOf(VERDICTS, verdict, 'verdict'),
        timeOf(waitMs, 'waitMs'),
        timeOf(floorMs, 'floorMs'),
        timeOf(doneMs, 'doneMs'),
        times[0],
        isBurnt ? 1 : 0
      )
  )
  return readRefusal(wasm, 0)
}

/** Judges a session's status once more as RequestJudge says. */
export function judgeAgain(wasm: Wasm, session: Pick<J.JudgedSession, 'status'> | null): J.JudgedRefusal | undefined {
  wasm.check(wasm.begin().call.judge_again(session ? 1 : 0, session?.status === 'active' ? 1 : 0))
  return readRefusal(wasm, 0)
}

/** Returns the time until which an id is kept as RequestJudge says. */
export function requestExpiry(wasm: Wasm, timestampMs: number, time: J.JudgeTime): number {
  const { times } = readTime(time)
  wasm.check(wasm.begin().call.request_expiry(timeOf(timestampMs, 'timestampMs'), ...times))
  return wasm.number(0)
}
