// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound is returned for what does not exist, and likewise for what belongs to somebody else.
var ErrNotFound = errors.New("not found")

// Invalid says which part of a request can't be used, and why.
type Invalid struct {
	Field  string
	Reason string
}

func (e *Invalid) Error() string {
	if e.Field == "" {
		return e.Reason
	}
	return e.Field + ": " + e.Reason
}

// Conflict says that something is in a state that doesn't allow the action. Nothing was changed.
type Conflict struct {
	Reason string
}

func (e *Conflict) Error() string { return e.Reason }

// Denied says what a user lacks.
type Denied struct {
	Reason string
}

func (d *Denied) Error() string { return d.Reason }

// notFound turns the absence of a row into ErrNotFound.
func notFound(err error, what string, id any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s %v: %w", what, id, ErrNotFound)
	}
	return err
}

func notFoundIf(absent bool, what string) error {
	if absent {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return nil
}

// onlySuperusers keeps staff from raising themselves by the accounts of others.
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
