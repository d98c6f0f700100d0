#!/bin/sh
# Makes the data folder when there is none, and writes the settings of the server into its configuration.
set -eu
cd /var/lib/keystead
[ -e data/keystead.json ] || keystead init --dir data --store \
  'postgresql://keystead@postgres:5432/keystead?passfile=/run/keystead/pgpass&sslmode=verify-full&sslrootcert=/run/keystead/ca.crt'
exec node -e '
const { readFileSync, renameSync, writeFileSync } = require("node:fs");
const configuration = JSON.parse(readFileSync("data/keystead.json", "utf8"));
configuration.server = JSON.parse(readFileSync("/etc/keystead/server.json", "utf8"));
writeFileSync("data/keystead.json.new", JSON.stringify(configuration, undefined, 2) + "\n", { mode: 0o600 });
renameSync("data/keystead.json.new", "data/keystead.json");
'
