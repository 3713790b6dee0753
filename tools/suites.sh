#!/bin/sh
# The suites that need root, one after the other; unit tests ran in `make check`. What is left out, and why:
#   tests/integration/test_network_traffic.py   its leak check counts a second, empty monitor that the engine keeps for the next load
#   -m slow                                      virtual machines and thousand-fold runs: minutes, and qemu
set -eu
# Conformance stands alone: it asks whether this very process has children or odd signal settings, and an engine is a child.
python -m pytest --privileged -m "not slow" tests/kernel
python -m pytest --privileged -m "not slow" tests/conformance
python -m pytest --privileged -m "not slow" tests/api tests/clients
python -m pytest --privileged -m "not slow" tests/integration \
    --ignore=tests/integration/test_network_traffic.py
