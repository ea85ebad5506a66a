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

# give OWNER FILE...: nobody else may read these.
give() {
  owner=$1
  shift
  chown "$owner" "$@"
  chmod 0400 "$@"
}

first_start() {
  # Whatever a start that was interrupted has left.
  rm -rf /secrets/*/*
  authproxy pepper new --out $authority/password > /dev/null
  authproxy keys generate --out /tmp/public --san localhost --san 127.0.0.1 --san ::1 --san proxy \
    --keep-ca $authority/root.pem --ca-password-file $authority/password > /dev/null
  cp /tmp/public/server.pem $proxy/server.pem
  cp /tmp/public/ca.pem $client/ca.pem

  id=10001
  for service in ${SERVICES:-}; do
    id=$((id + 1))
    authproxy keys generate --out "/tmp/$service" --san "$service" --client proxy > /dev/null
    cp "/tmp/$service/server.pem" "/tmp/$service/ca.pem" "/secrets/$service/"
    cp "/tmp/$service/proxy.pem" "$proxy/$service-client.pem"
    cp "/tmp/$service/ca.pem" "$proxy/$service-ca.pem"
    give "$id:$id" "/secrets/$service/"*
  done

  authproxy pepper new --out $proxy/pepper
  new_token alice > $client/token
  printf 'Authorization: Bearer %s\n' "$(cat $client/token)" > /tmp/bearer
  give 10001:10001 $proxy/*
  # The folder's own owner is whoever has started this, and is the client.
  give "$(stat -c %u:%g /secrets)" $client/*
  chmod 0444 $client/ca.pem
  give "$(stat -c %u:%g /secrets)" /tmp/bearer
  cp -p /tmp/bearer $finished
  echo "made: the token of alice is in secrets/client/token, and whom to trust in secrets/client/ca.pem"
}

new_token() {
  authproxy token new --prefix web --pepper-file $proxy/pepper --name "$1" --group staff --expires 90d \
    --into $proxy/tokens.yaml
}

# The proxy may look at any moment: it finds the old file or the new one, and may read either.
renew() {
  cp -p $proxy/server.pem $proxy/.renewed.pem
  authproxy keys renew $proxy/.renewed.pem --keep-ca $authority/root.pem --ca-password-file $authority/password
  give 10001:10001 $proxy/.renewed.pem
  mv -f $proxy/.renewed.pem $proxy/server.pem
}

case ${1:-} in
  '') if [ -e "$finished" ]; then echo 'all there'; else first_start; fi ;;
  renew) renew ;;
  token) new_token "${2:?say whose: token NAME}" ;;
  *) echo "keys.sh: '$1' is not known; say renew, or token NAME, or nothing" >&2; exit 2 ;;
esac
