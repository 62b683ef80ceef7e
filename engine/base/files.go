// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import (
	"context"
	"errors"
	"io"

	"github.com/google/uuid"
)

// Files are those on the disks of other members. A store is a folder of files on one disk, whose member tells its ID
// at its registration. The actors implement it.
type Files interface {
	// Reaches reports whether a member that is there has a store.
	Reaches(store uuid.UUID) bool
	// Open opens a file for reading; fs.ErrNotExist: the store has none of this name, ErrAway: nobody there has the store.
	Open(ctx context.Context, store uuid.UUID, name string) (io.ReadCloser, error)
	// Remove removes a file. One that is gone already is no error.
	Remove(ctx context.Context, store uuid.UUID, name string) error
}

// ErrAway says that the member on whose disk something lies is not there.
var ErrAway = errors.New("the member of the cluster that keeps the file is not running or can't be reached")

// NoFiles are those of a member that is alone.
type NoFiles struct{}

// Reaches implements Files.
func (NoFiles) Reaches(uuid.UUID) bool { return false }

// Open implements Files.
func (NoFiles) Open(context.Context, uuid.UUID, string) (io.ReadCloser, error) { return nil, ErrAway }

// Remove implements Files.
func (NoFiles) Remove(context.Context, uuid.UUID, string) error { return ErrAway }
