// SPDX-License-Identifier: AGPL-3.0-or-later

// Package refusal says why ADIT does not do what somebody asked for: it does not exist, it is not valid, or something
// conflicts with it. Code that answers people, by HTTP or on a terminal, knows these three.
package refusal

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound is returned for what does not exist, and likewise for what belongs to somebody else.
var ErrNotFound = errors.New("not found")

// NotFound turns the absence of a row into ErrNotFound, and returns any other error as it is.
func NotFound(err error, what string, id any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s %v: %w", what, id, ErrNotFound)
	}
	return err
}

// Invalid says which part of a request can't be used, and why.
type Invalid struct {
	Field  string // empty: the request as a whole
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

// Changed says that something is not as the caller saw it. Nothing was changed.
type Changed struct{}

func (*Changed) Error() string {
	return "somebody has changed this since you got it; get it again, and make your change to what it is now"
}
