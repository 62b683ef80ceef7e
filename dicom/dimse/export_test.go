// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import "time"

// SetCancelGrace shortens the wait for the final response after C-CANCEL.
func (a *Association) SetCancelGrace(d time.Duration) { a.cancelGrace = d }
