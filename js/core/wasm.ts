// SPDX-License-Identifier: MIT
// The one place that touches WebAssembly memory, and the other half of wasm/bindings.cpp. Arguments that are bytes are laid
// one after another into `io`; what comes back is copied out at once. Views are made anew when the memory has grown, which
// detaches them. No code of a caller's runs between begin() and the copy out: everything of a caller's was read before.

import { CountersignError, errorOfNumber } from '../common/errors.ts'
import { decodeText } from '../common/text.ts'
import type { Bytes } from '../common/types.ts'
import { lengthOf, writeText } from './args.ts'

/** What core.ts was written against; wasm/bindings.cpp has the same number. */
export const ABI = 2
/** The size of the static buffer in wasm/bindings.cpp. */
const IO_SIZE = 65536 + 4096
/** Larger payloads are hashed in pieces of this size. */
export const PIECE = 65536
const OUT_SIZE = 2048
const TABLE_SIZE = 32

type WasmCall = (
  a?: number,
  b?: number,
  c?: number,
  d?: number,
  e?: number,
  f?: number,
  g?: number,
  h?: number,
  i?: number,
  j?: number
) => number
/** The functions of wasm/bindings.cpp, apart from those that this file alone calls. */
type Name =
  | 'reserve'
  | `${'' | 'hmac_'}sha256`
  | `sha256_${'new' | 'update' | 'finish' | 'free'}`
  | `verify_${'hmac_sha256' | 'ed25519'}`
  | 'is_acceptable_ed25519_key'
  | `trusted_key_${'new' | 'verify' | 'free'}`
  | `write_${'request' | 'response' | 'event' | 'enroll' | 'rotate' | 'envelope'}`
  | `parse_${'signing_input' | 'frame'}`
  | 'begin_request'
  | `open_${'request' | 'envelope' | 'event'}`
  | 'trust_key'
  | 'event_id'
  | 'replay_key'
  | `clock_${'new' | 'add_round_trip' | 'add_event' | 'start_stored' | 'note_wall' | 'estimate' | 'stamp' | 'reset' | 'free'}`
  | `guard_${'new' | 'reserve' | 'state' | 'free'}`
type WasmCalls = { readonly [N in Name]: WasmCall }

/** A server key, read and checked. */
export type TrustedKeyBytes = {
  readonly id: string
  readonly publicKey: Uint8Array
  readonly notBefore?: number | undefined
  readonly notAfter?: number | undefined
}

/** Wasm is one instance of the core: its buffer, its calls, and whether it still runs. */
export class Wasm {
  readonly call: WasmCalls
  /** Called once, when the instance has trapped and must not be used again. */
  onTrap: (() => void) | undefined
  readonly #functions: { [name: string]: WasmCall }
  readonly #memory: WebAssembly.Memory
  #trap: { cause: unknown } | undefined
  #io = new Uint8Array()
  #out = new Uint8Array()
  #table = new Float64Array()
  #at = 0
  readonly #watched = new FinalizationRegistry<() => void>((release) => {
    if (!this.#trap) release()
  })

  /** Throws ERR_VERSION_MISMATCH where the functions are not those of this file's ABI. */
  constructor(functions: Record<string, unknown>, memory: WebAssembly.Memory) {
    const { abi } = functions
    if (typeof abi !== 'function' || abi() !== ABI) throw new CountersignError('ERR_VERSION_MISMATCH')
    this.#functions = functions as { [name: string]: WasmCall }
    this.#memory = memory
    const call: { [name: string]: WasmCall } = {}
    for (const [name, run] of Object.entries(functions)) {
      if (typeof run === 'function') call[name] = this.#guarded(run as WasmCall)
    }
    this.call = call as WasmCalls
    this.#renew()
  }

  // Whatever leaves the core as an exception (a trap, an abort, an exhausted stack) leaves it in an unknown state.
  #guarded(run: WasmCall): WasmCall {
    // As many parameters as the longest call has: rest parameters would make an array for each.
    return (a, b, c, d, e, f, g, h, i, j) => {
      if (this.#trap) throw new CountersignError('ERR_CORE_TRAPPED', this.#trap)
      try {
        const value = run(a, b, c, d, e, f, g, h, i, j)
        // The memory has grown, and with that the views are detached.
        if (this.#io.length === 0) this.#renew()
        return value
      } catch (cause) {
        this.#trap = { cause }
        this.onTrap?.()
        throw new CountersignError('ERR_CORE_TRAPPED', { cause })
      }
    }
  }

  #renew(size = IO_SIZE): void {
    const { buffer } = this.#memory
    const view = (name: string, length: number): [ArrayBuffer, number, number] => [
      buffer,
      this.#functions[name]!(),
      length
    ]
    this.#io = new Uint8Array(...view('io_address', size))
    this.#out = new Uint8Array(...view('out_address', OUT_SIZE))
    this.#table = new Float64Array(...view('table_address', TABLE_SIZE))
  }

  /** Whether the instance has stopped: nothing of it can be called. */
  get hasTrapped(): boolean {
    return this.#trap !== undefined
  }

  /** watch releases what an object names in the core when the object is collected. */
  watch(object: object, release: () => void): void {
    this.#watched.register(object, release, object)
  }

  /** unwatch ends that. */
  unwatch(object: object): void {
    this.#watched.unregister(object)
  }

  /** begin starts a new list of arguments. */
  begin(): this {
    this.#at = 0
    return this
  }

  /** How many bytes of arguments there are. */
  get size(): number {
    return this.#at
  }

  /** put adds bytes (of bytesOf) to the arguments and gives their length. */
  put(bytes: Uint8Array): number {
    this.#io.set(bytes, this.#at)
    const length = lengthOf(bytes)
    this.#at += length
    return length
  }

  /** text adds a text field of `least` to 128 bytes and gives its length; throws as writeText does. */
  text(value: unknown, name: string, least?: number): number {
    const length = writeText(value, this.#io, this.#at, name, least)
    this.#at += length
    return length
  }

  /** trust adds keys, of which all was checked, to the arguments and tells the core that the next check may trust them. */
  trust(keys: readonly TrustedKeyBytes[]): void {
    for (const { id, publicKey, notBefore = 0, notAfter } of keys) {
      const at = this.#at
      this.put(publicKey)
      this.call.trust_key(at, this.text(id, 'id', 0), notBefore, notAfter ?? 0, notAfter === undefined ? 0 : 1)
    }
  }

  /**
   * large runs a call whose arguments take `size` bytes, in a buffer made for it where the static one is too small, and
   * wipes that buffer afterwards where it holds a secret. Throws ERR_NO_MEMORY where there is no room.
   */
  large<T>(size: number, isSecret: boolean, run: () => T): T {
    if (size > IO_SIZE) {
      // Beyond this Embind would wrap the number around.
      if (size > 0x7fffffff) throw new CountersignError('ERR_NO_MEMORY')
      this.check(this.call.reserve(size))
      this.#renew(size)
    }
    try {
      this.begin()
      return run()
    } finally {
      if (isSecret) this.#io.fill(0, 0, size)
      if (size > IO_SIZE && !this.#trap) {
        this.call.reserve(0)
        this.#renew()
      }
    }
  }

  /** check gives a call's value back, or throws the error that a negative one stands for. */
  check(value: number): number {
    if (value < 0) throw errorOfNumber(-value)
    return value
  }

  /** out copies the first bytes of the result, and `rest` (of bytesOf) behind them. */
  out(size: number, rest?: Uint8Array): Bytes {
    if (!rest) return this.#out.slice(0, size)
    const copy = new Uint8Array(size + lengthOf(rest))
    copy.set(this.#out.subarray(0, size))
    copy.set(rest, size)
    return copy
  }

  /** outAscii reads ASCII text out of the result. */
  outAscii(from: number, size: number): string {
    return String.fromCharCode.apply(undefined, this.#out.subarray(from, from + size) as unknown as number[])
  }

  /** number reads a number of the table. */
  number(index: number): number {
    return this.#table[index] as number
  }

  /** bytesAt copies the slice of the arguments that the table names at `index`. */
  bytesAt(index: number): Bytes {
    const from = this.number(index)
    return this.#io.slice(from, from + this.number(index + 1)) as Bytes
  }

  /** textAt reads the slice of the arguments that the table names at `index`, which the core has found to be UTF-8. */
  textAt(index: number): string {
    const from = this.number(index)
    return decodeText(this.#io.subarray(from, from + this.number(index + 1)))
  }
}
