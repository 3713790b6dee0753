"""Paths below /proc and /sys that a container sees empty (masked) or cannot write."""

import os

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


def masked_paths() -> list[str]:
    """MASKED, and every CPU's thermal throttle counters, a side channel (GHSA-6fw5-f8r9-fgfm)."""
    found = list(MASKED)
    for number in range(os.cpu_count() or 1):
        path = f"/sys/devices/system/cpu/cpu{number}/thermal_throttle"
        if os.path.exists(path):
            found.append(path)
    return found
