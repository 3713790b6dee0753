#!/bin/sh
# The suites that need root, one after the other; unit tests ran in `make check`.
set -eu
python -m pytest --privileged -m "not slow" tests/api tests/integration/test_registry.py tests/integration/test_pull.py \
    tests/integration/test_push.py tests/integration/test_seal.py tests/integration/test_volume_store.py tests/integration/test_image_making.py
