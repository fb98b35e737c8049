#!/bin/bash
# Checks the root tree of an image: validate.sh ROOT. Fails with everything that is left over or missing.
set -uo pipefail
root=${1:?usage: validate.sh ROOT}
mistakes=0

wrong() {
    echo "$*"
    mistakes=$((mistakes + 1))
}

# Fails for each path of the tree that a pattern matches.
none() {
    local why=$1 pattern found
    shift
    for pattern; do
        while read -r found; do
            [[ -z $found ]] || wrong "left over: /${found#"$root"/} ($why)"
        done < <(compgen -G "$root/$pattern")
    done
}

# Fails for each path that is not there.
some() {
    local why=$1 path
    shift
    for path; do
        [[ -e $root/$path || -L $root/$path ]] || wrong "missing: /$path ($why)"
    done
}

# What two machines must not share, and what must not leave the build.
none "a host key" 'etc/ssh/ssh_host_*'
none "whoever has its key could log in" 'root/.ssh/*' 'home/*/.ssh/*' 'etc/ssh/authorized_keys*'
none "state of cloud-init" 'var/lib/cloud/*' 'run/cloud-init' 'etc/cloud/cloud.cfg.d/*'
none "an identity of AWS that was kept" 'var/lib/amazon/*' 'etc/amazon/ssm/*' 'var/lib/isochrone/*' 'var/lib/isochrone-reporter' \
    'run/isochrone'
none "a cache of packages" 'var/cache/apt/*' 'var/lib/apt/lists/*' 'var/cache/debconf/*-old' 'root/.cache' \
    'var/cache/ldconfig/*'
none "state of a server" 'var/lib/mysql' 'var/lib/redis/*' 'var/lib/systemd/random-seed'
none "an identity of the machine" 'var/lib/dbus/machine-id'
none "a shell's history" 'root/.*_history' 'home/*/.*_history'
none "an account of AWS" 'root/.aws' 'home/*/.aws'
none "a secret" 'etc/isochrone/secrets/*' 'etc/ssl/private/*' 'etc/mysql/debian.cnf' 'etc/isochrone/*.toml' \
    'etc/isochrone/*.conf' 'etc/isochrone/*.cnf' 'root/.my.cnf' 'root/.netrc' 'root/.pgpass' 'root/.gnupg' \
    'var/lib/systemd/credential.secret' 'etc/credstore*/*'
none "an ssh server: Session Manager is the way in" 'usr/sbin/sshd'
none "of the build" 'usr/sbin/policy-rc.d' 'etc/dpkg/dpkg.cfg.d/build-only' 'debootstrap' 'tmp/*' 'tmp/.[!.]*' \
    'run/build'
while read -r log; do
    wrong "left over: /${log#"$root"/} (a log)"
done < <(find "$root/var/log" -type f 2>/dev/null)
[[ -e $root/etc/machine-id && ! -s $root/etc/machine-id ]] || wrong "/etc/machine-id: must be there and empty"
some "accounts" etc/passwd etc/shadow
while IFS=: read -r account password _; do
    [[ $password == '*' || $password == '!'* ]] || wrong "/etc/shadow: $account could log in by a password"
done < <(cat "$root/etc/shadow" 2>/dev/null)
# In every file, whatever it is; what libraries carry for their own tests and examples is known to everybody.
everywhere=(--exclude-dir=proc --exclude-dir=sys --exclude='libgnutls.so.*' --exclude=examples-1.json)
while read -r found; do
    wrong "left over: /${found#"$root"/} (a private key)"
done < <(grep -rlzP "${everywhere[@]}" -- \
    '-----BEGIN ([A-Z]+ )*PRIVATE KEY-----\s+([A-Za-z0-9+/=]{20,}|[A-Z][A-Za-z-]+: )' "$root" 2>/dev/null)
while read -r found; do
    wrong "left over: /${found#"$root"/} (an access key of AWS)"
done < <(grep -rlE "${everywhere[@]}" '\b(AKIA|ASIA)[A-Z0-9]{16}\b' "$root" 2>/dev/null)
while read -r found; do
    wrong "left over: /${found#"$root"/} (an instance id)"
done < <(grep -rIlE --exclude-dir=site-packages --exclude-dir=dpkg '\bi-[0-9a-f]{17}\b' "$root/etc" "$root/var" \
    2>/dev/null)

# By its head: the flags after the magic number say that the file does not depend on its source's time (PEP 552).
while read -r found; do
    wrong "/${found#"$root"/}: is compiled for its source's time, which no second build has"
done < <(LC_ALL=C grep -rLzaP --include='*.pyc' '\A\xa7\x0d\x0d\x0a\x01\z' "$root/opt" "$root/usr/lib" 2>/dev/null)

key=usr/share/isochrone/ssm-agent.asc
[[ ! -e $root/$key ]] || grep -q -- '-----BEGIN PGP PUBLIC KEY BLOCK-----' "$root/$key" ||
    wrong "/$key: is no public key in ASCII armour (docs/image.md)"

# What a machine cannot be without.
some "the kernel and its first file system" vmlinuz initrd.img boot/grub/grub.cfg
for name in market redis mysql www-data prometheus; do
    grep -qs "^$name:" "$root/etc/passwd" || wrong "missing: the account $name"
done
units=usr/lib/systemd/system
some "a unit" etc/systemd/system/{isochrone-boot,isochrone-health,isochrone-drain,isochrone-certificate}.service \
    etc/systemd/system/{isochrone-reporter,isochrone-targets,isochrone-growroot,isochrone-agent}.service \
    etc/systemd/system/{market-api@,market-ledger,market-resolver,market-feed,market-migrate,nginx,redis-server,mariadb,prometheus}.service \
    etc/systemd/system/{redis-sentinel,market-follow}.service usr/local/lib/isochrone/record-master \
    etc/systemd/system/{redis.service,etc-isochrone-secrets.mount} $units/{chrony,systemd-networkd}.service
wanted=etc/systemd/system/multi-user.target.wants
some "is to start by itself" "$wanted/"{isochrone-boot,isochrone-agent,isochrone-growroot,chrony,systemd-networkd}.service \
    "$wanted/etc-isochrone-secrets.mount" "${wanted/multi-user/timers}/"{logrotate,apt-daily,apt-daily-upgrade}.timer
none "is started by the boot of its role" "$wanted/nginx.service" "$wanted/redis-server.service" \
    "$wanted/mariadb.service" "$wanted/prometheus.service"
some "a program" usr/sbin/{nginx,mariadbd,chronyd} usr/bin/{redis-server,mariadb-install-db,growpart,prometheus} \
    opt/isochrone/venv/bin/{python,market} usr/bin/{unattended-upgrade,journalctl}
packages=$root/opt/isochrone/venv/lib/python3.11/site-packages
for wheel in isochrone_market isochrone_ami uvloop hiredis msgspec websockets boto3 cryptography; do
    compgen -G "$packages/$wheel-*.dist-info" >/dev/null || wrong "missing: the wheel of $wheel"
done
some "settings" etc/sysctl.d/60-isochrone.conf etc/chrony/chrony.conf etc/systemd/journald.conf.d/isochrone.conf \
    etc/apt/apt.conf.d/52isochrone etc/logrotate.d/isochrone etc/apt/sources.list.d/debian.sources

# The drivers that the root file system and the network are reached by: in the initramfs, or in the kernel.
kernel=$(basename "$(readlink "$root/vmlinuz")")
kernel=${kernel#vmlinuz-}
listing=$(chroot "$root" lsinitramfs "/boot/initrd.img-$kernel" 2>/dev/null)
built_in=$(cat "$root/lib/modules/$kernel/modules.builtin" 2>/dev/null)
for driver in xen-blkfront xen-netfront ixgbevf ena nvme virtio_blk virtio_net ext4; do
    grep -qE "/${driver//[-_]/[-_]}\.ko" <<<"$listing"$'\n'"$built_in" ||
        wrong "missing: the driver $driver in the initramfs of $kernel"
done

if ((mistakes)); then
    echo "the image has $mistakes mistakes"
    exit 1
fi
