// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"errors"
	"slices"
	"sync"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// Methods are the ways in which the source can be retrieved from, in the order in which they are tried.
type Methods struct {
	*Task
	List      []string
	preferred int // the first of them that has not proven useless
	using     int // the one in use

	mu    sync.Mutex
	works map[string]bool // those that were answered, or brought something
}

// ChooseMethods finds the retrieve methods that the source and this process have in common.
func (r *Methods) ChooseMethods() error {
	r.List = nodes.MethodsOf(r.Src.Server)
	if !r.svc.inbox.Listens() {
		r.List = slices.DeleteFunc(r.List, func(m string) bool { return m == nodes.MethodMove })
		switch {
		case len(r.List) == 0 && r.svc.Config.Cluster:
			return fault.Wait(
				"the source %s can only be read by C-MOVE, and no member of the cluster with a receiver is running; start "+
					"one (see adit cluster status)", r.Src.Name,
			)
		case len(r.List) == 0:
			return fault.Permanent(
				"The source %s can only be read by C-MOVE, and this ADIT has no receiver; start adit serve with "+
					"--dicom-listen.",
				r.Src.Name,
			)
		}
	}
	if len(r.List) == 0 {
		return fault.Permanent(
			"The source %s supports none of WADO-RS, C-GET and C-MOVE; correct its settings.", r.Src.Name,
		)
	}
	return nil
}

// use chooses the retrieve method.
func (r *Methods) use(method int) {
	r.using = method
	r.Instances.FallBack(method > 0)
}

func (r *Methods) inUse() string { return r.List[r.using] }

// byWeb reports whether the method in use is WADO-RS.
func (r *Methods) byWeb() bool { return r.inUse() == nodes.MethodWADO }

// worksBy takes down that a retrieve method was answered, or brought something.
func (r *Methods) worksBy(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.works == nil {
		r.works = map[string]bool{}
	}
	r.works[method] = true
}

// worked reports whether one of the retrieve methods was answered, or brought something.
func (r *Methods) worked(methods []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(methods, func(m string) bool { return r.works[m] })
}

// byMethod marks the error of a source that does not accept the method's SOP class, or that rejects or aborts the
// method's first request, or does not answer where the method asks: another one may work.
func (r *Methods) byMethod(err error) error {
	if r.byWeb() {
		return r.byWADO(err)
	}
	if _, ok := errors.AsType[*dimse.NoContextError](err); ok {
		return &methodError{err}
	}
	if _, ok := errors.AsType[*dimse.NoContextsError](err); ok {
		return &methodError{err}
	}
	rejected, isRejected := errors.AsType[*ul.RejectedError](err)
	_, isAborted := errors.AsType[*ul.AbortedError](err)
	_, isLost := errors.AsType[*ul.LostError](err)
	if !isAborted && !isLost && (!isRejected || rejected.Transient()) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.works[r.inUse()] {
		return err
	}
	return &methodError{err}
}

// byWADO is byMethod for WADO-RS. It goes to another port than DIMSE, under credentials of its own.
func (r *Methods) byWADO(err error) error {
	_, away := errors.AsType[*web.ConnectError](err)
	_, noToken := errors.AsType[*web.TokenError](err)
	switch last := r.using+1 == len(r.List); {
	case fault.PeerRefused(err), (away || noToken) && !last:
		return &methodError{err}
	case !fault.PeerFailed(err) || r.worked([]string{nodes.MethodWADO}):
		return err
	}
	return &methodError{err}
}

// methodError is a source's answer that it doesn't do a retrieve method at all; another one may work.
type methodError struct{ err error }

func (e *methodError) Error() string { return e.err.Error() }
func (e *methodError) Unwrap() error { return e.err }
