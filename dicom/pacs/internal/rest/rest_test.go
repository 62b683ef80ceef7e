// SPDX-License-Identifier: AGPL-3.0-or-later

package rest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

func TestSearch(t *testing.T) {
	ct := ctStudy(1, 3)
	us := phantom.New(2, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-200", Name: "Other^Phantom", BirthDate: "19800202", Sex: "F"},
		Date:    "20240301", AccessionNumber: "A-200",
		Series: []phantom.SeriesSpec{{Kind: phantom.Ultrasound, Rows: 16, Columns: 16, Frames: 2}},
	})
	p := start(t, pacs.Config{AETitle: "PACS", Studies: []*phantom.Study{ct, us}})
	a, b := ct.StudyInstanceUID, us.StudyInstanceUID
	both := []string{a, b}
	for query, want := range map[string][]string{
		"":                      both,
		"?limit=1":              {a},
		"?limit=1&offset=1":     {b},
		"?limit=0":              {},
		"?offset=5":             {},
		"?00100020=PHANTOM-200": {b},
		"?PatientID=phantom*":   {},
		"?PatientID=PHANTOM*":   both,
		"?PatientName=yamada*":  {a},
		"?PatientName=" + url.QueryEscape("山田*"):     {a},
		"?StudyDate=20240201-20240401":               {b},
		"?StudyInstanceUID=" + a + "," + b:           both,
		"?StudyInstanceUID=" + a + "%5C" + b:         both,
		"?ModalitiesInStudy=US,MR":                   {b},
		"?ModalitiesInStudy=US&ModalitiesInStudy=CT": both,
		"?StudyDescription=":                         both,
		"?SeriesDescription=nothing":                 both, // a key of a lower level
		"?fuzzymatching=false&PatientID=no":          {},
		"?00081110.00081155=1.2":                     both, // not supported
	} {
		list := sets(t, get(t, p.WebURL()+"/studies"+query), http.StatusOK)
		require.Equal(t, want, values(list, dict.StudyInstanceUID), query)
	}
	for query, reason := range map[string]string{
		"?limit=abc": "limit", "?offset=-1": "offset", "?Nothing=1": "parameter", "?includefield=nothing": "parameter",
	} {
		rsp := get(t, p.WebURL()+"/studies"+query)
		require.Equal(t, http.StatusBadRequest, rsp.StatusCode, query)
		require.Contains(t, text(t, rsp), reason)
	}
	rsp := get(t, p.WebURL()+"/studies?fuzzymatching=true")
	require.Contains(t, rsp.Header.Get("Warning"), "Only literal matching")
	require.Len(t, sets(t, rsp, http.StatusOK), 2)
}

func TestSearchAnswers(t *testing.T) {
	p, st := errs(t, 3, pacs.WebFaults{})
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID

	study := sets(t, get(t, p.WebURL()+"/studies?includefield=SOPClassesInStudy,00081030&includefield=00101010"), 200)[0]
	require.Equal(t, "Yamada^Tarou=山田^太郎=やまだ^たろう", study.String(dict.PatientName))
	require.Equal(t, []string{"CT", "SR"}, study.Strings(dict.ModalitiesInStudy))
	require.Equal(t, root, study.String(dict.RetrieveURL))
	require.Len(t, study.Strings(dict.SOPClassesInStudy), 2)
	require.True(t, study.Has(dict.PatientAge))
	require.False(t, study.Has(dict.QueryRetrieveLevel))
	n, _ := study.Int(dict.NumberOfStudyRelatedInstances)
	require.Equal(t, 4, n)

	series := sets(t, get(t, root+"/series?Modality=CT"), 200)
	require.Len(t, series, 1)
	require.Equal(t, st.Series[0].SeriesInstanceUID, series[0].String(dict.SeriesInstanceUID))
	require.Equal(t, st.StudyInstanceUID, series[0].String(dict.StudyInstanceUID))
	require.False(t, series[0].Has(dict.PatientName), "what the path says is not told again")
	require.Equal(t, root+"/series/"+st.Series[0].SeriesInstanceUID, series[0].String(dict.RetrieveURL))

	instances := sets(t, get(t, root+"/series/"+st.Series[0].SeriesInstanceUID+"/instances?includefield=all"), 200)
	require.Equal(t, uids(st)[:3], values(instances, dict.SOPInstanceUID))
	require.Equal(t, dict.ExplicitVRLittleEndian, instances[0].String(dict.AvailableTransferSyntaxUID))
	require.Equal(t, "64", instances[0].String(dict.Rows))

	require.Equal(t, uids(st), values(sets(t, get(t, root+"/instances"), 200), dict.SOPInstanceUID))
	require.Len(t, sets(t, get(t, p.WebURL()+"/series?PatientID=PHANTOM-100"), 200), 2)
	all := sets(t, get(t, p.WebURL()+"/instances?SOPInstanceUID="+uids(st)[1]), 200)
	require.Equal(t, []string{uids(st)[1]}, values(all, dict.SOPInstanceUID))
	require.Equal(t, "PHANTOM-100", all[0].String(dict.PatientID))
	require.Empty(t, sets(t, get(t, p.WebURL()+"/studies/1.2.3/series"), 200))
	require.Equal(t, "[]\n", text(t, get(t, p.WebURL()+"/studies?PatientID=nobody")))
}

func TestNoSuchResource(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{})
	root := "/studies/" + st.StudyInstanceUID
	for _, path := range []string{
		"/", "/patients", "/studies/abc", root + "/nothing", root + "/series/1.2/instances/1.3/frames/1",
		"/series/1.2", "/instances/1.2/metadata", root + "/instances/1.2", "/studies/metadata", root + "/studies",
	} {
		require.Equal(t, http.StatusNotFound, get(t, p.WebURL()+path).StatusCode, path)
	}
	for _, path := range []string{"/studies/1.2.3", "/studies/1.2.3/metadata", root + "/series/1.2", root + "/series/1.2/instances/1.3/bulkdata/7FE00010"} {
		require.Equal(t, http.StatusNotFound, get(t, p.WebURL()+path).StatusCode, path)
	}
	rsp, err := do(limit(t), t, client(t, nil), http.MethodDelete, p.WebURL()+root, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, rsp.StatusCode)
}

func TestRetrieve(t *testing.T) {
	rle := phantom.New(3, phantom.StudySpec{
		Series: []phantom.SeriesSpec{
			{Kind: phantom.SecondaryCapture, Rows: 16, Columns: 16, TransferSyntaxUID: dict.RLELossless},
			{Kind: phantom.CT, Rows: 16, Columns: 16, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
		},
	})
	p, st := errs(t, 3, pacs.WebFaults{})
	p.AddStudies(rle)
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID
	all, mixed := st.Instances(), rle.Instances()
	for name, c := range map[string]struct {
		url, accept string
		want        []arrival
	}{
		"a study":     {root, star, arrivals(all...)},
		"a series":    {root + "/series/" + st.Series[0].SeriesInstanceUID, star, arrivals(all[:3]...)},
		"an instance": {root + "/series/" + st.Series[0].SeriesInstanceUID + "/instances/" + uids(st)[1], star, arrivals(all[1])},
		"no Accept":   {root, "", arrivals(all...)},
		"any":         {root, "*/*", arrivals(all...)},
		"as stored":   {p.WebURL() + "/studies/" + rle.StudyInstanceUID, star, arrivals(mixed...)},
		"by name": {
			p.WebURL() + "/studies/" + rle.StudyInstanceUID,
			`multipart/related; type=application/dicom; transfer-syntax=` + dict.RLELossless + `, ` + star + `; q=0.5`,
			arrivals(mixed...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if c.accept != "" {
				headers = append(headers, "Accept: "+c.accept)
			}
			rsp := get(t, c.url, headers...)
			require.Equal(t, http.StatusOK, rsp.StatusCode)
			got, err := objects(t, rsp)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}

	// without a transfer syntax what is compressed is not acceptable, and the rest comes in explicit VR
	rsp := get(t, p.WebURL()+"/studies/"+rle.StudyInstanceUID, `Accept: multipart/related; type="application/dicom"`)
	require.Equal(t, http.StatusPartialContent, rsp.StatusCode)
	require.Contains(t, rsp.Header.Get("Warning"), "1 objects")
	got, err := objects(t, rsp)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, dict.ExplicitVRLittleEndian, got[0].syntax)
	require.NotEqual(t, hexOf(mixed[1]), got[0].sha256)

	// one instance may come without multipart
	rsp = get(t, root+"/series/"+st.Series[0].SeriesInstanceUID+"/instances/"+uids(st)[0], "Accept: application/dicom")
	require.Equal(t, "application/dicom", rsp.Header.Get("Content-Type"))
	one, err := object(rsp.Body)
	require.NoError(t, err)
	require.Equal(t, arrivals(all[0])[0], one)

	for path, accept := range map[string]string{
		"": "application/dicom", "/series/" + st.Series[0].SeriesInstanceUID: "image/jpeg",
	} {
		require.Equal(t, http.StatusNotAcceptable, get(t, root+path, "Accept: "+accept).StatusCode)
	}
	l := p.Recorder().Log()
	require.Equal(t, uids(st)[0], l.Sent[len(l.Sent)-1].SOPInstanceUID)
	require.Equal(t, hexOf(all[0]), l.Sent[len(l.Sent)-1].SHA256)
}

func TestMetadata(t *testing.T) {
	p, st := errs(t, 2, pacs.WebFaults{})
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID
	list := sets(t, get(t, root+"/metadata", "Accept: "+dicomjson.MediaType), 200)
	require.Equal(t, uids(st), values(list, dict.SOPInstanceUID))
	rsp := get(t, root+"/series/"+st.Series[0].SeriesInstanceUID+"/instances/"+uids(st)[1]+"/metadata")
	d := dicomjson.NewDecoder(rsp.Body, dicomjson.Limits{})
	found := map[string]string{}
	d.BulkData = func(path dicomjson.Path, uri string) { found[path.String()] = uri }
	for ds, err := range d.All() {
		require.NoError(t, err)
		require.Equal(t, "64", ds.String(dict.Rows))
		require.Equal(t, "Yamada^Tarou=山田^太郎=やまだ^たろう", ds.String(dict.PatientName))
	}
	require.Len(t, found, 1)

	// the pixel data are where the metadata say
	whole, err := stream.ParseDataSet(file(t, st.Instances()[1])[len(st.Instances()[1].FileMeta().AppendTo(nil)):],
		st.Instances()[1].TransferSyntaxUID, stream.Limits{})
	require.NoError(t, err)
	pixels, _ := whole.Get(dict.PixelData)
	rsp = get(t, found["7FE00010"])
	require.Equal(t, "application/octet-stream", rsp.Header.Get("Content-Type"))
	require.Equal(t, string(pixels.Value), text(t, rsp))
	rsp = get(t, found["7FE00010"], `Accept: multipart/related; type="application/octet-stream"`)
	require.Contains(t, text(t, rsp), string(pixels.Value))
	require.Equal(t, http.StatusNotFound, get(t, strings.Replace(found["7FE00010"], "7FE0", "7FE1", 1)).StatusCode)
}

func TestStore(t *testing.T) {
	for name, cfg := range map[string]pacs.Config{"memory": {Memory: 1 << 20}, "folder": {Folder: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			st := ctStudy(1, 3)
			p := start(t, cfg)
			o := outcomeOf(t, stow(t, p.WebURL()+"/studies", st.Instances()...), http.StatusOK)
			require.Equal(t, uids(st), o.stored)
			require.Empty(t, o.failed)
			require.Equal(t, uids(st), pacs.UIDs(p.Recorder().Log().Stores))

			// what came goes out as it came, and is found
			got, err := objects(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star))
			require.NoError(t, err)
			require.Equal(t, arrivals(st.Instances()...), got)
			list := sets(t, get(t, p.WebURL()+"/instances?PatientName=yamada*"), 200)
			require.Equal(t, uids(st), values(list, dict.SOPInstanceUID))
			require.Len(t, sets(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID+"/metadata"), 200), 4)

			// of another study than the path says
			o = outcomeOf(t, stow(t, p.WebURL()+"/studies/1.2.3", st.Instances()...), http.StatusConflict)
			require.Empty(t, o.stored)
			require.Len(t, o.failed, 4)
			require.Equal(t, 272, o.failed[uids(st)[0]])
		})
	}
}

func TestStoreRefuses(t *testing.T) {
	st := ctStudy(1, 2)
	p := start(t, pacs.Config{Memory: 12 << 10})
	good := file(t, st.Instances()[0])
	b, contentType := message(t, good, []byte("no DICOM at all"))
	post := func(body []byte, headers ...string) *http.Response {
		rsp, err := do(limit(t), t, client(t, nil), http.MethodPost, p.WebURL()+"/studies", bytes.NewReader(body), headers...)
		require.NoError(t, err)
		return rsp
	}
	o := outcomeOf(t, post(b, contentType), http.StatusAccepted)
	require.Equal(t, uids(st)[:1], o.stored)
	require.Equal(t, []int{0xC000}, o.other)

	o = outcomeOf(t, stow(t, p.WebURL()+"/studies", st.Instances()[1:2]...), http.StatusConflict)
	require.Equal(t, map[string]int{uids(st)[1]: 0xA700}, o.failed, "the memory is full")

	require.Equal(t, http.StatusUnsupportedMediaType, post(b, "Content-Type: application/dicom").StatusCode)
	require.Equal(t, http.StatusUnsupportedMediaType, post(b, "Content-Type: multipart/related; boundary=x").StatusCode)
	require.Equal(t, http.StatusBadRequest, post(nil, contentType).StatusCode)
	require.Equal(t, http.StatusBadRequest, post(b[:len(b)-40], contentType).StatusCode)
	require.Equal(t, http.StatusBadRequest, post(b[:len(good)/2], contentType).StatusCode)
	empty, contentType := message(t)
	require.Empty(t, outcomeOf(t, post(empty, contentType), http.StatusOK).stored)
	l := p.Recorder().Log()
	require.Len(t, l.Broken, 2)
	require.Equal(t, 0, l.Requests[0].Limit+1)
}

func TestRecorderAndGate(t *testing.T) {
	st := ctStudy(1, 2)
	stop := pacs.StopAt(pacs.AtWebObject, 2)
	p := start(t, pacs.Config{Studies: []*phantom.Study{st}, Gate: stop.Gate})
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID
	rsp := get(t, root, "Accept: "+star)
	e := <-stop.Reached()
	require.Equal(t, uids(st)[1], e.SOPInstanceUID)
	require.Equal(t, root, "http://"+rsp.Request.Host+e.Request.Path)
	l := p.Recorder().Log()
	require.Equal(t, 1, l.Web.Open)
	require.Equal(t, 1, l.Web.Connections)
	require.Zero(t, l.Requests[0].Status)
	stop.Release()
	got, err := objects(t, rsp)
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.NoError(t, p.Recorder().WaitRequests(limit(t), 1))

	get(t, p.WebURL()+"/studies?limit=7&offset=3&PatientID=X", "Authorization: "+pacs.BasicAuth("u", "p"))
	require.NoError(t, p.Recorder().WaitRequests(limit(t), 2))
	l = p.Recorder().Log()
	require.Equal(t, 2, l.Web.Total)
	require.Equal(t, 1, l.Web.Peak)
	require.GreaterOrEqual(t, l.Web.PeakConnections, 1)
	require.Equal(t, 200, l.Requests[0].Status)
	require.Equal(t, 3, l.Requests[0].Objects)
	require.Equal(t, "STUDY", l.Requests[0].Level)
	require.Equal(t, "retrieve", l.Requests[0].Service)
	require.Equal(t, star, l.Requests[0].Accept)
	require.False(t, l.Requests[0].Credentials)
	r := l.Requests[1]
	require.Equal(t, []int{7, 3}, []int{r.Limit, r.Offset})
	require.True(t, r.Credentials)
	require.Equal(t, []string{"X"}, r.Keys["PatientID"])
}

func TestCredentials(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  pacs.WebConfig
		good string
	}{
		"Basic":          {pacs.WebConfig{Credentials: []string{pacs.BasicAuth("u", "p")}}, "Authorization: " + pacs.BasicAuth("u", "p")},
		"another header": {pacs.WebConfig{Authorization: "X-Key", Credentials: []string{"k"}}, "X-Key: k"},
		"by itself": {
			pacs.WebConfig{Accepts: func(s string) bool { return strings.HasPrefix(s, "Bearer t") }}, "Authorization: Bearer t1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, pacs.Config{Web: &c.cfg})
			for _, given := range []string{"Authorization: Basic x", "X-Key: "} {
				require.Equal(t, http.StatusUnauthorized, get(t, p.WebURL()+"/studies", given).StatusCode)
			}
			require.Equal(t, http.StatusOK, get(t, p.WebURL()+"/studies", c.good).StatusCode)
		})
	}
}

func TestTLS(t *testing.T) {
	// the certificate of the standard library's test server
	other := httptest.NewUnstartedServer(nil)
	other.StartTLS()
	defer other.Close()
	st := ctStudy(1, 3)
	p := start(t, pacs.Config{
		Studies: []*phantom.Study{st}, Web: &pacs.WebConfig{
			Root: "/pacs/rs", TLS: &tls.Config{Certificates: other.TLS.Certificates, MinVersion: tls.VersionTLS12},
		},
	})
	require.Regexp(t, `^https://127\.0\.0\.1:\d+/pacs/rs$`, p.WebURL())
	roots := x509.NewCertPool()
	roots.AddCert(other.Certificate())
	c := client(t, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	rsp, err := do(limit(t), t, c, http.MethodGet, p.WebURL()+"/studies/"+st.StudyInstanceUID, nil, "Accept: "+star)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", rsp.Proto)
	got, err := objects(t, rsp)
	require.NoError(t, err)
	require.Equal(t, arrivals(st.Instances()...), got)
}

// TestNothingKept: what was received and not kept is found, and can't be sent.
func TestNothingKept(t *testing.T) {
	p := start(t, pacs.Config{})
	st := ctStudy(1, 1)
	require.Len(t, outcomeOf(t, stow(t, p.WebURL()+"/studies", st.Instances()...), http.StatusOK).stored, 2)
	require.Len(t, sets(t, get(t, p.WebURL()+"/instances"), http.StatusOK), 2)
	require.Equal(t, http.StatusGone, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star).StatusCode)
	p.AddInstance(st.Instances()[0], nil)
	rsp := get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star)
	require.Equal(t, http.StatusPartialContent, rsp.StatusCode)
	got, err := objects(t, rsp)
	require.NoError(t, err)
	require.Equal(t, arrivals(st.Instances()[0]), got)
}

// TestFaultsOfOthers: studies that are away, and faults of one study alone.
func TestFaultsOfOthers(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{})
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID
	p.SetMisbehave(pacs.Misbehave{Archive: pacs.ArchiveFaults{
		Availability: "NEARLINE", Retrieves: 2, Status: dimse.OutOfResources,
	}})
	list := sets(t, get(t, p.WebURL()+"/studies"), 200)
	require.Equal(t, []string{"NEARLINE"}, values(list, dict.InstanceAvailability))
	require.Equal(t, http.StatusServiceUnavailable, get(t, root).StatusCode)
	require.Equal(t, http.StatusServiceUnavailable, get(t, root).StatusCode)
	require.Equal(t, http.StatusOK, get(t, root).StatusCode)

	other := ctStudy(9, 1)
	p.AddStudies(other)
	p.MisbehaveFor(other, pacs.Misbehave{Web: pacs.WebFaults{Any: pacs.WebAnswerFaults{Status: 500}}})
	require.Equal(t, http.StatusOK, get(t, root).StatusCode)
	require.Equal(t, http.StatusInternalServerError, get(t, p.WebURL()+"/studies/"+other.StudyInstanceUID).StatusCode)
}
