// SPDX-License-Identifier: AGPL-3.0-or-later

// Package process runs `adit serve` and other commands as processes of their own inside a test, for packages whose
// TestMain is Main.
package process
