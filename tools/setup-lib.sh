# SPDX-License-Identifier: MIT
# What tools/setup prints with and cleans up with; sourced, not run.
# shellcheck shell=bash

exit_commands=()

at_exit() { exit_commands+=("$1"); }

run_exit_commands() {
  local command
  for command in "${exit_commands[@]}"; do eval "$command"; done
}
trap run_exit_commands EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# fail prints one line, which says what to do, and ends the set-up.
fail() {
  echo "setup: $1" >&2
  exit 1
}

# step TITLE COMMAND… runs the command with its output in a log, shows that it is alive, and shows the log if it fails.
step() {
  local title=$1 started=$SECONDS log pid status=0 shown=0
  shift
  log=$(mktemp)
  at_exit "rm -f '$log'"
  echo "setup: $title"
  "$@" </dev/null >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - started >= shown + 10)); then
      shown=$((SECONDS - started))
      printf 'setup:   %3d s  %s\n' "$shown" "$(tail -n 1 "$log" | cut -c 1-90)"
    fi
  done
  wait "$pid" || status=$?
  if ((status)); then
    tail -n 40 "$log" >&2
    return "$status"
  fi
  echo "setup:   done in $((SECONDS - started)) s"
}

# download URL FILE uses what the machine has; Node is always there.
download() {
  if command -v curl >/dev/null; then
    curl --fail --silent --show-error --location --retry 3 --output "$2" "$1"
  elif command -v wget >/dev/null; then
    wget --quiet --tries=3 --output-document="$2" "$1"
  else
    # shellcheck disable=SC2016
    node --input-type=module -e '
      import { writeFileSync } from "node:fs"
      const [url, file] = process.argv.slice(1)
      const answer = await fetch(url)
      if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
      writeFileSync(file, Buffer.from(await answer.arrayBuffer()))' "$1" "$2"
  fi
}
