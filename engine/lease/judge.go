// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"cmp"
	"errors"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
)

// JudgeError says how a run ends that an error ended. row is its task as the run has read it; down, if not nil, is the
// server that refused what the run asked of it.
func (svc *Service) JudgeError(o *Outcome, row db.Task, down *Down, err error) {
	o.LogLine, o.Fault = err.Error(), fault.Kind(err)
	policy := fault.PolicyOf(err)
	if down != nil {
		policy = fault.PolicyWait
	}
	switch policy {
	case fault.PolicyPermanent:
		o.Status, o.Message, o.Lasting = jobs.Failure, fault.Sentence(err), true
	case fault.PolicyWait:
		o.Status, o.WaitingReason, o.Waited = jobs.Pending, fault.ReasonOf(err), true
		pauses := svc.Config.WaitPauses
		o.Wait = pauses[min(int(row.Waits), len(pauses)-1)]
		if asked := fault.AskedToWait(err); asked > 0 {
			o.Wait = asked
		} else if own, ok := errors.AsType[*fault.Fault](err); ok && own.Wait > 0 {
			o.Wait, o.Unavailable = own.Wait, own.Unavailable
		}
		if o.Down = down; o.Down != nil {
			o.Wait = 0 // what the server says of others decides
		}
	default:
		svc.CountFailure(o, row, fault.Sentence(err))
	}
}

// CountFailure counts an attempt that failed, and lets the task try again if it has attempts left.
func (svc *Service) CountFailure(o *Outcome, row db.Task, message string) {
	o.Failed = true
	o.Fault = cmp.Or(o.Fault, fault.FaultMissing)
	if n := int(row.Failures); n < len(svc.Config.RetryPauses) {
		o.Status, o.Wait, o.WaitingReason = jobs.Pending, svc.Config.RetryPauses[n], strings.TrimSuffix(message, ".")
		return
	}
	o.Status, o.Message = jobs.Failure, message
}

// Asked is a server of a run that was asked for something.
type Asked struct {
	Node   nodes.DICOMNode
	Heard  bool // it has answered something
	Reads  bool // as a source: it may break off without a word what it can't bear
	Midway bool // what it answers by a failure may be due to the task
}

// DownOf finds out of an error whether the server refused what was asked of it; nil: it did not.
func (a Asked) DownOf(err error) *Down {
	if a.Node.Server == nil {
		return nil
	}
	d := &Down{
		Server: a.Node, Reason: strings.TrimSuffix(err.Error(), "."), Silent: fault.SaidNothing(err),
		After: fault.AskedToWait(err),
	}
	if own, ok := errors.AsType[*fault.Fault](err); ok && own.Full {
		return d
	} else if ok && (own.Policy != fault.PolicyAgain || own.Barred) {
		return nil
	}
	if _, none := errors.AsType[*door.NoAssociation](err); none {
		rejected, isRejected := errors.AsType[*ul.RejectedError](err)
		d.Gone, d.Echo, d.Early = !isRejected || !rejected.Transient(), !isRejected || !a.Heard, true
		return d
	}
	if closedByWeb(err) {
		d.Gone, d.Echo, d.Early = true, true, true
		return d
	}
	if fault.Unreachable(err) || !a.Heard && (d.Silent || a.Reads && BrokenOff(err)) {
		return d
	}
	if d.Midway = a.Midway && fault.PeerFailed(err); d.Midway {
		return d
	}
	return nil
}

// closedByWeb reports whether nobody can ask a server anything by DICOMweb: it can't be reached, or doesn't take what
// ADIT shows it.
func closedByWeb(err error) bool {
	_, away := errors.AsType[*web.ConnectError](err)
	_, noToken := errors.AsType[*web.TokenError](err)
	return away || noToken || fault.Unauthorized(err)
}

// BrokenOff reports whether a server ended an association or a connection without a word.
func BrokenOff(err error) bool {
	_, lost := errors.AsType[*ul.LostError](err)
	_, aborted := errors.AsType[*ul.AbortedError](err)
	_, broken := errors.AsType[*web.BrokenError](err)
	return lost || aborted || broken || errors.Is(err, dimse.ErrReleased)
}
