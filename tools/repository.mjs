// SPDX-License-Identifier: MIT
// Where the repository is public. `node tools/repository.mjs` writes the fields that follow from it into package.json.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The address of the public repository, as https://HOST/OWNER/NAME. It is empty until the owner names one. */
export const REPOSITORY = ''

/** fieldsOf gives the fields of package.json that name this repository; none where it is empty. */
export const fieldsOf = (repository) =>
  repository === ''
    ? {}
    : {
        homepage: `${repository}#readme`,
        repository: { type: 'git', url: `git+${repository}.git` },
        bugs: { url: `${repository}/issues` }
      }

/** withFields gives package.json's value with exactly these fields, behind the licence. */
export const withFields = ({ homepage, repository, bugs, ...others }, fields) =>
  Object.fromEntries(
    Object.entries(others).flatMap((entry) => (entry[0] === 'license' ? [entry, ...Object.entries(fields)] : [entry]))
  )

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = new URL('../package.json', import.meta.url)
  const made = withFields(JSON.parse(readFileSync(path, 'utf8')), fieldsOf(REPOSITORY))
  writeFileSync(path, `${JSON.stringify(made, null, 2)}\n`)
}
