// SPDX-License-Identifier: AGPL-3.0-or-later

package quarantine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Caller is who sent an instance that nobody had asked for: to the receiver, or by a C-GET over an association of ours.
type Caller struct {
	Server    string // name of the server that calls so
	CallingAE string // by C-GET: the server's own AE title
	Address   string // without the port; by C-GET: the host of the server's settings
}

// UnsolicitedCount is how many instances of a class somebody sent on a day without having been asked.
type UnsolicitedCount = db.UnsolicitedInstance

// Quarantined is an instance in the quarantine.
type Quarantined struct {
	db.Quarantine
	Here bool // its file can be reached: it is in the folder of this process, or of a member that is there
	// What the instance says of itself; only where one is asked for, and its file can be reached.
	PatientID, PatientName, PatientBirthDate      string
	StudyInstanceUID, StudyDate, StudyDescription string
	SeriesInstanceUID, Modality, AccessionNumber  string
}

// unsolicited counts instances that nobody had asked for, until they are written down.
type unsolicited struct{ *base.Tally[unsolicitedKey] }

type unsolicitedKey struct {
	Caller
	class string
}

// NotUID stands in the list for the SOP class of what was refused before anything else was asked, since its SOP class
// or instance is named by no UID.
const NotUID = "not a UID"

// maxUnsolicited bounds what is counted apart between two times of writing down. What is beyond is counted for its
// server alone.
const maxUnsolicited = 1000

func newUnsolicited() *unsolicited {
	return &unsolicited{base.NewTally(maxUnsolicited, func(k unsolicitedKey) unsolicitedKey {
		return unsolicitedKey{
			Caller: Caller{Server: k.Server},
		}
	})}
}

// count counts one instance of a SOP class.
func (f *unsolicited) count(from Caller, class string, kept bool) {
	if class != "" && !dict.ValidUID(class) {
		class = NotUID // odd bytes would be no text for the database
	}
	f.One(unsolicitedKey{from, class}, kept)
}

// SetQuarantine names where instances are kept that nobody asked for. It is called once, before the first one comes.
func (svc *Service) SetQuarantine(q *Quarantine) { svc.quarantine = q }

// TakeUnsolicited takes down an instance that came to the receiver though nobody asked for it, and keeps it where there
// is a quarantine with room for it. It reports whether it did.
func (svc *Service) TakeUnsolicited(ctx context.Context, from Caller, a *receive.Arrival) (kept bool) {
	obj, err := a.Open()
	if err != nil {
		obj = nil // it isn't DICOM enough for a file
	}
	return svc.TakeOpened(ctx, from, a.Incoming, obj)
}

// CountUnnamed takes down that an instance was refused which is named by no UID.
func (svc *Service) CountUnnamed(from Caller) { svc.unsolicited.count(from, NotUID, false) }

// CallerOf returns a server that sends over an association of ours.
func CallerOf(n nodes.DICOMNode) Caller {
	return Caller{Server: n.Name, CallingAE: n.Server.AeTitle, Address: n.Server.Host}
}

// TakeOpened counts an instance that nobody asked for, and keeps it if it can: nil has no header that could be read.
func (svc *Service) TakeOpened(ctx context.Context, from Caller, in *dimse.Incoming, obj *stream.Object) (kept bool) {
	if svc.quarantine != nil && obj != nil {
		var err error
		if kept, err = svc.keepUnsolicited(ctx, from, in, obj); err != nil {
			svc.Log.WarnContext(ctx, "an instance can't be kept in the quarantine", "err", err)
		}
	}
	svc.unsolicited.count(from, in.SOPClassUID, kept)
	return kept
}

func (svc *Service) keepUnsolicited(
	ctx context.Context, from Caller, in *dimse.Incoming, obj *stream.Object,
) (bool, error) {
	file, size, kept, err := svc.quarantine.Keep(in, obj)
	if err != nil || !kept {
		return false, err
	}
	err = svc.Q.InsertQuarantined(ctx, db.InsertQuarantinedParams{
		Folder: svc.quarantine.id, File: file, Server: from.Server, CallingAe: from.CallingAE, Address: from.Address,
		SopClassUid: in.SOPClassUID, SopInstanceUid: in.SOPInstanceUID,
		TransferSyntaxUid: in.TransferSyntaxUID, Bytes: size,
	})
	if err != nil {
		return false, errors.Join(err, svc.quarantine.remove(file))
	}
	return true, nil
}

// FlushUnsolicited writes down what was counted since the last time. What can't be written now is kept for the next
// time, and keeps nothing else.
func (svc *Service) FlushUnsolicited(ctx context.Context) error {
	return svc.unsolicited.Flush(func(k unsolicitedKey, c base.Sightings) error {
		err := svc.Q.CountUnsolicited(ctx, db.CountUnsolicitedParams{
			Server: k.Server, CallingAe: k.CallingAE, Address: k.Address,
			SopClassUid: k.class, Instances: c.N, Quarantined: c.Kept,
			FirstAge: c.FirstAge(), LastAge: c.LastAge(),
		})
		if err != nil {
			return fmt.Errorf("what server %s sent: %w", k.Server, err)
		}
		return nil
	})
}

// strayGrace is how long a file of the quarantine may be without its row, and a row without its file: both are made one
// after the other.
const strayGrace = time.Minute

// TidyQuarantine removes old counts, what has expired of the quarantine, and files or rows whose other half is gone.
// One that can't be removed keeps no other.
func (svc *Service) TidyQuarantine(ctx context.Context) error {
	settings, err := svc.People.Settings(ctx)
	if err != nil {
		return err
	}
	if days := settings.KeepUnsolicited; days > 0 {
		err = svc.Q.DeleteOldUnsolicited(ctx, (time.Duration(days) * 24 * time.Hour).Seconds())
	}
	if svc.quarantine == nil {
		return err
	}
	return errors.Join(err, svc.tidyQuarantine(ctx, svc.quarantine, settings))
}

func (svc *Service) tidyQuarantine(ctx context.Context, q *Quarantine, settings people.Settings) error {
	keep := q.keep
	if days := time.Duration(settings.KeepQuarantine) * 24 * time.Hour; days > 0 {
		keep = min(keep, days)
	}
	failed := q.expire(time.Now(), keep)
	known, err := svc.Q.QuarantinedFiles(ctx, q.id)
	if err != nil {
		return errors.Join(failed, err)
	}
	all, err := q.files(time.Now().Add(time.Hour))
	if err != nil {
		return errors.Join(failed, err)
	}
	old, err := q.files(time.Now().Add(-strayGrace))
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, file := range old {
		if !slices.Contains(known, file) {
			failed = errors.Join(failed, q.remove(file))
		}
	}
	return errors.Join(failed, svc.Q.ForgetQuarantined(ctx, db.ForgetQuarantinedParams{
		Folder: q.id, There: append([]uuid.UUID{}, all...), Age: strayGrace.Seconds(),
	}))
}

// UnsolicitedCounts returns a page of what came without having been asked for, the latest first: below the ID given (0:
// from the beginning). It is for staff.
func (svc *Service) UnsolicitedCounts(
	ctx context.Context, user people.User, below int64, limit int,
) ([]UnsolicitedCount, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	if err := svc.FlushUnsolicited(ctx); err != nil { // what came just now, as far as this process knows
		svc.Log.WarnContext(
			ctx, "unsolicited instances that have just arrived can't be recorded; the list lacks them",
			"err", err,
		)
	}
	return svc.Q.ListUnsolicited(ctx, db.ListUnsolicitedParams{Below: below, Max: int32(limit)})
}

// Quarantined returns a page of the quarantine, the latest first: what a server sent, or all (empty). It is for staff
// with a right of its own.
func (svc *Service) Quarantined(
	ctx context.Context, user people.User, server string, below int64, limit int,
) ([]Quarantined, error) {
	if err := svc.People.Check(ctx, user.ID, people.QuarantineRight()); err != nil {
		return nil, err
	}
	rows, err := svc.Q.ListQuarantined(ctx, db.ListQuarantinedParams{Below: below, OfServer: server, Max: int32(limit)})
	list := make([]Quarantined, len(rows))
	for i, row := range rows {
		list[i] = Quarantined{Quarantine: row, Here: svc.reaches(row)}
	}
	return list, err
}

func (svc *Service) keepsHere(row db.Quarantine) bool {
	return svc.quarantine != nil && svc.quarantine.id == row.Folder
}

func (svc *Service) reaches(row db.Quarantine) bool {
	return svc.keepsHere(row) || svc.Others.Reaches(row.Folder)
}

func (svc *Service) quarantinedRow(
	ctx context.Context, q *db.Queries, user people.User, id int64,
) (db.Quarantine, error) {
	if err := svc.People.Check(ctx, user.ID, people.QuarantineRight()); err != nil {
		return db.Quarantine{}, err
	}
	row, err := q.GetQuarantined(ctx, id)
	return row, refusal.NotFound(err, "quarantined instance", id)
}

// QuarantinedObject returns one instance of the quarantine with what it says of itself.
func (svc *Service) QuarantinedObject(ctx context.Context, user people.User, id int64) (Quarantined, error) {
	row, err := svc.quarantinedRow(ctx, svc.Q, user, id)
	if err != nil {
		return Quarantined{}, err
	}
	out := Quarantined{Quarantine: row}
	obj, done, err := svc.openQuarantined(ctx, row)
	if errors.Is(err, base.ErrAway) {
		return out, nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return Quarantined{}, refusal.NotFound(pgx.ErrNoRows, "quarantined instance", id)
	}
	if err != nil {
		return Quarantined{}, err
	}
	defer done()
	h := obj.Header()
	out.Here = true
	for tag, to := range map[dict.Tag]*string{
		dict.PatientID: &out.PatientID, dict.PatientName: &out.PatientName,
		dict.PatientBirthDate: &out.PatientBirthDate,
		dict.StudyInstanceUID: &out.StudyInstanceUID, dict.StudyDate: &out.StudyDate,
		dict.StudyDescription:  &out.StudyDescription,
		dict.SeriesInstanceUID: &out.SeriesInstanceUID,
		dict.Modality:          &out.Modality, dict.AccessionNumber: &out.AccessionNumber,
	} {
		*to = h.Text(tag)
	}
	return out, nil
}

// openQuarantined opens an instance, whichever member keeps it. done must be called, if there is no error.
func (svc *Service) openQuarantined(ctx context.Context, row db.Quarantine) (
	obj *stream.Object, done func(), err error,
) {
	var f io.ReadCloser
	if svc.keepsHere(row) {
		f, err = svc.quarantine.Open(row.File.String())
	} else {
		f, err = svc.Others.Open(ctx, row.Folder, row.File.String())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the instance's file can't be opened: %w", err)
	}
	if _, obj, err = stream.OpenFile(f, stream.Limits{}); err != nil {
		_ = f.Close() // was only read
		return nil, nil, fmt.Errorf("the instance's file can't be read: %w", err)
	}
	return obj, func() {
		_ = obj.Close() // gives memory back
		_ = f.Close()   // was only read
	}, nil
}

// DeleteQuarantined removes an instance from the quarantine. The file of a member that is away goes at its next
// housekeeping.
func (svc *Service) DeleteQuarantined(ctx context.Context, user people.User, id int64) error {
	row, err := svc.quarantinedRow(ctx, svc.Q, user, id)
	if err != nil {
		return err
	}
	return svc.dropQuarantined(ctx, row, audit.Entry{Action: "quarantine.delete"})
}

// dropQuarantined removes the row, with an entry of the audit log, and then the file.
func (svc *Service) dropQuarantined(ctx context.Context, row db.Quarantine, entry audit.Entry) error {
	entry.Object, entry.Source = fmt.Sprintf("quarantined instance %d", row.ID), row.Server
	entry.Detail = map[string]any{"sop_class": row.SopClassUid, "sop_instance": row.SopInstanceUid, "bytes": row.Bytes}
	err := svc.InTx(ctx, func(q *db.Queries) error {
		n, err := q.DeleteQuarantined(ctx, row.ID)
		if err == nil && n == 0 {
			return refusal.NotFound(pgx.ErrNoRows, "quarantined instance", row.ID)
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, q, entry)
	})
	switch {
	case err != nil:
		return err
	case svc.keepsHere(row):
		return svc.quarantine.remove(row.File)
	}
	if err := svc.Others.Remove(ctx, row.Folder, row.File.String()); err != nil && !errors.Is(err, base.ErrAway) {
		svc.Log.WarnContext(ctx, "the file of a quarantined instance goes later, at its own member", "err", err)
	}
	return nil
}

// ReleaseQuarantined sends an instance of the quarantine to a server, as it came, and removes it from the quarantine
// when the server has acknowledged it. The user needs the rights to send there and to transfer what is not
// pseudonymized. *Conflict: it can't be sent from here, or the server doesn't take it.
func (svc *Service) ReleaseQuarantined(ctx context.Context, user people.User, id int64, destination string) error {
	row, err := svc.quarantinedRow(ctx, svc.Q, user, id)
	if err != nil {
		return err
	}
	n, err := svc.nodes.ByName(ctx, destination)
	if errors.Is(err, refusal.ErrNotFound) {
		return &refusal.Invalid{Field: "destination", Reason: "there is no server of this name"}
	}
	if err != nil {
		return err
	}
	if n.Server == nil || !nodes.Stores(n.Server) {
		return &refusal.Invalid{
			Field: "destination", Reason: "this server takes no instances: it supports neither C-STORE nor STOW-RS",
		}
	}
	if err := svc.People.Check(
		ctx, user.ID, people.Action{Permissions: []string{people.TransferUnpseudonymized}, Destination: n.ID},
	); err != nil {
		return err
	}
	if !svc.reaches(row) {
		return &refusal.Conflict{
			Reason: "the member of the cluster that keeps this instance's file is not running; start it, then try again",
		}
	}
	object, err := svc.QuarantinedObject(ctx, user, id)
	if err != nil {
		return err
	}
	if err := svc.sendQuarantined(ctx, row, n); err != nil {
		return err
	}
	return svc.dropQuarantined(ctx, row, audit.Entry{
		Action: "quarantine.release", Destination: n.Name,
		PatientID: object.PatientID, StudyUID: object.StudyInstanceUID,
	})
}

func (svc *Service) sendQuarantined(ctx context.Context, row db.Quarantine, n nodes.DICOMNode) error {
	obj, done, err := svc.openQuarantined(ctx, row)
	if err != nil {
		return err
	}
	defer done()
	peer := svc.nodes.Peer(n)
	slot, err := svc.Door.Interactive(ctx, peer)
	if err != nil {
		return err
	}
	defer func() {
		if err := slot.Close(ctx); err != nil {
			svc.Log.WarnContext(ctx, "a slot can't be given back now", "server", n.Name, "err", err)
		}
	}()
	paced := door.WithPace(ctx, obj, svc.Paces.Server(n.ID), &atomic.Int64{})
	if nodes.StoresByWeb(n.Server) {
		return storeByWeb(ctx, slot, peer, row, paced)
	}
	a, err := slot.Open(ctx, peer, []dimse.Context{
		{AbstractSyntax: row.SopClassUid, TransferSyntaxes: []string{row.TransferSyntaxUid}},
	})
	if err != nil {
		return fmt.Errorf("the instance can't be sent to DICOM Server %s: %w", n.Name, err)
	}
	rsp, err := a.Store(ctx, dimse.StoreRequest{
		SOPClassUID: row.SopClassUid, SOPInstanceUID: row.SopInstanceUid,
		TransferSyntaxUID: row.TransferSyntaxUid,
	}, paced)
	if err != nil {
		a.Abort()
		return fmt.Errorf("the instance can't be sent to DICOM Server %s: %w", n.Name, err)
	}
	_ = a.Release(ctx) // it ends in any case
	switch m := rsp.Status.Meaning(dimse.CStore); m.Outcome {
	case dimse.Done, dimse.DoneNoted, dimse.AlreadyThere:
		return nil
	default:
		return &refusal.Conflict{
			Reason: fmt.Sprintf("DICOM Server %s doesn't take it: %s (status %s)", n.Name, m.Text, rsp.Status),
		}
	}
}

// storeByWeb sends an instance by STOW-RS, in a request of its own.
func storeByWeb(ctx context.Context, slot *door.Slot, peer door.Peer, row db.Quarantine, data io.Reader) error {
	w, err := slot.OpenWeb(peer)
	if err != nil {
		return fmt.Errorf("the instance can't be sent to DICOM Server %s: %w", peer.Name, err)
	}
	defer w.Abort()
	stored, err := w.Store(ctx, "", []web.Outgoing{{
		SOPClassUID: row.SopClassUid, SOPInstanceUID: row.SopInstanceUid, TransferSyntaxUID: row.TransferSyntaxUid,
		Open: door.Once(func() io.Reader { return data }),
	}})
	if err != nil {
		return fmt.Errorf("the instance can't be sent to DICOM Server %s: %w", peer.Name, err)
	}
	r := stored.Instances[row.SopInstanceUid]
	if r.Outcome == web.Acknowledged {
		return nil
	}
	return &refusal.Conflict{Reason: fmt.Sprintf(
		"DICOM Server %s does not say that it took it (status %d, failure reason %d); look whether it has it",
		peer.Name, stored.Status, r.Failure,
	)}
}
