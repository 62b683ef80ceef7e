// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/people"
)

// Caller is who sent an object that nobody had asked for: to the receiver, or by a C-GET over an association of ours.
type Caller struct {
	Server    string // name of the server that calls so
	CallingAE string // by C-GET: the server's own AE title
	Address   string // without the port; by C-GET: the host of the server's settings
}

// ForeignCount is how many objects of a class somebody sent on a day without having been asked.
type ForeignCount = db.ForeignObject

// Quarantined is an object in the quarantine.
type Quarantined struct {
	db.Quarantine
	Here bool // its file is in the folder of this process
	// What the object says of itself; only where one is asked for, and its file is here.
	PatientID, PatientName, PatientBirthDate      string
	StudyInstanceUID, StudyDate, StudyDescription string
	SeriesInstanceUID, Modality, AccessionNumber  string
}

// foreign counts objects that nobody had asked for, until they are written down.
type foreign struct {
	mu     sync.Mutex
	counts map[foreignKey]*foreignTally
}

type foreignKey struct {
	Caller
	class string
}

type foreignTally struct {
	objects, quarantined int64
	first, last          time.Time
}

// NotUID stands in the list for the SOP class of what was refused before anything else was asked, since its SOP class or instance is named
// by no UID.
const NotUID = "not a UID"

// maxForeign bounds what is counted apart between two times of writing down. What is beyond is counted for its server alone.
const maxForeign = 1000

func newForeign() *foreign { return &foreign{counts: map[foreignKey]*foreignTally{}} }

func (f *foreign) add(k foreignKey, t foreignTally) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k.class != "" && !dict.ValidUID(k.class) {
		k.class = NotUID // odd bytes would be no text for the database
	}
	if f.counts[k] == nil && len(f.counts) >= maxForeign {
		k = foreignKey{Caller: Caller{Server: k.Server}}
	}
	c := f.counts[k]
	if c == nil {
		c = &foreignTally{first: t.first}
		f.counts[k] = c
	}
	c.objects, c.quarantined, c.last = c.objects+t.objects, c.quarantined+t.quarantined, t.last
}

// count counts one object of a SOP class.
func (f *foreign) count(from Caller, class string, kept bool) {
	now := time.Now()
	t := foreignTally{objects: 1, first: now, last: now}
	if kept {
		t.quarantined = 1
	}
	f.add(foreignKey{from, class}, t)
}

func (f *foreign) take() map[foreignKey]*foreignTally {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := f.counts
	f.counts = map[foreignKey]*foreignTally{}
	return counts
}

// SetQuarantine names where objects are kept that nobody asked for. It is called once, before the first one comes.
func (e *Engine) SetQuarantine(q *Quarantine) { e.quarantine = q }

// TakeForeign takes down an object that came to the receiver though nobody asked for it, and keeps it where there is a quarantine with room
// for it. It reports whether it did.
func (e *Engine) TakeForeign(ctx context.Context, from Caller, a *Arrival) (kept bool) {
	obj, err := a.open()
	if err != nil {
		obj = nil // it isn't DICOM enough for a file
	}
	return e.takeForeign(ctx, from, a.Incoming, obj)
}

// CountUnnamed takes down that an object was refused which is named by no UID.
func (e *Engine) CountUnnamed(from Caller) { e.foreign.count(from, NotUID, false) }

// takeForeign takes down, for staff, an object that the source of a run sends by C-GET though it was not asked for, and keeps it where there
// is a quarantine with room for it. Its header was read; what is left of it is read only if it is kept. It is refused all the same.
func (r *run) takeForeign(ctx context.Context, in *dimse.Incoming, obj *stream.Object) {
	s := r.src.Server
	r.e.takeForeign(ctx, Caller{Server: r.src.Name, CallingAE: s.AeTitle, Address: s.Host}, in, obj)
}

// takeForeign counts an object that nobody asked for, and keeps it if it can: nil has no header that could be read.
func (e *Engine) takeForeign(ctx context.Context, from Caller, in *dimse.Incoming, obj *stream.Object) (kept bool) {
	if e.quarantine != nil && obj != nil {
		var err error
		if kept, err = e.keepForeign(ctx, from, in, obj); err != nil {
			e.log.WarnContext(ctx, "an object can't be kept in the quarantine", "err", err)
		}
	}
	e.foreign.count(from, in.SOPClassUID, kept)
	return kept
}

func (e *Engine) keepForeign(ctx context.Context, from Caller, in *dimse.Incoming, obj *stream.Object) (bool, error) {
	file, size, kept, err := e.quarantine.Keep(in, obj)
	if err != nil || !kept {
		return false, err
	}
	err = e.q.InsertQuarantined(ctx, db.InsertQuarantinedParams{
		Folder: e.quarantine.id, File: file, Server: from.Server, CallingAe: from.CallingAE, Address: from.Address,
		SopClassUid: in.SOPClassUID, SopInstanceUid: in.SOPInstanceUID, TransferSyntaxUid: in.TransferSyntaxUID, Bytes: size,
	})
	if err != nil {
		return false, errors.Join(err, e.quarantine.remove(file))
	}
	return true, nil
}

// FlushForeign writes down what was counted since the last time. What can't be written now is kept for the next time, and keeps nothing else.
func (e *Engine) FlushForeign(ctx context.Context) error {
	counts := e.foreign.take()
	var failed error
	for k, c := range counts {
		err := e.q.CountForeign(ctx, db.CountForeignParams{
			Server: k.Server, CallingAe: k.CallingAE, Address: k.Address, SopClassUid: k.class, Objects: c.objects, Quarantined: c.quarantined,
			FirstAt: c.first, LastAt: c.last,
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("what server %s sent: %w", k.Server, err))
			e.foreign.add(k, *c)
		}
	}
	return failed
}

// strayGrace is how long a file of the quarantine may be without its row, and a row without its file: both are made one after the other.
const strayGrace = time.Minute

// TidyQuarantine removes old counts, what has expired of the quarantine, and files or rows whose other half is gone. One that can't be
// removed keeps no other.
func (e *Engine) TidyQuarantine(ctx context.Context) error {
	settings, err := e.people.Settings(ctx)
	if err != nil {
		return err
	}
	if days := settings.KeepForeign; days > 0 {
		err = e.q.DeleteOldForeign(ctx, (time.Duration(days) * 24 * time.Hour).Seconds())
	}
	if e.quarantine == nil {
		return err
	}
	return errors.Join(err, e.tidyQuarantine(ctx, e.quarantine, settings))
}

func (e *Engine) tidyQuarantine(ctx context.Context, q *Quarantine, settings people.Settings) error {
	keep := q.keep
	if days := time.Duration(settings.KeepQuarantine) * 24 * time.Hour; days > 0 {
		keep = min(keep, days)
	}
	failed := q.expire(time.Now(), keep)
	known, err := e.q.QuarantinedFiles(ctx, q.id)
	if err != nil {
		return errors.Join(failed, err)
	}
	all, err := q.files(time.Now().Add(time.Hour))
	if err != nil {
		return errors.Join(failed, err)
	}
	before := time.Now().Add(-strayGrace)
	old, err := q.files(before)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, file := range old {
		if !slices.Contains(known, file) {
			failed = errors.Join(failed, q.remove(file))
		}
	}
	return errors.Join(failed, e.q.ForgetQuarantined(ctx, db.ForgetQuarantinedParams{Folder: q.id, There: append([]uuid.UUID{}, all...), Before: before}))
}

// ForeignCounts gives a page of what came without having been asked for, the latest first: below the ID given (0: from the beginning). It is
// for staff.
func (e *Engine) ForeignCounts(ctx context.Context, user people.User, below int64, limit int) ([]ForeignCount, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	if err := e.FlushForeign(ctx); err != nil { // what came just now, as far as this process knows
		e.log.WarnContext(ctx, "what came just now without having been asked for can't be written down, and is missing in the list", "err", err)
	}
	return e.q.ListForeign(ctx, db.ListForeignParams{Below: below, Max: int32(limit)})
}

// Quarantined gives a page of the quarantine, the latest first. It is for staff with a right of its own.
func (e *Engine) Quarantined(ctx context.Context, user people.User, below int64, limit int) ([]Quarantined, error) {
	if err := e.people.Check(ctx, user.ID, people.QuarantineRight()); err != nil {
		return nil, err
	}
	rows, err := e.q.ListQuarantined(ctx, db.ListQuarantinedParams{Below: below, Max: int32(limit)})
	list := make([]Quarantined, len(rows))
	for i, row := range rows {
		list[i] = Quarantined{Quarantine: row, Here: e.keepsHere(row)}
	}
	return list, err
}

func (e *Engine) keepsHere(row db.Quarantine) bool {
	return e.quarantine != nil && e.quarantine.id == row.Folder
}

func (e *Engine) quarantinedRow(ctx context.Context, q *db.Queries, user people.User, id int64) (db.Quarantine, error) {
	if err := e.people.Check(ctx, user.ID, people.QuarantineRight()); err != nil {
		return db.Quarantine{}, err
	}
	row, err := q.GetQuarantined(ctx, id)
	return row, notFound(err, "quarantined object", id)
}

// QuarantinedObject gives one object of the quarantine with what it says of itself.
func (e *Engine) QuarantinedObject(ctx context.Context, user people.User, id int64) (Quarantined, error) {
	row, err := e.quarantinedRow(ctx, e.q, user, id)
	if err != nil {
		return Quarantined{}, err
	}
	out := Quarantined{Quarantine: row}
	if !e.keepsHere(row) {
		return out, nil
	}
	obj, done, err := e.openQuarantined(row)
	if errors.Is(err, os.ErrNotExist) {
		return Quarantined{}, notFound(pgx.ErrNoRows, "quarantined object", id)
	}
	if err != nil {
		return Quarantined{}, err
	}
	defer done()
	h := obj.Header()
	out.Here = true
	for tag, to := range map[dict.Tag]*string{
		dict.PatientID: &out.PatientID, dict.PatientName: &out.PatientName, dict.PatientBirthDate: &out.PatientBirthDate,
		dict.StudyInstanceUID: &out.StudyInstanceUID, dict.StudyDate: &out.StudyDate, dict.StudyDescription: &out.StudyDescription,
		dict.SeriesInstanceUID: &out.SeriesInstanceUID, dict.Modality: &out.Modality, dict.AccessionNumber: &out.AccessionNumber,
	} {
		*to = h.Text(tag)
	}
	return out, nil
}

// openQuarantined opens an object that is kept here. done must be called, if there is no error.
func (e *Engine) openQuarantined(row db.Quarantine) (obj *stream.Object, done func(), err error) {
	f, err := os.Open(e.quarantine.path(row.File))
	if err != nil {
		return nil, nil, fmt.Errorf("the object's file can't be opened: %w", err)
	}
	if _, obj, err = stream.OpenFile(f, stream.Limits{}); err != nil {
		_ = f.Close() // was only read
		return nil, nil, fmt.Errorf("the object's file can't be read: %w", err)
	}
	return obj, func() {
		_ = obj.Close() // gives memory back
		_ = f.Close()   // was only read
	}, nil
}

// DeleteQuarantined removes an object from the quarantine. The file of another node goes at its next house-keeping.
func (e *Engine) DeleteQuarantined(ctx context.Context, user people.User, id int64) error {
	row, err := e.quarantinedRow(ctx, e.q, user, id)
	if err != nil {
		return err
	}
	return e.dropQuarantined(ctx, row, people.Entry{Action: "quarantine.delete"})
}

// dropQuarantined removes the row, with an entry of the audit log, and then the file.
func (e *Engine) dropQuarantined(ctx context.Context, row db.Quarantine, entry people.Entry) error {
	entry.Object, entry.Source = fmt.Sprintf("quarantined object %d", row.ID), row.Server
	entry.Detail = map[string]any{"sop_class": row.SopClassUid, "sop_instance": row.SopInstanceUid, "bytes": row.Bytes}
	err := e.inTx(ctx, func(q *db.Queries) error {
		n, err := q.DeleteQuarantined(ctx, row.ID)
		if err == nil && n == 0 {
			return notFound(pgx.ErrNoRows, "quarantined object", row.ID)
		}
		if err != nil {
			return err
		}
		return people.Record(ctx, q, entry)
	})
	if err != nil || !e.keepsHere(row) {
		return err
	}
	return e.quarantine.remove(row.File)
}

// ReleaseQuarantined sends an object of the quarantine to a server, as it came, and removes it from the quarantine when the server has
// acknowledged it. The user needs the rights to send there and to transfer what is not pseudonymized. *Conflict: it can't be sent from here, or the
// server doesn't take it.
func (e *Engine) ReleaseQuarantined(ctx context.Context, user people.User, id int64, destination string) error {
	row, err := e.quarantinedRow(ctx, e.q, user, id)
	if err != nil {
		return err
	}
	n, err := e.DICOMNodeByName(ctx, destination)
	if errors.Is(err, ErrNotFound) {
		return &Invalid{Field: "destination", Reason: "there is no server of this name"}
	}
	if err != nil {
		return err
	}
	if n.Server == nil || !n.Server.StoreScp {
		return &Invalid{Field: "destination", Reason: "only a server that takes objects will do"}
	}
	if err := e.people.Check(ctx, user.ID, people.Action{Permissions: []string{people.TransferUnpseudonymized}, Destination: n.ID}); err != nil {
		return err
	}
	if !e.keepsHere(row) {
		return &Conflict{Reason: "another node keeps this object's file; ask that one"}
	}
	object, err := e.QuarantinedObject(ctx, user, id)
	if err != nil {
		return err
	}
	if err := e.sendQuarantined(ctx, row, n); err != nil {
		return err
	}
	return e.dropQuarantined(ctx, row, people.Entry{
		Action: "quarantine.release", Destination: n.Name, PatientID: object.PatientID, StudyUID: object.StudyInstanceUID,
	})
}

func (e *Engine) sendQuarantined(ctx context.Context, row db.Quarantine, n DICOMNode) error {
	obj, done, err := e.openQuarantined(row)
	if err != nil {
		return err
	}
	defer done()
	peer := e.peer(n)
	slot, err := e.door.Interactive(ctx, peer)
	if err != nil {
		return err
	}
	defer func() {
		if err := slot.Close(ctx); err != nil {
			e.log.WarnContext(ctx, "a slot could not be given back now", "server", n.Name, "err", err)
		}
	}()
	a, err := slot.Open(ctx, peer, []dimse.Context{{AbstractSyntax: row.SopClassUid, TransferSyntaxes: []string{row.TransferSyntaxUid}}})
	if err != nil {
		return fmt.Errorf("the object can't be sent to DICOM Server %s: %w", n.Name, err)
	}
	rsp, err := a.Store(ctx, dimse.StoreRequest{SOPClassUID: row.SopClassUid, SOPInstanceUID: row.SopInstanceUid, TransferSyntaxUID: row.TransferSyntaxUid},
		withPace(ctx, obj, e.paces.server(n.ID), &atomic.Int64{}))
	if err != nil {
		a.Abort()
		return fmt.Errorf("the object can't be sent to DICOM Server %s: %w", n.Name, err)
	}
	_ = a.Release(ctx) // it ends in any case
	switch m := rsp.Status.Meaning(dimse.CStore); m.Outcome {
	case dimse.Done, dimse.DoneNoted, dimse.AlreadyThere:
		return nil
	default:
		return &Conflict{Reason: fmt.Sprintf("DICOM Server %s doesn't take it: %s (status %s)", n.Name, m.Text, rsp.Status)}
	}
}
