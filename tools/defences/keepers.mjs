// SPDX-License-Identifier: MIT
// The defences of stores, of the enrolment and of keys that tools/defences removes. See list.mjs for the members.

const stores = ['tests/server/stores/stores.test.mjs']
const limits = ['tests/server/enrollment/limits.test.mjs']
const mails = ['tests/server/enrollment/mails.test.mjs']
const enrolling = ['tests/server/enrollment/enrollment.test.mjs']
const rotation = ['tests/server/exchange/rotation.test.mjs']

export const keepers = [
  {
    row: 'B10',
    what: 'the proof of possession at an enrolment',
    file: 'server/enrollment/enroller.js',
    find: 'if (!verifySignature(core, { algorithm, publicKey }, input, proof))',
    without: 'if (false)',
    tests: enrolling
  },
  {
    row: 'B10',
    what: 'the proof of possession at a rotation',
    file: 'server/builtin/rotate-key.js',
    find: 'if (!verifySignature(loaded, key, loaded.rotateSigningInput(fields), proof))',
    without: 'if (false)',
    tests: rotation
  },
  {
    row: 'D9',
    what: 'the end of the key before a rotation, for what was stamped after it',
    file: 'src/judge.cpp',
    find: 'is_freeze || request.fields.timestamp_ms <= session.previous->replaced_ms',
    without: 'true',
    tests: rotation
  },
  {
    row: 'D9',
    what: 'the minute after which the key before a rotation is over',
    file: 'src/judge.cpp',
    find: 'is_freeze ? previous_key_freeze_ms : previous_key_ms',
    without: 'is_freeze ? previous_key_freeze_ms : previous_key_freeze_ms',
    tests: rotation
  },
  {
    row: 'B8',
    what: 'the check of the form of a P-256 key',
    file: 'server/client-signature.js',
    find: 'if (point.length !== POINT_SIZE || point[0] !== UNCOMPRESSED)',
    without: 'if (false)',
    tests: ['tests/server/exchange/client-signature.test.mjs']
  },
  {
    row: 'H8',
    what: 'giving back what was counted and did not happen, in the store',
    file: 'server/stores/codes.js',
    find: 'const times = counter.times.slice(0, -1);',
    without: 'const times = counter.times;',
    tests: stores,
    grep: 'codes'
  },
  {
    row: 'H8',
    what: 'giving back what a refused mail had counted',
    file: 'server/enrollment/mails.js',
    find: 'await giveBack();\n\t\t\t\treturn',
    without: 'return',
    tests: mails
  },
  {
    row: 'H8',
    what: 'the bound on the mails of a network',
    file: 'server/enrollment/mails.js',
    find: '|| (await takeEach([byNetwork]))',
    without: '',
    tests: mails
  },
  {
    row: 'H8',
    what: 'the mails that are kept for sources an address knows',
    file: 'server/enrollment/limits.js',
    find: 'mailsPerKnownAddress: 20,',
    without: 'mailsPerKnownAddress: 15,',
    tests: mails
  },
  {
    row: 'H8',
    what: 'the longer codes of an address that is being guessed at',
    file: 'server/enrollment/email-codes.js',
    find: '(await isGuarded(email)) ?',
    without: 'false ?',
    tests: limits
  },
  {
    row: 'H8',
    what: 'the refusal of short codes of an address that is being guessed at',
    file: 'server/enrollment/email-codes.js',
    find: 'if (!isRight || (mustBeLong && isShort))',
    without: 'if (!isRight)',
    tests: limits
  },
  {
    row: 'B13',
    what: 'counting a guess before its code is compared',
    file: 'server/enrollment/email-codes.js',
    find: 'const waitMs = await takeAll(counters);',
    without: 'const waitMs = 0;',
    tests: limits
  },
  {
    row: 'D4',
    what: 'the quota of one session in LMDB',
    file: 'server/stores/lmdb/replay-tables.js',
    find: 'readCount(bySession.getBinary(owner)) >= quota;',
    without: 'false;',
    tests: stores,
    grep: 'replay'
  },
  {
    row: 'D6',
    what: 'the floor that forgotten ids leave in LMDB',
    file: 'server/stores/lmdb/replay-tables.js',
    find: 'Math.max(readNumber(counters, FLOOR), readNumber(entry.value))',
    without: 'readNumber(counters, FLOOR)',
    tests: stores,
    grep: 'replay'
  },
  {
    row: 'H8',
    what: 'the keyed hash of a source',
    file: 'server/enrollment/mails.js',
    find: "return hashes.name('source', source);",
    without: 'return source;',
    tests: ['tests/server/enrollment/keyed-hashes.test.mjs']
  },
  {
    row: 'D10',
    what: 'forgetting a kept session when another gateway revoked it',
    file: 'server/stores/cached-sessions.js',
    find: 'const stop = watch.call(store, forget);',
    without: 'const stop = watch.call(store, () => { });',
    tests: ['tests/server/stores/cached-sessions.test.mjs']
  },
  {
    row: 'H6',
    what: 'catching the second promise of a failed commit in LMDB',
    file: 'server/stores/lmdb/environment.js',
    find: 'const settled = commitError.catch((cause) => cause);',
    without: 'const settled = commitError;',
    tests: ['tests/server/stores/disk.test.mjs']
  },
  {
    row: 'H6',
    what: 'trying a disk before LMDB opens a new folder on it',
    file: 'server/stores/lmdb/environment.js',
    find: 'makeFiles(path);',
    without: '',
    tests: ['tests/server/stores/disk.test.mjs']
  },
  {
    row: 'C13',
    what: 'refusing what is dated in a burnt span',
    file: 'server/stores/shared-clock.js',
    find: "clock.isBurnt(given[1]) ? 'too-old' : replay.reserve(...given)",
    without: 'replay.reserve(...given)',
    tests: stores,
    grep: 'R148'
  },
  {
    row: 'H16',
    what: 'the question to the user before a new key',
    file: 'server/builtin/rotate-key.js',
    find: "return verdict === 'allowed' ? undefined : answerOf(verdict);",
    without: 'return undefined;',
    tests: ['tests/server/exchange/confirmation.test.mjs']
  },
  {
    row: 'B10',
    what: 'refusing a key that the session had before, in LMDB',
    file: 'server/stores/common.js',
    find: 'keys.includes(next) || ',
    without: '',
    tests: stores,
    grep: 'sessions'
  }
]
