// SPDX-License-Identifier: MIT
// What the demo answers once the gateway has verified a request. Every answer is signed by the gateway.

import { pushRoutes } from './push.mjs'

const json = (value) => ({ contentType: 'application/json', payload: Buffer.from(JSON.stringify(value)) })

/** demoRoutes returns the message types and header routes of the demo, over its session store and the gateway's `publish`. */
export const demoRoutes = ({ sessions, publish, now = Date.now }) => ({
  ...pushRoutes({ publish, now }),
  'demo.echo': ({ payload }) => ({ payload }),
  'demo.fail': () => ({ resultCode: 'refused' }),
  'demo.ping': () => ({}),
  'demo.time': () => json({ server_time_ms: now() }),

  // Never the type the client claims: an echo must not become a page of this origin.
  'POST /api/echo': ({ payload }) => ({ payload, contentType: 'application/octet-stream' }),
  'GET /api/time': () => json({ server_time_ms: now() }),

  // Somebody else's session and no session at all are one answer: ids are not to be probed.
  'POST /api/v1/sessions/:id/revoke': async ({ userId, params }) => {
    const session = await sessions.get(params.id)
    if (session?.userId !== userId) return { ...json({ error: 'no such session of yours' }), status: 404 }
    await sessions.revoke(params.id, 'user')
    return json({ device_session_id: params.id, status: 'revoked' })
  }
})
