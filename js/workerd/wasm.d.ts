// SPDX-License-Identifier: MIT
// workerd gives an imported .wasm file as a module.

declare module '*.wasm' {
  const module: WebAssembly.Module

  export { module as default }
}
