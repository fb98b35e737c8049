# Nothing of the build, and nothing that two machines must not share.
rm -rf /var/lib/mysql /var/lib/redis/* /var/cache/apt/* /var/lib/apt/lists/* /var/cache/debconf/*-old /root/.cache
rm -rf /var/cache/ldconfig/aux-cache /var/lib/systemd/random-seed /var/lib/dbus/machine-id /var/backups/*
rm -f /var/lib/dpkg/*-old /etc/*- /etc/.pwd.lock /etc/mysql/debian.cnf /var/lib/systemd/deb-systemd-helper-enabled/.*.swp
rm -f /etc/ssh/ssh_host_* /etc/ssl/private/*
find /var/log -type f -delete
find /etc /var -xdev \( -name '*.dpkg-old' -o -name '*.dpkg-dist' -o -name '*.ucf-old' -o -name '*.ucf-dist' \) -delete
# Empty: systemd writes a new one at the first boot.
: >/etc/machine-id
