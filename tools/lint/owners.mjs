// SPDX-License-Identifier: MIT
// Every file says its licence, and a part of the platform is named by its owner alone.
import { licensed, lineAt, withoutComments } from './tree.mjs'

/** What is named nowhere else, comments apart. */
const owners = [
  {
    what: 'Emscripten',
    pattern: /emscripten/i,
    within: /^(src|include|wasm)\/.*\.[ch]pp$/,
    only: /^wasm\/(embind\.hpp|((knock|json)_)?bindings\.cpp)$/
  },
  {
    what: "WebAssembly's memory",
    pattern: /\bHEAPU?\d|\.memory\b|WebAssembly\.Memory/,
    within: /^js\//,
    only: /^js\/core\/(index|wasm|load)\.ts$/
  },
  {
    what: 'crypto.subtle',
    pattern: /\bsubtle\b/,
    within: /^js\/(?!server\/)/,
    only: /^js\/(core\/client-core|client\/keys\/device-key|profiles\/common\/(hmac|aes-gcm))\.ts$/
  },
  {
    what: 'IndexedDB',
    pattern: /\bindexedDB\b|\bIDB[A-Z]/,
    within: /^js\//,
    only: /^js\/client\/keys\/key-store\.ts$/
  },
  {
    what: 'Node',
    pattern: /from 'node:/,
    within: /^js\//,
    only: /^js\/(server\/|testing\/|cli\/|profiles\/[a-z-]+\/(server|node)\/)/
  },
  { what: 'a default export', pattern: /^export default /m, within: /^(js|tools|demo|tests|bench)\//, only: /^$/ },
  {
    what: 'input, output, time or randomness in the core',
    pattern:
      /#include <(chrono|ctime|time\.h|random|iostream|fstream|cstdio|stdio\.h|thread|mutex|filesystem)>|\bgetenv\b/,
    within: /^(src|include)\//,
    only: /^$/
  },
  {
    what: 'exceptions or types at run time in the core',
    pattern: /\b(throw|try|catch|dynamic_cast|typeid)\b/,
    within: /^(src|include|wasm)\//,
    only: /^$/
  }
]

export const ownership = {
  name: 'owners',
  check(tree, report) {
    for (const [path, text] of tree.files(/\.(ts|mjs|[ch]pp)$/)) {
      const plain = withoutComments(text)
      for (const { what, pattern, within, only } of owners) {
        if (!within.test(path) || only.test(path)) continue
        const at = plain.search(pattern)
        if (at < 0) continue
        const owned = only.source === '^$' ? 'no file may' : `only ${only.source} may`
        report(path, lineAt(plain, at), `names ${what}; ${owned}`)
      }
    }
  }
}

export const licences = {
  name: 'licences',
  check(tree, report) {
    for (const [path, text] of tree.files(licensed)) {
      // `countersign init` gives these to their user, who chooses a licence.
      if (path.startsWith('starter/')) continue
      const head = text.split('\n', 2)
      const first = head[0].startsWith('#!') ? head[1] : head[0]
      if (!first?.includes('SPDX-License-Identifier: MIT')) {
        report(path, 1, 'has no SPDX line; begin the file with SPDX-License-Identifier: MIT')
      }
    }
  }
}
