// SPDX-License-Identifier: AGPL-3.0-or-later

// Package db is ADIT's PostgreSQL: the schema (migrations/), the queries (queries/, from which sqlc generates the
// rest of this package), how connections are opened, and how a transaction is retried.
//
// There is one database engine, in tests as in production: PostgreSQL 15 or later. Package local runs a private
// one, package dbtest gives each test a database of its own.
package db
