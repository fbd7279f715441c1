// SPDX-License-Identifier: MIT
import type { ClientSettings } from '../options.ts'

/** Calls back when nothing has been heard for a while. It is told of every event, so that costs it no timer. */
export class SilenceTimer {
  readonly #settings: Pick<ClientSettings, 'schedule' | 'monotonicNow'>
  readonly #onSilence: () => void
  #dueMs = 0
  #cancel: (() => void) | undefined

  constructor(settings: Pick<ClientSettings, 'schedule' | 'monotonicNow'>, silenceMs: number, onSilence: () => void) {
    this.#settings = settings
    this.#onSilence = onSilence
    this.heard(silenceMs)
  }

  /** heard starts the wait anew. */
  heard(silenceMs: number): void {
    this.#dueMs = this.#settings.monotonicNow() + silenceMs
    this.#cancel ??= this.#look(silenceMs)
  }

  /** hold waits for nothing until something is heard: nobody is listening. */
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
