// SPDX-License-Identifier: MIT
// The one place that touches WebAssembly memory, and the other half of wasm/bindings.cpp. Arguments that are bytes are laid
// one after another into `io`; what comes back is copied out at once. Views are made anew when the memory has grown, which
// detaches them. No code of a caller's runs between begin() and the copy out: everything of a caller's was read before.

import { lengthOf, writeText } from './core-args.ts'
import { CountersignError, errorOfNumber } from './errors.ts'
import type { Bytes } from './types.ts'

/** What core.ts was written against; wasm/bindings.cpp has the same number. */
export const ABI = 1
/** The size of the static buffer in wasm/bindings.cpp. */
const IO_SIZE = 65536 + 4096
/** Larger payloads are hashed in pieces of this size. */
export const PIECE = 65536
const OUT_SIZE = 2048
const TABLE_SIZE = 32
const SHORT_TEXT = 64

const NAMES = [
  ...['io_address', 'out_address', 'table_address', 'reserve'],
  ...['sha256', 'sha256_new', 'sha256_update', 'sha256_finish', 'sha256_free', 'hmac_sha256', 'verify_hmac_sha256'],
  ...['verify_ed25519', 'is_acceptable_ed25519_key', 'trusted_key_new', 'trusted_key_verify', 'trusted_key_free'],
  ...['write_request', 'begin_request', 'write_response', 'write_event', 'write_enroll', 'write_rotate'],
  ...[
    'parse_signing_input',
    'write_envelope',
    'parse_frame',
    'open_request',
    'trust_key',
    'open_envelope',
    'replay_key'
  ],
  ...['clock_new', 'clock_add_round_trip', 'clock_add_event', 'clock_start_stored', 'clock_note_wall'],
  ...['clock_estimate', 'clock_stamp', 'clock_reset', 'clock_free'],
  ...['guard_new', 'guard_reserve', 'guard_state', 'guard_free']
] as const

type Call = (...numbers: number[]) => number
type Calls = { readonly [Name in (typeof NAMES)[number]]: Call }

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Wasm is one instance of the core: its buffer, its calls, and whether it still runs. */
export class Wasm {
  readonly call: Calls
  /** Called once, when the instance has trapped and must not be used again. */
  onTrap: (() => void) | undefined
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
    this.#memory = memory
    const call: { [name: string]: Call } = {}
    for (const name of NAMES) call[name] = this.#guarded(functions[name] as Call)
    this.call = call as Calls
  }

  // Whatever leaves the core as an exception (a trap, an abort, an exhausted stack) leaves it in an unknown state.
  #guarded(run: Call): Call {
    return (...numbers) => {
      if (this.#trap) throw new CountersignError('ERR_CORE_TRAPPED', this.#trap)
      try {
        return run(...numbers)
      } catch (cause) {
        this.#trap = { cause }
        this.onTrap?.()
        throw new CountersignError('ERR_CORE_TRAPPED', { cause })
      }
    }
  }

  #renew(size = IO_SIZE): Uint8Array {
    const { buffer } = this.#memory
    // The calls may trap; the views are only as good as they are.
    const [io, out, table] = [this.call.io_address(), this.call.out_address(), this.call.table_address()]
    this.#io = new Uint8Array(buffer, io, size)
    this.#out = new Uint8Array(buffer, out, OUT_SIZE)
    this.#table = new Float64Array(buffer, table, TABLE_SIZE)
    return this.#io
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
    if (this.#io.length === 0) this.#renew()
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
    const copy = new Uint8Array(rest ? size + lengthOf(rest) : size)
    copy.set(this.#out.subarray(0, size))
    if (rest) copy.set(rest, size)
    return copy
  }

  /** outText reads ASCII text out of the result. */
  outText(from: number, size: number): string {
    return textOf(this.#out, from, size)
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
    return textOf(this.#io, this.number(index), this.number(index + 1))
  }
}

const textOf = (bytes: Uint8Array, from: number, size: number): string => {
  let text = ''
  if (size <= SHORT_TEXT) {
    for (let index = from; index < from + size; index++) {
      const byte = bytes[index] as number
      if (byte > 0x7f) return decoder.decode(bytes.subarray(from, from + size))
      text += String.fromCharCode(byte)
    }
    return text
  }
  return decoder.decode(bytes.subarray(from, from + size))
}
