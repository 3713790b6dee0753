"""Devices beyond a node in /dev: CDI specifications, GPUs, and what they change in a container's OCI spec.

--device vendor.com/class=name ─┐                    ┌─ spec directories (registry, cdi)
--gpus all                      ├─▶ requests ─▶ names ┤                                    ─▶ Edits ─▶ injection ─▶ OCI spec
RUN --device=name  ─────────────┘                    └─ the NVIDIA driver of this machine (nvidia)
"""
