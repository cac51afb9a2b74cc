#!/bin/bash
# Boots systemd, as root, in a copy of the machine that only this script sees, and runs trial.sh there as a service:
# boot.sh FOLDER FILE… — FOLDER is for its files, and the copies of FILEs are at / of that machine. It prints what the
# trial prints. Everything is gone when it ends.
set -euo pipefail
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

if [ "$1" != inside ]; then
	# A control group of its own: systemd takes what it finds for its own, and moves processes.
	cgroups=$(mktemp -d)
	mount -t cgroup2 cgroup2 "$cgroups"
	own=$cgroups/kbus-boot-$$
	mkdir "$own"
	left() {
		while [ -d "$own" ]; do
			find "$own" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
		done
		umount "$cgroups"
		rmdir "$cgroups"
	}
	trap left EXIT
	# shellcheck disable=SC2016
	status=0
	bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$own" \
		timeout --signal=KILL 110 unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net "$0" inside "$@" || status=$?
	cat "$1/out"
	exit $status
fi

folder=$2
shift 2
root=$folder/root
mkdir "$folder/over" "$root"
: >"$folder/out"
: >"$folder/console"
mount -t tmpfs tmpfs "$folder/over"
mkdir "$folder/over/up" "$folder/over/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/over/up,workdir=$folder/over/work" "$root"
cp "$@" "$(dirname "$0")/trial.sh" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for file in null zero full random urandom tty; do
	: >dev/$file
	mount --bind /dev/$file dev/$file
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs dev/shm
: >dev/console
mount --bind "$folder/console" dev/console
: >out
mount --bind "$folder/out" out
ip link set lo up 2>/dev/null || true

# Of the machine's own services none is started; what makes no sense in a copy isn't either.
find etc/systemd/system -name '*.wants' -prune -exec rm -rf {} +
for unit in dev-hugepages.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount \
	proc-sys-fs-binfmt_misc.automount systemd-udevd.service systemd-udev-trigger.service systemd-modules-load.service \
	systemd-remount-fs.service systemd-sysctl.service systemd-random-seed.service getty.target; do
	ln -sf /dev/null "etc/systemd/system/$unit"
done
# A container may forbid packages to start services. The machine's own kbus, if any, is not the one of the trial.
rm -f usr/sbin/policy-rc.d
chroot . dpkg --purge --force-depends kbus >/dev/null 2>&1 || true
cat >etc/systemd/system/trial.service <<'UNIT'
[Unit]
Requires=dbus.socket
After=basic.target dbus.socket
SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=oneshot
ExecStart=/bin/bash /trial.sh
StandardOutput=append:/out
StandardError=append:/out
UNIT
exec chroot . /usr/bin/env -i container=kbus-test PATH="$PATH" \
	/usr/lib/systemd/systemd --unit=trial.service --log-target=console --log-level=warning --show-status=no
