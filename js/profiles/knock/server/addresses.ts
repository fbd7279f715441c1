// SPDX-License-Identifier: MIT
// Addresses a relay never sends to, unless the operator says so by the very address: this machine, its neighbours, everybody.

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
  ['::', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 9, 'ipv6'],
  ['ff00::', 8, 'ipv6']
]

const forbidden = new BlockList()
for (const [address, prefix, family] of NETWORKS) forbidden.addSubnet(address, prefix, family)

/** isForbidden tells whether an address belongs to a network that is not the public Internet; what is no address does. */
export const isForbidden = (address: string): boolean => {
  const family = isIP(address)
  // ::ffff:127.0.0.1 is 127.0.0.1; BlockList judges it by the rules for IPv4.
  return family === 0 || forbidden.check(address, family === 6 ? 'ipv6' : 'ipv4')
}
