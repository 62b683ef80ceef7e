// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

// nagle runs a test with peers as they come, i.e. with Nagle's algorithm, and with it switched off.
func nagle(t *testing.T, test func(t *testing.T, env []string)) {
	for name, env := range map[string][]string{"Nagle on": nil, "Nagle off": {testpeer.NoDelay}} {
		t.Run(name, func(t *testing.T) { test(t, env) })
	}
}

const study = "1.2.826.0.1.3680043.2.1"

// instance is a small CT image; n makes the instance, size its pixel data.
func object(t testing.TB, n, size int) (uid string, dataSet []byte) {
	t.Helper()
	uid = fmt.Sprintf("%s.1.%d", study, n)
	d := &stream.DataSet{}
	for _, e := range []struct {
		tag  dict.Tag
		text string
	}{
		{dict.SOPClassUID, ctClass},
		{dict.SOPInstanceUID, uid},
		{dict.StudyDate, "20200101"},
		{dict.StudyTime, "120000"},
		{dict.Modality, "CT"},
		{dict.PatientName, "Phantom^" + strconv.Itoa(n)},
		{dict.PatientID, "P1"},
		{dict.StudyInstanceUID, study},
		{dict.SeriesInstanceUID, study + ".1"},
		{dict.StudyID, "1"},
		{dict.SeriesNumber, "1"},
		{dict.InstanceNumber, strconv.Itoa(n)},
		{dict.PhotometricInterpretation, "MONOCHROME2"},
	} {
		d.Set(e.tag, e.text)
	}
	d.SetInt(dict.SamplesPerPixel, 1)
	d.SetInt(dict.Rows, size/512)
	d.SetInt(dict.Columns, 256)
	d.SetInt(dict.BitsAllocated, 16)
	d.SetInt(dict.BitsStored, 16)
	d.SetInt(dict.HighBit, 15)
	d.SetInt(dict.PixelRepresentation, 0)
	d.SetBytes(dict.PixelData, dict.OW, pattern(size))
	b, err := d.Encode(explicit)
	require.NoError(t, err)
	return uid, b
}

// sizes of the instances of a study: some below a PDU of 16 KB, some above.
var sizes = []int{512, 6 << 10, 64 << 10, 512 << 10, 3 << 20}

func objects(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	for i, n := range sizes {
		uid, b := object(t, i+1, n)
		all[uid] = b
	}
	return all
}

// sendAll stores the instances, once as readers and once as writers.
func sendAll(t *testing.T, a *dimse.Association, all map[string][]byte) {
	t.Helper()
	for uid, b := range all {
		for _, r := range []io.Reader{plain{bytes.NewReader(b)}, bytes.NewReader(b)} {
			rsp, err := a.Store(t.Context(),
				dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: uid, TransferSyntaxUID: explicit}, r,
			)
			require.NoError(t, err)
			require.Equal(t, dimse.Success, rsp.Status)
		}
	}
}

func TestStoreSCP(t *testing.T) {
	nagle(t, func(t *testing.T, env []string) {
		dir := t.TempDir()
		p := testpeer.StoreSCP(t, env, dir)
		a := dial(t, p.Addr)
		require.NoError(t, a.Echo(t.Context()))
		all := objects(t)
		sendAll(t, a, all)
		require.NoError(t, a.Release(t.Context()))
		requireBytes(t, all, dataSets(t, dir))
	})
}

// requireBytes compares data sets byte by byte, without printing them.
func requireBytes(t *testing.T, want, got map[string][]byte) {
	t.Helper()
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	for uid, b := range want {
		require.Equal(t, sum(b), sum(got[uid]), uid)
	}
}

// dataSets reads the files of a folder without their file meta, by SOP Instance UID.
func dataSets(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		meta, _, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
		require.NoError(t, err, f)
		at := 144 + (int(b[140]) | int(b[141])<<8) // group length (0002,0000) tells where the meta ends
		out[meta.MediaStorageSOPInstanceUID] = b[at:]
	}
	return out
}

// TestDcmQRSCP stores into dcmqrscp, queries it and retrieves from it.
func TestDcmQRSCP(t *testing.T) {
	nagle(t, func(t *testing.T, env []string) {
		p := testpeer.DcmQRSCP(t, env, t.TempDir(), "+B")
		cfg := config(p.Addr)
		cfg.CalledAE = "QRSCP"
		a, err := dimse.Dial(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(a.Abort)
		all := objects(t)
		sendAll(t, a, all)

		q := &stream.DataSet{}
		q.Set(dict.QueryRetrieveLevel, "IMAGE")
		q.Set(dict.StudyInstanceUID, study)
		q.Set(dict.SeriesInstanceUID, study+".1")
		q.Set(dict.SOPInstanceUID)
		var found []string
		for d, err := range a.Find(t.Context(), findClass, q) {
			require.NoError(t, err)
			found = append(found, d.String(dict.SOPInstanceUID))
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(all)), found)
		for _, err := range a.Find(t.Context(), findClass, q) {
			require.NoError(t, err)
			break // C-CANCEL, and the association goes on
		}

		got := map[string][]byte{}
		r, err := a.Get(
			t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query(study)},
			func(_ context.Context, in *dimse.Incoming) dimse.Status {
				b, err := io.ReadAll(in.Data)
				if err != nil {
					return dimse.ProcessingFailure
				}
				got[in.SOPInstanceUID] = b
				return dimse.Success
			},
		)
		require.NoError(t, err)
		require.Equal(t, dimse.Success, r.Status)
		require.Equal(t, dimse.Counted(len(all)), r.Completed)
		requireSame(t, all, got)
		require.NoError(t, a.Release(t.Context()))
	})
}

// requireSame compares data sets by their parsed elements: dcmqrscp writes each anew.
func requireSame(t *testing.T, want, got map[string][]byte) {
	t.Helper()
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	for uid, b := range want {
		w, err := stream.ParseDataSet(b, explicit, stream.Limits{})
		require.NoError(t, err)
		g, err := stream.ParseDataSet(got[uid], explicit, stream.Limits{})
		require.NoError(t, err)
		require.Equal(t, slices.Collect(w.All()), slices.Collect(g.All()))
	}
}

// TestOrthanc does the same with Orthanc.
func TestOrthanc(t *testing.T) {
	p := testpeer.Orthanc(t, nil, nil)
	a := dial(t, p.Addr)
	all := objects(t)
	sendAll(t, a, all)
	n := 0
	for d, err := range a.Find(t.Context(), findClass, query(study)) {
		require.NoError(t, err)
		require.Equal(t, study, d.String(dict.StudyInstanceUID))
		n++
	}
	require.Equal(t, 1, n)
	got := map[string][]byte{}
	r, err := a.Get(
		t.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query(study)},
		func(_ context.Context, in *dimse.Incoming) dimse.Status {
			var b bytes.Buffer
			_, err := in.Data.(io.WriterTo).WriteTo(&b)
			if err != nil {
				return dimse.ProcessingFailure
			}
			got[in.SOPInstanceUID] = b.Bytes()
			return dimse.Success
		},
	)
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
	requireSame(t, all, got)
	require.NoError(t, a.Release(t.Context()))
}

// TestRejectedByPeer: what real programs reject is told with the next step.
func TestRejectedByPeer(t *testing.T) {
	p := testpeer.DcmQRSCP(t, nil, t.TempDir())
	_, err := dimse.Dial(t.Context(), config(p.Addr)) // called AE title PACS
	require.ErrorContains(t, err, `called AE title "PACS" not recognized`)

	refuse := testpeer.StoreSCP(t, nil, t.TempDir(), "--refuse")
	_, err = dimse.Dial(t.Context(), config(refuse.Addr))
	require.ErrorAs(t, err, new(*ul.RejectedError))

	cfg := config(testpeer.StoreSCP(t, nil, t.TempDir()).Addr)
	cfg.Contexts = []dimse.Context{{AbstractSyntax: findClass, TransferSyntaxes: []string{implicit}}}
	_, err = dimse.Dial(t.Context(), cfg)
	require.ErrorAs(t, err, new(*dimse.NoContextsError))

	http := testpeer.Orthanc(t, nil, nil).URL[len("http://"):]
	_, err = dimse.Dial(t.Context(), config(http))
	require.Error(t, err)
	t.Log(err)
}

// files writes the instances as Part 10 files.
func files(t *testing.T, all map[string][]byte) []string {
	t.Helper()
	dir := t.TempDir()
	var out []string
	for uid, b := range all {
		f := filepath.Join(dir, uid)
		writeFile(t, f, uid, b)
		out = append(out, f)
	}
	return out
}

func writeFile(t testing.TB, path, uid string, dataSet []byte) {
	t.Helper()
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: ctClass, MediaStorageSOPInstanceUID: uid, TransferSyntaxUID: explicit,
	}
	require.NoError(t, os.WriteFile(path, append(meta.AppendTo(nil), dataSet...), 0o600))
}

// chooseExplicit takes what every DCMTK tool can.
func chooseExplicit(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	for _, ts := range []string{explicit, implicit} {
		if slices.Contains(c.TransferSyntaxes, ts) {
			return ts, ul.ContextAccepted
		}
	}
	return "", ul.ContextTransferSyntaxesRefused
}

// matches answers with n identifiers. DCMTK can't do without one.
func matches(n int) func(context.Context, *dimse.FindOperation) dimse.Status {
	return func(_ context.Context, op *dimse.FindOperation) dimse.Status {
		for i := range n {
			if op.Pending(query(fmt.Sprintf("1.2.%d", i))) != nil {
				return dimse.ProcessingFailure
			}
		}
		return dimse.Success
	}
}

// TestDCMTKClients runs DCMTK's tools against our server.
func TestDCMTKClients(t *testing.T) {
	all := objects(t)
	nagle(t, func(t *testing.T, env []string) {
		var mu sync.Mutex
		got := map[string][]byte{}
		var callers []string
		addr := serve(t, &dimse.Server{
			Choose: chooseExplicit,
			Accept: func(_ context.Context, rq *dimse.AssociationRequest) error {
				if rq.CalledAE != "ADIT" {
					return dimse.RejectCalledAE
				}
				mu.Lock()
				defer mu.Unlock()
				callers = append(callers, rq.CallingAE)
				return nil
			},
			Store: func(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
				b, err := io.ReadAll(in.Data)
				if err != nil {
					return dimse.StoreResponse{Status: dimse.ProcessingFailure}
				}
				mu.Lock()
				defer mu.Unlock()
				got[in.SOPInstanceUID] = b
				return dimse.StoreResponse{Status: dimse.Success}
			},
			Find: matches(3),
			Get: func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
				for uid, b := range all {
					rsp, err := op.Store(
						ctx, dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: uid, TransferSyntaxUID: explicit},
						bytes.NewReader(b),
					)
					if err != nil || rsp.Status != dimse.Success {
						return dimse.ProcessingFailure
					}
				}
				if op.Final(dimse.GetResult{Counts: dimse.Counts{Completed: dimse.Counted(len(all))}}) != nil {
					return dimse.ProcessingFailure
				}
				return dimse.Success
			},
		})
		host, port, _ := bytes.Cut([]byte(addr), []byte(":"))
		at := []string{"-aec", "ADIT", string(host), string(port)}

		out, exit := testpeer.Run(t, env, "echoscu", append([]string{"-v"}, at...)...)
		require.Zero(t, exit, out)
		out, exit = testpeer.Run(t, env, "echoscu", "-aec", "NOBODY", string(host), string(port))
		require.NotZero(t, exit)
		require.Contains(t, out, "Called AE Title Not Recognized")

		out, exit = testpeer.Run(t, env, "storescu", slices.Concat(at, files(t, all))...)
		require.Zero(t, exit, out)
		mu.Lock()
		requireBytes(t, all, got)
		mu.Unlock()

		keys := []string{"-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"}
		out, exit = testpeer.Run(t, env, "findscu", slices.Concat(keys, at)...)
		require.Zero(t, exit, out)
		require.Contains(t, out, "1.2.2")
		out, exit = testpeer.Run(t, env, "findscu", slices.Concat([]string{"--cancel", "1"}, keys, at)...)
		require.Zero(t, exit, out)

		dir := t.TempDir()
		out, exit = testpeer.Run(t, env, "getscu", slices.Concat(
			[]string{"-S", "-B", "-od", dir, "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=" + study}, at,
		)...)
		require.Zero(t, exit, out)
		requireBytes(t, all, dataSets(t, dir))
		mu.Lock()
		defer mu.Unlock()
		require.Contains(t, callers, "ECHOSCU")
	})
}

// TestImplementationUID: associations and files name the same implementation.
func TestImplementationUID(t *testing.T) {
	require.Equal(t, stream.ImplementationClassUID, ul.ImplementationClassUID)
	require.Equal(t, stream.ImplementationVersionName, ul.ImplementationVersionName)
}
