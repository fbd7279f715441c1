// SPDX-License-Identifier: MIT
// Disks that are full or broken under LMDB: what cannot be written is refused, nothing of it is kept, the process lives, and
// it goes on by itself when the disk does.
import assert from 'node:assert/strict'
import { execFileSync, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lmdbStores } from 'countersign/server/lmdb'
import { lmdbStatsStore } from 'countersign/stats-event/server/lmdb'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const folders = []
const makeFolder = () => {
  const path = mkdtempSync(join(tmpdir(), 'countersign-disk-'))
  folders.push(path)
  return path
}
after(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true })
})

/** startChild opens the stores of a folder in a process of their own; `ask` sends it a command and gives its answer. */
const startChild = async (t, folder, env = {}) => {
  const child = fork(here('disk-child.mjs'), [folder], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  t.after(() => child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (said += bytes))
  const gone = once(child, 'exit').then(([status, signal]) => {
    throw new Error(`the process has ended (${status ?? signal})\n${said.slice(-2000)}`)
  })
  gone.catch(() => {})
  const answer = () => Promise.race([once(child, 'message').then(([message]) => message), gone])
  await answer()
  return (command, name = '') => {
    const answered = answer()
    child.send({ command, name })
    return answered
  }
}

const KEPT = { session: true, reserve: 'reserved', code: true, counter: 0, claim: 'claimed', stats: 'kept' }
const isRefused = (outcome) => /^ERR_STORAGE_FAILED: /.test(outcome)

const checkKept = async (ask, name) => {
  const { event, ...others } = await ask('write', name)
  assert.deepEqual(others, KEPT, name)
  assert.doesNotMatch(String(event), /ERR/)
  const found = await ask('read', name)
  assert.deepEqual(
    { session: found.session, code: found.code, stats: found.stats },
    { session: true, code: true, stats: 'ada' }
  )
  return found
}

const checkRefused = async (ask, name, ids) => {
  const outcomes = await ask('write', name)
  for (const [what, outcome] of Object.entries(outcomes)) assert.ok(isRefused(outcome), `${what}: ${outcome}`)
  const found = await ask('read', name)
  assert.deepEqual([found.session, found.code, found.ids], [false, false, ids], 'nothing of it is kept')
  return outcomes
}

const checkEnd = async (ask) => assert.deepEqual((await ask('end')).unhandled, [], 'no promise is left to itself')

test('H6 a disk that is full refuses, keeps nothing by halves, and serves again when there is room', async (t) => {
  const folder = makeFolder()
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder], { encoding: 'utf8' })
  if (mounted.status !== 0) return t.skip(`no file system can be mounted here: ${mounted.stderr?.trim()}`)
  try {
    const ask = await startChild(t, folder)
    const { ids } = await checkKept(ask, 'before')
    const { bavail, bsize } = statfsSync(folder)
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - 64 * 1024)))
    assert.equal((await ask('fill')).refused, 'ERR_STORAGE_FAILED')
    const outcomes = await checkRefused(ask, 'full', ids)
    assert.match(outcomes.reserve, /space/i)
    await checkRefused(ask, 'still full', ids)
    rmSync(join(folder, 'ballast'))
    await checkKept(ask, 'full')
    await checkEnd(ask)
  } finally {
    execFileSync('umount', ['-l', folder])
  }
})

// Opens the stores of a folder in a process of their own, and returns what came of each.
const OPEN_BOTH = `
  import { lmdbStores } from 'countersign/server/lmdb'
  import { lmdbStatsStore } from 'countersign/stats-event/server/lmdb'
  const outcome = (open) => { try { open(); return 'open' } catch (error) { return error.code } }
  const path = process.argv[1]
  console.log(outcome(() => lmdbStores({ path: path + '/all.lmdb' })), outcome(() => lmdbStatsStore({ path: path + '/stats' })))
  setTimeout(() => process.exit(7), 100)`
const openBoth = (folder, env = {}) => {
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', OPEN_BOTH, folder],
    { cwd: here('.'), env: { ...process.env, ...env }, encoding: 'utf8' }
  )
  assert.deepEqual([status, signal], [7, null], `the process lives until it ends by itself\n${stderr}`)
  return stdout.trim().split(' ')
}

test('H6 a new folder on a disk without room for it cannot be opened, and can be when there is room', async (t) => {
  const mounts = makeFolder()
  const seen = new Set()
  for (const pages of [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 40, 400]) {
    const folder = join(mounts, String(pages))
    mkdirSync(folder)
    const size = `size=${pages * 4}k`
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', folder], { encoding: 'utf8' })
    if (mounted.status !== 0) return t.skip(`no file system can be mounted here: ${mounted.stderr?.trim()}`)
    try {
      const outcomes = openBoth(folder)
      for (const outcome of outcomes)
        assert.match(outcome, /^(open|ERR_STORAGE_FAILED)$/, `${pages} pages: ${outcomes}`)
      for (const outcome of outcomes) seen.add(outcome)
      execFileSync('mount', ['-o', 'remount,size=8m', folder])
      assert.deepEqual(openBoth(folder), ['open', 'open'], `${pages} pages, and then enough`)
    } finally {
      execFileSync('umount', ['-l', folder])
    }
  }
  assert.deepEqual([...seen].sort(), ['ERR_STORAGE_FAILED', 'open'])
})

let shim
before(() => {
  const file = join(makeFolder(), 'broken-disk.so')
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', file, here('broken-disk.c'), '-ldl'], {
    encoding: 'utf8'
  })
  shim =
    built.status === 0
      ? { file }
      : { missing: `no C compiler makes the broken disk: ${built.error?.message ?? built.stderr}` }
})

// A file system whose files are open cannot be set read-only by hand; after a fault the kernel does it, and then each write
// fails with EROFS.
for (const name of ['EIO', 'EROFS', 'ENOSPC', 'ENOMEM']) {
  test(`H6 a new folder on a disk whose writes fail with ${name} cannot be opened, and the process lives`, (t) => {
    if (shim.missing) return t.skip(shim.missing)
    const folder = makeFolder()
    const control = join(folder, 'errno')
    writeFileSync(control, String(constants.errno[name]))
    const broken = { LD_PRELOAD: shim.file, BROKEN_DISK: control }
    assert.deepEqual(openBoth(join(folder, 'new'), broken), ['ERR_STORAGE_FAILED', 'ERR_STORAGE_FAILED'])
    rmSync(control)
    assert.deepEqual(openBoth(join(folder, 'new'), broken), ['open', 'open'])
  })

  test(`H6 a disk whose writes fail with ${name} refuses, keeps nothing by halves, and serves again afterwards`, async (t) => {
    if (shim.missing) return t.skip(shim.missing)
    const folder = makeFolder()
    const control = join(folder, 'errno')
    const ask = await startChild(t, folder, { LD_PRELOAD: shim.file, BROKEN_DISK: control })
    const { ids } = await checkKept(ask, 'before')
    writeFileSync(control, String(constants.errno[name]))
    await checkRefused(ask, 'broken', ids)
    await checkRefused(ask, 'still broken', ids)
    rmSync(control)
    const after = await checkKept(ask, 'broken')
    assert.equal(after.ids, ids + 1)
    await checkEnd(ask)
  })
}

test('files and folders of the stores are their owner’s alone, whatever the umask', async (t) => {
  const folder = makeFolder()
  const umask = process.umask(0)
  t.after(() => process.umask(umask))
  const all = [
    lmdbStores({ path: join(folder, 'file.lmdb') }),
    lmdbStores({ path: join(folder, 'deep', 'folder') }),
    lmdbStatsStore({ path: join(folder, 'stats') })
  ]
  for (const stores of all) await stores.close()
  const modeOf = (path) => (statSync(path).mode & 0o777).toString(8)
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => [
    entry.name,
    entry.isDirectory(),
    modeOf(join(entry.parentPath ?? entry.path, entry.name))
  ])
  assert.ok(found.length >= 8, String(found))
  for (const [name, isFolder, mode] of found) assert.equal(mode, isFolder ? '700' : '600', name)
})
