// SPDX-License-Identifier: MIT
// The gateway that the route of docs/guide/mounts.md asks for. Next itself has to name the address of the sender.
import { answer } from './server.js'

const isHere = (address) => /^(::ffff:)?127\.0\.0\.1$|^::1$/.test(address)

export const gateway = {
  handle: (request, from) => (isHere(from.remoteAddress) ? answer(request, from) : new Response(null, { status: 500 }))
}
