// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"

	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/verify"
)

// openVerification goes on with a verification that was begun, if there is one.
func (r *run) openVerification(ctx context.Context) (err error) {
	r.destination.verification, err = r.svc.verify.Open(ctx, r.Held, r.Dst, r.Row.CountedBefore)
	return err
}

// verify begins to verify what was delivered, if the destination's settings want it, and checks a first time. From here
// on nothing is sent. The ledger must be closed.
func (r *run) verify(ctx context.Context) error {
	if r.Dst.Server == nil || r.Dst.Verify.Method == nodes.VerifyNone && !r.destination.mustVerify ||
		r.Instances.DeliveredOf("") == 0 {
		return nil
	}
	o := lease.Outcome{}
	if r.verdict.judge(&o); o.Status != jobs.Success && o.Status != jobs.Warning {
		return nil
	}
	d := verify.Delivered{
		PatientID: r.deid.sentPatient(), StudyUID: r.deid.sentUID(r.Inv.Study),
		Status: o.Status, Message: o.Message,
	}
	for uid, f := range r.Instances.Summary.Deliveries() {
		d.Instances = append(d.Instances, verify.Instance{
			UID: uid, Series: f.Series, Class: r.classOf(uid, f),
			SentUID: r.deid.sentUID(uid), SentSeries: r.deid.sentUID(f.Series), Seen: f.Seen,
		})
	}
	v, err := r.svc.verify.Begin(ctx, r.Held, r.Dst, r.Row.CountedBefore, d)
	if err != nil {
		return err
	}
	r.destination.verification = v
	r.keepOne(ctx)
	return r.check(ctx)
}

// classOf returns the SOP class of a delivered instance: as it came, else as the source lists it.
func (r *run) classOf(uid string, f evidence.Fact) string {
	if f.Class != "" {
		return f.Class
	}
	for _, s := range r.Inv.Series {
		if i, ok := s.Instances[uid]; ok {
			return i.Class
		}
	}
	return ""
}

// check asks the destination once.
func (r *run) check(ctx context.Context) error {
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	if err := r.destination.verification.Check(ctx, asker); err != nil {
		asker.Abort()
		return &fault.AtDestination{
			Err: fmt.Errorf("ADIT could not ask the destination %s what it has: %w", r.Dst.Name, err),
		}
	}
	return nil
}
