// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cluster holds tests of several members on one database, each a process of its own: objects that arrive at one
// member for a task of another, and faults in members, in the networks between them and in their database. Each
// connection of a member passes through a link that a test can cut. `make test/faults` runs more of them.
package cluster
