// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/google/uuid"

	"github.com/adit-go/adit/actors/socket"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/lease"
)

// Store is a folder of files on the disk of one member.
type Store interface {
	// Open opens a file for reading; fs.ErrNotExist: there is none.
	Open(name string) (io.ReadCloser, error)
	// Remove removes a file. One that is gone already is no error.
	Remove(name string) error
}

// files are those on the disks of other members.
type files struct{ peers *peers }

// keeper returns the member that has a store.
func (f files) keeper(ctx context.Context, store uuid.UUID) (lease.Peer, error) {
	for look := true; ; look = false {
		members := *f.peers.members.Load()
		i := slices.IndexFunc(members, func(m lease.Peer) bool { return slices.Contains(m.Stores, store) })
		if i >= 0 {
			return members[i], nil
		}
		if !look || !f.peers.lookNow(ctx) { // it may have come a moment ago
			return lease.Peer{}, base.ErrAway
		}
	}
}

// Reaches implements base.Files.
func (f files) Reaches(store uuid.UUID) bool {
	_, err := f.keeper(context.Background(), store)
	return err == nil
}

// Open implements base.Files.
func (f files) Open(ctx context.Context, store uuid.UUID, name string) (io.ReadCloser, error) {
	m, err := f.keeper(ctx, store)
	if err != nil {
		return nil, err
	}
	file, err := f.peers.channel.Open(ctx, m.DataAddr, socket.File{Store: store, Name: name})
	if err != nil {
		return nil, f.away(ctx, m, err)
	}
	return file, nil
}

// Remove implements base.Files.
func (f files) Remove(ctx context.Context, store uuid.UUID, name string) error {
	m, err := f.keeper(ctx, store)
	if err != nil {
		return err
	}
	if err := f.peers.channel.Remove(ctx, m.DataAddr, socket.File{Store: store, Name: name}); err != nil {
		return f.away(ctx, m, err)
	}
	return nil
}

// away tells a member that can't be reached from one that refuses.
func (f files) away(ctx context.Context, m lease.Peer, err error) error {
	if _, refused := errors.AsType[*socket.RefusedError](err); refused || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.peers.log.WarnContext(ctx, "a file of another member can't be reached", "member", m.Name, "err", err)
	return base.ErrAway
}
