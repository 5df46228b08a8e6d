#!/bin/sh
# Runs once, on an empty data volume: makes the role that owns SalesPad's database and runs its migrations. It is no
# superuser, because row-level security does not hold a superuser back; CREATEROLE lets it make sp_app and sp_system.
set -eu

psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
    --set=password="${OWNER_PASSWORD:?}" <<'SQL'
CREATE ROLE sp_owner LOGIN CREATEROLE CREATEDB NOSUPERUSER NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE salespad OWNER sp_owner;
SQL
