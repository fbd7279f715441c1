// SPDX-License-Identifier: MIT
// The type of the package's .wasm files, for programs that import one as a module.

declare const module: WebAssembly.Module

export { module as default }
