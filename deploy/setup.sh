#!/usr/bin/env bash
# Installs what a machine with Go, git and make still lacks: PostgreSQL for running and testing; with --test PgBouncer, Chromium, and Node.js
# for an identity provider; with --generate Node.js for buf, when the generated code is checked. On Debian and Ubuntu as root it installs;
# elsewhere it says what to do.
set -euo pipefail

missing=()

# PostgreSQL 15 or newer: a folder that holds initdb and postgres.
have_postgres() {
  local folder
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
    "$(dirname "$(readlink -f "$(command -v initdb 2>/dev/null || echo /nowhere/initdb)")")"; do
    [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && return 0
  done
  return 1
}
have_postgres || missing+=(postgresql)

case "${1:-}" in
  --test)
    PATH=$PATH:/usr/sbin command -v pgbouncer >/dev/null || missing+=(pgbouncer)
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
    command -v npm >/dev/null || missing+=(nodejs npm)
    ;;
  --generate) command -v npm >/dev/null || missing+=(nodejs npm) ;;
esac

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "Please install ${missing[*]}, for example: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
