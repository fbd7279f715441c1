// SPDX-License-Identifier: MIT
// The entry of the client for workerd. It compiles no bytes, so it takes the file as a module of its own. Its fetch does
// not know `redirect: 'error'`.

import { type Client, connect as connectByFetch } from '../client/client.ts'
import type { ConnectOptions } from '../client/options.ts'
import { presetModule } from '../core/load.ts'
import { clientWasm } from '../core/platform/client-wasm.js'
import module from '../core/platform/countersign-client.wasm'

presetModule(clientWasm, module)

const REDIRECTS = [301, 302, 303, 307, 308]

// A redirect is refused as other platforms refuse it, by the same words (R33).
const fetchDirectly: typeof fetch = async (url, init) => {
  const response = await fetch(url, { ...init, redirect: 'manual' })
  if (!REDIRECTS.includes(response.status)) return response
  await response.body?.cancel()
  throw new TypeError('redirected', { cause: { message: 'unexpected redirect' } })
}

/**
 * Creates a client as `connect` of the other entries does. Its default for `fetch` refuses redirects.
 *
 * @throws what `connect` of the other entries throws.
 */
export async function connect(options: ConnectOptions): Promise<Client> {
  return connectByFetch(options && { ...options, fetch: options.fetch ?? fetchDirectly })
}

export * from '../index.ts'
