// SPDX-License-Identifier: MIT
// The entry of countersign/stats-event/server for workerd, which compiles no bytes: it takes the reader of JSON as a module
// of its own.

import { presetModule } from '../core/load.ts'
import module from '../core/platform/countersign-json.wasm'
import { jsonWasm } from '../core/platform/json-wasm.js'

presetModule(jsonWasm, module)

export * from '../profiles/stats-event/server/index.ts'
