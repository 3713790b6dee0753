#!/bin/sh
# Builds the two programs from init.c, beside it. Needs gcc for x86_64 and for aarch64 (Debian: gcc, gcc-aarch64-linux-gnu).
set -eu
cd "$(dirname "$0")"
for arch in x86_64 aarch64; do
    gcc=$(ls /usr/bin/$arch-linux-gnu-gcc* | grep -E 'gcc(-[0-9]+)?$' | head -n 1)
    "$gcc" -Os -Wall -Wextra -Werror -static -nostdlib -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie -no-pie \
        -Wl,--build-id=none,-z,norelro,-z,noseparate-code,-z,noexecstack -s -o "init-$arch" init.c
done
