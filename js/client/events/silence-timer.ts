// SPDX-License-Identifier: MIT
// Notices that a stream has fallen silent.

import type { ClientSettings } from '../options.ts'

/** Calls back when nothing has come for a while. Every event restarts it, so a restart must not cost a timer. */
export class SilenceTimer {
  readonly #settings: Pick<ClientSettings, 'schedule' | 'monotonicNow'>
  readonly #onSilence: () => void
  #dueMs = 0
  #cancel: (() => void) | undefined

  constructor(settings: Pick<ClientSettings, 'schedule' | 'monotonicNow'>, silenceMs: number, onSilence: () => void) {
    this.#settings = settings
    this.#onSilence = onSilence
    this.restart(silenceMs)
  }

  /** Starts the wait again: something has come. */
  restart(silenceMs: number): void {
    this.#dueMs = this.#settings.monotonicNow() + silenceMs
    this.#cancel ??= this.#look(silenceMs)
  }

  /** Stops the wait until the next restart: the client does not read meanwhile. */
  hold(): void {
    this.#dueMs = Number.POSITIVE_INFINITY
    this.stop()
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #look(afterMs: number): () => void {
    return this.#settings.schedule(() => {
      const leftMs = this.#dueMs - this.#settings.monotonicNow()
      this.#cancel = leftMs > 0 ? this.#look(leftMs) : undefined
      if (leftMs <= 0) this.#onSilence()
    }, afterMs)
  }
}
