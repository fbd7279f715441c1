// SPDX-License-Identifier: MIT
// The gateway that clock-glitch.test.mjs kills: its clock jumps, and it accepts a request by that clock at once.
import { lmdbStores } from 'countersign/server/lmdb'
import { createWorld } from '../kit.mjs'

const [, , path, jumpMs] = process.argv
const now = () => Date.now() + now.aheadMs
now.aheadMs = 16_000
const { sessions, replay } = lmdbStores({ path })
const world = await createWorld({ sessions, replay, now })
await world.gateway.ready()
now.aheadMs += Number(jumpMs)
const { frame, requestId } = world.requestOf()
const { status } = await world.sendFrame(frame)
process.send({ status, frame: Buffer.from(frame).toString('base64'), requestId })
