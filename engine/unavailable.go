// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
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

// checkAvailability waits for a study that somebody has to bring back (offline). One that the source brings back by itself (nearline) is
// retrieved, since that is how a source is told to; its silence is borne longer.
func (r *run) checkAvailability(study *stream.DataSet) error {
	switch study.String(dict.InstanceAvailability) {
	case offline:
		return r.unavailable(fmt.Sprintf("the study is offline at DICOM Server %s; have it brought back there, or wait", r.src.Name))
	case nearline:
		r.nearline = true
		r.source.peer.IdleTimeout = max(r.source.peer.IdleTimeout, min(r.offlinePatience(), longestRecall))
	}
	return nil
}

func (r *run) offlinePatience() time.Duration {
	return time.Duration(r.src.Server.OfflinePatienceS) * time.Second
}

// sinkPatience is how long the destination may take nothing before a retrieve is ended: half of what the source bears, which an archive
// doesn't lengthen.
func (r *run) sinkPatience() time.Duration {
	return time.Duration(r.src.Server.IdleTimeoutS) * time.Second / 2
}

// recall judges a retrieve of a nearline study that brought nothing, whatever was answered: the source is bringing the study back, and the
// task waits for that, holding nothing. Another retrieve method that is left may do better, and is tried first. When the patience is over
// the answer is judged as any other.
func (r *run) recall(ctx context.Context, received int32, err error) error {
	if !r.nearline || r.progress.Received.Load() > received || stopped(ctx) != nil || DatabaseTrouble(err) != nil {
		return err
	}
	var status *dimse.StatusError
	var own *fault
	switch {
	case errors.Is(err, ErrParked), errors.Is(err, ErrFenced), errors.Is(err, errStalled):
		return err
	case err == nil, PeerFailed(err), errors.As(err, &status), errors.As(err, &own) && own.full:
	default:
		return err
	}
	if r.using+1 < len(r.methods) {
		return &methodError{permanent("The source %s sent nothing of a nearline study by %s.", r.src.Name, r.method())}
	}
	away := r.unavailable(fmt.Sprintf("the study is nearline at DICOM Server %s, which has yet to bring it back", r.src.Name))
	if policyOf(away) == policyPermanent && r.instances.deliveredOf("") > 0 {
		r.nearline = false
		return err
	}
	return away
}

// unavailable makes the task wait for a study that its source can't send now, without an attempt counted, until the patience is over that
// the source's settings give. Each new instance renews it.
func (r *run) unavailable(reason string) error {
	patience, elapsed := r.offlinePatience(), time.Duration(0)
	if since := r.task.UnavailableSince; since != nil && r.progress.Received.Load() == r.before {
		elapsed = r.now().Sub(*since)
	}
	if elapsed >= patience {
		return permanent("The study was not brought back at DICOM Server %s within %s: it is still offline or nearline there; have it brought back, then retry.", r.src.Name, patience)
	}
	return &fault{
		policy: policyWait, err: errors.New(reason), unavailable: true,
		wait: min(max(elapsed/2, r.e.cfg.RecallPause), longestRecallPause, patience-elapsed),
	}
}
