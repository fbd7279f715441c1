// SPDX-License-Identifier: MIT
import { CountersignError, type ErrorCode } from '../../common/errors.ts'
import type { Bytes } from '../../common/types.ts'
import type { ClientSettings } from '../options.ts'

/** Told while a body arrives; byte counts only, since nothing of it has been verified yet. */
export type Progress = { receivedBytes: number; totalBytes: number | undefined }

// R33: nothing is sent that is not signed, and nothing is sent on to where a redirect points.
const RULES = { redirect: 'error', credentials: 'omit', referrerPolicy: 'no-referrer', cache: 'no-store' } as const

const REDIRECTED = { message: 'unexpected redirect' }

/** send makes one HTTP exchange up to the answer's head; rejects with ERR_NETWORK, or with the signal's reason. */
export async function send(
  { fetch }: ClientSettings,
  url: string,
  init: RequestInit,
  signal: AbortSignal
): Promise<Response> {
  try {
    const response = await fetch(url, { ...init, ...RULES, signal })
    // Redirects are errors already; both of these are for a fetch of the application's own.
    if (typeof response.headers.get !== 'function') throw new TypeError('no answer of this server')
    if (response.redirected) throw new TypeError('redirected', { cause: REDIRECTED })
    return response
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    // Node says what was wrong, a browser does not. The next try would be redirected as well.
    const { message } = ((cause as Error | undefined)?.cause ?? {}) as { message?: unknown }
    const redirect = { detail: 'the server redirected the request', retry: 'never' } as const
    throw new CountersignError('ERR_NETWORK', { cause, ...(message === REDIRECTED.message ? redirect : {}) })
  }
}

type HttpMessage = Pick<Response, 'body' | 'bodyUsed' | 'headers'>

/** discard drops a body nobody will read, so that its connection is free again. */
export function discard(response: HttpMessage): void {
  response.body?.cancel().catch(() => {})
}

/** unsignedAnswer makes the error for an answer without a signature; its cause tells the HTTP status, a hint and no more. */
export function unsignedAnswer(response: Response): CountersignError {
  discard(response)
  const { status } = response
  return new CountersignError('ERR_UNSIGNED_ANSWER', { cause: { status }, detail: `HTTP status ${status}` })
}

/** essence gives a response's media type without parameters, in lower case. */
export function essence({ headers }: Response): string {
  return (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

const joined = (chunks: readonly Uint8Array[], length: number): Bytes => {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

export type ReadLimits = {
  cap: number
  /** The error for a body over the cap. */
  tooLarge: ErrorCode
  signal: AbortSignal
  onProgress?: ((progress: Progress) => void) | undefined
}

const declaredLength = ({ headers }: HttpMessage): number | undefined => {
  const length = headers.get('content-length')
  // A declared length is that of the encoded bytes; the cap is for the decoded ones.
  return length === null || headers.has('content-encoding') ? undefined : Number(length)
}

/** readBody reads a body of at most `cap` bytes, counted after decoding; rejects with `tooLarge` or ERR_NETWORK. */
export async function readBody(response: HttpMessage, limits: ReadLimits): Promise<Bytes> {
  const { cap, tooLarge, signal, onProgress } = limits
  const totalBytes = declaredLength(response)
  if (totalBytes !== undefined && totalBytes > cap) {
    discard(response)
    throw new CountersignError(tooLarge)
  }
  if (response.bodyUsed || response.body?.locked)
    throw new CountersignError('ERR_NETWORK', { detail: 'the body was already read' })
  const reader = response.body?.getReader()
  if (!reader) return new Uint8Array(0)
  const cancel = (): void => {
    reader.cancel().catch(() => {})
  }
  // Where a fetch of the application's own ignores the signal.
  signal.addEventListener('abort', cancel)
  const chunks: Uint8Array[] = []
  let receivedBytes = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (signal.aborted) throw signal.reason
      if (done) return joined(chunks, receivedBytes)
      receivedBytes += value.length
      if (receivedBytes > cap) throw new CountersignError(tooLarge)
      chunks.push(value)
      onProgress?.({ receivedBytes, totalBytes })
    }
  } catch (cause) {
    cancel()
    if (signal.aborted) throw signal.reason
    throw cause instanceof CountersignError ? cause : new CountersignError('ERR_NETWORK', { cause })
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
