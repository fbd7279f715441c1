// SPDX-License-Identifier: MIT

const CAPACITY = 2048

/**
 * Ids of frames whose answers the caller brings: each is used once, and forgotten when nobody brings one in time. There are
 * two generations, and the elder is dropped whole, so that noting an id costs the same however many are open.
 */
export class Outstanding {
  readonly #windowMs: number
  #young = new Map<string, number>()
  #old = new Map<string, number>()
  #bornMs = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  add(requestId: string, nowMs: number): void {
    if (nowMs - this.#bornMs > this.#windowMs || this.#young.size >= CAPACITY) {
      this.#old = this.#young
      this.#young = new Map()
      this.#bornMs = nowMs
    }
    this.#young.set(requestId, nowMs)
  }

  /** When the id was made, on the monotonic clock; undefined for one that is not outstanding. */
  signedMs(requestId: string): number | undefined {
    return this.#young.get(requestId) ?? this.#old.get(requestId)
  }

  /** Uses an id up and says whether it was there. */
  take(requestId: string): boolean {
    return this.#young.delete(requestId) || this.#old.delete(requestId)
  }
}
