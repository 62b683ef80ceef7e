// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/refusal"
)

// Instance is one that somebody reads. It may still be on its way. It is valid until the reading goes on to the next
// one.
type Instance struct {
	Series                                         string // as the server has it
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string

	r   *Reading
	e   *entry
	n   int
	ctx context.Context
	pos *position
}

// Instances gives the instances of some series in the order in which they come from the server. Who takes them slowly
// holds the server back, unless others are faster. An error ends it, and says that something is missing. The next
// series is joined when one has come, so that the server goes on while the last instances go out.
func (r *Reading) Instances(ctx context.Context, series ...string) iter.Seq2[*Instance, error] {
	return func(yield func(*Instance, error) bool) {
		var next *joining
		came := 0
		for i, uid := range series {
			now := next
			if now == nil {
				now = r.joinAfter(ctx, nil, uid)
			}
			e, err := now.wait()
			if next = nil; err == nil && i+1 < len(series) {
				next = r.joinAfter(ctx, e, series[i+1])
			}
			more := false
			if err == nil {
				more, err = r.give(ctx, e, now.pos, yield)
				came += e.arrived()
			}
			if counted := r.counted(series); err == nil && more && i+1 == len(series) && came < counted {
				err = fault.Again("DICOM Server %s counts %s in this study, and sent %d of them.",
					r.node.Name, fault.Instances(counted), came)
			}
			now.leave(more && err == nil)
			if err != nil {
				yield(nil, err)
			}
			if !more || err != nil {
				next.drop()
				return
			}
		}
	}
}

// Opened makes something of instances, one after the other. Those that the profile leaves out are passed over. An error
// ends it; that there are none is one, too.
func Opened[T any](all iter.Seq2[*Instance, error], open func(*Instance) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var got T
		none := fmt.Errorf("an instance of it at the server: %w", refusal.ErrNotFound)
		for i, err := range all {
			if err == nil {
				got, err = open(i)
			}
			if _, leftOut := errors.AsType[*LeftOut](err); leftOut {
				if none != nil {
					none = &LeftOut{Reason: "all of it"}
				}
				continue
			}
			none = nil
			if !yield(got, err) || err != nil {
				return
			}
		}
		if none != nil {
			yield(got, none)
		}
	}
}

// give gives the instances of one series. more: it was read to its end.
func (r *Reading) give(
	ctx context.Context, e *entry, pos *position, yield func(*Instance, error) bool,
) (more bool, err error) {
	for n := 0; ; n++ {
		i, ok, err := e.next(ctx, n)
		if err != nil || !ok {
			return err == nil, err
		}
		one := r.instance(ctx, e, i, n)
		one.pos = pos
		if !yield(one, nil) {
			return false, nil
		}
		e.passed(pos, n)
	}
}

// joining is the join of a series that is to be read from its beginning.
type joining struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when the rest is there
	e      *entry
	pos    *position
	err    error
}

// joinAfter joins a series when another one has come; nil: at once.
func (r *Reading) joinAfter(ctx context.Context, before *entry, series string) *joining {
	ctx, cancel := context.WithCancel(ctx)
	j := &joining{cancel: cancel, done: make(chan struct{})}
	ahead := &Reading{svc: r.svc, user: r.user, node: r.node, wish: r.wish, job: r.job, study: r.study}
	go func() {
		defer close(j.done)
		if before != nil {
			if _, j.err = before.whole(ctx); j.err != nil {
				return
			}
		}
		if j.e, j.err = ahead.join(ctx, series); j.err == nil {
			j.pos = j.e.follow()
		}
	}()
	return j
}

func (j *joining) wait() (*entry, error) {
	<-j.done
	return j.e, j.err
}

// leave ends it when it was waited for.
func (j *joining) leave(content bool) {
	j.cancel()
	if j.err == nil {
		j.e.unfollow(j.pos)
		j.e.leave(content)
	}
}

// drop ends one that nobody waits for. nil has nothing to be ended.
func (j *joining) drop() {
	if j == nil {
		return
	}
	j.cancel()
	<-j.done
	j.leave(false)
}

// follow says that somebody reads the series from its beginning.
func (e *entry) follow() *position {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &position{}
	e.at[p] = struct{}{}
	return p
}

func (e *entry) unfollow(p *position) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.at, p)
	e.tell()
}

// passed says that somebody has done with an instance, whether or not it was read to its end.
func (e *entry) passed(p *position, n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.off = max(p.off, e.items[n].off+e.items[n].size)
	e.tell()
}

func (r *Reading) instance(ctx context.Context, e *entry, i item, n int) *Instance {
	return &Instance{
		Series: e.key.series, SOPClassUID: i.class, SOPInstanceUID: i.uid, TransferSyntaxUID: i.syntax,
		r: r, e: e, n: n, ctx: ctx,
	}
}

// Instance gives one instance, when all of it is there, until release is called.
func (r *Reading) Instance(ctx context.Context, series, uid string) (_ *Instance, release func(), err error) {
	if !dict.ValidUID(uid) {
		return nil, nil, &refusal.Invalid{Field: "instance", Reason: "is not a UID"}
	}
	e, err := r.join(ctx, series)
	if err != nil {
		return nil, nil, err
	}
	i, ok, err := e.find(ctx, uid)
	if err == nil && (!ok || r.excludes("", i.class)) {
		err = r.nothing("instance " + uid)
	}
	if err != nil {
		e.leave(false)
		return nil, nil, err
	}
	e.mu.Lock()
	n := e.byUID[uid]
	e.mu.Unlock()
	return r.instance(ctx, e, i, n), func() { e.leave(true) }, nil
}

// Middle names the instance in the middle of a series, as they came. Those that a pseudonym leaves out don't count.
func (r *Reading) Middle(ctx context.Context, series string) (uid string, err error) {
	e, err := r.join(ctx, series)
	if err != nil {
		return "", err
	}
	items, err := e.whole(ctx)
	e.leave(err == nil)
	items = slices.DeleteFunc(slices.Clone(items), func(i item) bool { return r.excludes("", i.class) })
	switch {
	case err != nil:
		return "", err
	case len(items) == 0:
		return "", r.nothing("an instance of series " + series)
	}
	return items[len(items)/2].uid, nil
}

// excludes reports whether a pseudonym leaves an instance out, by its modality, as far as that is known, or SOP class.
func (r *Reading) excludes(modality, class string) bool {
	return r.Pseudonymizes() && r.svc.Config.Excludes(modality, class)
}

// LeftOut says that an instance is not given under a pseudonym, because a rule of the profile says so.
type LeftOut struct{ Reason deid.Reason }

func (e *LeftOut) Error() string {
	return "the profile leaves the instance out (" + string(e.Reason) + ")"
}

// Unsafe says that an instance can't be de-identified, and so is not given.
type Unsafe struct{ Err error }

func (e *Unsafe) Error() string {
	why := e.Err.Error()
	if of, ok := errors.AsType[*deid.UnsafeError](e.Err); ok { // it names the instance, which nobody may know
		if why = of.Detail; of.Err != nil {
			why += ": " + of.Err.Error()
		}
	}
	return "an instance can't be de-identified safely, and is not given: " + why
}
func (e *Unsafe) Unwrap() error { return e.Err }

// Object opens the instance as it is to go out, changed as the wish says. It is read as it comes. Errors: *LeftOut,
// *Unsafe, or of the retrieve. Reading may end with an error, too.
func (i *Instance) Object() (*stream.Object, error) {
	_, obj, err := stream.OpenFile(&tail{ctx: i.ctx, e: i.e, n: i.n, pos: i.pos}, stream.Limits{})
	if err != nil {
		return nil, err
	}
	if i.r.excludes(obj.Header().Text(dict.Modality), i.SOPClassUID) {
		err = &LeftOut{Reason: "excluded modality"}
	} else {
		err = i.change(obj)
	}
	if err != nil {
		_ = obj.Close()
		return nil, err
	}
	return obj, nil
}

// change de-identifies. The patient belongs to the pseudonym from the first instance on that goes out under it.
func (i *Instance) change(obj *stream.Object) error {
	if err := i.r.begin(i.ctx); err != nil || i.r.session == nil {
		return err
	}
	_, err := i.r.session.Rewrite(obj)
	refused, isRefused := errors.AsType[*deid.RefusedError](err)
	switch {
	case isRefused:
		return &LeftOut{refused.Reason}
	case err != nil:
		return &Unsafe{err}
	case i.r.wish.Looks:
		return nil
	}
	return noPseudonym(i.r.tie(i.ctx))
}

// begin opens the session of the study, once.
func (r *Reading) begin(ctx context.Context) (err error) {
	if r.opened {
		return nil
	}
	study, err := r.lookUp(ctx)
	if err != nil {
		return err
	}
	r.session, r.tie, err = r.svc.projects.Later(ctx, r.job, projects.Study{
		Source: r.node.Server, SourceName: r.node.Name, UID: r.wish.Study, PatientID: study.patientID,
		Answer: study.answer, Pseudonym: r.wish.Pseudonym, Pseudonymize: r.Pseudonymizes(),
	})
	r.opened = err == nil
	return noPseudonym(err)
}

// noPseudonym tells that a pseudonym can't be given from what may be better later.
func noPseudonym(err error) error {
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Policy == fault.PolicyPermanent {
		return &NoPseudonym{err}
	}
	return err
}

// NoPseudonym says that a study can't go out under the pseudonym that was given.
type NoPseudonym struct{ Err error }

func (e *NoPseudonym) Error() string { return e.Err.Error() }
func (e *NoPseudonym) Unwrap() error { return e.Err }

// File returns the instance as the server sent it, in a file as of PS3.10, of which pixel data is taken. Whoever shows
// it has called Object before, which says whether it may be. The instance must be there as a whole.
func (i *Instance) File() (io.ReaderAt, int64) {
	i.e.mu.Lock()
	defer i.e.mu.Unlock()
	at := i.e.items[i.n]
	return io.NewSectionReader(i.e.body, at.off, at.size), at.size
}

// Wait waits until the instance is there as a whole.
func (i *Instance) Wait() error {
	_, ok, err := i.e.find(i.ctx, i.SOPInstanceUID)
	if err == nil && !ok {
		err = fmt.Errorf("instance %s: %w", i.SOPInstanceUID, os.ErrNotExist)
	}
	return err
}

// Out returns the instance as it goes out, in a file as of PS3.10, until release is called. Under a pseudonym, and
// inflated where it is deflated, that is made, kept for a moment, and counts for the room of the cache: pixel data may
// change, too. Errors: as of Object.
func (i *Instance) Out() (file io.ReaderAt, size int64, release func(), err error) {
	if err := i.Wait(); err != nil {
		return nil, 0, nil, err
	}
	w, job := i.r.wish, i.r.job
	if w.Pseudonym == "" && w.TrialProtocolID == "" && w.TrialProtocolName == "" &&
		!dict.TransferSyntaxOf(i.TransferSyntaxUID).Deflated {
		file, size = i.File()
		return file, size, func() {}, nil
	}
	key := outKey{i.e, i.n, w, job.ProjectID, job.ProfileSha256, job.UidGeneration, job.Scan}
	return i.r.svc.outs.get(i.ctx, i.e.cache, key, i.produce)
}

// produce writes the instance as it goes out.
func (i *Instance) produce() (file io.ReaderAt, size int64, release func(), err error) {
	obj, err := i.Object()
	if err != nil {
		return nil, 0, nil, err
	}
	defer func() { _ = obj.Close() }()
	if dict.TransferSyntaxOf(i.TransferSyntaxUID).Deflated { // nothing within it has a place
		if err := obj.ConvertTo(dict.ExplicitVRLittleEndian); err != nil {
			return nil, 0, nil, err
		}
	}
	return i.e.cache.keepOnce(obj)
}

// keepOnce writes an object into a file without a name.
func (c *Cache) keepOnce(obj *stream.Object) (file io.ReaderAt, size int64, release func(), err error) {
	f, err := c.create()
	if err != nil {
		return nil, 0, nil, err
	}
	_ = os.Remove(f.Name()) // it goes at the next start
	k := &kept{File: f, cache: c}
	release = func() {
		_ = f.Close()
		c.give(k.held())
	}
	if err := obj.WriteFile(onto{k}); err != nil {
		release()
		if _, unsafe := errors.AsType[*deid.UnsafeError](err); unsafe {
			err = &Unsafe{err}
		}
		return nil, 0, nil, err
	}
	return f, k.held(), release, nil
}

// onto writes to the end of a file of the cache.
type onto struct{ file *kept }

func (o onto) Write(p []byte) (int, error) {
	at := o.file.held()
	err := o.file.append(p, at, 0)
	return int(o.file.held() - at), err
}
