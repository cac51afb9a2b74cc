#!/bin/bash
# What a user does with the package, the units and README's two services where systemd runs. Each line of its output
# tells a step that went well. boot.sh runs it.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
unset KBUS_DIR XDG_RUNTIME_DIR
cd /
trap 'echo "failed at line $LINENO: $BASH_COMMAND"; journalctl --no-pager -n 30 || true' ERR

# Waits until a command succeeds; systemd ends the trial if it never does.
until_it() {
	until "$@" >/dev/null 2>&1; do sleep 0.05; done
}
show() { systemctl show --value --property "$@"; }
is() { [ "$(show "$1" "$2")" = "$3" ]; }
as_alice=(setpriv --reuid=alice --regid=alice --init-groups env HOME=/home/alice)

# The package starts the socket, and the first client the service.
useradd --create-home alice
bash -e /apt.sh >/dev/null 2>&1
echo "installed: socket $(show ActiveState kbus.socket), service $(show ActiveState kbus.service)"
"${as_alice[@]}" kbus send '$.Hello' >/dev/null
echo "a client came: $(show Type kbus.service), $(show SubState kbus.service), $(show StatusText kbus.service)"
pid=$(show MainPID kbus.service)
echo "the daemon is $(ps -o user= -p "$pid"), $(grep -E '^(NoNewPrivs|Seccomp|CapBnd):' /proc/"$pid"/status | tr -s "\t\n" " " | sed "s/ $//")"

# README's heater reconnects: it lives on, whatever becomes of the daemon.
tar -xf /house.tar -C /home/alice
chown -R alice: /home/alice
"${as_alice[@]}" node /home/alice/house/heater.mjs >/tmp/heater &
until_it grep -q ready /tmp/heater
ask() { "${as_alice[@]}" kbus request '$.Heater.Set' '{ "degrees": 19 }'; }

kill -9 "$pid"
new_daemon() { is SubState kbus.service running && ! is MainPID kbus.service "$pid"; }
until_it new_daemon
echo "killed: a new daemon, $(stat -c %U:%G:%a /run/kbus/kbus0.sock)"
until_it ask
echo "the heater is back: $(ask)"

pid=$(show MainPID kbus.service)
systemctl restart kbus.service
new_daemon
until_it ask
echo "restarted: $(ask)"
pid=$(show MainPID kbus.service)
dpkg --force-depends -i /kbus_*+test_all.deb >/dev/null 2>&1
new_daemon
echo "upgraded: a new daemon, $(show SubState kbus.service)"

# A setting that is wrong: the unit fails, and says why.
cp /etc/kbus.toml /tmp/kbus.toml
echo 'busses = 2' >>/etc/kbus.toml
if systemctl restart kbus.service 2>/dev/null; then exit 1; fi
journalctl --sync
echo "a wrong setting: $(show NRestarts kbus.service) restarts," \
	"$(journalctl --no-pager -u kbus.service -o cat | grep -o 'kbus.toml, line.*not a setting' | tail -1)"
cp /tmp/kbus.toml /etc/kbus.toml
systemctl reset-failed kbus.service kbus.socket
systemctl restart kbus.socket
systemctl start kbus.service

kill $!
wait $! || true
systemctl stop kbus.service kbus.socket 2>/dev/null
echo "stopped: $(show Result kbus.service), $(ls /run/kbus | wc -l) files"
systemctl start kbus.socket

# Several daemons.
mkdir -p /etc/kbus
printf 'buses = 2\ngroup = "kbus"\n' >/etc/kbus/video.toml
systemctl start kbus@video.socket
"${as_alice[@]}" KBUS_DIR=/run/kbus-video kbus send '$.Hello' >/dev/null
echo "kbus@video: $("${as_alice[@]}" KBUS_DIR=/run/kbus-video kbus stats --bus 1 | grep -o "^bus 1: . Ksocks"), $(show SubState kbus@video.service)"

# The buses of one user.
uid=$(id -u alice)
systemctl start "user@$uid.service"
users() { "${as_alice[@]}" XDG_RUNTIME_DIR="/run/user/$uid" "$@"; }
users systemctl --user start kbus.socket
users kbus send '$.Hello' >/dev/null
echo "user unit: $(users systemctl --user show --value --property SubState kbus.service), $(stat -c %U:%a "/run/user/$uid/kbus/kbus0.sock")"
users systemctl --user stop kbus.socket kbus.service 2>/dev/null

# README's two services, with the package in the user's folder.
users systemctl --user daemon-reload
users systemctl --user enable --now kbus heater 2>/dev/null
until_it users systemctl --user is-active heater
cd /home/alice/house
until_it users node panel.mjs
users node panel.mjs | sed 's/^/README: /'
users systemctl --user kill --signal=KILL kbus
until_it users bash -c 'systemctl --user is-active kbus && node panel.mjs'
echo "README: killed, started again, and the heater is back"
cd /
systemctl stop "user@$uid.service"

dpkg --force-depends --purge kbus >/dev/null 2>&1
systemctl daemon-reload
left=$(systemctl list-units --all --plain --no-legend 'kbus*' | awk '{ print $1, $3 }')
echo "purged: units '$left', files '$(find /run /etc -xdev -name '*kbus*' ! -path '/run/systemd/*' ! -path '/run/user/*' ! -path /etc/kbus | tr '\n' ' ')'"

# By hand, with what npm installs.
cp -r /home/alice/house/node_modules/kbus /usr/lib/node_modules/
cp -r /home/alice/house/node_modules /usr/lib/node_modules/kbus/
ln -s ../lib/node_modules/kbus/dist/cli/main.cjs /usr/bin/kbus
cd /usr/lib/node_modules/kbus
bash -e /by-hand.sh 2>/dev/null
adduser --quiet alice kbus
"${as_alice[@]}" kbus send '$.Hello' >/dev/null
echo "by hand: $(show SubState kbus.service)"
