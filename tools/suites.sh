#!/bin/sh
# The suites that need root, one after the other; unit tests ran in `make check`. What is left out, and why:
#   -m slow   virtual machines and thousand-fold runs: minutes, and qemu
set -eu
# Conformance stands alone: it asks whether this very process has children or odd signal settings, and an engine is a child.
python -m pytest --privileged -m "not slow" tests/kernel
python -m pytest --privileged -m "not slow" tests/conformance
python -m pytest --privileged -m "not slow" tests/api tests/clients
python -m pytest --privileged -m "not slow" tests/integration
# A virtual machine with Debian 12's kernel; the others are for `make test-vm`.
python -m pytest --privileged -m "not slow" -rs tests/machines
