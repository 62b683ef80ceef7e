// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/adit-go/adit/actors/cluster"
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

// others are the other members, as the engine asks for them.
type others struct{ peers *peers }

// Unreached implements base.Others. A member is reached if both of its addresses answer.
func (f others) Unreached(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, offerTime)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	why := map[string]string{}
	for _, m := range *f.peers.members.Load() {
		asked.Go(func() {
			file, err := f.peers.channel.Open(ctx, m.DataAddr, socket.File{}) // there is none of no name
			if err == nil {
				err = file.Close()
			} else if errors.Is(err, fs.ErrNotExist) {
				_, err = f.peers.remote.Ask(m.ActorAddr, &cluster.Offer{}, offerTime)
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				why[m.ActorAddr] = err.Error()
			}
		})
	}
	asked.Wait()
	return why
}

// keeper returns the member that has a store.
func (f others) keeper(ctx context.Context, store uuid.UUID) (lease.Peer, error) {
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

// Reaches implements base.Others.
func (f others) Reaches(store uuid.UUID) bool {
	_, err := f.keeper(context.Background(), store)
	return err == nil
}

// Open implements base.Others.
func (f others) Open(ctx context.Context, store uuid.UUID, name string) (io.ReadCloser, error) {
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

// Remove implements base.Others.
func (f others) Remove(ctx context.Context, store uuid.UUID, name string) error {
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
func (f others) away(ctx context.Context, m lease.Peer, err error) error {
	if _, refused := errors.AsType[*socket.RefusedError](err); refused || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f.peers.log.WarnContext(ctx, "a file of another member can't be reached", "member", m.Name, "err", err)
	return base.ErrAway
}
