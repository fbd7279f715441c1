// SPDX-License-Identifier: MIT
// The JavaScript half of Embind, for bindings that pass numbers only; it takes the place of libembind (`-lembind`), whose
// conversions of strings, objects and views would be most of the glue and, without `new Function`, most of the time of a
// call. What Embind knows of types is not needed: WebAssembly converts numbers itself, and js/core/args.ts has checked them.

mergeInto(LibraryManager.library, {
  _embind_register_function__deps: ['$getWasmTableEntry'],
  _embind_register_function: function (name, argumentCount, argumentTypes, signature, invoker, run) {
    var text = ''
    for (var at = name; HEAPU8[at]; at++) text += String.fromCharCode(HEAPU8[at])
    Module[text] = getWasmTableEntry(run)
  }
})
