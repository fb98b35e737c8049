# Debian's packages, at the recorded versions, from the repository of the build.
policy=/usr/sbin/policy-rc.d
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
trap 'rm -f "$policy"' EXIT

# What an image is made without: manuals and translations; copyright files stay. The initramfs comes at the end.
cat >/etc/dpkg/dpkg.cfg.d/isochrone <<'CONFIG'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/javascript/moment-timezone/*
path-include /usr/share/javascript/moment-timezone/*.min.js
CONFIG
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/build-only
install -d /etc/initramfs-tools
echo 'update_initramfs=no' >/etc/initramfs-tools/update-initramfs.conf

sources=/run/build/sources.list
echo "deb [trusted=yes] file:/run/build/repository bookworm main" >"$sources"
apt_build=(apt-get -q -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
    -o Dir::State::lists=/run/build/lists -o Dir::Cache=/run/build/cache -o Acquire::Languages=none
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
mkdir -p /run/build/lists/partial /run/build/cache/archives/partial
"${apt_build[@]}" update
# shellcheck disable=SC2086
"${apt_build[@]}" install -y --no-install-recommends $ISOCHRONE_PACKAGES

rm -f /etc/dpkg/dpkg.cfg.d/build-only
sed -i 's/^update_initramfs=.*/update_initramfs=yes/' /etc/initramfs-tools/update-initramfs.conf
installed=$(dpkg-query -W -f '${Package}=${Version}\n' | sort)
wanted=$(tr ' ' '\n' <<<"$ISOCHRONE_PACKAGES" | sort)
if [[ $installed != "$wanted" ]]; then
    echo "the packages are not the recorded ones (< recorded, > installed):"
    diff <(echo "$wanted") <(echo "$installed") || true
    exit 1
fi
