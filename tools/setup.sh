#!/bin/sh
# Makes .venv with Corten and its tools, and installs the system packages that demo and tests need. Safe to run again.
set -eu
need=""
for pair in mmdebstrap:mmdebstrap docker:docker-cli nft:nftables ip:iproute2 git:git openssl:openssl pgrep:procps podman:podman mkfs.ext4:e2fsprogs curl:curl; do
    command -v "${pair%%:*}" >/dev/null || need="$need ${pair#*:}"
done
[ -x /bin/busybox ] && /bin/busybox true 2>/dev/null || need="$need busybox-static"
python3 -c 'import ensurepip' 2>/dev/null || need="$need python3-venv"
if [ -n "$need" ]; then
    # Debian 12 has no docker-cli package of its own: the client comes with docker.io there.
    apt-get update -q
    apt-cache show docker-cli >/dev/null 2>&1 || need=$(echo "$need" | sed 's/docker-cli/docker.io/')
    DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $need
fi
if ! command -v qemu-system-x86_64 >/dev/null; then
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends qemu-system-x86; } ||
        echo "qemu-system-x86 cannot be installed here: nothing is tested on other kernels than this one"
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install -q --disable-pip-version-check -r requirements.lock
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
# Only the program: the package would start a registry as a service.
if ! command -v docker-registry >/dev/null && [ ! -x .venv/debian/usr/bin/docker-registry ]; then
    (cd .venv && { apt-get download -q docker-registry || { apt-get update -q && apt-get download -q docker-registry; }; } &&
        dpkg -x docker-registry_*.deb debian && rm docker-registry_*.deb)
fi
# The docker CLI's buildx and compose plug-ins, for the tests that type them: from Debian's newest packages (12 has none), only unpacked.
plugins=.venv/debian/usr/libexec/docker/cli-plugins
if [ ! -x $plugins/docker-buildx ] || [ ! -x $plugins/docker-compose ]; then
    mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\) .*/\2/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.list 2>/dev/null | grep '/debian/*$' | head -n 1)
    rm -rf .venv/plugins && mkdir -p $plugins
    mmdebstrap -q --variant=extract --aptopt='Acquire::Check-Valid-Until "false"' --include=docker-buildx,docker-compose \
        sid .venv/plugins "deb $mirror sid main"
    cp .venv/plugins/usr/libexec/docker/cli-plugins/docker-* $plugins/ && rm -rf .venv/plugins
fi
touch .venv/ready
