// SPDX-License-Identifier: MIT
// The entry of the gateway for workerd, which compiles no bytes: it takes the file as a module of its own.

import { presetModule } from '../core/load.ts'
import { coreWasm } from '../core/platform/core-wasm.js'
import module from '../core/platform/countersign.wasm'

presetModule(coreWasm, module)

export * from '../server/index.ts'
