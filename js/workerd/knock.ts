// SPDX-License-Identifier: MIT
// The entry of the knock profile for workerd, which compiles no bytes: it takes the file as a module of its own.

import { presetModule } from '../core/load.ts'
import module from '../core/platform/countersign-knock.wasm'
import { knockWasm } from '../core/platform/knock-wasm.js'

presetModule(knockWasm, module)

export * from '../profiles/knock/index.ts'
