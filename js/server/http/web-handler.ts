// SPDX-License-Identifier: MIT
// Converts between web-standard Request and Response and the gateway's own Inbound and Outbound.

import { CountersignError } from '../../common/errors.ts'
import { badArgument, optionsOf } from '../../core/args.ts'
import { hasNoBody } from '../exchange/sign-answer.ts'
import { warningOf } from '../migration-phase.ts'
import type { From, GatewayOptions, Inbound, Outbound, PassedOn } from '../types.ts'
import { bodyOf } from './pipes.ts'

function targetOf(url: string): string {
  const { pathname, search } = new URL(url)
  return pathname + search
}

/** Wraps a Request. The target comes from the URL where no raw one is given. `release` cancels the rest of the body. */
function inboundOf(
  request: Request,
  { remoteAddress = '', rawTarget }: From
): { inbound: Inbound; release: () => void } {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  const inbound: Inbound = {
    method: request.method.toUpperCase(),
    target: rawTarget ?? targetOf(request.url),
    header: (name) => request.headers.get(name),
    async read() {
      reader ??= request.body?.getReader()
      if (!reader) return null
      const { done, value } = await reader.read()
      return done ? null : value
    },
    onGone(listener) {
      const { signal } = request
      if (signal.aborted) listener()
      else signal.addEventListener('abort', listener, { once: true })
      return () => signal.removeEventListener('abort', listener)
    },
    remoteAddress
  }
  const release = (): void => {
    const rest = reader ?? request.body
    rest?.cancel().catch(() => {})
  }
  return { inbound, release }
}

function responseOf(method: string, { status, headers, body, stream }: Outbound): Response {
  if (stream) return new Response(bodyOf(body, stream), { status, headers })
  const isBare = hasNoBody(method, status) || body.length === 0
  return new Response(isBare ? null : (body as Uint8Array<ArrayBuffer>), { status, headers })
}

async function askLegacy(
  legacy: NonNullable<GatewayOptions['legacy']>,
  request: Request,
  passOn: PassedOn
): Promise<Response> {
  let response: Response
  try {
    response = await legacy(request, passOn)
  } catch {
    // The old handler's exception becomes its own 500, without a word of the gateway.
    response = new Response(null, { status: 500 })
  }
  if (passOn.phase !== 'warn') return response
  const headers = new Headers(response.headers)
  headers.set('countersign-warning', warningOf(passOn))
  const { status, statusText } = response
  return new Response(response.body, { status, statusText, headers })
}

/**
 * Answers a Request by `exchange`, or by `legacy` where the phase passes it on. Throws ERR_INVALID_ARGUMENT for no
 * Request, and ERR_BODY_CONSUMED for one whose body was read.
 */
export async function serveRequest(
  request: Request,
  from: From,
  exchange: (inbound: Inbound) => Promise<Outbound>,
  legacy?: GatewayOptions['legacy']
): Promise<Response> {
  if (typeof request?.method !== 'string' || typeof request.url !== 'string' || !request.headers) {
    throw badArgument('handle: pass a Request')
  }
  const { remoteAddress, rawTarget } = optionsOf(from, 'handle: from', ['remoteAddress', 'rawTarget'])
  for (const text of [remoteAddress, rawTarget]) {
    if (text !== undefined && typeof text !== 'string')
      throw badArgument('handle: remoteAddress and rawTarget must be strings')
  }
  // Bytes that other code has read are gone, and what it made of them is not what the client signed.
  if (request.bodyUsed || request.body?.locked) throw new CountersignError('ERR_BODY_CONSUMED')
  const spare = legacy ? request.clone() : undefined
  const { inbound, release } = inboundOf(request, { remoteAddress, rawTarget })
  if (!legacy || !spare) {
    const out = await exchange(inbound)
    release()
    return responseOf(inbound.method, out)
  }
  // The body has two readers: the old handler gets it whole, whatever the gateway has read.
  const out = await exchange({ ...inbound, canPassOn: true })
  release()
  if (out.passOn) return askLegacy(legacy, spare, out.passOn)
  spare.body?.cancel().catch(() => {})
  return responseOf(inbound.method, out)
}
