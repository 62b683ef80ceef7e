// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

// Association is an association over a connection.
type Association struct{}
