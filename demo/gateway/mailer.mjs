// SPDX-License-Identifier: MIT
// How a code reaches its reader: by SMTP where SMTP_URL is set, into the outbox otherwise.

const enrolText = (label, { code }) =>
  `${code} is your code for ${label}. It is good for ten minutes.\n\nIf you did not ask for it, nothing has happened: ignore this mail.\n`

const rotateText = (label, { code, thumbprint }) =>
  `${code} gives your session of ${label} a new key. It is good for ten minutes.\n\nThe new key is\n${thumbprint}\nType the code only where you asked for it, and only if the page shows the same key.\nIf you did not ask for it, tell nobody this code, and end your sessions: somebody else is using one.\n`

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
    async send(mail) {
      const { email, code, purpose } = mail
      const text = (purpose === 'rotate' ? rotateText : enrolText)(label, mail)
      // An address object, never a header text: nothing in it can add a second recipient.
      const to = { name: '', address: email }
      await transport.sendMail({ from: mailFrom, to, subject: `${code} is your code`, text })
    },
    close: () => transport.close()
  }
}
