// SPDX-License-Identifier: MIT
// The body of a stream on its way to a client. Each item may be late, lost, repeated, changed or reordered.

import type { Bytes } from '../common/types.ts'
import { chunkOf } from '../core/args.ts'
import { delayOf, type WayFaults } from './faults.ts'
import type { InsecureRandom } from './random.ts'

/** The part of a link that a stream uses. */
export type StreamHost = {
  readonly random: InsecureRandom
  /** Returns the faults for the next item. */
  faults(): WayFaults
  /** Resolves when an item that takes `ms` reaches the device. Returns undefined when it arrives at once. */
  wait(ms: number): Promise<void> | undefined
  /** Passes an item through `tamper`, and logs it. */
  pass(item: Bytes, faults: WayFaults): Bytes
  lost(passage: 'lost' | 'cut', item: Bytes): void
  broken(): Error
}

/** Passes a body to a client, item by item, in order unless the faults say otherwise. */
export function carryStream(
  source: ReadableStream<Uint8Array>,
  host: StreamHost,
  signal: AbortSignal | null | undefined
): ReadableStream<Uint8Array> {
  const reader = source.getReader()
  let isOver = false
  let leave = (): void => {}
  const over = (): void => {
    isOver = true
    leave()
    reader.cancel().catch(() => {})
  }
  const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    const fail = (reason: unknown): void => {
      if (isOver) return
      over()
      controller.error(reason)
    }
    const abort = (): void => fail(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    leave = () => signal?.removeEventListener('abort', abort)
    pump(reader, host, controller, () => isOver, fail).then(
      (isWhole) => {
        if (isOver || !isWhole) return
        over()
        controller.close()
      },
      (error) => fail(error)
    )
  }
  return new ReadableStream<Uint8Array>({ start, cancel: over })
}

/** Resolves to whether the source ended; to false when no more items arrive. */
async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  host: StreamHost,
  controller: ReadableStreamDefaultController<Uint8Array>,
  isOver: () => boolean,
  fail: (reason: unknown) => void
): Promise<boolean> {
  const { random } = host
  const chance = (probability = 0): boolean => probability > 0 && random.chance(probability)
  // Items keep their order, however long each of them takes.
  let earlier: Promise<void> | undefined
  let held: Bytes | undefined
  const deliver = async (item: Bytes, faults: WayFaults): Promise<void> => {
    const [before, travelling] = [earlier, host.wait(delayOf({ ...faults, reorder: 0 }, random))]
    if (before) await before
    if (travelling) await travelling
    if (!isOver()) controller.enqueue(host.pass(item, faults))
  }
  const send = (item: Bytes, faults: WayFaults): void => {
    earlier = deliver(item, faults)
    earlier.catch(fail)
  }
  for (;;) {
    const { done, value } = await reader.read()
    if (isOver()) return false
    if (done) {
      await earlier
      return true
    }
    const item = chunkOf(value)
    const faults = host.faults()
    if (faults.cut || chance(faults.loss)) {
      host.lost(faults.cut ? 'cut' : 'lost', item)
      await earlier
      if (!faults.cut) fail(host.broken())
      return false
    }
    if (chance(faults.swallow)) {
      host.lost('lost', item)
      continue
    }
    if (held === undefined && chance(faults.reorder)) {
      held = item
      continue
    }
    send(item, faults)
    if (held) send(held, faults)
    held = undefined
    if (chance(faults.duplicate)) send(item, faults)
  }
}
