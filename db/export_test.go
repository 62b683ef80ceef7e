// SPDX-License-Identifier: AGPL-3.0-or-later

package db

// MigrateTo lets tests outside the package go down as well as up.
var MigrateTo = migrateTo
