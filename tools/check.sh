#!/bin/sh
# The inner loop. Nothing here changes a file. The slow checkers run side by side, the unit tests last.
set -u
out=$(mktemp -d); trap 'rm -rf "$out"' EXIT
job() { name=$1; shift; ("$@" >"$out/$name" 2>&1 || echo "$name" >>"$out/failed") & }
job format ruff format -q --check src tests tools
job lint ruff check -q src tests tools
job types mypy src tests tools
job arrows lint-imports --no-cache
python -m pytest tests/unit -x >"$out/unit" 2>&1 || echo unit >>"$out/failed"
wait
[ -f "$out/failed" ] || { tail -n 1 "$out/unit"; exit 0; }
for name in $(sort -u "$out/failed"); do echo "== $name"; tail -n 60 "$out/$name"; done
exit 1
