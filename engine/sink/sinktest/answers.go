// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"errors"
	"fmt"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/sink"
)

// answered are statuses of all classes.
var answered = []dimse.Status{
	dimse.OutOfResources, dimse.DataSetMismatch, dimse.CannotUnderstand, dimse.ProcessingFailure,
	dimse.DuplicateSOPInstance, dimse.CoercionOfDataElements, dimse.ElementsDiscarded, dimse.DataSetWarning,
}

// statuses: what the destination answers is returned as it is, and is no error.
func statuses(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	var want []*item
	for n, status := range answered {
		i := ct[n]
		tr.Answer(i.uid, status)
		a := tr.put(0, i.outgoing())
		if a.err != nil || a.status != status {
			return fmt.Errorf("the destination answers with status %s, and Put returns %s", status, a)
		}
		if a.taken() {
			want = append(want, i)
		}
	}
	last := ct[len(answered)]
	if err := tr.take(last); err != nil {
		return err
	}
	return tr.holdsExactly(append(want, last)...)
}

// refused: an instance that the destination refuses is told as its answer, as often as it is put, and is not there;
// others are.
func refused(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	if err := tr.take(ct[0]); err != nil {
		return err
	}
	status := tr.Refuse(ct[1].uid)
	for range 2 {
		a := tr.put(0, ct[1].outgoing())
		if got, ok := a.refused(); !ok || got != status {
			return fmt.Errorf("the destination refuses an instance with status %s, and Put returns %s", status, a)
		}
	}
	if err := tr.take(ct[2]); err != nil {
		return fmt.Errorf("after another one was refused: %w", err)
	}
	return tr.holdsExactly(ct[0], ct[2])
}

// renamed: an instance that the destination acknowledges under another UID is not told as its own, and others go on.
func renamed(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	tr.Rename(ct[1].uid)
	if err := tr.take(ct[0]); err != nil {
		return err
	}
	if a := tr.put(0, ct[1].outgoing()); !errors.Is(a.err, sink.ErrOtherInstance) {
		return fmt.Errorf("the destination acknowledges another UID, and Put returns %s", a)
	}
	if err := errors.Join(tr.take(ct[2]), tr.end()); err != nil {
		return err
	}
	return tr.has([]*item{ct[0], ct[2]}, ct[1:2])
}

// away: an unavailable destination is an error, and not one that takes nothing.
func away(tr *trial) error {
	if err := tr.start(); err != nil {
		return err
	}
	tr.Away()
	if accepted, err := tr.prepare(study()...); err == nil {
		return fmt.Errorf("the destination is away, and Prepare returns %v", accepted)
	}
	return errors.Join(tr.hangUp(tr.ctx), tr.commit())
}

// again puts an instance that may be there: the destination takes it, or says that it has it.
func (tr *trial) again(i *item) error {
	a := tr.put(0, i.outgoing())
	if status, _ := a.refused(); !a.taken() && status != dimse.DuplicateSOPInstance {
		return fmt.Errorf("%s, which is there, is not taken again: %s", i.uid, a)
	}
	return nil
}

// putTwice: an instance that is put again is there once, and whole, also if its source breaks off the second time.
func putTwice(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	if err := tr.take(ct[:3]...); err != nil {
		return err
	}
	if err := errors.Join(tr.again(ct[0]), tr.commit(), tr.again(ct[1])); err != nil {
		return err
	}
	if !tr.Replaces { // else it may be gone, which is the destination's doing
		cut := ct[2].outgoingFrom(ct[2].broken(len(ct[2].data)/2, errSource), false)
		if a := tr.put(0, cut); !a.failed() {
			return fmt.Errorf("the source broke off, and Put returns %s", a)
		}
	}
	return tr.holdsExactly(ct[:3]...)
}

// sameUID: another instance under a SOP Instance UID that is there already, of another series or study, takes nothing
// away from that, unless the destination itself does.
func sameUID(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	if err := tr.take(ct[:4]...); err != nil {
		return err
	}
	names := ct[0].names
	want, may := ct[3:4:4], []*item(nil)
	for n, other := range []*item{
		ct[0].twin(numbered(names.Study, 1), numbered(names.Series, 1)),
		ct[1].twin(names.Study, numbered(names.Series, 2)),
		ct[2].twin(numbered(names.Study, 3), names.Series),
	} {
		a := tr.put(0, other.outgoing())
		switch {
		case a.failed():
			return fmt.Errorf("another instance has a UID that is there, and Put returns that the sink failed: %s", a)
		case !a.taken():
			want = append(want, ct[n])
		case tr.Replaces:
			want, may = append(want, other), append(may, ct[n])
		default:
			want = append(want, ct[n], other)
		}
	}
	if err := tr.end(); err != nil {
		return err
	}
	return tr.has(want, may)
}
