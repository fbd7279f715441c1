// SPDX-License-Identifier: MIT
// The server's keys in DATA_DIR, and the steps that change them (PROTOCOL.md, R128 and R129). What a file is called says what
// its key is for; each step is one rename, link or removal that counts, and whatever is left behind where one is cut short
// is a state the gateway works in.
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { serverKeyFile } from 'countersign/server'

/** What signs; what is announced to follow it; what clients still have in their configuration; what `cs.keys` answers. */
export const FILES = { key: 'server.key', next: 'server.next.key', old: 'server.old.key', set: 'server.keys.json' }

const isThere = (error) => error.code === 'EEXIST'

const readSet = (path) => {
  if (!existsSync(path)) return { serial: 0, keys: [] }
  try {
    const { serial, keys } = JSON.parse(readFileSync(path, 'utf8'))
    return {
      serial,
      keys: keys.map(({ publicKey, ...key }) => ({ ...key, publicKey: Buffer.from(publicKey, 'base64') }))
    }
  } catch (cause) {
    throw new Error(`${path} is not the file that rotate-key wrote: restore it`, { cause })
  }
}

/**
 * readRing reads the keys of a folder, and makes the first one: `signer` signs, `keySigner` signs `cs.keys` and enrolments,
 * `next` is announced, `previous` is on its way out, `set` is what `cs.keys` answers.
 */
export const readRing = (folder) => {
  const optional = (name) => (existsSync(join(folder, name)) ? serverKeyFile(join(folder, name)) : undefined)
  const signer = serverKeyFile(join(folder, FILES.key))
  const [next, old] = [optional(FILES.next), optional(FILES.old)]
  // A switch that was cut short has given the key its second name and not yet put the next one in its place.
  const previous = old && old.keyId !== signer.keyId ? old : undefined
  return { signer, keySigner: previous ?? signer, next, previous, set: readSet(join(folder, FILES.set)) }
}

/** trusted lists the keys that a client should be configured with, the one it needs first. */
export const trusted = ({ signer, previous, next }) => [previous, signer, next].filter(Boolean)

const syncFolder = (folder) => {
  // Windows opens no folders.
  if (process.platform === 'win32') return
  const file = openSync(folder, 'r')
  fsyncSync(file)
  closeSync(file)
}

const writeSet = (folder, { serial, keys }) => {
  const path = join(folder, FILES.set)
  const aside = `${path}.${process.pid}`
  const text = JSON.stringify(
    { serial, keys: keys.map((key) => ({ ...key, publicKey: Buffer.from(key.publicKey).toString('base64') })) },
    undefined,
    2
  )
  const file = openSync(aside, 'w', 0o600)
  try {
    writeFileSync(file, `${text}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(aside, path)
  syncFolder(folder)
}

const delivered = ({ keyId, publicKey }, { notBefore, notAfter }) => ({
  id: keyId,
  publicKey,
  ...(notBefore === undefined ? {} : { notBefore }),
  notAfter
})

/** announce makes the next key where there is none and delivers it. */
export const announce = (folder, { set }, dates) => {
  const next = serverKeyFile(join(folder, FILES.next))
  syncFolder(folder)
  writeSet(folder, { serial: set.serial + 1, keys: [delivered(next, dates)] })
}

/** switchKeys puts the next key in the place of the present one, which keeps its second name until it is retired. */
export const switchKeys = (folder) => {
  try {
    linkSync(join(folder, FILES.key), join(folder, FILES.old))
  } catch (error) {
    if (!isThere(error)) throw error
  }
  syncFolder(folder)
  renameSync(join(folder, FILES.next), join(folder, FILES.key))
  syncFolder(folder)
}

/** renew delivers the key that clients learn once more, with a later end. */
export const renew = (folder, { set, next, signer }, { notAfter }) => {
  const { keyId } = next ?? signer
  const known = set.keys.find(({ id }) => id === keyId)
  writeSet(folder, { serial: set.serial + 1, keys: [delivered(next ?? signer, { ...known, notAfter })] })
}

/** retire removes the old key for good, then the set that nobody could verify any more. */
export const retire = (folder, { set }) => {
  unlinkSync(join(folder, FILES.old))
  syncFolder(folder)
  writeSet(folder, { serial: set.serial + 1, keys: [] })
}
