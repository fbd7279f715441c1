// SPDX-License-Identifier: MIT
// Elements without markup strings: the page runs under Trusted Types.

/** el makes an element; `dataset` is an object, `on…` names are listeners, `true` is a bare attribute, `false` and undefined none. */
export const el = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    if (name === 'dataset') Object.assign(node.dataset, value)
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value)
    else node.setAttribute(name, value === true ? '' : value)
  }
  node.append(...children)
  return node
}

/** byId returns an element of index.html. */
export const byId = (id) => document.getElementById(id)

/** printable escapes what lies outside 0x20..0x7E: a message's text never reaches the screen raw. */
export const printable = (text) => text.replace(/[^\x20-\x7e]/gu, (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`)

/** hexOf writes bytes as lower-case hexadecimal. */
export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
