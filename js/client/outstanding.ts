// SPDX-License-Identifier: MIT
// The request ids of frames that the application carries itself.

const CAPACITY = 2048

/** The time of the signature, on the monotonic clock in milliseconds, and the owner of the frame. */
type Signed<Owner> = { readonly atMs: number; readonly by: Owner }

/**
 * Ids of frames whose answers the caller brings. Each id is used once, and forgotten after the window. There are two
 * generations, and the elder is dropped whole. So the cost of an id does not grow with the number of open ones.
 */
export class Outstanding<Owner> {
  readonly #windowMs: number
  #young = new Map<string, Signed<Owner>>()
  #old = new Map<string, Signed<Owner>>()
  #bornMs = 0

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Adds the id of a frame that was signed at `atMs` of the monotonic clock. */
  add(requestId: string, atMs: number, by: Owner): void {
    if (atMs - this.#bornMs > this.#windowMs || this.#young.size >= CAPACITY) {
      this.#old = this.#young
      this.#young = new Map()
      this.#bornMs = atMs
    }
    this.#young.set(requestId, { atMs, by })
  }

  /** Returns the time and the owner of an id. Returns undefined for an id that is not outstanding. */
  find(requestId: string): Signed<Owner> | undefined {
    return this.#young.get(requestId) ?? this.#old.get(requestId)
  }

  /** Removes an id and returns whether it was there. */
  take(requestId: string): boolean {
    return this.#young.delete(requestId) || this.#old.delete(requestId)
  }
}
