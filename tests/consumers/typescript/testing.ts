// SPDX-License-Identifier: MIT
// What an application's own tests write: compiled strictly in one test, run from the tarball in another.
import { createTestWorld, type LinkFaults, type LogEntry } from 'countersign/testing'

const faults: LinkFaults = { up: { delayMs: [20, 400] }, down: { delayMs: 50, loss: 0.2 } }

export const buy = async (): Promise<string> => {
  const world = await createTestWorld({ seed: 7, routes: { 'cart.add': ({ payload }) => ({ payload }) } })
  const { client, link } = await world.connect({ name: 'ada', skewMs: -7 * 3600_000 })
  link.set(faults)
  const { payload } = await world.run(client.request('cart.add', '4711', { idempotencyKey: 'cart-1' }))
  const sent: LogEntry[] = world.network.log.filter(({ what }) => what === 'sent')
  await world.close()
  return `${new TextDecoder().decode(payload)} ${sent[0]?.type}`
}
