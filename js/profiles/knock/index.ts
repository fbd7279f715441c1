// SPDX-License-Identifier: MIT
// Knock packets of siglatch: creation, encryption, verification, and sending through a gateway
// (docs/profiles/knock.md).

export { type KnockCore, loadKnockCore } from './core.ts'
export { importKnockKey, type KnockKey } from './keys.ts'
export { knockPacket, type VerifyKnockOptions, verifyKnock } from './packet.ts'
export { knockTime, RELAY_TYPE, type RelayClient, type Relayed, randomChallenge, relayKnock } from './relay.ts'
export { type ExpectedReply, openKnockReply, openKnockReplyDatagram } from './reply.ts'
export { type RandomBytes, sealKnock } from './seal.ts'
export type { Knock, KnockFields, KnockReason, KnockReply, KnockVerdict, KnockVersion } from './types.ts'
