// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"io"
	"sync"
	"time"
)

// keptOut is how long an instance as it went out is kept for the next frame of it.
const keptOut = 5 * time.Second

// outKey names an instance as it goes out: changed as these wishes say.
type outKey struct {
	e    *entry
	n    int
	wish Wish

	project    int64
	profile    string
	generation int32
	scan       bool
}

// outs keeps instances as they went out for a moment: a viewer asks for one frame after the other.
type outs struct {
	mu  sync.Mutex
	all map[outKey]*out
}

// out is an instance as it goes out, in a file.
type out struct {
	made    chan struct{} // closed when it is, or can't be
	file    io.ReaderAt   // nil: it can't be
	size    int64
	release func()
	users   int
	used    int // how often
}

// get gives the instance of a key until release is called; it is made where it is not there. Errors are those of
// produce, or of the context.
func (o *outs) get(ctx context.Context, c *Cache, key outKey, produce func() (io.ReaderAt, int64, func(), error)) (
	file io.ReaderAt, size int64, release func(), err error,
) {
	for {
		one, mine := o.join(key)
		if mine {
			one.file, one.size, one.release, err = produce()
			close(one.made)
			if err != nil {
				o.forget(key, one)
				return nil, 0, nil, err
			}
			return one.file, one.size, sync.OnceFunc(func() { o.leave(c, key, one) }), nil
		}
		select {
		case <-one.made:
		case <-ctx.Done():
			o.leave(c, key, one)
			return nil, 0, nil, context.Cause(ctx)
		}
		if one.file != nil {
			return one.file, one.size, sync.OnceFunc(func() { o.leave(c, key, one) }), nil
		} // another one's error may be that the other one left
	}
}

// join counts a user; mine: who is to make it.
func (o *outs) join(key outKey) (one *out, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if one = o.all[key]; one == nil {
		one, mine = &out{made: make(chan struct{})}, true
		o.all[key] = one
	}
	one.users++
	one.used++
	return one, mine
}

func (o *outs) forget(key outKey, one *out) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all[key] == one {
		delete(o.all, key)
	}
}

// leave ends a use. What nobody uses is kept for a moment, while there is much room for what others fetch.
func (o *outs) leave(c *Cache, key outKey, one *out) {
	roomy := c.Used() <= c.max/2
	o.mu.Lock()
	defer o.mu.Unlock()
	if one.users--; one.users > 0 {
		return
	}
	if !roomy {
		o.drop(key, one)
		return
	}
	used := one.used
	time.AfterFunc(keptOut, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if one.users == 0 && one.used == used {
			o.drop(key, one)
		}
	})
}

// drop takes it away. The lock must be held.
func (o *outs) drop(key outKey, one *out) {
	if o.all[key] == one {
		delete(o.all, key)
		if one.file != nil {
			one.release()
		}
	}
}
