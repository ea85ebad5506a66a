#!/bin/sh
# What a first start needs, made with the product itself: development keys, a pepper, and a user with a token.
#
#   keys.sh              make what is not there yet
#   keys.sh renew        give the proxy a new certificate, under the same authority
#   keys.sh token NAME   add a user, and show the token this once
#
# In production the files in secrets/proxy come from your own authority and secret store.
set -eu
umask 077

proxy=/secrets/proxy client=/secrets/client authority=/secrets/authority
finished=$client/bearer
proxy_user=10001:10001

# give OWNER FILE...: nobody else may read these.
give() {
  owner=$1
  shift
  chown "$owner" "$@"
  chmod 0400 "$@"
}

first_start() {
  # Whatever a start that was interrupted has left.
  find /secrets -mindepth 2 ! -name .gitignore -delete
  authproxy pepper new --out $authority/password > /dev/null
  authproxy keys generate --out /tmp/public --san localhost --san 127.0.0.1 --san ::1 --san proxy \
    --keep-ca $authority/root.pem --ca-password-file $authority/password > /dev/null
  cp /tmp/public/server.pem $proxy/server.pem
  cp /tmp/public/ca.pem $client/ca.pem
  authproxy pepper new --out $proxy/pepper
  new_token alice > $client/token
  give $proxy_user $proxy/*
  # The folder's own owner is whoever has started this, and is the client.
  you=$(stat -c %u:%g /secrets)
  printf 'Authorization: Bearer %s\n' "$(cat $client/token)" > $finished.new
  give "$you" $client/*
  chmod 0444 $client/ca.pem
  mv $finished.new $finished
  echo "made: the token of alice is in secrets/client/token, and whom to trust in secrets/client/ca.pem"
}

# service NAME OWNER: keys for one service behind the proxy, under an authority that vouches for it alone.
service() {
  if [ -e "/secrets/$1/server.pem" ]; then return; fi
  rm -rf "/tmp/$1"
  authproxy keys generate --out "/tmp/$1" --san "$1" --client proxy > /dev/null
  cp "/tmp/$1/proxy.pem" "$proxy/$1-client.pem"
  cp "/tmp/$1/ca.pem" "$proxy/$1-ca.pem"
  cp "/tmp/$1/ca.pem" "/secrets/$1/ca.pem"
  if [ "$1" = redis ]; then
    rm -f $proxy/redis.password
    authproxy pepper new --out $proxy/redis.password > /dev/null
    printf 'requirepass "%s"\n' "$(cat $proxy/redis.password)" > /secrets/redis/password.conf
    give "$2" /secrets/redis/password.conf
  fi
  give $proxy_user "$proxy/$1"*
  give "$2" "/tmp/$1/server.pem" "/secrets/$1/ca.pem"
  # Last, since it says that the rest is there.
  cp -p "/tmp/$1/server.pem" "/secrets/$1/server.pem"
  echo "made: keys for $1"
}

new_token() {
  authproxy token new --prefix web --pepper-file $proxy/pepper --name "$1" --group staff --expires 90d \
    --into $proxy/tokens.yaml
}

# The proxy may look at any moment: it finds the old file or the new one, and may read either.
renew() {
  cp -p $proxy/server.pem $proxy/.renewed.pem
  authproxy keys renew $proxy/.renewed.pem --keep-ca $authority/root.pem --ca-password-file $authority/password > /dev/null
  give $proxy_user $proxy/.renewed.pem
  mv -f $proxy/.renewed.pem $proxy/server.pem
  echo "renewed: secrets/proxy/server.pem; the proxy takes it with SIGHUP, or within reload.watch"
}

misused() {
  echo "keys.sh: $1" >&2
  exit 2
}

case ${1:-} in
  '')
    if [ ! -e "$finished" ]; then first_start; fi
    # Containers of other users are given these folders, whatever umask they were cloned with; the files in them have modes
    # of their own.
    chmod go+rx $proxy
    for name in ${SERVICES:-}; do
      chmod go+rx "/secrets/$name"
      case $name in
        redis) service redis 999:999 ;;    # the user of the image
        *) service "$name" 10002:10002 ;;
      esac
    done
    ;;
  renew) renew ;;
  token)
    if [ -z "${2:-}" ]; then misused "say whose: token NAME"; fi
    new_token "$2"
    ;;
  *) misused "'$1' is not known; say renew, or token NAME, or nothing" ;;
esac
