// SPDX-License-Identifier: MIT
// Creates keys of a server, a StatsCode device, a knock or action secrets. A key file has mode 0600 and is never
// overwritten.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { serverKeyFile } from '../server/server-key.ts'
import type { ServerSigner } from '../server/types.ts'
import { CliError } from './input.ts'

export const KEY_KINDS = ['server', 'stats', 'knock', 'action'] as const
export type KeyKind = (typeof KEY_KINDS)[number]

const contents: { readonly [Kind in Exclude<KeyKind, 'server'>]: () => string | Buffer } = {
  stats: () => `${randomBytes(32).toString('hex')}\n`,
  knock: () => `${randomBytes(32).toString('hex')}\n`,
  action: () => randomBytes(32)
}

/** Returns the line of a client's options that trusts this key, ready to paste. */
export function keyLine({ keyId, publicKey }: Pick<ServerSigner, 'keyId' | 'publicKey'>): string {
  return `serverKeys: [{ id: '${keyId}', publicKey: '${Buffer.from(publicKey).toString('base64')}' }]`
}

async function writeNew(path: string, content: string | Buffer): Promise<void> {
  let file: Awaited<ReturnType<typeof open>>
  try {
    file = await open(path, 'wx', 0o600)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(
      code === 'EEXIST' ? `${path} exists; keygen never overwrites a key` : `cannot write ${path} (${code})`
    )
  }
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * Creates a key file. Resolves to lines about its public part.
 * Rejects with a CliError when the file exists or cannot be written.
 */
export async function keygen(kind: string, path: string): Promise<string> {
  if (kind === 'server') {
    if (existsSync(path)) throw new CliError(`${path} exists; keygen never overwrites a key`)
    return `${keyLine(await serverKeyFile(path))}\n`
  }
  if (!Object.hasOwn(contents, kind)) throw new CliError(`keygen can make ${KEY_KINDS.join(', ')}, not ${kind}`)
  await writeNew(path, contents[kind as 'stats']())
  return `${path} holds the secret key; it has no public part\n`
}
