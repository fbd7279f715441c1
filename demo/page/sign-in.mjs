// SPDX-License-Identifier: MIT
// Signing in with an e-mail code. On loopback the gateway's outbox shows the code, and the page says where it has it from.
import { byId } from './dom.mjs'
import { readCode } from './gateway.mjs'
import { complain, setState } from './screen.mjs'
import { enroll } from './session.mjs'
import { keepAddress } from './visitor-address.mjs'

/** visitor makes up an address. */
export const visitor = () => `visitor-${1000 + (crypto.getRandomValues(new Uint16Array(1))[0] % 9000)}@example.org`

/**
 * createSignIn returns `{ open, close, press }` over the two small forms; `onDone` runs once the session stands. `press`
 * does what the reader's next press would do, and says whether there was one to do.
 */
export const createSignIn = (session, { onDone }) => {
  const [ask, confirm, email, code, hint] = ['sign-in', 'confirm', 'email', 'code', 'code-hint'].map(byId)
  let give

  const open = () => {
    ask.hidden = false
    confirm.hidden = true
    if (email.value === '') email.value = visitor()
  }
  const close = () => {
    ask.hidden = true
    confirm.hidden = true
  }
  const askCode = async (challengeId) => {
    const known = await readCode(email.value, challengeId)
    code.value = known ?? ''
    hint.textContent = known ? 'shown by the loopback /dev/outbox' : 'the code is in your mail'
    ask.hidden = true
    confirm.hidden = false
    setState('code')
    byId(known ? 'enter' : 'code').focus()
    return new Promise((resolve) => {
      give = resolve
    })
  }

  ask.addEventListener('submit', async (event) => {
    event.preventDefault()
    complain()
    setState('busy')
    try {
      await enroll(session, email.value, askCode)
      keepAddress(email.value)
      close()
      onDone()
    } catch (error) {
      open()
      setState('signed-out')
      complain(error)
    }
  })
  confirm.addEventListener('submit', (event) => {
    event.preventDefault()
    setState('busy')
    give?.(code.value.trim())
  })
  const press = () => {
    const form = [ask, confirm].find(({ hidden }) => !hidden)
    if (!form?.checkValidity()) return false
    form.requestSubmit()
    return true
  }
  return { open, close, press }
}
