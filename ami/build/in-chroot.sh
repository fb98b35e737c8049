#!/bin/bash
# Runs a provisioning step in the tree: in-chroot.sh ROOT REPOSITORY WHEELS STEP, in a mount namespace of its own.
# The mounts end with the namespace, whatever happens; nothing of them is in the tree.
set -euo pipefail
root=$1 repository=$2 wheels=$3 step=$4
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys" 2>/dev/null || true
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -p "$root/run/build/repository" "$root/run/build/wheels"
mount --bind "$repository" "$root/run/build/repository"
mount --bind "$wheels" "$root/run/build/wheels"
cp "$step" "$root/run/build/step.sh"
hostname isochrone
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
    SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" LC_ALL="$LC_ALL" TZ="$TZ" DEBIAN_FRONTEND="$DEBIAN_FRONTEND" \
    DEBCONF_NONINTERACTIVE_SEEN="$DEBCONF_NONINTERACTIVE_SEEN" PYTHONHASHSEED="$PYTHONHASHSEED" \
    ISOCHRONE_PACKAGES="$ISOCHRONE_PACKAGES" \
    chroot "$root" /bin/bash -euo pipefail /run/build/step.sh
