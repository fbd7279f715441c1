// SPDX-License-Identifier: MIT
// A client that knows the types of a server's routes. It sends and reads JSON; all else is the Client's.

import type { RequestOptions } from '../client/call-options.ts'
import type { Client } from '../client/client.ts'
import type { Reply } from '../client/reply.ts'
import { badArgument } from '../core/args.ts'

/** The types of a route that `route` of countersign/server has made. Any other handler has `unknown` for both. */
type TypesOf<Route> = Route extends { readonly types?: infer Types | undefined }
  ? Types extends { readonly input: infer Input; readonly output: infer Output }
    ? { input: Input; output: Output }
    : { input: unknown; output: unknown }
  : { input: unknown; output: unknown }

/** The message types among the routes. An HTTP route has a space, or begins with a slash: `client.fetch` calls it. */
export type MessageType<Routes> = Exclude<keyof Routes & string, `${string} ${string}` | `/${string}`>

/** A verified answer. `ok` says whether `json()` is the route's output, or belongs to a code of the application's own. */
export type JsonReply<Output> =
  | (Omit<Reply, 'ok' | 'json'> & { readonly ok: true; json(): Output })
  | (Omit<Reply, 'ok' | 'json'> & { readonly ok: false; json(): unknown })

/** A client with the types of some routes. */
export type JsonClient<Routes> = {
  /**
   * Sends a value as JSON and returns the application's verified answer. Rejects as `client.request` does, with
   * ERR_BAD_REQUEST where the route's schema refuses the input.
   */
  request<Type extends MessageType<Routes>>(
    type: Type,
    input: TypesOf<Routes[Type]>['input'],
    options?: RequestOptions
  ): Promise<JsonReply<TypesOf<Routes[Type]>['output']>>
}

/**
 * Gives a client the types of a server's routes. Types are compared by the compiler alone: nothing of the server is
 * loaded.
 * @throws ERR_INVALID_ARGUMENT when `client` is no Client.
 *
 * @example
 * import type { routes } from '../server/routes.ts'
 * const game = jsonClient<typeof routes>(client)
 * const reply = await game.request('game.move', { to: 'e4' })
 * if (reply.ok) show(reply.json().board)
 */
export function jsonClient<Routes>(client: Pick<Client, 'request'>): JsonClient<Routes> {
  if (typeof client?.request !== 'function') throw badArgument('client must be a Client')
  return {
    request: (type, json, options) =>
      client.request(type, json === undefined ? undefined : { json }, options) as Promise<never>
  }
}
