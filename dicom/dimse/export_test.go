// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import "time"

// SetCheckAfter makes the next operation look at once whether the association has ended.
func (a *Association) SetCheckAfter(d time.Duration) { a.checkAfter = d }

// SetCancelGrace shortens the wait for the final response after C-CANCEL.
func (a *Association) SetCancelGrace(d time.Duration) { a.cancelGrace = d }
