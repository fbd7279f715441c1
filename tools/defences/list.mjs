// SPDX-License-Identifier: MIT
// The defences of SECURITY.md that tools/defences removes: the text in dist/ or src/ that is one, the text without it, and the
// tests that must see it gone.
import { keepers } from './keepers.mjs'

const stages = ['tests/server/exchange/stages.test.mjs']
const time = ['tests/server/exchange/time.test.mjs']
const stores = ['tests/server/stores/stores.test.mjs']
const enrolling = ['tests/server/enrollment/enrollment.test.mjs']
const bodies = ['tests/server/exchange/bodies.test.mjs']
const observe = ['tests/server/exchange/observe.test.mjs']

export const defences = [
  ...keepers,
  {
    row: 'D9',
    what: 'the last look at the session before the handler',
    file: 'src/judge.cpp',
    find: 'if (*status != SessionStatus::active) return session_revoked;',
    without: '',
    tests: stores,
    grep: 'D9'
  },
  {
    row: 'D1',
    what: 'the refusal of an id that was used',
    file: 'src/judge.cpp',
    find: 'return Refusal{stage, "cs.replayed"};',
    without: 'return std::nullopt;',
    tests: stages
  },
  {
    row: 'C1',
    what: 'the edge of the window in the past, to the millisecond',
    file: 'src/request.cpp',
    find: 'if (timestamp_ms + window.past_ms < window.now_ms)',
    without: 'if (timestamp_ms + window.past_ms + 1 < window.now_ms)',
    tests: time
  },
  {
    row: 'C1',
    what: 'the edge of the window in the future, to the millisecond',
    file: 'src/request.cpp',
    find: 'if (timestamp_ms > window.now_ms + window.future_ms)',
    without: 'if (timestamp_ms > window.now_ms + window.future_ms + 1)',
    tests: time
  },
  {
    row: 'C8',
    what: 'using up the id of a request from the future',
    file: 'src/judge.cpp',
    find: 'NextStep::end_session : NextStep::reserve;',
    without: 'NextStep::end_session : NextStep::refuse;',
    tests: time
  },
  {
    row: 'D5',
    what: 'keeping an id as long as a gateway with a slower clock could accept it',
    file: 'src/judge.cpp',
    find: 'timestamp_ms + window.past_ms + behind_ms;',
    without: 'timestamp_ms + window.past_ms + 0 * behind_ms;',
    tests: time
  },
  {
    row: 'B11',
    what: 'comparing the hash of the bytes that arrived with the signed one',
    file: 'server/exchange/payload.js',
    find: 'isSameBytes(hash, request.payloadHash) ?',
    without: 'true ?',
    tests: stages
  },
  {
    row: 'E9',
    what: 'the size limit of a body',
    file: 'server/exchange/body.js',
    find: 'if (size > bounds.bytes)',
    without: 'if (false)',
    tests: bodies
  },
  {
    row: 'E9',
    what: 'the time limit of a body',
    file: 'server/exchange/body.js',
    find: 'Math.min(bounds.idleMs, bounds.untilMs - performance.now())',
    without: '60_000',
    tests: ['tests/server/exchange/bodies.test.mjs', 'tests/server/exchange/hostile.test.mjs']
  },
  {
    row: 'E11',
    what: 'the refusal of a header that came twice',
    file: 'server/exchange/entry.js',
    find: 'if (inbound.isAmbiguous)',
    without: 'if (false)',
    tests: ['tests/server/exchange/smuggling.test.mjs']
  },
  {
    row: 'E11',
    what: 'the refusal of a second content-type',
    file: 'server/http/node-handler.js',
    find: "'content-type',",
    without: '',
    tests: ['tests/server/exchange/smuggling.test.mjs']
  },
  {
    row: 'E13',
    what: 'the list of origins',
    file: 'server/http/cors.js',
    find: '...(origin !== null && origins.allows(origin)\n\t\t\t?',
    without: '...(origin !== null\n\t\t\t?',
    tests: ['tests/server/exchange/cors.test.mjs']
  },
  {
    row: 'H29',
    what: 'the bounds of what a preflight may ask for',
    file: 'server/http/cors.js',
    find: 'return isGood ? names : undefined;',
    without: 'return names;',
    tests: ['tests/server/exchange/cors.test.mjs']
  },
  {
    row: 'H30',
    what: 'the refusal of pages without an origin',
    file: 'server/support/origins.js',
    find: '? allowOpaqueOrigin',
    without: '? true',
    tests: ['tests/server/exchange/cors.test.mjs']
  },
  {
    row: 'H30',
    what: 'the mark of a guest whose page has no origin',
    file: 'server/enrollment/enroller.js',
    find: 'challenge.isOpaque ? OPAQUE + source : source',
    without: 'source',
    tests: ['tests/server/enrollment/guests.test.mjs', 'tests/server/exchange/guest-shares.test.mjs']
  },
  {
    row: 'H31',
    what: 'no way out of the prefix of a wildcard',
    file: 'server/exchange/route-table.js',
    find: 'return isBelow(given.slice(at)) ? params : undefined;',
    without: 'return params;',
    tests: ['tests/server/exchange/route-table.test.mjs']
  },
  {
    row: 'H32',
    what: 'an owned path, whatever the method',
    file: 'server/gateway.js',
    find: 'target === CORS_CHECK_PATH || entry.isInternal({ target }) || isRoute(target)',
    without: 'target === CORS_CHECK_PATH || entry.isInternal({ target })',
    tests: ['tests/world/mounts.test.mjs']
  },
  {
    row: 'E13',
    what: 'answers that no cache keeps',
    file: 'server/http/cors.js',
    find: "'cache-control': 'no-store, no-transform',",
    without: '',
    tests: ['tests/server/exchange/cors.test.mjs', ...enrolling]
  },
  {
    row: 'H28',
    what: 'the one label that a pattern for origins stands for',
    file: 'server/support/origins.js',
    find: '[a-z\\d_-]+(\\..+)$/',
    without: '[a-z\\d._-]+(\\..+)$/',
    tests: ['tests/server/exchange/cors.test.mjs']
  },
  {
    row: 'H28',
    what: 'the schemes of the web, for pages of the own host',
    file: 'server/http/upgrade.js',
    find: "if (protocol !== 'https:' && protocol !== 'http:')",
    without: 'if (false)',
    tests: ['tests/server/events/websocket.test.mjs']
  },
  {
    row: 'H29',
    what: 'the refusal of * among names of headers',
    file: 'server/support/answer-headers.js',
    find: '(?!\\*$)',
    without: '',
    tests: ['tests/server/exchange/cors.test.mjs']
  },
  {
    row: 'H30',
    what: 'the refusal of a WebSocket for a page without an origin',
    file: 'server/http/upgrade.js',
    find: 'if (origin === NO_ORIGIN)',
    without: 'if (false)',
    tests: ['tests/server/events/websocket.test.mjs']
  },
  {
    row: 'H30',
    what: 'the own room of guests whose pages have no origin',
    file: 'server/enrollment/enroller.js',
    find: '=> isOpaque ? {',
    without: '=> false ? {',
    tests: ['tests/server/enrollment/guests.test.mjs']
  },
  {
    row: 'H30',
    what: 'the own share of ids of guests whose pages have no origin',
    file: 'server/exchange/checks.js',
    find: 'if (source.startsWith(OPAQUE))',
    without: 'if (false)',
    tests: ['tests/server/exchange/guest-shares.test.mjs']
  },
  {
    row: 'E12',
    what: 'the byte limit of a poll',
    file: 'server/events/handlers.js',
    find: ' || size >= POLL_BYTES',
    without: '',
    tests: ['tests/server/events/events.test.mjs'],
    grep: 'R111'
  },
  {
    row: 'A8',
    what: 'the refusal of duplicate names in JSON',
    file: 'server/support/flat-json.js',
    find: '|| members.has(name) ||',
    without: '||',
    tests: ['tests/server/exchange/json.test.mjs', ...enrolling]
  },
  {
    row: 'D6',
    what: "the other gateways' margin in a fence",
    file: 'server/gateway.js',
    find: '(replay.isShared ? Math.ceil(futureMs / 2) : 0)',
    without: '0',
    tests: ['tests/server/stores/redis/faults.test.mjs'],
    grep: 'R137'
  },
  {
    row: 'H3',
    what: 'escaping what is logged',
    file: 'server/support/encoding.js',
    find: 'return /^[\\x20-\\x5b\\x5d-\\x7e]*$/.test(text)',
    without: 'return true',
    tests: observe
  },
  {
    row: 'G1',
    what: 'judging the address of a name at each use',
    file: 'profiles/knock/server/relay.js',
    find: 'return allowPrivate || !isForbidden(address) ? address : undefined;',
    without: 'return address;',
    tests: ['tests/profiles/knock/relay.test.mjs']
  },
  {
    row: 'H9',
    what: "a session's own floor",
    file: 'server/exchange/checks.js',
    find: 'const verdict = await limit(core, identified, { ...identified.time, nowMs: clock.now() }, true);',
    without: "const verdict = 'used';",
    tests: ['tests/server/exchange/session-floor.test.mjs']
  },
  {
    row: 'H12',
    what: 'the share of a source in the memory for bodies',
    file: 'server/exchange/budget.js',
    find: 'const bySource = createShares(sourceBufferedBytes);',
    without: 'const bySource = createShares(bufferedBytes);',
    tests: ['tests/server/exchange/shares.test.mjs']
  },
  {
    row: 'H13',
    what: 'the places of a source',
    file: 'server/exchange/turns.js',
    find: 'if (state.present >= inFlight + waiting)',
    without: 'if (false)',
    tests: ['tests/server/exchange/turns.test.mjs']
  },
  {
    row: 'H15',
    what: 'the rate of forged requests of a source',
    file: 'server/exchange/entry.js',
    find: 'const failureWait = mounted ? 0 : failures.wait(source, nowMs);',
    without: 'const failureWait = 0;',
    tests: ['tests/server/exchange/rates.test.mjs']
  },
  {
    row: 'H11',
    what: 'removing only sessions that were revoked long ago',
    file: 'server/exchange/prune-sessions.js',
    find: 'revokedBeforeMs: nowMs - sessionLife.revokedMs,',
    without: 'revokedBeforeMs: nowMs,',
    tests: ['tests/server/exchange/session-life.test.mjs']
  },
  {
    row: 'E6',
    what: 'the refusal of redirects',
    file: 'client/transport/exchange.js',
    find: "redirect: 'error',",
    without: "redirect: 'follow',",
    suite: 'client/fetch,client/node'
  },
  {
    row: 'E7',
    what: 'sending no cookies',
    file: 'client/transport/exchange.js',
    find: "credentials: 'omit',",
    without: "credentials: 'include',",
    suite: 'client/fetch,client/options,client/request'
  },
  {
    row: 'E7',
    what: 'https, or a loopback host',
    file: 'client/options.js',
    find: "if (protocol !== 'https:' && !(protocol === 'http:' && LOOPBACK.test(hostname)))",
    without: 'if (false)',
    suite: 'client/options'
  },
  {
    row: 'B15',
    what: 'binding a delivered key set to its question',
    file: 'client/trust/delivered-keys.js',
    find: 'if (!compatible && core.beginRequest(question).requestId !== requestId)',
    without: 'if (false)',
    suite: 'client/delivered-keys,client/server-keys'
  },
  {
    row: 'B15',
    what: 'the longest time of a delivered key',
    file: 'client/trust/delivered-keys.js',
    find: 'notAfter <= timestampMs + LONGEST_MS',
    without: 'true',
    suite: 'client/delivered-keys,client/server-keys'
  }
]
