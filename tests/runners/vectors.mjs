// SPDX-License-Identifier: MIT
// Which vectors the suites have read, so that none is left to the native tests alone.

import { readdir, readFile } from 'node:fs/promises'
import { root } from './suites.mjs'

const folder = `${root}tests/vectors/`
// ES256 is verified by the host, never by the core: tests/server has them.
const HOSTS = 'wycheproof/ecdsa_secp256r1_sha256_p1363_test.json'

/** partsOf names what a file is made of: the members of an object, or the file as a whole. */
const partsOf = (name, value) => {
  const isObject = typeof value === 'object' && !Array.isArray(value)
  return isObject ? Object.keys(value).map((part) => `${name}: ${part}`) : [name]
}

// What only says where the vectors are from.
const isRemark = (part) =>
  /: (about|algorithm|generatorVersion|header|notes|schema|source|format|provenance|numberOfTests)$/.test(part)

const fileOf = async (name) => {
  const text = await readFile(folder + name, 'utf8')
  return name.endsWith('.json') && !name.startsWith('jcs/') ? JSON.parse(text) : text
}

/** readingsOf watches a reader of vectors: `vectors` reads the same, `unread()` lists what no reader has asked for. */
export const readingsOf = (read) => {
  const seen = new Set()
  const vectors = async (name, as) => {
    const value = await read(name, as)
    if (typeof value !== 'object' || Array.isArray(value)) {
      seen.add(name)
      return value
    }
    const get = (target, part) => {
      seen.add(`${name}: ${String(part)}`)
      return target[part]
    }
    return new Proxy(value, { get })
  }
  const unread = async () => {
    const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(json|rsp)$/.test(name))
    const parts = []
    for (const name of names.sort()) if (name !== HOSTS) parts.push(...partsOf(name, await fileOf(name)))
    return parts.filter((part) => !seen.has(part) && !isRemark(part))
  }
  return { vectors, unread }
}
