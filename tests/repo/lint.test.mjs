// SPDX-License-Identifier: MIT
// The tree keeps the rules of tools/lint, and each rule finds its breach in a small tree and leaves a good one alone.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repeatedTypes } from '../../tools/lint/declarations.mjs'
import { protocolRules } from '../../tools/lint/documents.mjs'
import { lowered } from '../../tools/lint/lengths.mjs'
import { breaches, readTree, textOf } from '../../tools/lint/main.mjs'
import { Tree } from '../../tools/lint/tree.mjs'

const find = (rule, files, context = {}) => breaches(new Tree(Object.entries(files)), context, [rule]).map(textOf)
const lines = (count, text = '//') => `${text}\n`.repeat(count)

test('the tree keeps its rules', () => {
  const { tree, ratchet, pending } = readTree()
  assert.ok(tree.files(/^js\//).length > 100, 'the tree was read')
  assert.ok(protocolRules(tree).rules.length > 100, 'the rules of PROTOCOL.md were found')
  const found = breaches(tree, { ratchet }).filter(({ rule }) => !pending.includes(rule))
  assert.deepEqual(found.map(textOf), [])
})

test('a rule that does not exist is an error, not a rule that finds nothing', () => {
  assert.throws(() => breaches(new Tree([]), {}, ['no-such-rule']), /no rule no-such-rule/)
})

/** [rule, what, files that break it, how the breaches begin, files that keep it] */
const cases = [
  [
    'top-of-js',
    'a file at the top of js/',
    { 'js/index.ts': '', 'js/clock.ts': '' },
    ['js/clock.ts:1: stands at the top of js/'],
    { 'js/index.ts': '', 'js/client/clock.ts': '' }
  ],
  [
    'purposes',
    'a folder without a purpose',
    {
      'ARCHITECTURE.md': '| `js/core/` | the core |\n',
      'js/core/a.ts': '',
      'js/client/keys/b.ts': '',
      'tests/unit/c/d.mjs': ''
    },
    ['ARCHITECTURE.md:1: has no row for js/client/keys', 'ARCHITECTURE.md:1: has no row for tests/unit'],
    {
      'ARCHITECTURE.md':
        '# A\n\n| folder | purpose |\n|---|---|\n| `js/core/` | the core |\n| `tests/unit` | units |\n',
      'js/index.ts': '',
      'js/core/a.ts': '',
      'tests/unit/c/d.mjs': ''
    }
  ],
  [
    'purposes',
    'a row that says nothing, twice, about no folder',
    { 'ARCHITECTURE.md': '| `js/core/` | the core |\n| `js/core/` | |\n| `js/old/` | gone |\n', 'js/core/a.ts': '' },
    [
      'ARCHITECTURE.md:2: names js/core twice',
      'ARCHITECTURE.md:2: says no purpose of js/core',
      'ARCHITECTURE.md:3: names js/old, which is not there'
    ],
    {
      'ARCHITECTURE.md': '| `js/profiles/` | each an entry |\n| `js/profiles/a/` | an entry |\n',
      'js/profiles/a/b.ts': ''
    }
  ],
  [
    'type-names',
    'one name of two exported types',
    {
      'js/a/a.ts': 'export type Verdict = 1\n',
      'js/b/b.ts': '\nexport interface Verdict {}\n',
      'js/c/c.ts': 'class Verdict {}\nexport { Verdict }\n',
      'js/d/d.ts': 'export enum Verdict {}\n'
    },
    ['js/b/b.ts:2: exports a type Verdict, as js/a/a.ts does', 'js/c/c.ts:1: exports', 'js/d/d.ts:1: exports'],
    {
      'js/a/a.ts': 'export type Verdict = 1\nexport const Verdict = 1\n',
      'js/b/b.ts': "export type { Verdict } from '../a/a.ts'\n",
      'js/c/c.ts': 'type Verdict = 2\nexport interface Other {}\nexport interface Other { a: 1 }\n',
      'tests/a.ts': 'export type Verdict = 3\n'
    }
  ],
  [
    'short-files',
    'a file that is no thing of its own',
    { 'js/a/a.ts': lines(24) },
    ['js/a/a.ts:1: has 24 lines, fewer than 25'],
    {
      'package.json':
        '{ "exports": { "./a": { "types": "./dist/a/index.d.ts" } }, "bin": { "a": "./dist/cli/main.js" } }',
      'js/a/index.ts': '',
      'js/cli/main.ts': "export const load = () => import('../a/door.ts')\n",
      'js/a/door.ts': '',
      'js/a/source.ts': '',
      'js/a/source.node.ts': '',
      'js/a/glue.d.ts': '',
      'js/a/long.ts': lines(25)
    }
  ],
  [
    'functions',
    'an exported function that is a constant',
    {
      'js/a/a.ts':
        'export const f = (a: number) => a\nexport const g = function () {}\nexport const h = async () => 1\n' +
        'const i = (() => 1) as () => number\nexport { i as j }\n'
    },
    [
      'js/a/a.ts:1: exports f as',
      'js/a/a.ts:2: exports g as',
      'js/a/a.ts:3: exports h as',
      'js/a/a.ts:4: exports i as'
    ],
    {
      'js/a/a.ts': 'export function f() {}\nconst g = () => 1\nexport const h = Object.freeze({ g })\n',
      'tests/a.mjs': 'export const f = () => 1\n'
    }
  ],
  [
    'module-state',
    'state of a module',
    { 'js/a/a.ts': 'let a = 1\nexport let b = 2\nvar c = 3\n' },
    ['js/a/a.ts:1: keeps a in', 'js/a/a.ts:2: keeps b in', 'js/a/a.ts:3: keeps c in'],
    { 'js/a/a.ts': 'const a = 1\nexport function f() {\n  let b = a\n  return b++\n}\ndeclare let c: number\n' }
  ],
  [
    'markdown-width',
    'a wide line of Markdown',
    {
      'docs/a.md': `# A\n\n${'word '.repeat(22)}w\n${'word '.repeat(21)}words.\n`,
      'docs/b.md': `~~~\n~~~\n${'é '.repeat(60)}\n`
    },
    ['docs/a.md:3: has 111 columns, more than 110', 'docs/a.md:4: has 111', 'docs/b.md:3: has 120'],
    {
      'docs/a.md': `| ${'word '.repeat(30)}|\n\n\`\`\`\n${'word '.repeat(30)}\n\`\`\`\n\n${'é'.repeat(1)} ${'w'.repeat(108)}\n`,
      'docs/b.md': `- <https://a.b/${'c'.repeat(120)}>\n`,
      'js/a/a.ts': lines(1, `// ${'word '.repeat(30)}`)
    }
  ],
  [
    'protocol-rules',
    'a rule without an anchor or a citation, and a citation without a rule',
    {
      'PROTOCOL.md': '**R1.** One.\n\n<a id="r2"></a>**R2.** Two, see R1.\n\n<a id="r2"></a>**R2.** Three.\n',
      'js/a/a.ts': '// R1\n// R9\n'
    },
    [
      'PROTOCOL.md:1: R1 has no anchor',
      'PROTOCOL.md:5: R2 stands twice',
      'PROTOCOL.md:3: nothing cites R2',
      'PROTOCOL.md:5: nothing cites R2',
      'js/a/a.ts:2: cites R9, which PROTOCOL.md does not have'
    ],
    {
      'PROTOCOL.md': [1, 2, 3, 4, 5].map((n) => `<a id="r${n}"></a>**R${n}.** Text.\n`).join('\n'),
      'src/a.cpp': '// R1 to R3\n',
      'docs/a.md': 'R4\n',
      'tests/a.test.mjs': "test('R5 a test')\n"
    }
  ],
  [
    'repeats',
    'one constant and one helper in two files',
    {
      'js/a/a.ts':
        'const DAY_MS = 86_400_000\nconst TYPE = "application/x"\nexport const read = (bytes: string) => JSON.parse(atob(bytes)).a.b\n',
      'js/b/b.ts':
        'const DAY_MS = 24 * 60 * 60 * 1000\nconst KIND = "application/x"\n// why\nfunction readIt(text: unknown) {\n  return JSON.parse(atob(text)).a.b\n}\n'
    },
    ['js/b/b.ts:1: DAY_MS is DAY_MS of js/a/a.ts again', 'js/b/b.ts:2: KIND is TYPE', 'js/b/b.ts:4: readIt is read'],
    {
      'js/a/a.ts':
        'const LIMIT_MS = 60_000\nconst TRIES = 3\nconst f = (a: number[]) => a.map((b) => b + 1).slice(1)\nconst done = () => {}\n',
      'js/b/b.ts':
        'const PAUSE_MS = 60_000\nconst TRIES = 3\nconst f = (a: number[]) => a.map((b) => b + 2).slice(1)\nconst done = () => {}\n',
      'js/a/s.ts': 'export function now(a: Date) {\n  return a.getTime() + a.getHours() - 1\n}\n',
      'js/a/s.node.ts': 'export function now(a: Date) {\n  return a.getTime() + a.getHours() - 1\n}\n'
    }
  ],
  [
    'lengths',
    'a long file, function and class',
    {
      'js/a/a.ts': lines(401),
      'js/b/b.ts': `export class A {\n${lines(119, '  ;')}}\nconst f = () => {\n${lines(119, '  ;')}}\n`,
      'src/a.cpp': `namespace a {\n\nResult f(int a) {\n${lines(119, '  ;')}}\n\n${lines(200)}}  // namespace a\n`
    },
    [
      'js/a/a.ts:1: has 401 lines, more than 400',
      'js/b/b.ts:1: A has 121 lines',
      'js/b/b.ts:122: f has 121 lines',
      'src/a.cpp:3: f has 121 lines'
    ],
    {
      'js/a/a.ts': lines(400),
      'js/b/b.ts': `class A {\n${lines(118, '  ;')}}\nfunction f() {\n${lines(118, '  ;')}}\n`,
      'tests/a.mjs': `export const suite = () => {\n${lines(300)}}\n`,
      'docs/a.md': lines(500)
    }
  ]
]
for (const [rule, what, bad, says, good] of cases) {
  test(`${rule}: ${what} is found, and a good tree passes`, () => {
    const found = find(rule, bad)
    assert.equal(found.length, says.length, found.join('\n'))
    for (const begin of says)
      assert.ok(
        found.some((line) => line.startsWith(begin)),
        `${begin}\nnot in\n${found.join('\n')}`
      )
    assert.deepEqual(find(rule, good), [])
  })
}

test('lengths: an entry of the ratchet holds a file where it is, and may only shrink', () => {
  const files = { 'js/a/a.ts': lines(450), 'js/b/b.ts': `class A {\n${lines(148, '  ;')}}\n` }
  assert.deepEqual(find('lengths', files, { ratchet: { 'js/a/a.ts': 450, 'js/b/b.ts#A': 150 } }), [])
  assert.deepEqual(find('lengths', files, { ratchet: { 'js/a/a.ts': 449, 'js/b/b.ts#A': 151, 'js/c/c.ts': 500 } }), [
    'js/a/a.ts:1: has 450 lines, more than the 449 it had; it may only shrink',
    'tools/lint/ratchet.json:1: js/b/b.ts#A has 150 lines; lower its 151',
    'tools/lint/ratchet.json:1: js/c/c.ts is not too long any more; remove its entry'
  ])
  const tree = new Tree(Object.entries(files))
  assert.deepEqual(lowered(tree, { 'js/a/a.ts': 449, 'js/b/b.ts#A': 151, 'js/c/c.ts': 500 }), {
    'js/a/a.ts': 449,
    'js/b/b.ts#A': 150
  })
})

test('short-files: an exception has a reason and a file, and is needed', () => {
  const short = { 'js/a/a.ts': 'a table of its own', 'js/b/b.ts': 'gone' }
  assert.deepEqual(find('short-files', { 'js/a/a.ts': '' }, { short }), [
    'tools/lint/folders.mjs:1: names js/b/b.ts, which is not there'
  ])
  assert.deepEqual(find('short-files', { 'js/a/a.ts': lines(30), 'js/b/b.ts': '' }, { short }), [
    'js/a/a.ts:1: needs no exception for its length; remove it from tools/lint/folders.mjs'
  ])
})

test('names that files keep to themselves are counted apart from those that they export', () => {
  const tree = new Tree([
    ['js/a/a.ts', 'type Kept = 1\nexport type Found = 1\n'],
    ['js/b/b.ts', 'type Kept = 1\nexport type Found = 1\n']
  ])
  const { exported, declared } = repeatedTypes(tree)
  assert.deepEqual([exported.map(([name]) => name), declared.map(([name]) => name)], [['Found'], ['Kept']])
})

test('a range cites each rule in it', () => {
  const rules = [7, 8, 9, 10].map((n) => `<a id="r${n}"></a>**R${n}.** Text.\n`).join('\n')
  const tree = new Tree([
    ['PROTOCOL.md', rules],
    ['js/a/a.ts', '// R7 to R9\n']
  ])
  assert.deepEqual(
    protocolRules(tree).uncited.map(({ number }) => number),
    [10]
  )
})
