// SPDX-License-Identifier: MIT
// The one file that uses WebAssembly memory, and the counterpart of wasm/bindings.cpp. Arguments that are bytes lie one
// after another in `io`. Results are copied out at once. Views are made anew when the memory has grown, because growth
// detaches them. No code of a caller runs between begin() and the copy of the result: all members of a caller's objects
// are read before.

import { CountersignError, errorOfNumber } from '../common/errors.ts'
import type { WasmMemory } from '../common/platform-types.ts'
import { decodeText } from '../common/text.ts'
import type { Bytes } from '../common/types.ts'
import { lengthOf, writeText } from './args.ts'

/** The version of the interface to wasm/bindings.cpp, which has the same number. */
export const ABI = 6
/** The size of the static buffer in wasm/bindings.cpp, in bytes. */
const IO_SIZE = 65536 + 4096
/** The core hashes larger payloads in pieces of this size, in bytes. */
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
/** The functions of wasm/bindings.cpp, apart from those that only this file calls. */
type CallName =
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
  | 'trust'
  | `key_ring_${'new' | 'add' | 'free'}`
  | 'event_id'
  | `place_${'begin' | 'take' | 'free'}`
  | 'replay_key'
  | `judge_${'request' | 'reservation' | 'again'}`
  | 'request_expiry'
  | `client_clock_${'new' | 'run' | 'free'}`
  | `clock_${'new' | 'add_round_trip' | 'add_event' | 'start_stored' | 'note_wall' | 'estimate' | 'stamp' | 'reset' | 'free'}`
  | `guard_${'new' | 'reserve' | 'limit' | 'state' | 'free'}`
type WasmCalls = { readonly [Name in CallName]: WasmCall }

/** One instance of the core: its buffer, its calls and its state. */
export class Wasm {
  readonly call: WasmCalls
  /** Called once when the instance has trapped. The program must not use it again. */
  onTrap: (() => void) | undefined
  readonly #functions: { [name: string]: WasmCall }
  readonly #memory: WasmMemory
  #trap: { cause: unknown } | undefined
  #io = new Uint8Array()
  #out = new Uint8Array()
  #table = new Float64Array()
  #offset = 0
  readonly #watched = new FinalizationRegistry<() => void>((release) => {
    if (!this.#trap) release()
  })

  /** Joins the functions and the memory. @throws ERR_VERSION_MISMATCH when the functions have another ABI. */
  constructor(functions: Record<string, unknown>, memory: WasmMemory) {
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

  // A trap, an abort or an exhausted stack leaves the core in an unknown state, so the instance ends with it.
  #guarded(run: WasmCall): WasmCall {
    // The longest call has this many parameters. Rest parameters would make an array for each call.
    return (a, b, c, d, e, f, g, h, i, j) => {
      if (this.#trap) throw new CountersignError('ERR_CORE_TRAPPED', this.#trap)
      try {
        const value = run(a, b, c, d, e, f, g, h, i, j)
        // Growth of the memory has detached the views.
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

  /** True when the instance has trapped. None of its functions can be called then. */
  get hasTrapped(): boolean {
    return this.#trap !== undefined
  }

  /** Calls `release` when the garbage collector has collected an object. */
  watch(object: object, release: () => void): void {
    this.#watched.register(object, release, object)
  }

  /** Stops watching an object. */
  unwatch(object: object): void {
    this.#watched.unregister(object)
  }

  /** Starts a new list of arguments. */
  begin(): this {
    this.#offset = 0
    return this
  }

  /** The total length of the arguments, in bytes. */
  get size(): number {
    return this.#offset
  }

  /** Adds bytes that bytesOf has returned to the arguments. Returns their length. */
  put(bytes: Uint8Array): number {
    this.#io.set(bytes, this.#offset)
    const length = lengthOf(bytes)
    this.#offset += length
    return length
  }

  /** Adds a text field of `least` to 128 bytes and returns its length. @throws what writeText throws. */
  text(value: unknown, name: string, least?: number): number {
    const length = writeText(value, this.#io, this.#offset, name, least)
    this.#offset += length
    return length
  }

  /**
   * Runs a call whose arguments take `size` bytes, in a temporary buffer when the static one is too small. Wipes the
   * arguments afterwards when they hold a secret. @throws ERR_NO_MEMORY when there is no room.
   */
  large<T>(size: number, isSecret: boolean, run: () => T): T {
    if (size > IO_SIZE) {
      // Embind wraps a larger number around.
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

  /** Returns a call's value. @throws the error of a negative value. */
  check(value: number): number {
    if (value < 0) throw errorOfNumber(-value)
    return value
  }

  /** Returns a copy of the first bytes of the result, with `rest` (from bytesOf) behind them. */
  out(size: number, rest?: Uint8Array): Bytes {
    if (!rest) return this.#out.slice(0, size)
    const copy = new Uint8Array(size + lengthOf(rest))
    copy.set(this.#out.subarray(0, size))
    copy.set(rest, size)
    return copy
  }

  /** Returns ASCII text from the result. */
  outAscii(from: number, size: number): string {
    return String.fromCharCode.apply(undefined, this.#out.subarray(from, from + size) as unknown as number[])
  }

  /** Returns a number of the table. */
  number(index: number): number {
    return this.#table[index] as number
  }

  /** Returns a copy of the slice of the arguments that the table names at `index`. */
  bytesAt(index: number): Bytes {
    const from = this.number(index)
    return this.#io.slice(from, from + this.number(index + 1)) as Bytes
  }

  /** Decodes the slice of the arguments that the table names at `index`. The core has checked that it is UTF-8. */
  textAt(index: number): string {
    const from = this.number(index)
    return decodeText(this.#io.subarray(from, from + this.number(index + 1)))
  }
}
