// SPDX-License-Identifier: MIT
// The layers of the C++ core: a file includes lower layers alone.
import { posix } from 'node:path'

/** From the ground up. `*` stands for src and include/countersign; a name that ends in `/` is a folder. */
const layers = [
  ['include/countersign/errors.def'],
  ['include/countersign/protocol.hpp'],
  ['include/countersign/error.hpp'],
  ['include/countersign/result.hpp'],
  ['*/bytes'],
  ['*/stack'],
  ['*/sha256', '*/ed25519', '*/clock', '*/event_place', '*/marker', '*/frame'],
  ['*/table'],
  ['*/client_clock', '*/replay', '*/request', '*/enrollment', '*/rsa', '*/knock'],
  ['*/response', '*/judge'],
  // Above responses: the server signs both, and one check of its signature serves both.
  ['*/event'],
  ['*/json/text', '*/json/number'],
  ['*/json/document'],
  ['*/json/canonical'],
  ['*/json/stats_event', '*/json/action_proof'],
  ['wasm/'],
  ['tests/native/', 'tests/fuzz/', 'examples/']
]

const layerOf = (path) => {
  const stem = path.replace(/^(src|include\/countersign)\//, '*/').replace(/\.[ch]pp$/, '')
  return layers.findIndex((names) =>
    names.some((name) => name === path || name === stem || (name.endsWith('/') && path.startsWith(name)))
  )
}

/** Says why a C++ file may not include a target; undefined when it may. */
export function nativeProblem(path, target) {
  if (!target.startsWith('include/')) return undefined
  const [own, other] = [layerOf(path), layerOf(target)]
  if (own < 0 || other < 0) return `${own < 0 ? path : target} is in no layer; add it to tools/lint/layers-native.mjs`
  const isOwnHeader =
    layers[own].some((name) => name.startsWith('*/')) &&
    target.endsWith(`/${posix.basename(path).replace(/\.cpp$/, '.hpp')}`)
  const isBeside = other === own && !isOwnHeader && own < layers.length - 2
  return other > own || isBeside ? `may not include ${target}; only lower layers` : undefined
}
