// SPDX-License-Identifier: MIT
// The ways events come, and which of them works here.

import type { CarrierInput, CarrierItem } from './carriers/carrier.ts'
import { readPolls } from './carriers/poll.ts'
import { readEventStream } from './carriers/sse.ts'
import { readSocket } from './carriers/websocket.ts'
import type { Carrier } from './types.ts'

const readers: { readonly [Name in Carrier]: (route: CarrierInput) => AsyncGenerator<CarrierItem> } = {
  sse: readEventStream,
  websocket: readSocket,
  poll: readPolls
}

/** In the order in which they are tried. */
const ORDER = Object.keys(readers) as Carrier[]

// A failed connection says little about the carrier; a row of them may.
const PATIENCE = 3

/** Which carrier to use: the one asked for, or the first that works, for as long as it does. */
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

  read(route: CarrierInput): AsyncGenerator<CarrierItem> {
    return readers[this.carrier](route)
  }

  /** works keeps to the carrier: something verified has come over it. */
  works(): void {
    this.#failures = 0
    this.#untried = ORDER.length
  }

  /**
   * fails says that nothing verified came: by an unsigned answer or silence (`isBlocked`), which is what something in
   * between does to a carrier it does not like, or because there was no connection. Gives whether another one is to be
   * tried at once.
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
