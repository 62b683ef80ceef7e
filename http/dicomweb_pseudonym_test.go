// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"io"
	nethttp "net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/people"
)

// blindSite is a site with a PACS that errs in some way, and the token of somebody who may not see who patients are.
func blindSite(t *testing.T, st *phantom.Study, m pacs.Misbehave) (s *site, blind []string) {
	t.Helper()
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: []*phantom.Study{st}, Misbehave: m})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s = newSite(t)
	s.engine.Reading.Config.ExcludedModalities = []string{"PR", "SR"}
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
	server, err := s.client.Servers.Get(t.Context(), "PACS")
	require.NoError(t, err)
	token := s.reader("blind", server.ID, people.DICOMwebRetrieve)
	_, err = s.client.Projects.Add(t.Context(), client.NewProject{Name: "blind", Group: "blind"})
	require.NoError(t, err)
	return s, []string{"Authorization", "Token " + token}
}

// blindStudy is a CT of two series, three images each.
var blindStudy = phantom.New(931, phantom.StudySpec{
	Patient: phantom.Patient{ID: "BLIND-1", Name: "Blind^One"},
	Series: []phantom.SeriesSpec{
		{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16}, {Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16},
	},
})

// uidsOf are those of a study that nobody has named who asks for it.
func uidsOf(st *phantom.Study) (uids []string) {
	for _, series := range st.Series {
		uids = append(uids, series.SeriesInstanceUID)
		for _, in := range series.Instances {
			uids = append(uids, in.SOPInstanceUID)
		}
	}
	return uids
}

var bulkAddress = regexp.MustCompile(`"BulkDataURI":"([^"]+)"`)

// TestWADOBlindBulk: under a pseudonym metadata names no series and no instance as the server has them, and its bulk
// data can be got where it says, for this study and pseudonym alone.
func TestWADOBlindBulk(t *testing.T) {
	s, blind := blindSite(t, blindStudy, pacs.Misbehave{})
	for _, at := range wadoPrefixes {
		path := at + "/studies/" + blindStudy.StudyInstanceUID
		_, got := s.qido(path+"/metadata?project=blind&pseudonym=P1&trial_protocol_id=T1", 200, blind...)
		for _, uid := range uidsOf(blindStudy) {
			require.NotContains(t, got.body, uid)
		}
		_, again := s.qido(path+"/metadata?project=blind&pseudonym=P1&trial_protocol_id=T1", 200, blind...)
		require.Equal(t, got.body, again.body, "an address stays")
		found := bulkAddress.FindAllStringSubmatch(got.body, -1)
		require.Len(t, found, len(blindStudy.Instances()))
		for _, address := range found {
			bulk := s.get(t.Context(), address[1], append([]string{"Accept", "*/*"}, blind...)...)
			pixels, err := io.ReadAll(bulk.Body)
			require.NoError(t, err)
			require.NoError(t, bulk.Body.Close())
			require.Equal(t, 200, bulk.StatusCode, string(pixels))
			require.Len(t, pixels, 16*16*2)
		}
		good := found[0][1]
		for name, address := range map[string]string{
			"another pseudonym": strings.Replace(good, "pseudonym=P1", "pseudonym=P2", 1),
			"another trial":     strings.Replace(good, "=T1", "=T2", 1),
			"another study":     strings.Replace(good, blindStudy.StudyInstanceUID, "1.2.3", 1),
			"changed":           strings.Replace(good, "/bulkdata/", "/bulkdata/A", 1),
			"too short":         path + "/bulkdata/AAAA?pseudonym=P1&project=blind",
		} {
			bulk := s.get(t.Context(), address, blind...)
			require.NoError(t, bulk.Body.Close())
			require.Equal(t, 404, bulk.StatusCode, name)
		}
	}
}

// TestWADOBlindErrors: under a pseudonym no error names what nobody has named.
func TestWADOBlindErrors(t *testing.T) {
	in := blindStudy.Instances()[1]
	s, blind := blindSite(t, blindStudy, pacs.Misbehave{Get: pacs.GetFaults{
		Inside: map[string]map[dict.Tag]string{in.SOPInstanceUID: {dict.PatientID: "SOMEBODY-ELSE"}},
	}})
	study := "/dicom-web/PACS/studies/" + blindStudy.StudyInstanceUID
	series := study + "/series/" + blindStudy.Series[0].SeriesInstanceUID
	one := series + "/instances/" + in.SOPInstanceUID
	for _, path := range []string{one, one + "/metadata"} {
		got := s.send("GET", path+"?pseudonym=P1&project=blind", "", blind...)
		require.Equal(t, 409, got.StatusCode, got.body)
		require.Contains(t, got.body, "can't be de-identified")
	}
	s.linked(0)
	s, blind = blindSite(t, blindStudy, pacs.Misbehave{Get: pacs.GetFaults{
		Inside: map[string]map[dict.Tag]string{blindStudy.Instances()[0].SOPInstanceUID: {dict.PatientID: "SOMEBODY-ELSE"}},
	}})
	for _, path := range []string{study, study + "/metadata", study + "/rendered", series} {
		got := s.send("GET", path+"?pseudonym=P1&project=blind", "", blind...)
		require.NotEqual(t, 200, got.StatusCode)
		for _, uid := range uidsOf(blindStudy) {
			require.False(t, strings.Contains(got.body, uid) && !strings.Contains(path, uid), got.body)
		}
	}
}

// linked asserts how many patients have a pseudonym.
func (s *site) linked(want int) {
	s.t.Helper()
	var n int
	require.NoError(s.t, s.pool.QueryRow(s.t.Context(), `SELECT count(*) FROM linkage`).Scan(&n))
	require.Equal(s.t, want, n)
}

// TestWADOBlindModality: an instance of a modality that is excluded under a pseudonym stays, whatever the server says
// of its series; and a patient gets the pseudonym under which something goes out, and none before.
func TestWADOBlindModality(t *testing.T) {
	first := blindStudy.Series[0]
	reports := map[string]map[dict.Tag]string{}
	for _, in := range first.Instances {
		reports[in.SOPInstanceUID] = map[dict.Tag]string{dict.Modality: "SR"}
	}
	reports[blindStudy.Series[1].Instances[0].SOPInstanceUID] = map[dict.Tag]string{dict.Modality: "SR"}
	s, blind := blindSite(t, blindStudy, pacs.Misbehave{Get: pacs.GetFaults{Inside: reports}})
	study := "/dicom-web/PACS/studies/" + blindStudy.StudyInstanceUID
	series := study + "/series/" + first.SeriesInstanceUID
	one := series + "/instances/" + first.Instances[0].SOPInstanceUID
	for _, path := range []string{
		series, series + "/metadata", one, one + "/frames/1", one + "/rendered", one + "/bulkdata/7FE00010",
	} {
		got := s.send("GET", path+"?pseudonym=EVIL&project=blind", "", blind...)
		require.Equal(t, 404, got.StatusCode, path)
	}
	for _, path := range []string{study, one, series} {
		s.send("HEAD", path+"?pseudonym=EVIL&project=blind", "", blind...)
	}
	s.linked(0)
	objects, _ := s.wado(study+"?pseudonym=GOOD&project=blind", 200, blind...)
	require.Len(t, objects, 2)
	s.linked(1)
	s.wado(study+"?pseudonym=OTHER&project=blind", 409, blind...)
	s.linked(1)
}

// TestWADOParameters: a parameter that nobody knows is refused: it may be a mistyped pseudonym.
func TestWADOParameters(t *testing.T) {
	s, _ := blindSite(t, blindStudy, pacs.Misbehave{})
	for _, at := range wadoPrefixes {
		study := at + "/studies/" + blindStudy.StudyInstanceUID
		for _, path := range []string{study, study + "/metadata", study + "/rendered", study + "/thumbnail"} {
			for _, name := range []string{"Pseudonym", "PSEUDONYM", "pseudonym%20", "pseudonyms", "trial", "x"} {
				got := s.send("GET", path+"?"+name+"=P1", "")
				require.Equal(t, 400, got.StatusCode, "%s: %s", path, name)
			}
		}
		s.wado(study+"?accept=*/*&charset=utf-8", 200)
	}
}

// TestWADOHead: HEAD answers as GET does, as far as that can be known without a retrieve of a series.
func TestWADOHead(t *testing.T) {
	s, p := searchSite(t, []*phantom.Study{blindStudy})
	study := "/dicom-web/PACS/studies/" + blindStudy.StudyInstanceUID
	series := study + "/series/" + blindStudy.Series[0].SeriesInstanceUID
	one := series + "/instances/" + blindStudy.Series[0].Instances[0].SOPInstanceUID
	head := func(path string, header ...string) reply {
		return s.send("HEAD", path, "", header...)
	}
	for _, path := range []string{study, series} {
		got := head(path)
		require.Equal(t, 200, got.StatusCode)
		require.Contains(t, got.Header.Get("Content-Type"), `multipart/related; type="application/dicom"; boundary=`)
		got = head(path + "/metadata")
		require.Equal(t, 200, got.StatusCode)
		require.Equal(t, "application/dicom+json", got.Header.Get("Content-Type"))
		require.Equal(t, 406, head(path, "Accept", "text/html").StatusCode)
	}
	require.Equal(t, 404, head("/dicom-web/PACS/studies/1.2.3").StatusCode)
	require.Equal(t, 404, head(study+"/series/1.2.3").StatusCode)
	require.Equal(t, 404, head(study+"/series/1.2.3/metadata").StatusCode)
	require.Empty(t, p.Recorder().Log().Gets, "nothing was retrieved for that")
	for path, want := range map[string]int{
		one: 200, one + "/metadata": 200, one + "/frames/1": 200, one + "/frames/2": 404, one + "/frames/x": 400,
		series + "/instances/1.2.3": 404, one + "/bulkdata/00990099": 404, one + "/rendered": 501,
	} {
		got := head(path)
		require.Equal(t, want, got.StatusCode, path)
		require.NotEmpty(t, got.Header.Get("Content-Type"), path)
	}
}

// TestWADOEmpty: a series without instances is not found, and no profile is blamed.
func TestWADOEmpty(t *testing.T) {
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: []*phantom.Study{blindStudy}, Misbehave: pacs.Misbehave{
		Find: pacs.FindFaults{Image: pacs.ListFaults{Empty: true}, Series: pacs.ListFaults{
			Answers: map[string]map[dict.Tag][]string{
				blindStudy.Series[0].SeriesInstanceUID: {dict.NumberOfSeriesRelatedInstances: {"0"}},
			},
		}},
		Get: pacs.GetFaults{Empty: true},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
	series := "/dicom-web/PACS/studies/" + blindStudy.StudyInstanceUID + "/series/" +
		blindStudy.Series[0].SeriesInstanceUID
	zip := "/api/v1/servers/pacs/studies/" + blindStudy.StudyInstanceUID + "/download?series=" +
		blindStudy.Series[0].SeriesInstanceUID
	for _, path := range []string{series, series + "/metadata", series + "/rendered", series + "/thumbnail", zip} {
		got := s.send("GET", path, "")
		require.Equal(t, nethttp.StatusNotFound, got.StatusCode, "%s: %s", path, got.body)
		require.NotContains(t, got.body, "profile", path)
	}
}
