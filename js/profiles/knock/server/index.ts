// SPDX-License-Identifier: MIT
// The gateway's side of the knock profile.

export { isForbidden } from './addresses.ts'
export { type KnockRelayOptions, knockRelay, type RelayTarget } from './relay.ts'
