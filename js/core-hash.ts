// SPDX-License-Identifier: MIT
// SHA-256 by the core, of bytes of any size and of what arrives in pieces.

import { bytesOf, lengthOf, partOf } from './core-args.ts'
import { Handle } from './core-handles.ts'
import { PIECE, type Wasm } from './core-wasm.ts'
import type { Bytes, BytesLike, Sha256Stream } from './types.ts'

/** A hash in progress. digest() ends it; one that is given up is freed when it is collected. */
export class Sha256 extends Handle implements Sha256Stream {
  constructor(w: Wasm) {
    super(w, w.check(w.call.sha256_new()), w.call.sha256_free)
  }

  update(chunk: BytesLike): this {
    const bytes = bytesOf(chunk, 'chunk')
    const length = lengthOf(bytes)
    const { w, handle } = this
    for (let from = 0; from < length; from += PIECE) {
      w.check(w.begin().call.sha256_update(handle, w.put(partOf(bytes, from, Math.min(from + PIECE, length)))))
    }
    return this
  }

  digest(): Bytes {
    const { w, handle } = this
    const hash = w.out(w.check(w.call.sha256_finish(handle)))
    this.free()
    return hash
  }
}

/** hashOf gives the SHA-256 of bytes (of bytesOf). */
export const hashOf = (w: Wasm, bytes: Uint8Array): Bytes =>
  lengthOf(bytes) > PIECE ? new Sha256(w).update(bytes).digest() : w.out(w.begin().call.sha256(w.put(bytes)))
