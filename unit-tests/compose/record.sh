#!/bin/sh
# Writes down what `docker stack config` makes of the cases given as arguments, of all without any. Shell and Docker do it
# alone, so that the resolver is held against something that it has no part in. Needs a client with `docker stack config`.
# With OUT=<folder>, the files are written there as <case>.yml.
set -eu
cd "$(dirname "$0")"
version=$(docker version --format '{{.Client.Version}}' 2>/dev/null || true)
[ $# -gt 0 ] || set -- */
for case in "$@"; do
  case=${case%/}
  out=${OUT:+$OUT/$case.yml}
  out=${out:-$PWD/$case/expected.yml}
  (
    cd "$case"
    echo "# docker stack config, client ${version:-unknown}" > "$out"
    env -i PATH="$PATH" sh -ec '
      set -a
      STACK_NAME=shop_example_test
      COMPOSE_FILE=compose.yml
      . ./.env
      [ ! -e abra.sh ] || . ./abra.sh
      set +a
      IFS=:
      for file in $COMPOSE_FILE; do set -- "$@" -c "$file"; done
      exec docker stack config "$@"
    ' sh 2>/dev/null | sed "s|$PWD|/recipe|g" >> "$out"
  )
done
