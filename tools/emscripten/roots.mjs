// SPDX-License-Identifier: MIT
// A root is a bare Debian release with its Emscripten, in the project's cache. A copy of this tree lies in it.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const cache = process.env.CS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'countersign')
const PACKAGES = 'emscripten cmake ninja-build'
const TREE = '/srv/countersign'
const SOURCES = '/srv/cache'

/** The releases of Debian whose Emscripten is tried, each with a version of its own. */
export const suites = ['bookworm', 'trixie', 'sid']

export const rootOf = (suite) => join(cache, 'emscripten', suite)
export const treeOf = (suite) => join(rootOf(suite), TREE)

/** The mirror of this machine, which no file of this tree names. */
const mirrorOf = () => {
  const folder = '/etc/apt/sources.list.d'
  const names = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []
  const texts = ['/etc/apt/sources.list', ...names]
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, 'utf8'))
  for (const text of texts) {
    const [, mirror] = /^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(\S+\/debian\/?)(?:\s|$)/m.exec(text) ?? []
    if (mirror) return mirror
  }
  return undefined
}

/** lackOf says why this machine can have no root, and what to do; undefined where it can. */
export const lackOf = () => {
  if (process.getuid?.() !== 0) return 'chroot needs root: run this as root'
  if (spawnSync('debootstrap', ['--version']).error) return 'debootstrap is missing: apt-get install -y debootstrap'
  if (!mirrorOf()) return "this machine's apt names no mirror of Debian"
  return undefined
}

/** run ends with what the command printed. @throws Error with its last lines when it fails. */
export const run = (command, args, options = {}) => {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    ...options
  })
  if (error) throw new Error(`${command}: ${error.message}`)
  const said = `${stdout}${stderr}`
  if (status !== 0) throw new Error(`${said.split('\n').slice(-25).join('\n')}\n${command} ended with ${status}`)
  return stdout
}

// Nothing of this machine's environment but what its network needs.
const CARRIED = ['http_proxy', 'https_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()])
const environment = () => ({
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
  CS_CACHE: SOURCES,
  DEBIAN_FRONTEND: 'noninteractive',
  ...Object.fromEntries(CARRIED.filter((name) => process.env[name]).map((name) => [name, process.env[name]]))
})

const inside = (root, script) => run('chroot', [root, 'sh', '-ec', script], { env: environment() })

/** makeRoot installs the root of a release, if it is not there. What was killed half-way leaves nothing that looks whole. */
export const makeRoot = (suite) => {
  const root = rootOf(suite)
  if (existsSync(root)) return
  console.log(`emscripten: installing Debian ${suite} with ${PACKAGES} into ${root} (minutes, 2 to 3 GB)`)
  const part = `${root}.part`
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part, { recursive: true })
  run('debootstrap', ['--variant=minbase', suite, part, mirrorOf()])
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) cpSync(file, join(part, file), { dereference: true })
  // A mirror may lag behind the date that its index ends at. The signature is checked all the same.
  const apt = 'apt-get -q -y -o Acquire::Check-Valid-Until=false'
  inside(part, `${apt} update; ${apt} --no-install-recommends install ${PACKAGES}; apt-get clean`)
  renameSync(part, root)
}

/** copyTree puts this tree into a root, with dist/ as it is here; what was built there before stays, for the next build. */
const copyTree = (suite) => {
  const tree = treeOf(suite)
  mkdirSync(tree, { recursive: true })
  for (const name of readdirSync(tree)) if (name !== 'build') rmSync(join(tree, name), { recursive: true, force: true })
  const listed = run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard']).split('\0')
  const options = { recursive: true, preserveTimestamps: true }
  for (const path of [...listed.filter((name) => name && existsSync(name)), 'dist', 'js/generated', 'build/stamps']) {
    cpSync(path, join(tree, path), options)
  }
  symlinkSync(join(process.cwd(), 'node_modules'), join(tree, 'node_modules'))
  for (const name of ['libsodium-1.0.18', 'bearssl-0.6']) {
    const place = join(rootOf(suite), SOURCES, name)
    if (!existsSync(place)) cpSync(join(cache, name), place, options)
  }
}

/** build makes the WebAssembly with the compiler of a root, and there a dist/ that has it. Gives the compiler's version. */
export const build = (suite) => {
  copyTree(suite)
  inside(rootOf(suite), `cd ${TREE}; emcmake cmake --preset wasm; cmake --build --preset wasm`)
  run(process.execPath, ['tools/build.mjs', '--linked'], { cwd: treeOf(suite) })
  return versionOf(suite)
}

/** versionOf gives the version of a root's Emscripten. */
export const versionOf = (suite) =>
  readFileSync(join(rootOf(suite), 'usr/share/emscripten/emscripten-version.txt'), 'utf8').replace(/["\s]/g, '')
