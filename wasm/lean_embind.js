// SPDX-License-Identifier: MIT
// The JavaScript half of Embind, for bindings that pass numbers only. Embind's own half converts strings, objects and views,
// which would be most of the glue and, without `new Function`, most of the time of a call. What it knows of types is not
// needed: WebAssembly converts numbers itself, and js/core-args.ts has checked them.

mergeInto(LibraryManager.library, {
  _embind_register_function__deps: [],
  _embind_register_function: function (name, argumentCount, argumentTypes, signature, invoker, run) {
    var text = ''
    for (var at = name; HEAPU8[at]; at++) text += String.fromCharCode(HEAPU8[at])
    Module[text] = wasmTable.get(run)
  },
  _embind_register_void__deps: [],
  _embind_register_void: function () {},
  _embind_register_bool__deps: [],
  _embind_register_bool: function () {},
  _embind_register_integer__deps: [],
  _embind_register_integer: function () {},
  _embind_register_float__deps: [],
  _embind_register_float: function () {},
  _embind_register_std_string__deps: [],
  _embind_register_std_string: function () {},
  _embind_register_std_wstring__deps: [],
  _embind_register_std_wstring: function () {},
  _embind_register_emval__deps: [],
  _embind_register_emval: function () {},
  _embind_register_memory_view__deps: [],
  _embind_register_memory_view: function () {}
})
