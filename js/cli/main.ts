#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// The command `countersign`: inspects and verifies messages, explains why two differ, creates keys, sends knocks, and starts
// a gateway for development.

import { readFile } from 'node:fs/promises'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { refusalOf } from '../client/transport/refusals.ts'
import { CountersignError } from '../common/errors.ts'
import { tryDecodeText } from '../common/text.ts'
import { loadCore } from '../core/index.ts'
import { explain, explainKey } from '../explain/index.ts'
import { errorTable } from '../generated/errors.ts'
import { importKnockKey } from '../profiles/knock/keys.ts'
import { sendKnock } from '../profiles/knock/node/send.ts'
import { randomChallenge } from '../profiles/knock/relay.ts'
import type { KnockVersion } from '../profiles/knock/types.ts'
import { startDevGateway } from './gateway.ts'
import { init } from './init.ts'
import { CliError, hexOf, lineOf, printable, readSource, spellings } from './input.ts'
import { inspect, show } from './inspect.ts'
import { keygen } from './keygen.ts'
import { verify } from './verify.ts'

const USAGE = `countersign inspect INPUT              shows the fields of a message; verifies nothing
countersign verify INPUT KEY           verifies a message; exit code 0 if it verifies, 1 if not
    frames --public-key BASE64 · stats events --device-key FILE [--mode strict|covered|compatible]
    action proofs --secret FILE [--mode slices|excise] [--now MS] · knock packets --knock-key FILE [--now MS]
countersign explain SIGNED RECEIVED    shows the first field and byte that differ, and the likely cause
countersign explain CODE               prints the page of an error (ERR_STALE) or a refusal (cs.stale)
countersign explain --secret FILE --tag HEX MESSAGE    finds the reading of the key's text that made the tag
countersign keygen server|stats|knock|action FILE
countersign knock --host HOST --port PORT --user ID --action ID --key FILE --server-key FILE
    [--payload TEXT] [--protocol 1|2|3|4] [--reply-key FILE]
countersign init DIR                   writes a small project: a page with Vite, and its gateway
countersign gateway --dev              starts a gateway on this machine, for a frontend without a server
    [--port 8787] [--label dev] [--data .countersign] [--host 127.0.0.1]

INPUT is a file, - for standard input, or the text itself; hex, base64 and lines of an event stream are decoded.
`

function parse<const Options extends NonNullable<ParseArgsConfig['options']>>(args: string[], options: Options) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    // Node adds advice about positional arguments. Its first sentence names the mistake.
    throw new CliError(`${(error as Error).message.split('. ', 1)[0]}; see countersign --help`)
  }
}

const text = { type: 'string' } as const

function onlyInput(positionals: string[], command: string): string {
  const [first] = positionals
  if (first === undefined || positionals.length > 1)
    throw new CliError(`${command} needs one INPUT; see countersign --help`)
  return first
}

type Command = (args: string[]) => Promise<number>

function write(value: string): void {
  process.stdout.write(value)
}

/** Inspects an input. A mistyped file name counts as the message itself, so the error then mentions the name. */
async function inspectSource(input: string) {
  const bytes = await readSource(input)
  try {
    return await inspect(bytes)
  } catch (error) {
    if (!(error instanceof CliError) || input === '-' || tryDecodeText(bytes) !== input) throw error
    throw new CliError(`${error.message}, and no file has this name`)
  }
}

const runInspect: Command = async (args) => {
  const { positionals } = parse(args, {})
  write(show(await inspectSource(onlyInput(positionals, 'inspect'))))
  return 0
}

const KEY_OPTIONS = { 'public-key': text, 'device-key': text, secret: text, 'knock-key': text, mode: text, now: text }

const runVerify: Command = async (args) => {
  const { positionals, values } = parse(args, KEY_OPTIONS)
  const found = await inspectSource(onlyInput(positionals, 'verify'))
  const { ok, reason } = await verify(found, values)
  write(ok ? `${found.kind}: verified\n` : `${found.kind}: REFUSED${reason === undefined ? '' : `, ${reason}`}\n`)
  return ok ? 0 : 1
}

function around(bytes: Uint8Array, offset: number): string {
  const part = bytes.subarray(Math.max(0, offset - 16), offset + 16)
  const shown = tryDecodeText(part)
  return `${hexOf(part)}${shown === undefined ? '' : `  ${printable(shown)}`}`
}

async function explainTag(message: string, secretFile: string, tag: string): Promise<number> {
  const core = await loadCore()
  const bytes = await readSource(message)
  const secret = new TextDecoder().decode(
    await readFile(secretFile).catch(() => Promise.reject(new CliError(`cannot read ${secretFile}`)))
  )
  if (!/^[0-9a-fA-F]{64}$/.test(tag)) throw new CliError('--tag must be 64 hex digits')
  const cause = await explainKey(secret, new Uint8Array(Buffer.from(tag, 'hex')), (key) => core.hmacSha256(key, bytes))
  write(
    cause ? `${cause.name}: ${cause.text}\n` : 'only the text itself makes this tag, or no reading of the key does\n'
  )
  return cause ? 0 : 1
}

/** Explains an error code or a result code, with its page. Resolves to false when the code is unknown. */
async function explainCode(code: string): Promise<boolean> {
  const name = code.startsWith('cs.') ? refusalOf(code, new Uint8Array(0)).code : code
  if (!Object.hasOwn(errorTable, name)) return false
  const { stage, retry, message } = new CountersignError(name as keyof typeof errorTable)
  const again = {
    never: 'do not repeat it unchanged',
    after: 'repeat it after the given time',
    safe: 'it may be repeated'
  }
  write(`${code}: ${message}\n  check: ${stage ?? 'none'}\n  again: ${again[retry]}\n\n`)
  write(await readFile(new URL(`../../docs/errors/${name}.md`, import.meta.url), 'utf8'))
  return true
}

const runExplain: Command = async (args) => {
  const { positionals, values } = parse(args, { secret: text, tag: text })
  if (values.secret !== undefined && values.tag !== undefined) {
    return explainTag(onlyInput(positionals, 'explain --secret --tag'), values.secret, values.tag)
  }
  const [left, right] = positionals
  if (left !== undefined && right === undefined && (await explainCode(left))) return 0
  if (left === undefined || right === undefined || positionals.length > 2)
    throw new CliError('explain needs SIGNED and RECEIVED')
  const core = await loadCore()
  const isFrame = (bytes: Uint8Array): boolean => bytes[0] === 0x43 && bytes[1] === 0x53 && bytes[2] === 1
  const [signed, received] = (await Promise.all([left, right].map(readSource))).map(
    (bytes) => spellings(bytes).find(isFrame) ?? bytes
  ) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>]
  const { isSame, part, offset = 0, cause, left: signedPart, right: receivedPart } = explain(core, signed, received)
  if (isSame) {
    write('the same\n')
    return 0
  }
  write(`differs in ${part}, byte ${offset}\n`)
  write(`  signed    ${around(signedPart as Uint8Array, offset)}\n`)
  write(`  received  ${around(receivedPart as Uint8Array, offset)}\n`)
  write(cause ? `likely cause: ${cause.name}: ${cause.text}\n` : 'no known cause: other bytes\n')
  return 1
}

const runKeygen: Command = async (args) => {
  const { positionals } = parse(args, {})
  const [kind, path] = positionals
  if (kind === undefined || path === undefined || positionals.length > 2)
    throw new CliError('keygen needs a kind and a FILE')
  write(await keygen(kind, path))
  return 0
}

function numberOf(value: string | undefined, name: string): number {
  if (value === undefined || !/^\d{1,10}$/.test(value)) throw new CliError(`--${name} must be a number`)
  return Number(value)
}

const KNOCK_OPTIONS = {
  host: text,
  port: text,
  user: text,
  action: text,
  key: text,
  'server-key': text,
  payload: text,
  protocol: text,
  'reply-key': text
}

const runKnock: Command = async (args) => {
  const { values } = parse(args, KNOCK_OPTIONS)
  const { host, key, 'server-key': serverKey, 'reply-key': replyKey, payload = '' } = values
  if (host === undefined || key === undefined || serverKey === undefined)
    throw new CliError('knock needs --host, --key and --server-key')
  const fields = {
    version: numberOf(values.protocol ?? '1', 'protocol') as KnockVersion,
    timestamp: Math.floor(Date.now() / 1000),
    userId: numberOf(values.user, 'user'),
    actionId: numberOf(values.action, 'action'),
    challenge: randomChallenge(),
    payload
  }
  const reply = await sendKnock(fields, {
    host,
    port: numberOf(values.port, 'port'),
    key: await importKnockKey(await readFile(key)),
    serverPublicKeyPem: await readFile(serverKey, 'utf8'),
    ...(replyKey === undefined ? {} : { userPrivateKeyPem: await readFile(replyKey, 'utf8') })
  })
  if (replyKey === undefined) write('sent; without --reply-key no reply can be read\n')
  else write(reply ? `status ${reply.status}: ${printable(reply.text)}\n` : 'sent; no reply: refused, or lost\n')
  return reply?.status === 2 ? 1 : 0
}

const runInit: Command = async (args) => {
  const [folder, ...others] = parse(args, {}).positionals
  if (folder === undefined || others.length > 0) throw new CliError('init needs one DIR; see countersign --help')
  write(await init(folder))
  return 0
}

const GATEWAY_OPTIONS = { dev: { type: 'boolean' }, host: text, port: text, label: text, data: text } as const

const runGateway: Command = async (args) => {
  const { positionals, values } = parse(args, GATEWAY_OPTIONS)
  if (positionals.length > 0 || values.dev !== true)
    throw new CliError(
      'gateway needs --dev, and nothing else is there: createGateway of countersign/server makes the real one'
    )
  const { host = '127.0.0.1', port = '8787', label = 'dev', data = '.countersign' } = values
  const stop = await startDevGateway({ host, port: numberOf(port, 'port'), label, data }, write)
  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve))
  await stop()
  return 0
}

const commands: { readonly [name: string]: Command } = {
  inspect: runInspect,
  verify: runVerify,
  explain: runExplain,
  keygen: runKeygen,
  knock: runKnock,
  init: runInit,
  gateway: runGateway
}

async function main([name, ...args]: string[]): Promise<number> {
  if (name === undefined || name === 'help' || [name, ...args].some((word) => word === '--help' || word === '-h')) {
    write(USAGE)
    return name === undefined ? 2 : 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) throw new CliError(`there is no command ${name}; see countersign --help`)
  return command(args)
}

// The reader of a pipe may close it early: `countersign inspect FILE
// head -1`.
process.stdout.on('error', () => process.exit())

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status
  },
  (error) => {
    process.stderr.write(`countersign: ${printable(lineOf(error).replaceAll(/\s+/g, ' '))}\n`)
    process.exitCode = 2
  }
)
