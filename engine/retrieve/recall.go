// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/fault"
)

// Values of Instance Availability (PS3.3 C.4.23.1.1).
const (
	offline  = "OFFLINE"
	nearline = "NEARLINE"
)

const (
	longestRecallPause = 10 * time.Minute // between two attempts at a study that has to be brought back
	longestRecall      = 15 * time.Minute // for which a retrieve of a nearline study may say nothing
)

// checkAvailability waits for a study that somebody has to bring back (offline). One that the source brings back by
// itself (nearline) is retrieved, since that is how a source is told to; its silence is borne longer.
func (r *Listing) checkAvailability(study *stream.DataSet) error {
	switch study.String(dict.InstanceAvailability) {
	case offline:
		return r.unavailable(
			fmt.Sprintf("the study is offline at DICOM Server %s; ask for it to be brought back there, or wait", r.Src.Name),
		)
	case nearline:
		r.nearline = true
		r.associations.Source.BearSilence(min(r.offlinePatience(), longestRecall))
	}
	return nil
}

// recall judges a retrieve of a nearline study that brought nothing, whatever was answered: the source is bringing the
// study back, and the task waits for that, holding nothing. Another retrieve method that is left may do better, and is
// tried first. When the patience is over the answer is judged as any other.
func (r *Retrieval) recall(ctx context.Context, received int32, err error) error {
	if !r.Listing.nearline || r.Progress.Received.Load() > received ||
		fault.Stopped(ctx) != nil || fault.DatabaseTrouble(err) != nil {
		return err
	}
	var status *dimse.StatusError
	var answer *web.StatusError
	var own *fault.Fault
	switch {
	case errors.Is(err, fault.ErrParked), errors.Is(err, fault.ErrFenced), errors.Is(err, ErrStalled):
		return err
	case err == nil, fault.PeerFailed(err), errors.As(err, &status), errors.As(err, &answer),
		errors.As(err, &own) && own.Full:
	default:
		return err
	}
	if r.Methods.using+1 < len(r.Methods.List) {
		return &methodError{
			fault.Permanent("The source %s sent nothing of a nearline study by %s.", r.Src.Name, r.Methods.inUse()),
		}
	}
	away := r.Listing.unavailable(
		fmt.Sprintf("the study is nearline at DICOM Server %s, which has not brought it back yet", r.Src.Name),
	)
	if fault.PolicyOf(away) == fault.PolicyPermanent && r.Instances.DeliveredOf("") > 0 {
		r.Listing.nearline = false
		return err
	}
	return away
}

// unavailable makes the task wait for a study that its source can't send now, without an attempt counted, until the
// patience is over that the source's settings give. Each new instance renews it.
func (r *Listing) unavailable(reason string) error {
	patience, elapsed := r.offlinePatience(), time.Duration(0)
	if since := r.Row.UnavailableSince; since != nil && r.Progress.Received.Load() == r.Before {
		elapsed = r.now().Sub(*since)
	}
	if elapsed >= patience {
		return fault.Permanent(
			"DICOM Server %s did not bring the study back within %s: it is still offline or nearline there; "+
				"ask for it to be brought back, then retry.",
			r.Src.Name, patience,
		)
	}
	return &fault.Fault{
		Policy: fault.PolicyWait, Err: errors.New(reason), Unavailable: true,
		Wait: min(max(elapsed/2, r.svc.Config.RecallPause), longestRecallPause, patience-elapsed),
	}
}
