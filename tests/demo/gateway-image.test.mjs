// SPDX-License-Identifier: MIT
// What the Dockerfile packs is enough to run, and what the examples promise stands in them.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startProcess } from '../runners/browsers/process.mjs'
import { makeFolder } from './harness.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path) => readFile(join(root, path), 'utf8')

test('the folder the image is made of starts by itself, mail included', async (t) => {
  const text = (await read('demo/gateway/Dockerfile')).replaceAll('\\\n', ' ')
  const paths = /cp -r --parents -t \/app ([^\n]+)/.exec(text)[1].trim().split(/\s+/)
  const app = join(await makeFolder(t), 'app')
  execFileSync('mkdir', ['-p', app])
  execFileSync('cp', ['-r', '--parents', '-t', app, ...paths], { cwd: root })
  const gateway = await startProcess(process.execPath, ['demo/gateway/main.mjs'], {
    cwd: app,
    env: { PORT: '0', HOST: '', DATA_DIR: join(app, 'data'), LABEL: '', SMTP_URL: 'smtp://127.0.0.1:9', NODE_PATH: '' },
    ready: /ready at (http:\/\/\S+)/
  })
  t.after(() => gateway.stop())
  assert.equal((await fetch(`${gateway.match[1]}/`)).status, 200)
})

test('no key, no data and nothing installed gets into an image', async () => {
  const ignored = (await read('demo/gateway/Dockerfile.dockerignore')).split('\n')
  for (const path of ['data', 'build', 'dist', '.git', '**/node_modules']) assert.ok(ignored.includes(path), path)
})

test('the nginx example denies /dev, names the source itself, lets WebSockets through and leaves the target alone', async () => {
  const text = await read('demo/gateway/nginx.conf')
  assert.match(text, /location \/dev \{\s*deny all;/)
  assert.match(text, /proxy_set_header X-Forwarded-For \$remote_addr;/)
  assert.match(text, /proxy_set_header Upgrade \$http_upgrade;\s*proxy_set_header Connection \$countersign_connection;/)
  assert.doesNotMatch(text, /proxy_pass http:\/\/[^/\s]+\//)
})
