// SPDX-License-Identifier: MIT
// The C++ half of the JSON profiles (wasm/json_bindings.cpp): the one reader of JSON, and what it judges. It is loaded
// at the first verification, apart from the core. It holds no key: each signature comes out with its message.

import { isCountersignError } from '../../common/errors.ts'
import { encodeText } from '../../common/text.ts'
import type { Bytes } from '../../common/types.ts'
import { loadWasm } from '../../core/load.ts'
import { jsonWasm } from '../../core/platform/json-wasm.js'
import type { Wasm } from '../../core/wasm.ts'

/** The largest text that is read, in bytes: the reader's own limit. */
const MAX_SIZE = 2 ** 24
const PROOF_MODES = ['slices', 'excise', 'bare'] as const
const PROOF_VERDICTS = ['ok', 'malformed', 'stale'] as const
const EVENT_MODES = ['strict', 'covered', 'compatible'] as const
const EVENT_VERDICTS = ['ok', 'malformed', 'device_mismatch', 'weak_key', 'signature_mismatch'] as const

type JsonCall = (...numbers: number[]) => number

/** A proof. Where it is `ok`, only its signature is left to check. A text that is no tag gives none. */
export type ReadProof = {
  verdict: (typeof PROOF_VERDICTS)[number]
  message: Bytes
  timestampMs: number
  tag: Bytes | undefined
}
export type ProofBody = { isBatch: boolean; proofs: ReadProof[] }
export type ProofRules = { mode: (typeof PROOF_MODES)[number]; nowMs: number; maxAgeMs: number; skewMs: number }
/** An event. Where it is `ok`, it is signed if every claim holds under the device's key of that mode. */
export type ReadEvent = {
  verdict: (typeof EVENT_VERDICTS)[number]
  claims: { key: 'strict' | 'compatible'; message: Bytes; tag: Bytes }[]
}

/** The reader. Every method copies its arguments and results. */
export class JsonCore {
  readonly #wasm: Wasm
  readonly #call: { readonly [name: string]: JsonCall }

  constructor(wasm: Wasm) {
    this.#wasm = wasm
    this.#call = wasm.call as unknown as { readonly [name: string]: JsonCall }
  }

  /** Returns whether a text is strict JSON (R173). */
  isJson(text: Bytes): boolean {
    return this.#read(text, (size) => this.#run('read_json', size)) !== undefined
  }

  /** Reads the proofs of a body. Returns undefined when it holds neither one proof nor a batch. */
  proofs(body: Bytes, { mode, nowMs, maxAgeMs, skewMs }: ProofRules): ProofBody | undefined {
    return this.#read(body, (size) => {
      const length = this.#run('read_proofs', size, PROOF_MODES.indexOf(mode), nowMs, maxAgeMs, skewMs)
      const isBatch = this.#wasm.number(0) === 1
      return { isBatch, proofs: Array.from({ length }, (_, index) => this.#proof(index)) }
    })
  }

  /** Reads an event in a mode, for a device. */
  event(text: Bytes, mode: string, { deviceId, isStrong }: { deviceId: string; isStrong: boolean }): ReadEvent {
    const id = encodeText(deviceId)
    const read = this.#read(
      text,
      (size) => {
        const at = EVENT_MODES.indexOf(mode as (typeof EVENT_MODES)[number])
        const verdict = EVENT_VERDICTS[this.#run('read_event', id.length, size, at, Number(isStrong))]
        const claims = Array.from({ length: this.#wasm.number(0) }, (_, index) => this.#claim(index))
        return { verdict: verdict as ReadEvent['verdict'], claims }
      },
      id
    )
    return read ?? { verdict: 'malformed', claims: [] }
  }

  #run(name: string, ...numbers: number[]): number {
    return this.#wasm.check((this.#call[name] as JsonCall)(...numbers))
  }

  /** Runs a call over a text, with an argument before it. Returns undefined for a text that the reader refuses. */
  #read<T>(text: Bytes, run: (size: number) => T, first: Bytes = new Uint8Array(0)): T | undefined {
    if (text.length > MAX_SIZE) return undefined
    const wasm = this.#wasm
    try {
      return wasm.large(first.length + text.length, false, () => {
        wasm.put(first)
        return run(wasm.put(text))
      })
    } catch (error) {
      if (isCountersignError(error) && error.code === 'ERR_BAD_JSON') return undefined
      throw error
    }
  }

  #proof(index: number): ReadProof {
    const size = this.#run('proof_at', index)
    const [verdict, timestampMs, tag] = [0, 1, 2].map((at) => this.#wasm.number(at)) as [number, number, number]
    return {
      verdict: PROOF_VERDICTS[verdict] as ReadProof['verdict'],
      timestampMs,
      tag: tag === 0 ? undefined : this.#wasm.out(tag),
      message: this.#message(size)
    }
  }

  #claim(index: number): ReadEvent['claims'][number] {
    const size = this.#run('claim_at', index)
    const key = EVENT_MODES[this.#wasm.number(0)] as 'strict' | 'compatible'
    return { key, tag: this.#wasm.out(32), message: this.#message(size) }
  }

  #message(size: number): Bytes {
    const message = new Uint8Array(size)
    for (let at = 0; at < size; ) {
      const part = this.#wasm.out(this.#run('message_part', at))
      message.set(part, at)
      at += part.length
    }
    return message
  }
}

/** Loads the reader once. Rejects with ERR_LOAD_FAILED or ERR_VERSION_MISMATCH. */
export async function loadJsonCore(): Promise<JsonCore> {
  return new JsonCore(await loadWasm(jsonWasm))
}
