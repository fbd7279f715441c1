// SPDX-License-Identifier: MIT
// The gateway's settings: read from the environment once, checked before anything starts.
import { isIP } from 'node:net'
import { addressList, isLoopbackAddress } from './source.mjs'

const DAY_MS = 86_400_000

/** ConfigError is a setting that cannot be used; its message is the one line an operator reads. */
export class ConfigError extends Error {
  name = 'ConfigError'
}

const refuse = (name, rule, value) => {
  throw new ConfigError(`${name} must be ${rule}; it is ${JSON.stringify(value)}`)
}

const integer = (env, name, fallback, lowest, highest) => {
  const text = env[name]
  if (!text) return fallback
  const value = Number(text)
  if (!/^\d{1,15}$/.test(text) || value < lowest || value > highest) {
    refuse(name, `a whole number from ${lowest} to ${highest}`, text)
  }
  return value
}

const words = (text) => (text ?? '').split(/[\s,]+/).filter(Boolean)

const readHost = (text, variable = 'HOST') => {
  const host = text.replace(/^\[(.*)\]$/, '$1')
  if (!isIP(host) && !/^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host)) {
    refuse(variable, 'an address or a host name, without a scheme or a port', text)
  }
  return host
}

const readLabel = (text) => {
  if (!/^[a-z][a-z0-9.-]{0,31}$/.test(text)) refuse('LABEL', '1 to 32 of [a-z0-9.-], a letter first', text)
  return text
}

const readSmtpUrl = (text) => {
  if (!text) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  // The value may hold a password: it is never repeated.
  if (!url?.hostname || !/^smtps?:$/.test(url.protocol)) {
    throw new ConfigError('SMTP_URL must be smtp://[user:password@]host[:port] or smtps://…')
  }
  return text
}

const readStore = (text) => {
  if (text === 'lmdb' || text === 'memory') return { kind: text, shown: text }
  const url = URL.canParse(text) ? new URL(text) : undefined
  // As above: what may hold a password is not repeated.
  if (!url?.hostname || !/^rediss?:$/.test(url.protocol)) {
    throw new ConfigError('STORE must be lmdb, memory, redis://[[user]:password@]host[:port][/database] or rediss://…')
  }
  return { kind: 'redis', url: text, shown: `${url.protocol}//${url.host}${url.pathname}` }
}

const readSender = (text, smtpUrl) => {
  if (!text) return smtpUrl ? `countersign@${new URL(smtpUrl).hostname}` : undefined
  if (!/^[^\s<>@]+@[^\s<>@]+$/.test(text)) refuse('MAIL_FROM', 'an e-mail address', text)
  return text
}

const readTrustedProxies = (text) => {
  const list = addressList(words(text))
  if (list.bad !== undefined) refuse('TRUSTED_PROXY', 'a list of IP addresses or networks such as 10.0.0.0/8', list.bad)
  return list
}

const PAGELESS = /^(about|blob|data|file|ftp|javascript|wss?):$/

// An origin of any scheme that has pages. The documents beside the exchange compare it as it stands, so it is no pattern.
const isExactOrigin = (text) => {
  if (!URL.canParse(text)) return false
  const { protocol, host, hostname } = new URL(text)
  const name = hostname.replace(/^\[(.*)\]$/, '$1')
  const isSecure = protocol !== 'http:' || isLoopbackAddress(name) || name.endsWith('.localhost')
  return text === `${protocol}//${host}` && /^[\w.~:[\]-]+$/.test(host) && !PAGELESS.test(protocol) && isSecure
}

const readOrigins = (text) =>
  words(text).map((origin) => {
    if (!isExactOrigin(origin)) refuse('ORIGINS', 'a list of exact origins such as https://app.example', origin)
    return origin
  })

// Targets of the knock relay. An address that is written here may be a private one: it is the operator who wrote it.
const readKnockTargets = (text) =>
  Object.fromEntries(
    words(text).map((entry) => {
      const [, id, bracketed, plain, port] =
        /^([A-Za-z0-9_-]{1,64})=(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(entry) ?? []
      const host = bracketed ?? plain
      if (!host || Number(port) < 1 || Number(port) > 65_535) refuse('KNOCK_TARGETS', 'a list of id=host:port', entry)
      return [id, { host, port: Number(port), allowPrivate: isIP(host) !== 0 }]
    })
  )

/** readConfig returns the checked settings, or throws a ConfigError that names the variable and what it has to be. */
export const readConfig = (env) => {
  const smtpUrl = readSmtpUrl(env.SMTP_URL)
  return {
    host: readHost(env.HOST || '127.0.0.1'),
    port: integer(env, 'PORT', 8787, 0, 65_535),
    dataDir: env.DATA_DIR || './data',
    store: readStore(env.STORE || 'lmdb'),
    label: readLabel(env.LABEL || 'demo'),
    window: {
      pastMs: integer(env, 'PAST_MS', 60_000, 1, DAY_MS),
      futureMs: integer(env, 'FUTURE_MS', 10_000, 1, DAY_MS)
    },
    rates: {
      perSource: integer(env, 'SOURCE_RATE', 2000, 1, 1_000_000),
      perSession: integer(env, 'SESSION_RATE', 2000, 1, 1_000_000)
    },
    statsPhase: integer(env, 'STATS_PHASE', 2, 1, 4),
    smtpUrl,
    mailFrom: readSender(env.MAIL_FROM, smtpUrl),
    mailsPerHour: integer(env, 'MAILS_PER_HOUR', 5000, 1, 1_000_000),
    trustedProxies: readTrustedProxies(env.TRUSTED_PROXY),
    origins: readOrigins(env.ORIGINS),
    knockTargets: readKnockTargets(env.KNOCK_TARGETS),
    metricsHosts: words(env.METRICS_HOSTS).map((name) => readHost(name, 'METRICS_HOSTS').toLowerCase())
  }
}
