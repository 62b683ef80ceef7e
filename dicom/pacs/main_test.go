// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

const (
	findClass        = dict.StudyRootQueryRetrieveInformationModelFind
	patientFindClass = dict.PatientRootQueryRetrieveInformationModelFind
	getClass         = dict.StudyRootQueryRetrieveInformationModelGet
	explicit         = dict.ExplicitVRLittleEndian
	implicit         = dict.ImplicitVRLittleEndian

	// patience is a deadline as safety only.
	patience = 20 * time.Second
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	goleak.VerifyTestMain(m)
}

// ctStudy is a study of n small CT images.
func ctStudy(seed uint64, n int) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient:         phantom.Patient{ID: "PHANTOM-100", Name: "Phantom^Test", BirthDate: "19700101", Sex: "O"},
		AccessionNumber: "A-100",
		Description:     "CT",
		Series:          []phantom.SeriesSpec{{Kind: phantom.CT, Instances: n, Rows: 64, Columns: 64, Description: "Axial"}},
	})
}

func start(t testing.TB, cfg pacs.Config) *pacs.PACS {
	t.Helper()
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// limit is a context that ends a test that hangs.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func config(p *pacs.PACS) dimse.Config {
	cfg := dimse.Config{
		Addr: p.Addr(), CallingAE: "TEST", CalledAE: "PACS", IdleTimeout: patience,
		Contexts: []dimse.Context{
			{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{implicit}},
			{AbstractSyntax: findClass, TransferSyntaxes: []string{implicit, explicit}},
			{AbstractSyntax: patientFindClass, TransferSyntaxes: []string{explicit}},
			{AbstractSyntax: getClass, TransferSyntaxes: []string{explicit}},
		},
	}
	for _, class := range []string{
		dict.CTImageStorage, dict.MRImageStorage, dict.BasicTextSRStorage, dict.SecondaryCaptureImageStorage,
		dict.UltrasoundMultiFrameImageStorage, dict.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
	} {
		for _, ts := range []string{explicit, implicit, dict.RLELossless} {
			cfg.Contexts = append(
				cfg.Contexts, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{ts}, SCP: true},
			)
		}
		cfg.Contexts = append(cfg.Contexts, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{explicit}})
	}
	return cfg
}

func dial(t testing.TB, p *pacs.PACS) *dimse.Association {
	t.Helper()
	a, err := dimse.Dial(limit(t), config(p))
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	return a
}

// keys builds an identifier from keywords and values; a keyword without a value is universal.
func keys(level string, pairs ...string) *stream.DataSet {
	ds := &stream.DataSet{}
	ds.Set(dict.QueryRetrieveLevel, level)
	for i := 0; i < len(pairs); i += 2 {
		e, ok := dict.ByKeyword(pairs[i])
		if !ok {
			panic("no such keyword " + pairs[i])
		}
		if pairs[i+1] == "" {
			ds.Set(e.Tag)
		} else {
			ds.Set(e.Tag, pairs[i+1])
		}
	}
	return ds
}

// find returns all answers, which must end well.
func find(t testing.TB, a *dimse.Association, class string, identifier *stream.DataSet) []*stream.DataSet {
	t.Helper()
	var list []*stream.DataSet
	for ds, err := range a.Find(limit(t), class, identifier) {
		require.NoError(t, err)
		list = append(list, ds)
	}
	return list
}

// values returns one attribute of each answer.
func values(list []*stream.DataSet, tag dict.Tag) []string {
	out := []string{}
	for _, ds := range list {
		out = append(out, ds.String(tag))
	}
	return out
}

// arrival is an instance that came by C-GET.
type arrival struct {
	uid, syntax, sha256 string
}

// get retrieves, answers Success to each instance, and tells what came.
func get(t testing.TB, a *dimse.Association, identifier *stream.DataSet) (dimse.GetResult, []arrival, error) {
	t.Helper()
	var got []arrival
	r, err := a.Get(limit(t), dimse.GetRequest{SOPClassUID: getClass, Identifier: identifier},
		func(_ context.Context, in *dimse.Incoming) dimse.Status {
			h := sha256.New()
			if _, err := io.Copy(h, in.Data); err != nil {
				return dimse.ProcessingFailure
			}
			got = append(got, arrival{in.SOPInstanceUID, in.TransferSyntaxUID, hex.EncodeToString(h.Sum(nil))})
			return dimse.Success
		})
	return r, got, err
}

func uidsOf(got []arrival) []string {
	var list []string
	for _, a := range got {
		list = append(list, a.uid)
	}
	return list
}

// uids lists the SOP Instance UIDs of a study.
func uids(st *phantom.Study) []string {
	var list []string
	for _, in := range st.Instances() {
		list = append(list, in.SOPInstanceUID)
	}
	return list
}

func hexOf(in *phantom.Instance) string {
	s := in.SHA256()
	return hex.EncodeToString(s[:])
}

// send stores an instance, and tells the status.
func send(t testing.TB, a *dimse.Association, in *phantom.Instance) (dimse.Status, error) {
	t.Helper()
	r := in.Open()
	defer r.Close()
	rsp, err := a.Store(limit(t), dimse.StoreRequest{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
	}, r)
	return rsp.Status, err
}
