# SPDX-License-Identifier: MIT
"""Named checks, each reported as one line of JSON: {"name", "ok", "detail"}."""

import json
import traceback

CHECKS = []


def check(name):
    """Registers a function as the check of that name; what it returns becomes the line's detail."""

    def register(function):
        CHECKS.append((name, function))
        return function

    return register


def finish():
    """Runs the registered checks in their order; returns 1 where one failed."""
    failed = 0
    for name, function in CHECKS:
        try:
            line = {"name": name, "ok": True, "detail": function() or ""}
        except Exception as error:  # noqa: BLE001, a failed check must not hide the next one
            failed = 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            line = {"name": name, "ok": False, "detail": f"{type(error).__name__}: {error} (line {where.lineno})"}
        print(json.dumps(line), flush=True)
    return failed
