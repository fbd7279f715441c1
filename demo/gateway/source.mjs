// SPDX-License-Identifier: MIT
// Where a request comes from: the peer of the socket, or the address a trusted proxy vouches for.
import { BlockList, isIP } from 'node:net'

const family = (address) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

// A dual-stack socket shows an IPv4 peer as ::ffff:192.0.2.1; both spellings are one source.
const plain = (address) => (address ?? '').replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

/** addressList returns `{ has(address) }` over addresses and networks, or `{ bad }` with the first text that is neither. */
export const addressList = (texts) => {
  const list = new BlockList()
  for (const text of texts) {
    const [address, prefix, ...rest] = text.split('/')
    const bits = isIP(address) === 6 ? 128 : 32
    if (!isIP(address) || rest.length > 0) return { bad: text }
    if (prefix === undefined) list.addAddress(address, family(address))
    else if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return { bad: text }
    else list.addSubnet(address, Number(prefix), family(address))
  }
  return { has: (address) => isIP(address) !== 0 && list.check(address, family(address)) }
}

/** isLoopbackAddress says whether an IP address, or the name localhost, is this machine only. */
export const isLoopbackAddress = (address) => {
  const text = plain(address).toLowerCase()
  return text === '::1' || text === 'localhost' || (isIP(text) === 4 && text.startsWith('127.'))
}

/**
 * sourceOf returns a function from a request to the address that the per-source limits count. `x-forwarded-for` is
 * read from the right, only when the peer is trusted, and only over trusted hops: what a client wrote itself never counts.
 */
export const sourceOf = (trusted) => (req) => {
  const peer = plain(req.socket.remoteAddress)
  if (!trusted.has(peer)) return peer
  const hops = (req.headers['x-forwarded-for'] ?? '').split(',').map((hop) => plain(hop.trim()))
  for (const hop of hops.reverse()) {
    if (!isIP(hop)) return peer
    if (!trusted.has(hop)) return hop
  }
  return peer
}

const hostName = (host) => {
  const [, bracketed, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(host) ?? []
  return (bracketed ?? name ?? '').toLowerCase()
}

/**
 * isLocalHost says whether a request names this machine, or one of `names`, as its host. A page whose own name was made to
 * stand for this machine's address names itself.
 */
export const isLocalHost = (req, names = []) => {
  // Two Host headers are two opinions.
  if ((req.headersDistinct.host ?? []).length !== 1) return false
  const name = hostName(req.headers.host)
  return isLoopbackAddress(name) || name.endsWith('.localhost') || (name !== '' && names.includes(name))
}
