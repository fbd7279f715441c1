// SPDX-License-Identifier: MIT

const CAPACITY = 2048

type Signed<Owner> = { readonly atMs: number; readonly by: Owner }

/**
 * Ids of frames whose answers the caller brings: each is used once, and forgotten when nobody brings one in time. There are
 * two generations, and the elder is dropped whole, so that noting an id costs the same however many are open.
 */
export class Outstanding<Owner> {
  readonly #windowMs: number
  #young = new Map<string, Signed<Owner>>()
  #old = new Map<string, Signed<Owner>>()
  #bornMs = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  add(requestId: string, atMs: number, by: Owner): void {
    if (atMs - this.#bornMs > this.#windowMs || this.#young.size >= CAPACITY) {
      this.#old = this.#young
      this.#young = new Map()
      this.#bornMs = atMs
    }
    this.#young.set(requestId, { atMs, by })
  }

  /** When the id was made, on the monotonic clock, and for whom; undefined for one that is not outstanding. */
  find(requestId: string): Signed<Owner> | undefined {
    return this.#young.get(requestId) ?? this.#old.get(requestId)
  }

  /** Uses an id up and says whether it was there. */
  take(requestId: string): boolean {
    return this.#young.delete(requestId) || this.#old.delete(requestId)
  }
}
