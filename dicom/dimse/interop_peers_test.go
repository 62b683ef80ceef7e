// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

// kept keeps what a server is sent, by SOP Instance UID, and whose move it was.
type kept struct {
	mu      sync.Mutex
	objects map[string][]byte
	movers  map[string]int    // Move Originator AE titles with message IDs
	arrived map[string]string // transfer syntaxes, by SOP Instance UID
}

func (k *kept) handle(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
	b, err := io.ReadAll(in.Data)
	if err != nil {
		return dimse.StoreResponse{Status: dimse.ProcessingFailure}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.objects == nil {
		k.objects, k.movers, k.arrived = map[string][]byte{}, map[string]int{}, map[string]string{}
	}
	k.objects[in.SOPInstanceUID], k.arrived[in.SOPInstanceUID] = b, in.TransferSyntaxUID
	if in.MoveOriginatorAETitle != "" {
		k.movers[in.MoveOriginatorAETitle+" "+strconv.Itoa(int(in.MoveOriginatorMessageID))]++
	}
	return dimse.StoreResponse{Status: dimse.Success}
}

// take returns what has come and forgets it.
func (k *kept) take() (objects map[string][]byte, movers map[string]int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	objects, movers = k.objects, k.movers
	k.objects, k.movers = nil, nil
	return objects, movers
}

func portOf(t testing.TB, addr string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return n
}

// moveAll lets a peer send the study to us, twice with message IDs of our choice, and to nobody.
func moveAll(t *testing.T, addr, calledAE string, got *kept, all map[string][]byte, unknown dimse.Status) {
	t.Helper()
	cfg := config(addr)
	cfg.CalledAE = calledAE
	cfg.Contexts = append(cfg.Contexts, dimse.Context{AbstractSyntax: moveClass, TransferSyntaxes: []string{explicit}})
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	sendAll(t, a, all)
	for _, id := range []uint16{4711, 65535} {
		rq := dimse.MoveRequest{SOPClassUID: moveClass, Identifier: query(study), Destination: "ADIT", MessageID: id}
		r, err := a.Move(t.Context(), rq, func(c dimse.Counts) { require.True(t, c.Remaining.Present) })
		require.NoError(t, err)
		require.Equal(t, dimse.Success, r.Status)
		require.Equal(t, dimse.Counted(len(all)), r.Completed)
		objects, movers := got.take()
		requireSame(t, all, objects)
		require.Equal(t, map[string]int{"ADIT " + strconv.Itoa(int(id)): len(all)}, movers)
	}
	r, err := a.Move(
		t.Context(), dimse.MoveRequest{SOPClassUID: moveClass, Identifier: query(study), Destination: "NOBODY"}, nil,
	)
	require.NoError(t, err)
	require.Equal(t, unknown, r.Status)
	require.NoError(t, a.Release(t.Context()))
}

// TestMoveFromPeers: dcmqrscp and Orthanc send to our server what we ask them to.
func TestMoveFromPeers(t *testing.T) {
	all := objects(t)
	nagle(t, func(t *testing.T, env []string) {
		var got kept
		receiver := serve(t, &dimse.Server{Choose: chooseExplicit, Store: got.handle})
		port := portOf(t, receiver)
		t.Run("dcmqrscp", func(t *testing.T) {
			p := testpeer.DcmQRSCPTo(t, env, t.TempDir(), map[string]int{"ADIT": port}, "+B")
			moveAll(t, p.Addr, "QRSCP", &got, all, dimse.MoveDestinationUnknown)
		})
		t.Run("Orthanc", func(t *testing.T) {
			p := testpeer.Orthanc(
				t, env, map[string]any{"DicomModalities": map[string]any{"adit": []any{"ADIT", "127.0.0.1", port}}},
			)
			moveAll(t, p.Addr, "ORTHANC", &got, all, dimse.CannotUnderstand) // instead of A801
		})
	})
}

// TestMoveToPeers: movescu and Orthanc ask our server to send to themselves.
func TestMoveToPeers(t *testing.T) {
	all := objects(t)
	pacs := func(t *testing.T, ae string, port int) (host, own string) {
		host, own, err := net.SplitHostPort(serve(t, &dimse.Server{
			Choose: chooseExplicit, Find: matchStudy,
			Move: mover(all, map[string]string{ae: fmt.Sprintf("127.0.0.1:%d", port)}),
		}))
		require.NoError(t, err)
		return host, own
	}
	nagle(t, func(t *testing.T, env []string) {
		// Its option +B is of no use: it then writes into the working directory.
		dir, incoming := t.TempDir(), testpeer.Port(t)
		host, port := pacs(t, "MOVESCU", incoming)
		move := []string{
			"-S", "+P", strconv.Itoa(incoming), "-od", dir, "-k",
			"QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=" + study, host, port,
		}
		out, exit := testpeer.Run(t, env, "movescu", append([]string{"-aem", "MOVESCU"}, move...)...)
		require.Zero(t, exit, out)
		requireSame(t, all, dataSets(t, dir))
		out, exit = testpeer.Run(t, env, "movescu", append([]string{"-aem", "NOBODY"}, move...)...)
		require.NotZero(t, exit, out)
		require.Contains(t, out, "MoveDestinationUnknown")
	})
	t.Run("Orthanc", func(t *testing.T) {
		port := testpeer.Port(t)
		host, own := pacs(t, "ORTHANC", port)
		p := testpeer.Orthanc(t, nil, map[string]any{
			"DicomPort": port, "DicomModalities": map[string]any{"adit": []any{"ADIT", host, own}},
		})
		var answer struct{ ID string }
		p.Post(
			t, "/modalities/adit/query",
			map[string]any{"Level": "Study", "Query": map[string]string{"StudyInstanceUID": study}}, &answer,
		)
		p.Post(t, "/queries/"+answer.ID+"/retrieve", map[string]any{"TargetAet": "ORTHANC", "Synchronous": true}, nil)
		require.ElementsMatch(t, slices.Collect(maps.Keys(all)), slices.Collect(maps.Keys(p.Files(t))))
	})
}

// matchStudy answers with the one study there is.
func matchStudy(_ context.Context, op *dimse.FindOperation) dimse.Status {
	if op.Pending(query(study)) != nil {
		return dimse.ProcessingFailure
	}
	return dimse.Success
}

// TestDcmRecvAndDcmSend: the other two of DCMTK's, which negotiate from a file and from what they send.
func TestDcmRecvAndDcmSend(t *testing.T) {
	all := objects(t)
	nagle(t, func(t *testing.T, env []string) {
		dir := t.TempDir()
		p := testpeer.DcmRecv(t, env, dir)
		a := dial(t, p.Addr)
		require.NoError(t, a.Echo(t.Context()))
		sendAll(t, a, all)
		require.NoError(t, a.Release(t.Context()))
		requireBytes(t, all, dataSets(t, dir))

		var got kept
		host, port, err := net.SplitHostPort(serve(t, &dimse.Server{Choose: chooseExplicit, Store: got.handle}))
		require.NoError(t, err)
		out, exit := testpeer.Run(t, env, "dcmsend", append([]string{host, port}, files(t, all)...)...)
		require.Zero(t, exit, out)
		objects, _ := got.take()
		requireBytes(t, all, objects)
	})
}

// python is Debian's own, to which python3-odil belongs; another one may come first in the PATH.
const python = "/usr/bin/python3"

// TestOdil: an implementation that has nothing in common with DCMTK.
func TestOdil(t *testing.T) {
	all := objects(t)
	t.Run("SCU", func(t *testing.T) {
		var got, moved kept
		destination := serve(t, &dimse.Server{Choose: chooseExplicit, Store: moved.handle})
		addr := serve(t, &dimse.Server{
			Choose: chooseExplicit, Store: got.handle, Find: matchStudy,
			Get: func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				for uid, b := range all {
					rq := dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: uid, TransferSyntaxUID: explicit}
					if _, err := op.Store(ctx, rq, bytes.NewReader(b)); err != nil {
						return dimse.ProcessingFailure
					}
				}
				return dimse.Success
			},
			Move: mover(all, map[string]string{"STORE": destination}),
		})
		out, exit := testpeer.Run(t, nil, python, append([]string{
			filepath.Join("testdata", "odil_peer.py"), "scu", strconv.Itoa(portOf(t, addr)), study,
		}, files(t, all)...)...)
		require.Zero(t, exit, out)
		require.Contains(t, out, "found "+study)
		require.Equal(t, len(all), strings.Count(out, "got "+study))
		objects, _ := got.take()
		requireSame(t, all, objects)
		objects, movers := moved.take()
		requireBytes(t, all, objects)
		require.Len(t, movers, 1)
	})
	t.Run("SCP", func(t *testing.T) {
		port := testpeer.Port(t)
		output := make(chan string, 1)
		go func() {
			out, _ := testpeer.Run(t, nil, python, filepath.Join("testdata", "odil_peer.py"), "scp", strconv.Itoa(port))
			output <- out
		}()
		var a *dimse.Association
		require.Eventually(t, func() bool { // it takes one connection only: asking whether it listens would be that
			cfg := config(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			cfg.Contexts = cfg.Contexts[:4]
			var err error
			a, err = dimse.Dial(t.Context(), cfg)
			return err == nil
		}, patience, patience/1000)
		require.NoError(t, a.Echo(t.Context()))
		sendAll(t, a, all)
		require.NoError(t, a.Release(t.Context()))
		out := <-output
		require.Equal(t, 2*len(all), strings.Count(out, "stored "+study), out)
		require.Contains(t, out, "released")
	})
}

// TestUserIdentityFromStoreSCU: DCMTK names its user in each of the ways that it has.
func TestUserIdentityFromStoreSCU(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("a.b.c."), 0o600))
	all := files(t, objects(t))
	for kind, options := range map[byte][]string{
		ul.IdentityUsername: {"-usr", "a.b.c."},
		ul.IdentityPasscode: {"-usr", "a.b.c.", "-pwd", "hush"},
		ul.IdentityKerberos: {"-kt", secret},
		ul.IdentitySAML:     {"--saml", secret},
		ul.IdentityJWT:      {"--jwt", secret},
	} {
		t.Run(options[0], func(t *testing.T) {
			var got ul.UserIdentityRQ
			host, port, err := net.SplitHostPort(serve(t, &dimse.Server{
				Choose: chooseExplicit, Store: new(kept).handle,
				Accept: func(_ context.Context, rq *dimse.AssociationRequest) error {
					if rq.RQ.User.UserIdentityRQ == nil {
						return dimse.RejectCallingAE
					}
					got = *rq.RQ.User.UserIdentityRQ
					rq.IdentityResponse = &ul.UserIdentityAC{Response: []byte("welcome")}
					return nil
				},
			}))
			require.NoError(t, err)
			out, exit := testpeer.Run(
				t, nil, "storescu", slices.Concat([]string{"-v"}, options, []string{"-rsp", host, port, all[0]})...,
			)
			require.Zero(t, exit, out)
			require.Equal(t, kind, got.Type)
			require.True(t, got.PositiveResponse)
			require.Equal(t, "a.b.c.", string(got.Primary))
			require.Equal(t, kind == ul.IdentityPasscode, string(got.Secondary) == "hush")
		})
	}
}

// TestAsyncProposedToPeers: peers that don't know the window go on as before, and so do we.
func TestAsyncProposedToPeers(t *testing.T) {
	for name, addr := range map[string]string{
		"storescp": testpeer.StoreSCP(t, nil, t.TempDir()).Addr,
		"Orthanc":  testpeer.Orthanc(t, nil, nil).Addr,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(addr)
			cfg.AsyncOperations = 16
			a, err := dimse.Dial(t.Context(), cfg)
			require.NoError(t, err)
			require.Equal(t, 1, a.Window())
			sendAll(t, a, objects(t))
			require.NoError(t, a.Release(t.Context()))
		})
	}
}

// TestCommitmentOrthanc: Orthanc takes the request on our association and reports on one of its own.
func TestCommitmentOrthanc(t *testing.T) {
	reports := make(chan *dimse.CommitmentReport, 1)
	addr := serve(t, &dimse.Server{
		Commitment: func(_ context.Context, a *dimse.ServerAssociation, r *dimse.CommitmentReport) dimse.Status {
			if a.CallingAE != "ORTHANC" {
				return dimse.RefusedNotAuthorized
			}
			reports <- r
			return dimse.Success
		},
	})
	p := testpeer.Orthanc(
		t, nil, map[string]any{"DicomModalities": map[string]any{"adit": []any{"ADIT", "127.0.0.1", portOf(t, addr)}}},
	)
	cfg := config(p.Addr)
	cfg.CalledAE = "ORTHANC" // under this name it reports
	cfg.Contexts = append(cfg.Contexts, commitmentContexts()...)
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	all := objects(t)
	sendAll(t, a, all)
	var there []dimse.SOPReference
	for uid := range all {
		there = append(there, dimse.SOPReference{SOPClassUID: ctClass, SOPInstanceUID: uid})
	}
	missing := dimse.SOPReference{SOPClassUID: ctClass, SOPInstanceUID: study + ".999"}
	for transaction, failed := range map[string][]dimse.SOPReference{"2.25.1": nil, "2.25.2": {missing}} {
		rq := dimse.CommitmentRequest{TransactionUID: transaction, Instances: slices.Concat(there, failed)}
		require.NoError(t, a.RequestCommitment(t.Context(), rq, nil))
		var r *dimse.CommitmentReport
		select {
		case r = <-reports:
		case <-time.After(patience):
			require.FailNow(t, "no report came")
		}
		require.Equal(t, transaction, r.TransactionUID)
		require.ElementsMatch(t, there, r.Committed)
		require.Len(t, r.Failed, len(failed))
		for _, f := range r.Failed {
			require.Equal(t, missing, f.SOPReference)
			require.EqualValues(t, 0x0112, f.Reason)
		}
	}
	require.NoError(t, a.Release(t.Context()))
}

// pydicomFile is a file of pydicom's that is a DICOM file.
type pydicomFile struct {
	path    string
	meta    stream.FileMeta
	dataSet []byte
}

// pydicomFiles are those with a data set that a peer can take, one for each SOP Instance UID.
func pydicomFiles(t *testing.T) map[string]pydicomFile {
	t.Helper()
	all := map[string]pydicomFile{}
	require.NoError(t, filepath.WalkDir(testpeer.PydicomDir(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		meta, whole := wholeFile(b)
		if !whole || meta.MediaStorageSOPInstanceUID == "" || !dict.IsStorageClass(meta.MediaStorageSOPClassUID) {
			return nil // no DICOM file, or one broken on purpose
		}
		at := 144 + (int(b[140]) | int(b[141])<<8)
		if _, known := all[meta.MediaStorageSOPInstanceUID]; !known {
			all[meta.MediaStorageSOPInstanceUID] = pydicomFile{path, meta, b[at:]}
		}
		return nil
	}))
	require.Greater(t, len(all), 50)
	return all
}

func wholeFile(b []byte) (stream.FileMeta, bool) {
	meta, o, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
	if err != nil {
		return stream.FileMeta{}, false
	}
	_, err = io.Copy(io.Discard, o)
	return meta, o.Close() == nil && err == nil
}

// chooseStored takes every storage class in the first transfer syntax that is proposed, as the receiver ADIT does.
func chooseStored(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	if !dict.IsStorageClass(c.AbstractSyntax) && c.AbstractSyntax != dict.Verification {
		return "", ul.ContextAbstractSyntaxRefused
	}
	return c.TransferSyntaxes[0], ul.ContextAccepted
}

// TestTransferSyntaxes sends pydicom's files, in every transfer syntax that they have: ours to storescp, which keeps
// every byte, and dcmsend's to our server. dcmsend parses and writes anew what it sends, so that a file counts there
// which it leaves as it is, and the pixel data of every other.
func TestTransferSyntaxes(t *testing.T) {
	all := pydicomFiles(t)
	nagle(t, func(t *testing.T, env []string) {
		t.Run("to storescp", func(t *testing.T) { toStoreSCP(t, env, all) })
		t.Run("from dcmsend", func(t *testing.T) { fromDcmSend(t, env, all) })
	})
}

func toStoreSCP(t *testing.T, env []string, all map[string]pydicomFile) {
	t.Helper()
	dir := t.TempDir()
	cfg := config(testpeer.StoreSCP(t, env, dir, "--promiscuous").Addr)
	cfg.Contexts = nil
	for _, f := range all {
		c := dimse.Context{
			AbstractSyntax: f.meta.MediaStorageSOPClassUID, TransferSyntaxes: []string{f.meta.TransferSyntaxUID},
		}
		if !slices.ContainsFunc(cfg.Contexts, func(o dimse.Context) bool {
			return o.AbstractSyntax == c.AbstractSyntax && o.TransferSyntaxes[0] == c.TransferSyntaxes[0]
		}) {
			cfg.Contexts = append(cfg.Contexts, c)
		}
	}
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	want, syntaxes := map[string][]byte{}, map[string]bool{}
	for uid, f := range all {
		rsp, err := a.Store(t.Context(), dimse.StoreRequest{
			SOPClassUID: f.meta.MediaStorageSOPClassUID, SOPInstanceUID: uid,
			TransferSyntaxUID: f.meta.TransferSyntaxUID,
		}, bytes.NewReader(f.dataSet))
		if errors.As(err, new(*dimse.NoContextError)) {
			continue // colour palettes
		}
		require.NoError(t, err, f.path)
		require.Equal(t, dimse.Success, rsp.Status, f.path)
		want[uid], syntaxes[f.meta.TransferSyntaxUID] = f.dataSet, true
		if len(f.dataSet)%2 == 1 { // deflated; the rest is even
			want[uid] = append(slices.Clip(f.dataSet), 0)
		}
	}
	require.NoError(t, a.Release(t.Context()))
	requireBytes(t, want, dataSets(t, dir))
	require.GreaterOrEqual(t, len(syntaxes), 9, "%v", syntaxes)
}

func fromDcmSend(t *testing.T, env []string, all map[string]pydicomFile) {
	t.Helper()
	var got kept
	host, port, err := net.SplitHostPort(serve(t, &dimse.Server{Choose: chooseStored, Store: got.handle}))
	require.NoError(t, err)
	args := []string{"--decompress-never", "--no-uid-checks", "--no-halt", host, port}
	for _, f := range all {
		args = append(args, f.path)
	}
	out, exit := testpeer.Run(t, env, "dcmsend", args...)
	require.Zero(t, exit, out)
	objects, _ := got.take()
	same, alike, syntaxes := 0, 0, map[string]bool{}
	for uid, b := range objects {
		f, known := all[uid]
		ts := got.arrived[uid]
		if !known || ts != f.meta.TransferSyntaxUID {
			continue // SOP Instance UIDs that differ between meta and data set; converted by dcmsend
		}
		syntaxes[ts] = true
		if sum(f.dataSet) == sum(b) {
			same++
		} else if p := pixels(t, f.dataSet, ts); p != nil && sum(p) == sum(pixels(t, b, ts)) {
			alike++
		} else {
			require.Nil(t, p, "%s came with other pixel data", f.path)
		}
	}
	require.GreaterOrEqual(t, same, 90)
	require.GreaterOrEqual(t, alike, 10)
	require.GreaterOrEqual(t, len(syntaxes), 7, "%v", syntaxes)
}

// pixels returns the pixel data of a data set, nil if it has none.
func pixels(t *testing.T, dataSet []byte, transferSyntax string) []byte {
	t.Helper()
	d, err := stream.ParseDataSet(dataSet, transferSyntax, stream.Limits{})
	require.NoError(t, err)
	e, _ := d.Get(dict.PixelData)
	return e.Value
}
