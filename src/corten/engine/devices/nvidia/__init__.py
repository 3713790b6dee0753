"""NVIDIA's GPUs without NVIDIA's toolkit: what the kernel module and the driver's files say, as a CDI specification.

    /proc/driver/nvidia, /dev/nvidia*, libraries of the module's version ─▶ driver ─▶ specification ─▶ registry (kind nvidia.com/gpu)

A specification in a file (as `nvidia-ctk cdi generate` writes it) goes before this one. Not served here: parts of a GPU (MIG).
"""
