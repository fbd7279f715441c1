// SPDX-License-Identifier: MIT
// For an application's tests, in Node: time, randomness, a gateway and a network in memory. Do not use it in
// production.

export { TestClock, type TestClockOptions } from './clock.ts'
export type { LinkFaults, ProxyAnswer, TestMessage, WayFaults } from './faults.ts'
export { proxyAnswer } from './faults.ts'
export type { TestDevice, TestGateway, TestGatewayOptions } from './gateway.ts'
export type { TestLink } from './link.ts'
export type { LogEntry, Passage } from './log.ts'
export type { NetworkHandler, TestNetwork } from './network.ts'
export { type InsecureRandom, insecureRandom, type Seed } from './random.ts'
export { createTestTime, type TestTime, type TestTimeOptions } from './time.ts'
export {
  createTestWorld,
  type TestClient,
  type TestClientOptions,
  type TestWorld,
  type TestWorldOptions
} from './world.ts'
