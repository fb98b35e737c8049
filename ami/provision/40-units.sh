# Which units start by themselves: the machine's own and the boot; what a role needs is started by the boot.
systemctl set-default multi-user.target
off=(nginx.service redis-server.service redis-sentinel.service mariadb.service prometheus.service e2scrub_reap.service
    e2scrub_all.timer)
on=(systemd-networkd.service systemd-resolved.service chrony.service logrotate.timer
    unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer
    isochrone-boot.service isochrone-agent.service isochrone-growroot.service etc-isochrone-secrets.mount)
for unit in "${off[@]}"; do
    systemctl disable --quiet "$unit" 2>/dev/null || true
done
systemctl enable --quiet "${on[@]}"
# What no machine of this image mounts, loads or reads: each would be started at every boot.
systemctl mask --quiet sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount sys-kernel-config.mount \
    proc-sys-fs-binfmt_misc.automount systemd-binfmt.service modprobe@configfs.service modprobe@dm_mod.service \
    modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service
# Both names of Redis, as Debian has them.
ln -sf redis-server.service /etc/systemd/system/redis.service
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
echo isochrone >/etc/hostname
printf '127.0.0.1 localhost isochrone\n::1 localhost\n' >/etc/hosts
