// SPDX-License-Identifier: MIT
// Typed routes on both sides: compiled strictly, never run. Each line under @ts-expect-error must be a compile error.
import type { Client } from 'countersign'
import { jsonClient } from 'countersign/json'
import { createGateway, type GatewayOptions, type HandlerContext, route, withCode } from 'countersign/server'
import * as v from 'valibot'
import { z } from 'zod'

const board = z.object({ squares: z.array(z.string()), turn: z.enum(['white', 'black']) })

export const routes = {
  'game.move': route({
    input: z.object({ from: z.string(), to: z.string() }),
    output: board,
    handler: ({ input, userId }) =>
      input.from === input.to ? withCode('no_move', { userId }) : { squares: [input.to], turn: 'white' as const }
  }),
  'game.clock': route({
    input: v.object({ seconds: v.optional(v.number(), 5) }),
    // The handler gets the schema's output, where the default is filled in.
    handler: async ({ input }) => ({ left: input.seconds * 2 })
  }),
  'game.plain': ({ payload }: { payload: Uint8Array }) => ({ payload }),
  'POST /api/upload': () => ({ status: 204 }),
  'GET /api/files/*': ({ path, query }: HandlerContext) => ({ json: [path, query.get('page')] }),
  '/api/any': ({ method }: HandlerContext) => ({ json: method })
}

export const gateway = (options: Omit<GatewayOptions, 'routes'>) => createGateway({ ...options, routes })

export const play = async (client: Client): Promise<string> => {
  const game = jsonClient<typeof routes>(client)
  const reply = await game.request('game.move', { from: 'e2', to: 'e4' }, { idempotencyKey: 'one' })
  await game.request('game.clock', {})
  await game.request('game.plain', 'anything')
  // @ts-expect-error the input lacks a member
  await game.request('game.move', { from: 'e2' })
  // @ts-expect-error a member has another type
  await game.request('game.clock', { seconds: 'five' })
  // @ts-expect-error no route has this name
  await game.request('game.mvoe', {})
  // @ts-expect-error an HTTP route is called with client.fetch
  await game.request('POST /api/upload', {})
  // @ts-expect-error a wildcard is an HTTP route
  await game.request('GET /api/files/*', {})
  // @ts-expect-error a route of every method is an HTTP route
  await game.request('/api/any', {})
  // @ts-expect-error the output is known only where ok is true
  reply.json().turn
  if (!reply.ok) return reply.resultCode
  const { turn, squares } = reply.json()
  // @ts-expect-error the output has no such member
  reply.json().winner
  const first: string | undefined = squares[0]
  return `${turn satisfies 'white' | 'black'} ${first}`
}

// @ts-expect-error the handler returns what the output does not allow
export const wrong = route({ output: board, handler: () => ({ squares: [], turn: 'green' }) })
