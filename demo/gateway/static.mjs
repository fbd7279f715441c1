// SPDX-License-Identifier: MIT
// The page's files, read once at start and served from memory under a strict policy.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.map': 'application/json'
}

const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "connect-src 'self'",
  "worker-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache'
}

const readFolder = async (folder) => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile() && TYPES[extname(entry.name)])
  return Promise.all(
    files.map(async ({ name }) => {
      const body = await readFile(join(folder, name))
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
      return [`/${name}`, { body, etag, type: TYPES[extname(name)] }]
    })
  )
}

/** pageFiles returns a handler `(req, res, pathname)` for the files of one folder, or undefined where the page is not built. */
export const pageFiles = async (folder) => {
  const files = new Map(await readFolder(folder))
  if (!files.has('/index.html')) return undefined
  files.set('/', files.get('/index.html'))
  return (req, res, pathname) => {
    const file = files.get(pathname)
    if (!file) return res.writeHead(404, { ...HEADERS, 'content-type': 'text/plain' }).end('not found\n')
    if (req.method !== 'GET' && req.method !== 'HEAD')
      return res.writeHead(405, { ...HEADERS, allow: 'GET, HEAD' }).end()
    if (req.headers['if-none-match'] === file.etag) return res.writeHead(304, { ...HEADERS, etag: file.etag }).end()
    res.writeHead(200, { ...HEADERS, etag: file.etag, 'content-type': file.type, 'content-length': file.body.length })
    res.end(req.method === 'HEAD' ? undefined : file.body)
  }
}
