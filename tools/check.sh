#!/bin/sh
# The inner loop. Nothing here changes a file. Everything runs side by side; the unit tests in two halves, for two processors.
set -u
unset PYTHONDONTWRITEBYTECODE
PATH="$PWD/.venv/bin:$PATH"
# Thousands of small files are made and removed: in memory, where there is some.
[ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 1000000 ] 2>/dev/null && TMPDIR=/dev/shm
out=$(mktemp -d -p "${TMPDIR:-/tmp}" corten-check-XXXXXX); trap 'rm -rf "$out"' EXIT
export TMPDIR="$out"
job() { name=$1; shift; ("$@" >"$out/$name" 2>&1 || echo "$name" >>"$out/failed") & }
job types mypy src tests tools
half="store kernel monitor"
paths=""; others=""
for name in $half; do paths="$paths tests/unit/$name"; others="$others --ignore=tests/unit/$name"; done
job unit-1 python -m pytest tests/unit/test_*.py $paths -x
job unit-2 python -m pytest tests/unit --ignore-glob="$PWD/tests/unit/test_*.py" $others -x
job format ruff format -q --check src tests tools
job lint ruff check -q src tests tools
job arrows lint-imports --no-cache
wait
[ -f "$out/failed" ] || { tail -qn 1 "$out/unit-1" "$out/unit-2"; exit 0; }
for name in $(sort -u "$out/failed"); do echo "== $name"; tail -n 60 "$out/$name"; done
exit 1
