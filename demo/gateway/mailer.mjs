// SPDX-License-Identifier: MIT
// How a code reaches its reader: by SMTP where SMTP_URL is set, into the outbox otherwise.

const text = (label, code) =>
  `${code} is your code for ${label}. It is good for ten minutes.\n\nIf you did not ask for it, nothing has happened: ignore this mail.\n`

/** createMailer returns the function the enrolment calls; nodemailer is loaded only where there is a server to talk to. */
export const createMailer = async ({ smtpUrl, mailFrom, label }, outbox) => {
  if (!smtpUrl) return { send: async (mail) => outbox.put(mail), close() {} }
  const { createTransport } = await import('nodemailer')
  const transport = createTransport(smtpUrl, {
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 20_000
  })
  return {
    async send({ email, code }) {
      // An address object, never a header text: nothing in it can add a second recipient.
      const to = { name: '', address: email }
      await transport.sendMail({ from: mailFrom, to, subject: `${code} is your code`, text: text(label, code) })
    },
    close: () => transport.close()
  }
}
