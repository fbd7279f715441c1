// SPDX-License-Identifier: MIT
// The tabs of this browser, each with a client of its own over the one key: who holds the stream, and who hears what.
import { byId, el } from './dom.mjs'
import { restartGateway } from './gateway.mjs'
import { pause } from './motion.mjs'
import { writePlace } from './permalink.mjs'
import { complain } from './screen.mjs'
import { createStream } from './stream.mjs'
import { createMember } from './tab-member.mjs'

const WINDOW = 'popup,width=520,height=780'
const PATIENCE_MS = 20_000
const SEEN_MS = 1500

const ownNumber = Number(new URLSearchParams(location.search).get('tab') ?? 1)

const cardOf = ({ id, name, state, role, connection, sequence, fellMs }, isOwn) =>
  el(
    'li',
    { dataset: { tab: id, role, state, connection, own: isOwn ? 'yes' : 'no' } },
    el('i', {
      class: 'crown',
      role: 'img',
      'aria-label': role === 'leader' ? 'holds the stream' : 'does not hold the stream'
    }),
    el('b', {}, isOwn ? `${name} · this one` : name),
    el('span', {}, fellMs === undefined ? state : `${state} after ${fellMs} ms`),
    el('small', {}, role === 'none' ? 'no stream' : `${role} · ${connection}`),
    el('small', {}, sequence === undefined ? 'no event yet' : `event #${sequence}`)
  )

const until = async (check) => {
  for (const end = performance.now() + PATIENCE_MS; !check() && performance.now() < end; ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return check()
}

/** createTabs returns `{ visit, setReady, showHandOver }`; every card is what that tab has said of its own client. */
export const createTabs = (session) => {
  const { client, stream, another } = session
  let own
  let isReady = false

  const leader = () => own.all().find(({ role }) => role === 'leader')
  const draw = () => {
    if (!own) return
    const all = own.all()
    byId('tab-list').replaceChildren(...all.map((member) => cardOf(member, member.id === own.id)))
    byId('tab-close').textContent = leader()?.id === own.id ? 'Step down' : 'Close the leader'
    byId('tab-close').disabled = all.length < 2 || !leader()
    for (const id of ['tab-open', 'tab-revoke', 'tab-restart']) byId(id).disabled = !isReady
  }
  const note = (words) => {
    byId('tab-note').textContent = words
  }
  // A tab that no script opened may not be closed by one: its client closes all the same.
  const closeOwn = async () => {
    window.close()
    own.leave()
    await client.close()
    note('closed: this tab may go')
  }
  own = createMember({ ...session, name: `tab ${ownNumber}`, onChange: draw, onClose: closeOwn })

  const openTab = () => {
    stream.open()
    const numbers = own.all().map(({ name }) => Number(name.split(' ')[1]) || 1)
    const { search } = new URL(location.href)
    const query = new URLSearchParams(search)
    query.set('tab', String(Math.max(...numbers) + 1))
    return window.open(`/?${query}#tabs`, '_blank', WINDOW)
  }
  const stepDown = async () => {
    await stream.close()
    await until(() => leader() !== undefined)
    stream.open()
  }
  const closeLeader = () => {
    const leading = leader()
    return leading.id === own.id ? stepDown() : own.askToClose(leading.id)
  }
  const revoke = async () => {
    await stream.live()
    own.revoking()
    // By the gateway alone: this client is not told by its own request, but by its stream, as every tab is.
    await client.fetch(`/api/v1/sessions/${client.sessionId}/revoke`, { method: 'POST' })
  }
  const addPeer = async () => {
    const peer = await another()
    if (peer.state !== 'ready') throw new Error('a key in memory is one client’s alone')
    const ear = createStream({ client: peer })
    const end = async () => {
      member.leave()
      await peer.close()
    }
    const options = { ...session, client: peer, stream: ear, name: 'a client beside it' }
    const member = createMember({ ...options, onChange: draw, onClose: end })
    ear.open()
    return { id: member.id, end }
  }
  const restart = async () => {
    await stream.live()
    const startedMs = performance.now()
    if (!(await restartGateway())) return note('restarting is for loopback only')
    note('the gateway is going down')
    await until(() => client.connection.state !== 'live')
    const isBack = await until(() => client.connection.state === 'live')
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    return note(isBack ? `restarted, live again after ${seconds} s, still ${client.state}` : 'not live again yet')
  }
  const bind = (id, work) =>
    byId(id).addEventListener('click', async () => {
      writePlace('tabs')
      complain()
      note('')
      try {
        await work()
      } catch (error) {
        complain(error)
      }
    })
  bind('tab-open', openTab)
  bind('tab-close', closeLeader)
  bind('tab-revoke', revoke)
  bind('tab-restart', restart)

  return {
    setReady(nextReady) {
      isReady = nextReady
      draw()
    },
    visit: () => stream.live(),
    /**
     * showHandOver starts one more client in this page, which shares the stream as a tab would, and lets it lead; `end` of
     * what it resolves to closes that client.
     */
    async showHandOver() {
      await stream.live()
      const { id, end } = await addPeer()
      await until(() => own.all().find((member) => member.id === id)?.role === 'follower')
      await pause(SEEN_MS)
      // Where another tab leads, it is nobody's to take the stream from it.
      if (leader()?.id === own.id) await stepDown()
      const isLed = await until(() => leader()?.id === id && leader().connection === 'live')
      await until(() => client.connection.role === 'follower' && client.connection.state === 'live')
      const words = own.all().map(({ name, role }) => `${name}: ${role}`)
      return { words: words.join(' · '), isRefused: !isLed, end }
    }
  }
}
