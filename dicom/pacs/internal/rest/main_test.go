// SPDX-License-Identifier: AGPL-3.0-or-later

package rest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
	"github.com/adit-go/adit/internal/testpeer"
)

// patience is a deadline as safety only.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	testpeer.Isolate()
	goleak.VerifyTestMain(m)
}

// star asks for objects as they are stored.
const star = `multipart/related; type="application/dicom"; transfer-syntax=*`

// ctStudy is a study of two series: n small CT images and one report.
func ctStudy(seed uint64, n int) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{
			ID: "PHANTOM-100", Name: "Yamada^Tarou=山田^太郎=やまだ^たろう", BirthDate: "19700101", Sex: "O",
			CharacterSet: []string{"", "ISO 2022 IR 87"},
		},
		AccessionNumber: "A-100",
		Description:     "CT",
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: n, Rows: 64, Columns: 64, Description: "Axial"},
			{Kind: phantom.Report},
		},
	})
}

func start(t testing.TB, cfg pacs.Config) *pacs.PACS {
	t.Helper()
	if cfg.Web == nil {
		cfg.Web = &pacs.WebConfig{}
	}
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// errs starts a PACS with one study of n images and a report, and with faults.
func errs(t testing.TB, n int, f pacs.WebFaults) (*pacs.PACS, *phantom.Study) {
	t.Helper()
	st := ctStudy(1, n)
	return start(t, pacs.Config{
		Memory: 64 << 20, Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{Web: f},
	}), st
}

// limit is a context that ends a test that hangs.
func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// client has connections of its own, which end with the test, and follows no redirect.
func client(t testing.TB, tlsConfig *tls.Config) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: tlsConfig, ForceAttemptHTTP2: tlsConfig != nil}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// do sends a request with headers as "Name: value".
func do(ctx context.Context, t testing.TB, c *http.Client, method, url string, body io.Reader, headers ...string) (
	*http.Response, error,
) {
	t.Helper()
	rq, err := http.NewRequestWithContext(ctx, method, url, body)
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		rq.Header.Add(name, value)
	}
	rsp, err := c.Do(rq)
	if err == nil {
		t.Cleanup(func() { _ = rsp.Body.Close() })
	}
	return rsp, err
}

func get(t testing.TB, url string, headers ...string) *http.Response {
	t.Helper()
	rsp, err := do(limit(t), t, client(t, nil), http.MethodGet, url, nil, headers...)
	require.NoError(t, err)
	return rsp
}

// text reads the body.
func text(t testing.TB, rsp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(rsp.Body)
	require.NoError(t, err)
	return string(b)
}

// sets reads an answer in JSON, which must have the status.
func sets(t testing.TB, rsp *http.Response, status int) []*stream.DataSet {
	t.Helper()
	require.Equal(t, status, rsp.StatusCode)
	require.Equal(t, dicomjson.MediaType, rsp.Header.Get("Content-Type"))
	list := []*stream.DataSet{}
	for ds, err := range dicomjson.NewDecoder(rsp.Body, dicomjson.Limits{}).All() {
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

// uids lists the SOP Instance UIDs of a study.
func uids(st *phantom.Study) []string {
	list := []string{}
	for _, in := range st.Instances() {
		list = append(list, in.SOPInstanceUID)
	}
	return list
}

func hexOf(in *phantom.Instance) string {
	s := in.SHA256()
	return hex.EncodeToString(s[:])
}

// arrival is an object that came.
type arrival struct{ uid, syntax, sha256 string }

// arrivals lists what comes of a study as it is stored.
func arrivals(list ...*phantom.Instance) []arrival {
	out := []arrival{}
	for _, in := range list {
		out = append(out, arrival{in.SOPInstanceUID, in.TransferSyntaxUID, hexOf(in)})
	}
	return out
}

// objects reads a multipart answer, up to the error that ends it.
func objects(t testing.TB, rsp *http.Response) ([]arrival, error) {
	t.Helper()
	ct, err := media.Parse(rsp.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/related", ct.Name)
	require.Equal(t, "application/dicom", ct.Param("type"))
	parts, err := multipart.NewReader(rsp.Body, ct.Param("boundary"), multipart.Limits{})
	require.NoError(t, err)
	list := []arrival{}
	for {
		part, err := parts.Next()
		if err == io.EOF { //nolint:errorlint // as a reader gives it
			return list, nil
		}
		if err != nil {
			return list, err
		}
		a, err := object(part)
		if err != nil {
			return list, err
		}
		list = append(list, a)
	}
}

// object reads one file.
func object(r io.Reader) (arrival, error) {
	meta, o, err := stream.OpenFile(r, stream.Limits{})
	if err != nil {
		return arrival{}, err
	}
	defer o.Close()
	h := sha256.New()
	if _, err := io.Copy(h, o); err != nil {
		return arrival{}, err
	}
	return arrival{meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID, hex.EncodeToString(h.Sum(nil))}, nil
}

// file is an instance as a file.
func file(t testing.TB, in *phantom.Instance) []byte {
	t.Helper()
	r := in.Open()
	defer r.Close()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	return append(in.FileMeta().AppendTo(nil), b...)
}

// message is a STOW-RS body.
func message(t testing.TB, parts ...[]byte) (body []byte, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b, "boundary-of-the-test")
	for _, p := range parts {
		require.NoError(t, w.Begin(multipart.Field{Name: "Content-Type", Value: "application/dicom"}))
		_, err := w.Write(p)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes(), `Content-Type: multipart/related; type="application/dicom"; boundary=boundary-of-the-test`
}

// stow stores instances, and returns the answer.
func stow(t testing.TB, url string, list ...*phantom.Instance) *http.Response {
	t.Helper()
	var parts [][]byte
	for _, in := range list {
		parts = append(parts, file(t, in))
	}
	b, contentType := message(t, parts...)
	rsp, err := do(limit(t), t, client(t, nil), http.MethodPost, url, bytes.NewReader(b), contentType,
		"Accept: "+dicomjson.MediaType)
	require.NoError(t, err)
	return rsp
}

// outcome is what a STOW-RS answer says of instances.
type outcome struct {
	stored         []string
	failed, warned map[string]int
	other          []int
}

func outcomeOf(t testing.TB, rsp *http.Response, status int) outcome {
	t.Helper()
	list := sets(t, rsp, status)
	require.Len(t, list, 1)
	return outcomeIn(list[0])
}

func outcomeIn(ds *stream.DataSet) outcome {
	o := outcome{stored: []string{}, failed: map[string]int{}, warned: map[string]int{}}
	for _, item := range ds.Items(dict.ReferencedSOPSequence) {
		uid := item.String(dict.ReferencedSOPInstanceUID)
		o.stored = append(o.stored, uid)
		if n, ok := item.Int(dict.WarningReason); ok {
			o.warned[uid] = n
		}
	}
	for _, item := range ds.Items(dict.FailedSOPSequence) {
		o.failed[item.String(dict.ReferencedSOPInstanceUID)], _ = item.Int(dict.FailureReason)
	}
	for _, item := range ds.Items(dict.OtherFailuresSequence) {
		n, _ := item.Int(dict.FailureReason)
		o.other = append(o.other, n)
	}
	return o
}
