// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import "time"

// SetRestful makes the next operation look at once whether the association has ended.
func (a *Association) SetRestful(d time.Duration) { a.restful = d }

// SetCancelGrace shortens the wait for the final response after C-CANCEL.
func (a *Association) SetCancelGrace(d time.Duration) { a.cancelGrace = d }
