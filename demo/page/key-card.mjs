// SPDX-License-Identifier: MIT
// The key, as far as anybody can see it: its public half, where it lies, and the browser's refusal to hand it over.
import { byId, el, printable } from './dom.mjs'
import { bytesOf, identicon } from './identicon.mjs'
import { readStored, tryExport } from './stored-key.mjs'

const fact = (name, value) => [el('dt', {}, name), el('dd', {}, value)]

const levelOf = async ({ storage }) => {
  if (storage === 'memory') return 'memory · gone with this page'
  const isPersisted = await navigator.storage?.persisted?.().catch(() => false)
  return isPersisted ? 'IndexedDB · persistent' : 'IndexedDB · best effort'
}

// Why the key is of no better kind, where the browser could not make or keep one.
const reasonsOf = ({ reason }) => Object.entries(reason).flatMap(([rung, code]) => fact(`no ${rung}`, code))

/** createKeyCard returns `{ show, hide, export }`; it reads the record itself, since the client never gives its key out. */
export const createKeyCard = ({ client, label }) => {
  const [root, portrait, facts, refusal, chip] = ['scene-key', 'portrait', 'key-facts', 'refusal', 'chip-icon'].map(
    byId
  )
  let stored

  const hide = () => {
    stored = undefined
    root.dataset.empty = 'yes'
    for (const node of [refusal, facts, portrait, chip]) node.replaceChildren()
  }
  const show = async () => {
    const { key } = client
    const hash = bytesOf(key.thumbprint)
    stored = await readStored(label)
    root.dataset.empty = 'no'
    portrait.replaceChildren(identicon(hash))
    chip.replaceChildren(identicon(hash))
    facts.replaceChildren(
      ...fact('algorithm', { ed25519: 'Ed25519', es256: 'ECDSA P-256' }[key.algorithm]),
      ...(stored ? fact('extractable', String(stored.key.extractable)) : []),
      ...(stored ? fact('usages', stored.key.usages.join(', ')) : []),
      ...fact('storage', await levelOf(key)),
      ...reasonsOf(key),
      ...fact('thumbprint', key.thumbprint),
      ...fact('session', printable(client.sessionId))
    )
  }
  const wordsOf = ({ format, exported, name, message }) =>
    el(
      'span',
      { dataset: { refused: String(!exported) } },
      el('code', {}, `exportKey('${format}')`),
      ' ',
      el('q', {}, exported ? 'the browser gave it out' : `${name}: ${message}`)
    )
  return {
    show,
    hide,
    async export() {
      refusal.textContent = ''
      if (stored) refusal.replaceChildren(...(await tryExport(stored.key)).map(wordsOf))
      else refusal.textContent = 'A key in memory is out of reach for any script but the client.'
    }
  }
}
