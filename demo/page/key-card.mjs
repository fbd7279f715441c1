// SPDX-License-Identifier: MIT
// The key, as far as anybody can see it: its public half, where it lies, and the browser's refusal to hand it over.
import { byId, el, hexOf, printable } from './dom.mjs'
import { identicon } from './identicon.mjs'
import { readStored, tryExport } from './stored-key.mjs'

const fact = (name, value) => [el('dt', {}, name), el('dd', {}, value)]

const levelOf = async () => {
  const isPersisted = await navigator.storage?.persisted?.().catch(() => false)
  return isPersisted ? 'IndexedDB · persistent' : 'IndexedDB · best effort'
}

/** createKeyCard returns `{ show, hide, export }`; it reads the record itself, since the client never gives its key out. */
export const createKeyCard = ({ core, label }) => {
  const [root, portrait, facts, refusal, chip, empty] = [
    'scene-key',
    'portrait',
    'key-facts',
    'refusal',
    'chip-icon',
    'key-empty'
  ].map(byId)
  let key

  const hide = () => {
    key = undefined
    root.dataset.empty = 'yes'
    refusal.textContent = ''
    facts.replaceChildren()
    empty.textContent = 'No key yet. Sign in and one is made.'
    portrait.replaceChildren()
    chip.replaceChildren()
  }
  const show = async () => {
    const stored = await readStored(label)
    if (!stored) {
      hide()
      empty.textContent = 'This key lives in memory: it is gone with this page.'
      return
    }
    key = stored.key
    const thumbprint = core.sha256(stored.publicKey)
    root.dataset.empty = 'no'
    portrait.replaceChildren(identicon(thumbprint))
    chip.replaceChildren(identicon(thumbprint))
    facts.replaceChildren(
      ...fact('algorithm', [key.algorithm.name, key.algorithm.namedCurve].filter(Boolean).join(' ')),
      ...fact('extractable', String(key.extractable)),
      ...fact('usages', key.usages.join(', ')),
      ...fact('storage', await levelOf()),
      ...fact(
        'thumbprint',
        hexOf(thumbprint)
          .slice(0, 24)
          .replace(/(.{4})(?=.)/g, '$1 ')
      ),
      ...fact('session', printable(stored.sessionId ?? 'none'))
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
      if (key) refusal.replaceChildren(...(await tryExport(key)).map(wordsOf))
    }
  }
}
