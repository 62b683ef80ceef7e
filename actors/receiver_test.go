// SPDX-License-Identifier: AGPL-3.0-or-later

package actors_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

func verification(addr, calling, called string) dimse.Config {
	return dimse.Config{
		Addr: addr, CallingAE: calling, CalledAE: called,
		Contexts: []dimse.Context{
			{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
		},
	}
}

func echo(t *testing.T, cfg dimse.Config) error {
	t.Helper()
	a, err := dimse.Dial(t.Context(), cfg)
	if err != nil {
		return err
	}
	require.NoError(t, a.Echo(t.Context()))
	return a.Release(t.Context())
}

// TestWhoMayCall: known AE titles only, by any of their names, to any of ours; a server counts from the moment that it
// is added.
func TestWhoMayCall(t *testing.T) {
	n := harness.New(t, harness.Config{})
	require.ErrorContains(t, echo(t, verification(n.ReceiverAddr, "PACS", "ADIT")), "calling AE title")
	n.AddServer("pacs", "PACS", "127.0.0.1:104", func(s *nodes.NewServer) {
		s.Retrieve = nodes.Retrieve{
			OtherAETitles: []string{"PACS 2", "pacs_3"}, MoveDestination: "OURS",
			MoveDestinationPlain: "OURS PLAIN", AddressRanges: []string{"127.0.0.0/8", "10.1.2.3"},
		}
	})
	n.AddServer(
		"far", "FAR", "10.9.9.9:104", func(s *nodes.NewServer) { s.Retrieve.AddressRanges = []string{"10.0.0.0/8"} },
	)
	for _, calling := range []string{"PACS", "PACS 2", "pacs_3"} {
		for _, called := range []string{"ADIT", "ADIT_LE", "OURS", "OURS PLAIN"} {
			require.NoError(t, echo(t, verification(n.ReceiverAddr, calling, called)))
		}
	}
	require.ErrorContains(t, echo(t, verification(n.ReceiverAddr, "PACS_2", "ADIT")), "calling AE title")
	require.ErrorContains(t, echo(t, verification(n.ReceiverAddr, "FAR", "ADIT")), "calling AE title")
	require.ErrorContains(t, echo(t, verification(n.ReceiverAddr, "PACS", "ADIT_XE")), "called AE title")
	require.NoError(t, n.Engine.Nodes.Delete(t.Context(), n.Admin, n.AddServer(
		"gone", "GONE", "127.0.0.1:104", nil,
	).ID))
	require.ErrorContains(t, echo(t, verification(n.ReceiverAddr, "GONE", "ADIT")), "calling AE title")
}

// TestReceiverTLS: a second listener takes DICOM TLS, and peers that have a certificate only, which names them.
func TestReceiverTLS(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	own, theirs := ca.Issue(t, "localhost"), ca.Issue(t, "pacs.example")
	server, err := ul.ServerTLS(ul.TLSOptions{Authorities: ca.PEM, Certificate: own.Certificate, Key: own.Key})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := harness.New(t, harness.Config{Receiver: actors.Receiver{TLSListener: l, TLS: server}})
	n.AddServer("pacs", "PACS", "127.0.0.1:104", func(s *nodes.NewServer) { s.TLS.ServerName = "pacs.example" })
	n.AddServer("other", "OTHER", "127.0.0.1:104", func(s *nodes.NewServer) { s.Host = "other.example" })
	n.AddServer("any", "ANY", "127.0.0.1:104", func(s *nodes.NewServer) { s.TLS.Verify = nodes.PeerAuthority })
	for _, tt := range []struct {
		name    string
		calling string
		id      *testpeer.Identity
		works   bool
	}{
		{"with a certificate", "PACS", theirs, true},
		{"without", "PACS", &testpeer.Identity{}, false},
		{"with that of another server", "OTHER", theirs, false},
		{"where the name doesn't matter", "ANY", theirs, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := verification(l.Addr().String(), tt.calling, "ADIT")
			var client *tls.Config
			client, err := ul.ClientTLS(
				ul.TLSOptions{Authorities: ca.PEM, Certificate: tt.id.Certificate, Key: tt.id.Key},
			)
			require.NoError(t, err)
			cfg.TLS = client
			if err := echo(t, cfg); tt.works {
				require.NoError(t, err)
			} else {
				require.Error(t, err)
			}
		})
	}
	require.NoError(t, echo(t, verification(n.ReceiverAddr, "PACS", "ADIT")), "the other listener has none")
}

// TestSupersededToken: instances that a PACS sends for a task which began in an earlier incarnation go to the one that
// runs it now, if it still misses them.
func TestSupersededToken(t *testing.T) {
	study := phantom.New(5, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 20, Rows: 32, Columns: 32}},
	})
	stop := pacs.StopAt(pacs.AtSubOperation, 10)
	n := harness.New(t, harness.Config{Lease: time.Second})
	src, err := pacs.Start(pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: stop.Gate,
		MoveDestinations: map[string]string{"ADIT": n.ReceiverAddr},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = src.Close() })
	t.Cleanup(stop.Release)
	dst, err := pacs.Start(pacs.Config{AETitle: "DST"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = dst.Close() })
	n.AddServer(
		"source", "SRC", src.Addr(),
		func(s *nodes.NewServer) { s.Supports.StudyRootGet, s.Supports.StudyRootMove = false, true },
	)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-stop.Reached()
	first := n.Task(job.ID)
	_, err = n.Pool.Exec(t.Context(), "UPDATE members SET fenced_at = now() WHERE id = $1", *first.LeaseMember)
	require.NoError(t, err)
	n.WaitFor(job.ID, func(jobs.Job) bool {
		task := n.Task(job.ID)
		return task.LeaseToken != nil && *task.LeaseToken > *first.LeaseToken
	})
	require.NoError(t, src.Recorder().WaitMoves(t.Context(), 2))
	moves := src.Recorder().Log().Moves
	require.NotEqual(t, moves[0].MessageID, moves[1].MessageID)

	late := study.Instances()[19]
	a, err := dimse.Dial(t.Context(), dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: "SRC", CalledAE: "ADIT",
		Contexts: []dimse.Context{
			{AbstractSyntax: late.SOPClassUID, TransferSyntaxes: []string{late.TransferSyntaxUID}},
		},
	})
	require.NoError(t, err)
	data := late.Open()
	rsp, err := a.Store(t.Context(), dimse.StoreRequest{
		SOPClassUID: late.SOPClassUID, SOPInstanceUID: late.SOPInstanceUID, TransferSyntaxUID: late.TransferSyntaxUID,
		MoveOriginatorAETitle: "ADIT", MoveOriginatorMessageID: moves[0].MessageID,
	}, data)
	require.NoError(t, err)
	require.NoError(t, data.Close())
	require.Equal(t, dimse.Success, rsp.Status)
	require.NoError(t, a.Release(t.Context()))
	require.NoError(t, dst.Recorder().Wait(t.Context(), func(l *pacs.Log) bool {
		for _, s := range l.Stores {
			if s.SOPInstanceUID == late.SOPInstanceUID {
				return true
			}
		}
		return false
	}))
	stop.Release()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
	uids := map[string]bool{}
	for _, s := range dst.Recorder().Log().Stores {
		uids[s.SOPInstanceUID] = true
	}
	require.Len(t, uids, 20)
}

// TestQuarantine: an instance that nobody asked for is refused; staff see who sent what from where. Where that is
// wanted it is kept, shown, sent on and deleted.
func TestQuarantine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quarantine")
	q, err := quarantine.OpenQuarantine(dir, time.Hour, 16<<20)
	require.NoError(t, err)
	n := harness.New(t, harness.Config{Receiver: actors.Receiver{Quarantine: q}})
	n.AddServer("pacs", "PACS", "127.0.0.1:104", nil)
	archive, err := pacs.Start(pacs.Config{AETitle: "ARCHIVE"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = archive.Close() })
	n.AddServer("archive", "ARCHIVE", archive.Addr(), nil)
	study := phantom.DemoStudies()[0]
	ctx := t.Context()
	began := time.Now().Truncate(time.Microsecond)
	for _, in := range study.Instances()[:3] {
		a, err := dimse.Dial(ctx, dimse.Config{
			Addr: n.ReceiverAddr, CallingAE: "PACS", CalledAE: "ADIT",
			Contexts: []dimse.Context{
				{AbstractSyntax: in.SOPClassUID, TransferSyntaxes: []string{in.TransferSyntaxUID}},
			},
		})
		require.NoError(t, err)
		data := in.Open()
		rsp, err := a.Store(ctx, dimse.StoreRequest{
			SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		}, data)
		require.NoError(t, errors.Join(err, data.Close(), a.Release(ctx)))
		require.Equal(t, dimse.RefusedNotAuthorized, rsp.Status)
	}
	files := func() int {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
		require.NoError(t, err)
		return len(list)
	}
	require.Equal(t, 3, files())

	require.NoError(t, n.Engine.Quarantine.FlushUnsolicited(ctx))
	counts, err := n.Engine.Quarantine.UnsolicitedCounts(ctx, n.Admin, 0, 10)
	require.NoError(t, err)
	require.Len(t, counts, 1)
	require.Equal(t, []any{"pacs", "PACS", "127.0.0.1", study.Instances()[0].SOPClassUID, int64(3), int64(3)},
		[]any{
			counts[0].Server, counts[0].CallingAe, counts[0].Address, counts[0].SopClassUid, counts[0].Instances,
			counts[0].Quarantined,
		})
	require.WithinRange(t, counts[0].LastAt, began, time.Now())

	list, err := n.Engine.Quarantine.Quarantined(ctx, n.Admin, "", 0, 10)
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.True(t, list[0].Here)
	require.Empty(t, list[0].PatientID, "a list names no patients")
	require.Equal(t, "127.0.0.1", list[0].Address)
	shown, err := n.Engine.Quarantine.QuarantinedObject(ctx, n.Admin, list[0].ID)
	require.NoError(t, err)
	require.Equal(
		t, []string{study.Spec.Patient.ID, study.StudyInstanceUID, study.Instances()[2].SOPInstanceUID},
		[]string{shown.PatientID, shown.StudyInstanceUID, shown.SopInstanceUid},
	)

	require.NoError(t, n.Engine.Quarantine.ReleaseQuarantined(ctx, n.Admin, list[0].ID, "archive"))
	require.Equal(t, []string{study.Instances()[2].SOPInstanceUID}, pacs.UIDs(archive.Recorder().Log().Stores))
	sum := study.Instances()[2].SHA256()
	require.Equal(t, hex.EncodeToString(sum[:]), archive.Recorder().Log().Stores[0].SHA256, "as it came")
	require.ErrorIs(t, n.Engine.Quarantine.ReleaseQuarantined(ctx, n.Admin, list[0].ID, "archive"), refusal.ErrNotFound)
	archive.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{Status: 0xA700}})
	var conflict *refusal.Conflict
	require.ErrorAs(t, n.Engine.Quarantine.ReleaseQuarantined(ctx, n.Admin, list[1].ID, "archive"), &conflict)
	require.Equal(t, 2, files(), "it stays when nobody takes it")
	var invalid *refusal.Invalid
	require.ErrorAs(t, n.Engine.Quarantine.ReleaseQuarantined(ctx, n.Admin, list[1].ID, "nobody"), &invalid)

	require.NoError(t, n.Engine.Quarantine.DeleteQuarantined(ctx, n.Admin, list[1].ID))
	require.Equal(t, 1, files())
	require.ErrorIs(t, n.Engine.Quarantine.DeleteQuarantined(ctx, n.Admin, list[1].ID), refusal.ErrNotFound)

	// Staff without the right see the senders only.
	_, err = n.Pool.Exec(ctx,
		"WITH u AS (UPDATE users SET is_superuser = false) DELETE FROM group_permissions WHERE permission = 'quarantine'",
	)
	require.NoError(t, err)
	var denied *people.Denied
	_, err = n.Engine.Quarantine.Quarantined(ctx, n.Admin, "", 0, 10)
	require.ErrorAs(t, err, &denied)
	_, err = n.Engine.Quarantine.QuarantinedObject(ctx, n.Admin, list[2].ID)
	require.ErrorAs(t, err, &denied)
	require.ErrorAs(t, n.Engine.Quarantine.DeleteQuarantined(ctx, n.Admin, list[2].ID), &denied)
	require.ErrorAs(t, n.Engine.Quarantine.ReleaseQuarantined(ctx, n.Admin, list[2].ID, "archive"), &denied)
	_, err = n.Engine.Quarantine.UnsolicitedCounts(ctx, n.Admin, 0, 10)
	require.NoError(t, err)

	// What has expired goes, with its row; a file without a row goes as well.
	old := time.Now().Add(-2 * time.Hour)
	paths, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
	require.NoError(t, err)
	require.NoError(t, os.Chtimes(paths[0], old, old))
	stray := filepath.Join(dir, "7f1f4b5e-0000-4000-8000-000000000000.dcm")
	require.NoError(t, os.WriteFile(stray, []byte("x"), 0o600))
	recent := time.Now().Add(-10 * time.Minute)
	require.NoError(t, os.Chtimes(stray, recent, recent))
	_, err = n.Pool.Exec(ctx, "UPDATE quarantine SET arrived_at = $1", old)
	require.NoError(t, err)
	require.NoError(t, n.Engine.Quarantine.TidyQuarantine(ctx))
	require.Zero(t, files())
	var rows int
	require.NoError(t, n.Pool.QueryRow(ctx, "SELECT count(*) FROM quarantine").Scan(&rows))
	require.Zero(t, rows)
}

// TestUnsolicitedWithoutQuarantine: who sends what nobody asked for is counted, and nothing is kept.
func TestUnsolicitedWithoutQuarantine(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.AddServer("pacs", "PACS", "127.0.0.1:104", nil)
	in := phantom.DemoStudies()[0].Instances()[0]
	a, err := dimse.Dial(t.Context(), dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: "PACS", CalledAE: "ADIT",
		Contexts: []dimse.Context{{AbstractSyntax: in.SOPClassUID, TransferSyntaxes: []string{in.TransferSyntaxUID}}},
	})
	require.NoError(t, err)
	for range 2 {
		data := in.Open()
		rsp, err := a.Store(t.Context(), dimse.StoreRequest{
			SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		}, data)
		require.NoError(t, errors.Join(err, data.Close()))
		require.Equal(t, dimse.RefusedNotAuthorized, rsp.Status)
		require.NoError(t, n.Engine.Quarantine.FlushUnsolicited(t.Context()))
	}
	require.NoError(t, a.Release(t.Context()))
	counts, err := n.Engine.Quarantine.UnsolicitedCounts(t.Context(), n.Admin, 0, 10)
	require.NoError(t, err)
	require.Len(t, counts, 1)
	require.EqualValues(t, 2, counts[0].Instances)
	require.Zero(t, counts[0].Quarantined)
}

// TestOddNames: an instance that is named by odd bytes is refused and counted; the list, the housekeeping and
// everybody else's instances go on. So they do where a row can't be written for another reason.
func TestOddNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "quarantine")
	q, err := quarantine.OpenQuarantine(dir, time.Hour, 16<<20)
	require.NoError(t, err)
	n := harness.New(t, harness.Config{Receiver: actors.Receiver{Quarantine: q}})
	n.AddServer("pacs", "PACS", "127.0.0.1:104", nil)
	n.AddServer("unlucky", "UNLUCKY", "127.0.0.1:104", nil)
	in := phantom.DemoStudies()[0].Instances()[0]
	store := func(callingAE, class, instance string) dimse.Status {
		t.Helper()
		a, err := ul.Dial(
			t.Context(), n.ReceiverAddr,
			&ul.AssociateRQ{CalledAE: "ADIT", CallingAE: callingAE, Contexts: []ul.ContextRQ{
				{ID: 1, AbstractSyntax: in.SOPClassUID, TransferSyntaxes: []string{in.TransferSyntaxUID}},
			}}, ul.Options{},
		)
		require.NoError(t, err)
		defer a.Abort()
		data := in.Open()
		defer func() { require.NoError(t, data.Close()) }()
		command := &dimse.Command{
			Field: dimse.CStoreRQ, MessageID: 1, AffectedSOPClassUID: class,
			AffectedSOPInstanceUID: instance, DataSet: true,
		}
		require.NoError(t, a.SendMessage(1, command.Append(nil), data))
		f, err := a.NextPDV()
		require.NoError(t, err)
		require.True(t, f.Last)
		b, err := io.ReadAll(a)
		require.NoError(t, err)
		rsp, err := dimse.DecodeCommand(b)
		require.NoError(t, err)
		return rsp.Status
	}
	require.Equal(t, dimse.ClassInstanceConflict, store("PACS", "\xff\xfe\x01", in.SOPInstanceUID))
	require.Equal(t, dimse.InvalidSOPInstance, store("PACS", in.SOPClassUID, "../../etc/passwd"))
	_, err = n.Pool.Exec(t.Context(), "ALTER TABLE unsolicited_instances ADD CHECK (server <> 'unlucky')")
	require.NoError(t, err)
	require.Equal(t, dimse.RefusedNotAuthorized, store("UNLUCKY", in.SOPClassUID, in.SOPInstanceUID))
	require.Equal(t, dimse.RefusedNotAuthorized, store("PACS", in.SOPClassUID, in.SOPInstanceUID))

	counts, err := n.Engine.Quarantine.UnsolicitedCounts(t.Context(), n.Admin, 0, 10)
	require.NoError(t, err)
	listed := map[string]int64{}
	for _, c := range counts {
		require.Equal(t, "pacs", c.Server)
		listed[c.SopClassUid] = c.Instances
	}
	require.Equal(t, map[string]int64{quarantine.NotUID: 2, in.SOPClassUID: 1}, listed)
}

// TestOddStudy: an instance whose Study Instance UID inside is no text for the database is foreign like any other.
func TestOddStudy(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.AddServer("pacs", "PACS", "127.0.0.1:104", nil)
	for _, study := range []string{"1.2\xff\xfe", "1.2\x00.3", "../../x", ""} {
		ds := &stream.DataSet{}
		ds.Set(dict.SOPClassUID, dict.CTImageStorage)
		ds.Set(dict.SOPInstanceUID, "1.2.3")
		ds.Set(dict.StudyInstanceUID, study)
		b, err := ds.Encode(dict.ImplicitVRLittleEndian)
		require.NoError(t, err)
		a, err := dimse.Dial(t.Context(), dimse.Config{
			Addr: n.ReceiverAddr, CallingAE: "PACS", CalledAE: "ADIT",
			Contexts: []dimse.Context{
				{AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
			},
		})
		require.NoError(t, err)
		rsp, err := a.Store(t.Context(), dimse.StoreRequest{
			SOPClassUID: dict.CTImageStorage, SOPInstanceUID: "1.2.3", TransferSyntaxUID: dict.ImplicitVRLittleEndian,
		}, bytes.NewReader(b))
		require.NoError(t, errors.Join(err, a.Release(t.Context())))
		require.Equal(t, dimse.RefusedNotAuthorized, rsp.Status, "%q", study)
	}
}

// TestDamagedServer: a server whose address ranges can't be read may not call. All others may.
func TestDamagedServer(t *testing.T) {
	n := harness.New(t, harness.Config{})
	damaged := n.AddServer(
		"damaged", "DAMAGED", "127.0.0.1:104",
		func(s *nodes.NewServer) { s.Retrieve.AddressRanges = []string{"127.0.0.0/8"} },
	)
	require.NoError(t, echo(t, verification(n.ReceiverAddr, "DAMAGED", "ADIT")))
	_, err := n.Pool.Exec(t.Context(), "UPDATE servers SET address_ranges = '{nowhere}' WHERE id = $1", damaged.ID)
	require.NoError(t, err)
	n.AddServer("sound", "SOUND", "127.0.0.1:104", nil)
	require.NoError(t, echo(t, verification(n.ReceiverAddr, "SOUND", "ADIT")))
	require.ErrorContains(t, echo(t, verification(n.ReceiverAddr, "DAMAGED", "ADIT")), "calling AE title")
}
