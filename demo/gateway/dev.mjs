// SPDX-License-Identifier: MIT
// GET /dev/…: for a person at this machine, and for nobody else. What it does, not only shows, asks for a header besides.
import { isLocalHost, isLoopbackAddress } from './source.mjs'

// Any of these says that a front end passed the request on; whoever asked is then not known to be on this machine.
const FORWARDING =
  /^(forwarded|via|x-forwarded(-.*)?|x-original-.*|x-real-ip|x-envoy-.*|x-client-ip|x-cluster-client-ip|x-proxy.*|true-client-ip|cdn-loop|(.*-)?connecting-ip|fastly-client-ip|x-arr-.*|x-amzn?-.*)$/

/** mayShow says whether a request may see the development endpoints: `open` is the gateway's own part of the conditions. */
export const mayShow = (req, open) =>
  open &&
  req.method === 'GET' &&
  isLoopbackAddress(req.socket.remoteAddress) &&
  isLocalHost(req) &&
  !Object.keys(req.headers).some((name) => FORWARDING.test(name)) &&
  req.headers['sec-fetch-site'] !== 'cross-site'

// A page of another origin cannot send it without a preflight, which allows nothing here.
const mayAct = (req) => req.headers['x-countersign-dev'] === 'yes'

/**
 * devEndpoints returns a handler `(req, pathname, query) → value | undefined`; undefined is a 404, whichever condition
 * failed. `actions` are run by name and return what is answered.
 */
export const devEndpoints =
  ({ outbox, trace, isOpen, actions = {} }) =>
  (req, pathname, query) => {
    if (!mayShow(req, isOpen())) return undefined
    const given = (name) => new URLSearchParams(query).get(name) ?? ''
    if (pathname === '/dev/outbox') return outbox.of(given('email'))
    if (pathname === '/dev/trace') return { request_id: given('request_id'), stages: trace.of(given('request_id')) }
    const action = pathname.slice('/dev/'.length)
    return Object.hasOwn(actions, action) && mayAct(req) ? actions[action](given) : undefined
  }
