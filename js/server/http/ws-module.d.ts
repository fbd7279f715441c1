// SPDX-License-Identifier: MIT
// The part of npm's `ws` that the gateway uses. The package has no types of its own.

declare module 'ws' {
  import type { IncomingMessage } from 'node:http'
  import type { Duplex } from 'node:stream'

  export interface WebSocket {
    readonly readyState: number
    readonly bufferedAmount: number
    send(data: Uint8Array, options: { binary: boolean }, done: (error?: Error) => void): void
    ping(): void
    pong(data: Uint8Array): void
    close(code: number): void
    terminate(): void
    /** Version 7 gives text as a string, and no second argument. */
    on(event: 'message', listener: (data: Uint8Array | string, isBinary?: boolean) => void): this
    on(event: 'ping' | 'pong', listener: (data: Uint8Array) => void): this
    on(event: 'close' | 'error', listener: () => void): this
  }

  class WebSocketServer {
    constructor(options: {
      noServer: true
      clientTracking: boolean
      perMessageDeflate: boolean
      maxPayload: number
      autoPong: boolean
      handleProtocols(protocols: Set<string>): string | false
    })
    on(event: 'wsClientError', listener: (error: Error, socket: Duplex) => void): this
    handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, done: (socket: WebSocket) => void): void
  }

  type Server = new (...options: ConstructorParameters<typeof WebSocketServer>) => WebSocketServer

  /** Version 7 has the default export alone, and the server as a member of it. */
  const ws: { readonly Server: Server }

  export { WebSocketServer, ws as default }
}
