// SPDX-License-Identifier: MIT
// The three carriers of events, and the choice of the one that works here.

import type { CarrierInput, CarrierItem } from './carriers/carrier.ts'
import { readPolls } from './carriers/poll.ts'
import { readEventStream } from './carriers/sse.ts'
import { readSocket } from './carriers/websocket.ts'
import type { Carrier } from './types.ts'

const readers: { readonly [Name in Carrier]: (input: CarrierInput) => AsyncGenerator<CarrierItem> } = {
  sse: readEventStream,
  websocket: readSocket,
  poll: readPolls
}

/** The order in which `auto` tries the carriers. */
const ORDER = Object.keys(readers) as Carrier[]

// One failed connection says little about its carrier. Three in a row may.
const PATIENCE = 3

/** Chooses a carrier: the one asked for, or the first one that works, for as long as it does. */
export class CarrierChoice {
  /** The carrier asked for. */
  readonly given: Carrier | undefined
  #index = 0
  #failures = 0
  #untried = ORDER.length

  constructor(given: Carrier | undefined) {
    this.given = given
  }

  get carrier(): Carrier {
    return this.given ?? (ORDER[this.#index] as Carrier)
  }

  /** Opens a connection over the chosen carrier and returns its frames. */
  read(input: CarrierInput): AsyncGenerator<CarrierItem> {
    return readers[this.carrier](input)
  }

  /** Keeps the carrier, because something verified has come over it. */
  works(): void {
    this.#failures = 0
    this.#untried = ORDER.length
  }

  /**
   * Counts a connection over which nothing verified came, and may choose the next carrier. `isBlocked` means an
   * unsigned answer or silence, as from a proxy that blocks this carrier; otherwise there was no connection. Returns
   * whether to try the next carrier at once.
   */
  fails(isBlocked: boolean): boolean {
    this.#failures += 1
    if (this.given || (!isBlocked && this.#failures < PATIENCE)) return false
    this.#failures = 0
    this.#index = (this.#index + 1) % ORDER.length
    this.#untried -= 1
    if (this.#untried > 0) return true
    this.#untried = ORDER.length
    return false
  }
}
