#!/usr/bin/env bash
# systemd_box.sh WORK: boots this machine's systemd as process 1 of namespaces of its own, over a copy-on-write view of
# this machine's files, with no unit but those that tests put there. It ends with the process that started it.
# WORK is an empty directory; Python and its packages are given by PREFIX, SITE and SOURCE.
set -euo pipefail
work=$1

if [[ -z ${IN_BOX:-} ]]; then
  # Of its own hierarchy of control groups systemd needs the top.
  group=/sys/fs/cgroup
  if [[ -d $group/systemd ]]; then group=$group/systemd; fi
  mkdir -p "$group/authproxy-box-$$"
  echo $$ > "$group/authproxy-box-$$/cgroup.procs"
  IN_BOX=1 exec unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup --propagation private "$0" "$work"
fi

ip link set lo up
root=$work/root
mkdir -p "$work/layers" "$root"
mount -t tmpfs none "$work/layers"
mkdir "$work/layers/upper" "$work/layers/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/layers/upper,workdir=$work/layers/work" "$root"

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount -t tmpfs none "$root/sys"
mkdir -p "$root/sys/fs/cgroup"
if [[ -d /sys/fs/cgroup/systemd ]]; then
  mount -t tmpfs none "$root/sys/fs/cgroup"
  mkdir "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
else
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
fi
mount -t tmpfs none "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs none "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=755 none "$root/run"
mount -t tmpfs -o mode=1777 none "$root/tmp"

# Nothing is started but what a test asks for.
rm -rf "$root"/etc/systemd/{system,system.conf.d} "$root"/{usr/,}lib/systemd/system/*.wants "$root"/{opt,etc}/authproxy
mkdir -p "$root/etc/systemd/system"
for target in box sysinit basic network-online multi-user; do
  printf '[Unit]\nDescription=%s\nDefaultDependencies=no\nAllowIsolate=yes\n' "$target" > "$root/etc/systemd/system/$target.target"
done

# What `pip install` would have put there.
mkdir -p "$root/opt/authproxy"/{bin,python,site,source/authproxy}
mount --bind "$PREFIX" "$root/opt/authproxy/python"
mount --bind "$SITE" "$root/opt/authproxy/site"
mount --bind "$SOURCE/authproxy" "$root/opt/authproxy/source/authproxy"
cat > "$root/opt/authproxy/bin/authproxy" <<'SCRIPT'
#!/bin/sh
here=/opt/authproxy
export PYTHONPATH=$here/source:$here/site LD_LIBRARY_PATH=$here/python/lib PYTHONDONTWRITEBYTECODE=1
exec "$here/python/bin/python3" -m authproxy "$@"
SCRIPT
chmod 755 "$root/opt/authproxy/bin/authproxy"
mkdir -p "$root/srv/authproxy"
mount --bind "$SOURCE" "$root/srv/authproxy"

# No chroot: within one, nobody may make a user namespace (PrivateUsers=).
cd "$root"
pivot_root . .
umount -l .
# As at a real boot: credentials (LoadCredential=) are mounted by a process with a view of its own.
mount --make-rshared /
exec env -i container=box PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=box.target --show-status=no --log-target=console
