// SPDX-License-Identifier: MIT
// Mail that nobody sends: the codes of a gateway on this machine, kept for GET /dev/outbox.

const KEPT_MS = 10 * 60_000

/** createOutbox keeps the latest codes per address in memory, a bounded number of them for ten minutes. */
export const createOutbox = ({ now = Date.now, addresses = 1000, perAddress = 20 } = {}) => {
  const byEmail = new Map()
  return {
    /** put adds a mail and drops the oldest address when there are too many. */
    put({ email, challengeId, code, thumbprint }) {
      const mails = byEmail.get(email) ?? []
      byEmail.delete(email)
      byEmail.set(email, [...mails, { challengeId, code, thumbprint, sentMs: now() }].slice(-perAddress))
      if (byEmail.size > addresses) byEmail.delete(byEmail.keys().next().value)
    },
    /** of lists the mails to one address, the oldest first, in the shape of the endpoint. */
    of(email) {
      const since = now() - KEPT_MS
      const mails = (byEmail.get(email) ?? []).filter((mail) => mail.sentMs >= since)
      return mails.map(({ challengeId, code, thumbprint, sentMs }) => ({
        challenge_id: challengeId,
        code,
        ...(thumbprint && { thumbprint }),
        sent_ms: sentMs
      }))
    }
  }
}
