"""Inventory of a root file system: packages, Python distributions, model weights, CUDA libraries, as an SPDX document."""
