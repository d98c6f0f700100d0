#!/bin/sh
# Makes what compose.yaml needs under ./secrets, once: passwords, an authority, and certificates for each server. Leaves what is there.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
cd secrets
for name in postgres-password keycloak-admin-password; do
  [ -e "$name" ] || openssl rand -hex 24 > "$name"
done
[ -e ca.key ] || openssl ecparam -name prime256v1 -genkey -noout -out ca.key
[ -e ca.crt ] || openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj "/CN=Keystead compose authority" -out ca.crt
for name in postgres keycloak keystead; do
  [ -e "$name.crt" ] && continue
  openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$name.key"
  openssl req -new -key "$name.key" -subj "/CN=$name" -out "$name.csr"
  printf 'subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' "$name" > "$name.ext"
  openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -sha256 -days 825 -extfile "$name.ext" -out "$name.crt"
  rm "$name.csr" "$name.ext"
done
