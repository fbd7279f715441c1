// SPDX-License-Identifier: MIT
// The entry of the client for workerd, which compiles no bytes: it takes the file as a module of its own.

import { presetModule } from '../core/load.ts'
import { clientWasm } from '../core/platform/client-wasm.js'
import module from '../core/platform/countersign-client.wasm'

presetModule(clientWasm, module)

export * from '../index.ts'
