"""The whole product on one virtual machine after the other: kernels of Debian releases, cgroup v1 and v2."""
