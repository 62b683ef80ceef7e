// SPDX-License-Identifier: AGPL-3.0-or-later

// Package faults holds tests that break things under the real program: kill -9 of the server and of its PostgreSQL, a
// database that stands still, full disks, an end in mid-transfer. What they show is always the same: nothing is lost,
// nothing is repeated that was written down, and what people read is a sentence. `make test/faults` runs more of them.
package faults
