// SPDX-License-Identifier: MIT

const CAPACITY = 4096

/** Ids of frames whose answers the caller brings: each is used once, and forgotten when nobody brings one in time. */
export class Outstanding {
  readonly #windowMs: number
  readonly #signedMs = new Map<string, number>()

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  add(requestId: string, nowMs: number): void {
    for (const [id, signedMs] of this.#signedMs) {
      if (nowMs - signedMs < this.#windowMs && this.#signedMs.size < CAPACITY) break
      this.#signedMs.delete(id)
    }
    this.#signedMs.set(requestId, nowMs)
  }

  /** When the id was made, on the monotonic clock; undefined for one that is not outstanding. */
  signedMs(requestId: string): number | undefined {
    return this.#signedMs.get(requestId)
  }

  /** Uses an id up and says whether it was there. */
  take(requestId: string): boolean {
    return this.#signedMs.delete(requestId)
  }
}
