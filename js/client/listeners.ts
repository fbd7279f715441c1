// SPDX-License-Identifier: MIT
// The listeners of `client.on`.

import { badArgument } from '../core/args.ts'
import type { Logger } from './options.ts'

/**
 * Holds the listeners of each event. A listener that throws stops neither the others nor the call that emitted the
 * event.
 */
export class Listeners<Events extends object> {
  readonly #byEvent: { readonly [Name in keyof Events]: Set<(event: Events[Name]) => void> }
  readonly #logger: Logger | undefined

  constructor(names: readonly (keyof Events)[], logger: Logger | undefined) {
    this.#byEvent = Object.fromEntries(names.map((name) => [name, new Set()])) as never
    this.#logger = logger
  }

  /**
   * Registers a listener and returns the function that removes it.
   * @throws ERR_INVALID_ARGUMENT when there is no event of this name.
   */
  add<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = Object.hasOwn(this.#byEvent, name) ? this.#byEvent[name] : undefined
    if (!listeners) throw badArgument('there is no event with this name')
    if (typeof listener !== 'function') throw badArgument('listener must be a function')
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  /** Returns whether an event has listeners. */
  has(name: keyof Events): boolean {
    return this.#byEvent[name].size > 0
  }

  /** Calls the listeners of an event. */
  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of this.#byEvent[name]) {
      try {
        listener(event)
      } catch (error) {
        this.#logger?.warn(`a listener of '${String(name)}' threw`, error)
      }
    }
  }
}
