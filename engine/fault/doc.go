// SPDX-License-Identifier: AGPL-3.0-or-later

// Package fault describes what went wrong: errors with how a task reacts to them, the sentences that people read, and
// the one gate for values from outside.
package fault
