// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/sink"
)

// TestRightSink: a sink that is as it should be keeps every promise, and each is tried.
func TestRightSink(t *testing.T) {
	right := func(p *plain) sink.Sink { return p }
	Run(t, func(t *testing.T) Subject { return newPlain(t, right) })
	for _, p := range promises {
		t.Run("tried/"+p.name, func(t *testing.T) {
			require.NoError(t, p.check(
				t.Context(), newPlain(t, right), patience,
			))
		})
	}
}

// TestSkips: a promise that a destination can't be made to try is not tried, and not broken.
func TestSkips(t *testing.T) {
	bare := func(t *testing.T) Subject {
		s := newPlain(t, func(p *plain) sink.Sink {
			p.slots = nil
			return p
		})
		return Subject{Sink: s.Sink, Held: s.Held}
	}
	require.Empty(t, Broken(t, bare))
	var skipped []string
	for _, p := range promises {
		if err := p.check(t.Context(), bare(t), patience); errors.Is(err, errNotTried) {
			skipped = append(skipped, p.name)
		}
	}
	require.Equal(t, []string{
		"workers come and go", "a status is the destination's", "refused", "another UID is told", "away is an error",
		"after a crash", "a connection that breaks", "a dropped connection", "a destination that stalls", "odd names",
	}, skipped)
}

// TestBrokenSinks: each sink that is broken in one way breaks the promise about that, and there is one for each
// promise.
func TestBrokenSinks(t *testing.T) {
	covered := map[string]bool{}
	for name, b := range brokenSinks {
		covered[b.breaks] = true
		t.Run(name, func(t *testing.T) {
			limit := patience
			if b.never {
				limit = time.Second
			}
			failed := broken(t, func(t *testing.T) Subject { return newPlain(t, b.of) }, limit, b.breaks)
			require.Contains(t, failed, b.breaks)
			t.Logf("%s: %v", b.breaks, failed[b.breaks])
		})
	}
	for _, name := range Promises() {
		require.True(t, covered[name], "no sink breaks the promise %q: nobody knows whether it is worth anything", name)
	}
}

// brokenSink is a sink that is not as it should be.
type brokenSink struct {
	breaks string // the promise
	of     func(p *plain) sink.Sink
	never  bool // it never returns
}

// kinds are transfer syntaxes by SOP class.
type kinds = map[string][]string

// wrong is a plain sink with other methods.
type wrong struct {
	*plain
	prepare  func(ctx context.Context, proposed kinds) (kinds, error)
	put      func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error)
	leave    func(ctx context.Context, worker int) error
	gone     func(ctx context.Context, delivered []db.DeliveredRow) ([]string, error)
	setSlots func(slots []*door.Slot)
	commit   func() error
	hangUp   func(ctx context.Context)
	close    func(ctx context.Context)
}

func (w *wrong) Prepare(ctx context.Context, proposed kinds) (kinds, error) {
	if w.prepare != nil {
		return w.prepare(ctx, proposed)
	}
	return w.plain.Prepare(ctx, proposed)
}

func (w *wrong) Put(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
	if w.put != nil {
		return w.put(ctx, worker, o)
	}
	return w.plain.Put(ctx, worker, o)
}

func (w *wrong) Leave(ctx context.Context, worker int) error {
	if w.leave != nil {
		return w.leave(ctx, worker)
	}
	return w.plain.Leave(ctx, worker)
}

func (w *wrong) Gone(ctx context.Context, delivered []db.DeliveredRow) ([]string, error) {
	if w.gone != nil {
		return w.gone(ctx, delivered)
	}
	return w.plain.Gone(ctx, delivered)
}

func (w *wrong) SetSlots(slots []*door.Slot) {
	if w.setSlots != nil {
		w.setSlots(slots)
		return
	}
	w.plain.SetSlots(slots)
}

func (w *wrong) Commit() error {
	if w.commit != nil {
		return w.commit()
	}
	return w.plain.Commit()
}

func (w *wrong) HangUp(ctx context.Context) {
	if w.hangUp != nil {
		w.hangUp(ctx)
		return
	}
	w.plain.HangUp(ctx)
}

func (w *wrong) Close(ctx context.Context) {
	if w.close != nil {
		w.close(ctx)
		return
	}
	w.plain.Close(ctx)
}

// call is a call of Put.
type call struct {
	p      *plain
	ctx    context.Context
	worker int
	o      *sink.Outgoing
}

// put does as it should be done.
func (c *call) put() (dimse.Status, error) { return c.p.Put(c.ctx, c.worker, c.o) }

// putting makes a broken sink of one that puts otherwise.
func putting(put func(c *call) (dimse.Status, error)) func(p *plain) sink.Sink {
	return func(p *plain) sink.Sink {
		return &wrong{plain: p, put: func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
			return put(&call{p, ctx, worker, o})
		}}
	}
}

// reading makes a broken sink of one that reads a source otherwise.
func reading(read func(r io.Reader) io.Reader) func(p *plain) sink.Sink {
	return putting(func(c *call) (dimse.Status, error) {
		open := c.o.Open
		c.o.Open = func() io.Reader { return read(open()) }
		return c.put()
	})
}

// fixed is a data set that was read before.
func fixed(o *sink.Outgoing) (*sink.Outgoing, error) {
	data, err := io.ReadAll(o.Open())
	kept := *o
	kept.Open = func() io.Reader { return bytes.NewReader(data) }
	return &kept, err
}

// remove takes the file of an instance away, if there is one.
func (p *plain) remove(o *sink.Outgoing) { _ = os.Remove(filepath.Join(p.shelf.root, fileOf(o))) }

var brokenSinks = map[string]brokenSink{
	"loses the last instance": {breaks: "whole", of: func(p *plain) sink.Sink {
		var mu sync.Mutex
		var last *sink.Outgoing
		return &wrong{plain: p, put: func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
			mu.Lock()
			defer mu.Unlock()
			kept, err := fixed(o)
			if err != nil {
				return 0, err
			}
			before := last
			if last = kept; before == nil {
				return dimse.Success, nil
			}
			return p.Put(ctx, worker, before)
		}}
	}},
	"writes under a wrong UID": {breaks: "whole", of: putting(func(c *call) (dimse.Status, error) {
		c.o.UID = "1." + c.o.UID
		return c.put()
	})},
	"writes another transfer syntax into the file": {
		breaks: "whole", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if err == nil && c.o.Syntax == dict.RLELossless {
				of, _ := fixed(c.o)
				data, _ := io.ReadAll(of.Open())
				of.Syntax = dict.ExplicitVRLittleEndian
				err = c.p.write(fileOf(c.o), of, data)
			}
			return status, err
		}),
	},
	"stops at a short read": {breaks: "whole", of: reading(func(r io.Reader) io.Reader {
		b := make([]byte, 8<<20)
		n, err := r.Read(b)
		if err == nil {
			err = io.EOF
		}
		return io.MultiReader(bytes.NewReader(b[:n]), &failing{err})
	})},
	"loses what further workers put": {breaks: "whole", of: putting(func(c *call) (dimse.Status, error) {
		if c.worker > 0 {
			_, err := fixed(c.o)
			return dimse.Success, err
		}
		return c.put()
	})},

	"names what was not proposed": {breaks: "what is not taken is told", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, prepare: func(ctx context.Context, proposed kinds) (kinds, error) {
			accepted, err := p.Prepare(ctx, proposed)
			if err == nil {
				accepted = maps.Clone(accepted)
				accepted[dict.MRImageStorage] = []string{dict.ExplicitVRLittleEndian}
			}
			return accepted, err
		}}
	}},
	"fails at what is not taken": {
		breaks: "what is not taken is told", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if _, ok := errors.AsType[*dimse.NoContextError](err); ok {
				err = errors.New("the destination does not take that")
			}
			return status, err
		}),
	},
	"acknowledges what is not taken": {
		breaks: "what is not taken is told", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if _, ok := errors.AsType[*dimse.NoContextError](err); ok {
				return dimse.Success, nil
			}
			return status, err
		}),
	},
	"forgets what it was prepared for": {breaks: "prepared anew for more", of: func(p *plain) sink.Sink {
		before := map[string][]string{}
		return &wrong{plain: p, prepare: func(ctx context.Context, proposed kinds) (kinds, error) {
			accepted, err := p.Prepare(ctx, proposed)
			told := maps.Clone(accepted)
			maps.DeleteFunc(p.accepted, func(class string, _ []string) bool { return before[class] != nil })
			maps.Copy(before, told)
			return told, err
		}}
	}},
	"keeps the slots that it had": {breaks: "slots", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, setSlots: func([]*door.Slot) {}}
	}},
	"hangs up for all when one leaves": {breaks: "workers come and go", of: func(p *plain) sink.Sink {
		var mu sync.Mutex
		left := false
		return &wrong{
			plain: p,
			leave: func(context.Context, int) error {
				mu.Lock()
				defer mu.Unlock()
				left = true
				return nil
			},
			put: func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
				mu.Lock()
				defer mu.Unlock()
				if left {
					return 0, errors.New("there is no connection")
				}
				return p.Put(ctx, worker, o)
			},
		}
	}},

	"makes an error of a status": {
		breaks: "a status is the destination's", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if err == nil && status.Class() == dimse.ClassFailure {
				err = errors.New("the destination refuses it")
			}
			return status, err
		}),
	},
	"makes a success of a warning": {
		breaks: "a status is the destination's", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if status.Class() == dimse.ClassWarning {
				status = dimse.Success
			}
			return status, err
		}),
	},
	"keeps what was refused": {breaks: "refused", of: putting(func(c *call) (dimse.Status, error) {
		status, err := c.put()
		if err == nil && status.Class() == dimse.ClassFailure {
			data, _ := io.ReadAll(c.o.Open())
			err = c.p.write(fileOf(c.o), c.o, data)
		}
		return status, err
	})},
	"puts nothing after a refusal": {breaks: "refused", of: func(p *plain) sink.Sink {
		var ended bool
		return &wrong{plain: p, put: func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
			if ended {
				return 0, errors.New("the destination refuses everything")
			}
			status, err := p.Put(ctx, worker, o)
			ended = status == dimse.DataSetMismatch
			return status, err
		}}
	}},
	"tells a wrong UID": {
		breaks: "another UID is told", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if errors.Is(err, sink.ErrOtherInstance) {
				err = nil
			}
			return status, err
		}),
	},
	"takes one that is away for one that takes nothing": {breaks: "away is an error", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, prepare: func(ctx context.Context, proposed kinds) (kinds, error) {
			accepted, err := p.Prepare(ctx, proposed)
			if errors.Is(err, errAway) {
				return map[string][]string{}, nil
			}
			return accepted, err
		}}
	}},

	"acknowledges before it has written": {breaks: "after a crash", of: func(p *plain) sink.Sink {
		var mu sync.Mutex
		var waiting []*sink.Outgoing
		return &wrong{
			plain: p,
			put: func(_ context.Context, _ int, o *sink.Outgoing) (dimse.Status, error) {
				mu.Lock()
				defer mu.Unlock()
				kept, err := fixed(o)
				if err == nil {
					waiting = append(waiting, kept)
				}
				return dimse.Success, err
			},
			hangUp: func(ctx context.Context) {
				mu.Lock()
				defer mu.Unlock()
				for _, o := range waiting {
					_, _ = p.Put(ctx, 0, o)
				}
				waiting = nil
				p.HangUp(ctx)
			},
		}
	}},
	"ignores Commit": {breaks: "after a crash", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, commit: func() error { return nil }}
	}},
	"commits but what came last": {breaks: "after a crash", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, commit: func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			if n := len(p.dirty); n > 0 {
				p.shelf.sync(p.dirty[:n-1])
				p.dirty = p.dirty[n-1:]
			}
			return nil
		}}
	}},
	"names files anew in each run": {breaks: "after a crash", of: func(p *plain) sink.Sink {
		run := strconv.FormatInt(time.Now().UnixNano(), 10)
		return &wrong{plain: p, put: func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
			o.Names.SeriesDescription += run
			return p.Put(ctx, worker, o)
		}}
	}},

	"writes a second copy": {breaks: "put twice", of: putting(func(c *call) (dimse.Status, error) {
		if _, err := os.Stat(filepath.Join(c.p.shelf.root, fileOf(c.o))); err == nil {
			c.o.Names.SeriesDescription += " (2)"
		}
		return c.put()
	})},
	"removes what is there before it writes": {
		breaks: "put twice", of: putting(func(c *call) (dimse.Status, error) {
			if old, err := os.ReadFile(filepath.Join(c.p.shelf.root, fileOf(c.o))); err == nil && !another(old, c.o) {
				c.p.remove(c.o)
			}
			return c.put()
		}),
	},
	"overwrites": {breaks: "another under the same UID", of: putting(func(c *call) (dimse.Status, error) {
		kept, err := fixed(c.o)
		if err != nil {
			return 0, err
		}
		c.p.remove(c.o)
		status, err := c.p.Put(c.ctx, c.worker, kept)
		c.o.File, c.o.FileBytes = kept.File, kept.FileBytes
		return status, err
	})},

	"takes every end for its own": {breaks: "a source that breaks off", of: reading(func(r io.Reader) io.Reader {
		data, _ := io.ReadAll(r)
		return bytes.NewReader(data)
	})},
	"takes what wraps io.EOF for the end": {
		breaks: "a source that breaks off",
		of: reading(func(r io.Reader) io.Reader {
			data, err := io.ReadAll(r)
			if err == nil || errors.Is(err, io.EOF) {
				return bytes.NewReader(data)
			}
			return &failing{err}
		}),
	},
	"leaves what came": {
		breaks: "a source that breaks off", of: putting(func(c *call) (dimse.Status, error) {
			kept, broke := fixed(c.o)
			status, err := c.p.Put(c.ctx, c.worker, kept)
			c.o.File, c.o.FileBytes = kept.File, kept.FileBytes
			return status, errors.Join(err, broke)
		}),
	},
	"looks into the data set before": {
		breaks: "opened once", of: putting(func(c *call) (dimse.Status, error) {
			_, _ = io.CopyN(io.Discard, c.o.Open(), 16) // memory to memory
			return c.put()
		}),
	},
	"takes what passed before the connection broke": {
		breaks: "a connection that breaks", of: putting(func(c *call) (dimse.Status, error) {
			status, err := c.put()
			if err != nil && err.Error() == "the connection broke" {
				return dimse.Success, nil
			}
			return status, err
		}),
	},
	"connects once": {breaks: "a dropped connection", of: putting(func(c *call) (dimse.Status, error) {
		c.p.mu.Lock()
		first := c.p.connections[0]
		c.p.mu.Unlock()
		if c.worker == 0 && !c.p.shelf.alive(first) {
			return 0, errors.New("the connection was lost")
		}
		return c.put()
	})},
	"ends for good with a context": {breaks: "a context that ends", of: func(p *plain) sink.Sink {
		var over error
		return &wrong{plain: p, put: func(ctx context.Context, worker int, o *sink.Outgoing) (dimse.Status, error) {
			if worker == 0 && over == nil {
				over = ctx.Err()
			}
			if over != nil {
				return 0, over
			}
			return p.Put(ctx, worker, o)
		}}
	}},
	"waits for ever": {
		breaks: "a destination that stalls", never: true,
		of: putting(func(c *call) (dimse.Status, error) {
			return c.p.Put(context.WithoutCancel(c.ctx), c.worker, c.o)
		}),
	},

	"tells the UID at the destination": {breaks: "gone", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, gone: func(ctx context.Context, delivered []db.DeliveredRow) ([]string, error) {
			gone, err := p.Gone(ctx, delivered)
			for i, uid := range gone {
				gone[i] = uid[:len(uid)-len(".1")]
			}
			return gone, err
		}}
	}},
	"does not look whether a file is whole": {breaks: "gone", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, gone: func(ctx context.Context, delivered []db.DeliveredRow) ([]string, error) {
			delivered = slices.DeleteFunc(slices.Clone(delivered), func(d db.DeliveredRow) bool {
				_, err := os.Stat(filepath.Join(p.shelf.root, d.File))
				return err == nil
			})
			return p.Gone(ctx, delivered)
		}}
	}},
	"leaves its connections open": {breaks: "ended at any time", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, hangUp: func(context.Context) {}}
	}},
	"panics when it is closed twice": {breaks: "ended at any time", of: func(p *plain) sink.Sink {
		closed := make(chan struct{})
		return &wrong{plain: p, close: func(ctx context.Context) {
			close(closed)
			p.Close(ctx)
		}}
	}},
	"closes what it has not opened": {breaks: "closed before it was opened", of: func(p *plain) sink.Sink {
		return &wrong{plain: p, close: func(ctx context.Context) {
			_ = *p.connections[0]
			p.Close(ctx)
		}}
	}},
	"takes values for names": {breaks: "odd names", of: putting(func(c *call) (dimse.Status, error) {
		path := filepath.Join(c.p.shelf.root, c.o.Names.PatientID, c.o.Names.StudyDate, c.o.Names.SeriesDescription)
		status, err := c.put()
		if err == nil && status == dimse.Success && os.MkdirAll(path, 0o755) == nil {
			return status, os.Rename(filepath.Join(c.p.shelf.root, c.o.File), filepath.Join(path, c.o.UID+".dcm"))
		}
		return status, err
	})},
	"takes what is no UID": {breaks: "odd names", of: putting(func(c *call) (dimse.Status, error) {
		status, err := c.put()
		if _, ok := errors.AsType[*sink.Refusal](err); ok {
			return dimse.Success, nil
		}
		return status, err
	})},
}

// failing is a reader that fails.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }
