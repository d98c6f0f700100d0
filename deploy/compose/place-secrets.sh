#!/bin/sh
# Runs as root in a container without a network: gives each server its own secrets, readable by nobody else. Run it again after a change.
set -eu
umask 077
put() { # owner, from, to
  install -m 0600 -o "$1" -g "$1" "$2" "$3"
}
for name in postgres keycloak keystead; do
  case "$name" in postgres) owner=999 ;; keycloak) owner=1000 ;; keystead) owner=10001 ;; esac
  install -d -m 0700 -o "$owner" -g "$owner" "/place/$name"
  put "$owner" "/run/secrets/$name-key" "/place/$name/tls.key"
  put "$owner" "/run/secrets/$name-crt" "/place/$name/tls.crt"
  put "$owner" /run/secrets/ca-crt "/place/$name/ca.crt"
done
put 999 /run/secrets/postgres-password /place/postgres/password
put 1000 /run/secrets/keycloak-admin-password /place/keycloak/admin-password
printf 'postgres:5432:keystead:keystead:%s\n' "$(cat /run/secrets/postgres-password)" > /run/scratch/pgpass
put 10001 /run/scratch/pgpass /place/keystead/pgpass
rm /run/scratch/pgpass
