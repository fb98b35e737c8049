# Accounts and directories of the service. Those of Redis, MariaDB and nginx come with their packages.
getent group market >/dev/null || groupadd --system --gid 900 market
getent passwd market >/dev/null ||
    useradd --system --uid 900 --gid market --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin market
install -d -m 755 /etc/isochrone
install -d -m 750 -g market /etc/isochrone/secrets
install -d -m 755 /var/lib/isochrone
# Nobody logs in by a password; Session Manager is the way in.
passwd --quiet --lock root
usermod --shell /bin/bash root
