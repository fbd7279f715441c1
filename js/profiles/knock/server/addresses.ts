// SPDX-License-Identifier: MIT
// Addresses that a relay refuses, unless the operator lists the very address: this machine, private networks,
// multicast.

import { BlockList, isIP } from 'node:net'

const NETWORKS: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  // Multicast, reserved and broadcast.
  ['224.0.0.0', 3, 'ipv4'],
  // Everything outside 2000::/3, the only range that is assigned. The rest holds this machine, private networks,
  // multicast, and several spellings of IPv4 addresses.
  ['::', 3, 'ipv6'],
  ['4000::', 2, 'ipv6'],
  ['8000::', 1, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['3fff::', 20, 'ipv6']
]

// One list for each family: a shared list would match an IPv4 address against the networks of its IPv6 spelling too.
const forbidden = { ipv4: new BlockList(), ipv6: new BlockList() }
for (const [address, prefix, family] of NETWORKS) forbidden[family].addSubnet(address, prefix, family)

/** Returns whether an address is outside the public Internet. A text that is not an address is. */
export function isForbidden(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return true
  return family === 6 ? forbidden.ipv6.check(address, 'ipv6') : forbidden.ipv4.check(address, 'ipv4')
}
