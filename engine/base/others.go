// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import (
	"context"
	"errors"
	"io"

	"github.com/google/uuid"
)

// Others are the other members of the cluster, and the files on their disks. A store is a folder of files on one disk,
// whose member tells its ID at its registration. The actors implement it.
type Others interface {
	// Unreached tries all of them, and returns why some can't be reached, by the address of their actors.
	Unreached(ctx context.Context) map[string]string
	// Reaches reports whether a member that is there has a store.
	Reaches(store uuid.UUID) bool
	// Open opens a file for reading; fs.ErrNotExist: the store has none of this name, ErrAway: nobody there has the store.
	Open(ctx context.Context, store uuid.UUID, name string) (io.ReadCloser, error)
	// Remove removes a file. One that is gone already is no error.
	Remove(ctx context.Context, store uuid.UUID, name string) error
}

// ErrAway says that the member on whose disk something lies is not there.
var ErrAway = errors.New("the member of the cluster that keeps the file is not running or can't be reached")

// NoOthers are those of a member that is alone.
type NoOthers struct{}

// Unreached implements Others.
func (NoOthers) Unreached(context.Context) map[string]string { return nil }

// Reaches implements Others.
func (NoOthers) Reaches(uuid.UUID) bool { return false }

// Open implements Others.
func (NoOthers) Open(context.Context, uuid.UUID, string) (io.ReadCloser, error) { return nil, ErrAway }

// Remove implements Others.
func (NoOthers) Remove(context.Context, uuid.UUID, string) error { return ErrAway }
