// SPDX-License-Identifier: MIT
// A thumbprint as a picture: two keys that differ look different.

const SVG = 'http://www.w3.org/2000/svg'
const SIDE = 7
const HALF = 4

const shape = (name, attributes) => {
  const node = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value)
  return node
}

/** bytesOf gives the 32 bytes of a thumbprint, which is written in base64url. */
export const bytesOf = (thumbprint) =>
  Uint8Array.from(atob(thumbprint.replaceAll('-', '+').replaceAll('_', '/')), (sign) => sign.charCodeAt(0))

/** identicon draws a hash of at least 32 bytes as a mirrored mosaic of two hues. */
export const identicon = (hash) => {
  const hues = [hash[28] * 1.4, hash[28] * 1.4 + 90 + (hash[29] % 150)]
  const svg = shape('svg', { viewBox: `0 0 ${SIDE} ${SIDE}`, 'shape-rendering': 'crispEdges', 'aria-hidden': 'true' })
  for (let cell = 0; cell < HALF * SIDE; cell += 1) {
    const [column, row] = [cell % HALF, Math.floor(cell / HALF)]
    if (hash[cell] < 96) continue
    const fill = `hsl(${hues[hash[cell] & 1]} 72% ${44 + (hash[cell] % 5) * 5}%)`
    for (const x of new Set([column, SIDE - 1 - column]))
      svg.append(shape('rect', { x, y: row, width: 1, height: 1, fill }))
  }
  return svg
}
