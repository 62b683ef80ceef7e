// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/internal/refusal"
)

// Denied says what a user lacks.
type Denied struct {
	Reason string
	Locked bool // nothing is lacking: staff has locked a section for a while
}

func (d *Denied) Error() string { return d.Reason }

func notFoundIf(absent bool, what string) error {
	if absent {
		return fmt.Errorf("%s: %w", what, refusal.ErrNotFound)
	}
	return nil
}

// onlySuperusers keeps staff from gaining rights through the accounts of others.
const onlySuperusers = "only superusers may change the accounts of staff and superusers; ask one of them"

func quote(name string) string { return fmt.Sprintf("%q", name) }

// TooMany asks to try again later.
type TooMany struct {
	Reason     string
	RetryAfter time.Duration // rounded up to seconds, at least one
}

func (e *TooMany) Error() string { return e.Reason }

// ErrWrongPassword doesn't tell whether there is such a user.
var ErrWrongPassword = errors.New("the username or the password is wrong; try again, or ask for a new password")
