#!/bin/bash
# Installs, uses, upgrades and purges the package, as root, in a copy of the machine that only this script sees:
# install.sh FOLDER FIRST.deb SECOND.deb. Each line of its output tells a step that went well.
set -euo pipefail

if [ "${1:-}" != inside ]; then
	folder=$1
	mkdir -p "$folder/over"
	mount -t tmpfs tmpfs "$folder/over"
	mkdir "$folder/over/up" "$folder/over/work" "$folder/root"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/over/up,workdir=$folder/over/work" "$folder/root"
	cp "$2" "$folder/root/first.deb"
	cp "$3" "$folder/root/second.deb"
	cp "$0" "$folder/root/install.sh"
	mount -t proc proc "$folder/root/proc"
	mount --rbind /dev "$folder/root/dev"
	mount -t tmpfs -o mode=755 tmpfs "$folder/root/run"
	mount -t tmpfs tmpfs "$folder/root/tmp"
	echo 'mounted'
	exec chroot "$folder/root" /install.sh inside
fi

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
unset KBUS_DIR XDG_RUNTIME_DIR
cd /
# Node need not be Debian's; a daemon of the machine's own package must not be in the way.
dpkg --purge --force-depends kbus >/dev/null 2>&1 || true
left() {
	find /etc /usr /var /run -xdev \( -name '*kbus*' -o -path '*/kbus/*' \) \
		! -path '/usr/share/nodejs/*/node_modules/*' ! -path '/usr/lib/node_modules/*' ! -path '/usr/local/*' | sort
}
before=$(left)

dpkg --force-depends -i first.deb >/dev/null 2>&1
echo "installed $(dpkg-query -W -f '${Version}' kbus): $(kbus --version)"
getent passwd kbus >/dev/null
getent group kbus >/dev/null
man -w kbus >/dev/null
test -e /usr/share/bash-completion/completions/kbus

# Waits until a program has said something, and ends with what it said if it ends instead.
says() {
	until grep -qs "$1" "$2"; do
		kill -0 $! 2>/dev/null || { cat "$2" >&2; exit 1; }
		sleep 0.05
	done
}
# What systemd does with the unit.
unit=/usr/lib/systemd/system/kbus.service
started() {
	install -d -o kbus -g kbus -m 755 /run/kbus
	local command
	command=$(sed -n 's#^ExecStart=##p' $unit | sed 's#%t#/run#')
	rm -f /var/log/kbus-test
	# shellcheck disable=SC2086
	setpriv --reuid=kbus --regid=kbus --init-groups --no-new-privs --bounding-set=-all $command 2>/var/log/kbus-test &
	daemon=$!
	says 'serving bus' /var/log/kbus-test
}
stopped() {
	kill $daemon
	wait $daemon || [ $? = 143 ]
}
used() {
	rm -f /var/log/kbus-reply
	kbus reply --echo '$.Echo' --count 1 >/dev/null 2>/var/log/kbus-reply &
	says replying /var/log/kbus-reply
	kbus request '$.Echo' "$1"
	echo
	wait $!
}
started
echo "started as $(stat -c %U:%G:%a /run/kbus/kbus0.sock)"
used 'first: a client finds the bus by itself'
# A user of the group may use the bus; another one is told that it may not.
setpriv --reuid=65534 --regid="$(getent group kbus | cut -d: -f3)" --clear-groups kbus send '$.A' >/dev/null
if setpriv --reuid=65534 --regid=65534 --clear-groups kbus send '$.A' 2>/var/log/kbus-refused; then exit 1; fi
grep -o 'this user may not use /run/kbus/kbus0.sock' /var/log/kbus-refused
stopped

echo 'buses = 2' >>/etc/kbus.toml
dpkg --force-depends --force-confold -i second.deb >/dev/null 2>&1
echo "upgraded to $(dpkg-query -W -f '${Version}' kbus)"
started
used 'second: the settings are kept'
kbus stats --bus 1 | head -1 | grep -o '^bus 1'
stopped

dpkg --force-depends --remove kbus >/dev/null 2>&1
test -e /etc/kbus.toml
echo 'removed; /etc/kbus.toml is kept'
dpkg --purge kbus >/dev/null 2>&1
rm -f /var/log/kbus-*
if [ "$(left)" != "$before" ]; then left >&2; exit 1; fi
if getent passwd kbus || getent group kbus; then exit 1; fi
echo 'purged'
