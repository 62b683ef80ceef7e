// SPDX-License-Identifier: AGPL-3.0-or-later

// Package faults holds tests that break things under the real program: kill -9 of the server and of its PostgreSQL, a
// database that hangs, full disks, an end in mid-transfer. They always show the same: nothing is lost, nothing recorded
// is repeated, and people read a sentence. `make test/faults` runs more of them.
package faults
