// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/people"
)

// prefixes are those of QIDO-RS.
var prefixes = map[string]string{"plain": "/dicom-web/PACS", "original": "/api/dicom-web/PACS/qidors"}

// searchSite is a site with a PACS of several studies.
func searchSite(t *testing.T, studies []*phantom.Study) (*site, *pacs.PACS) {
	t.Helper()
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: studies})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	host, port, err := net.SplitHostPort(p.Addr())
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = host, n })
	return s, p
}

// row is a data set in the DICOM JSON model.
type found map[string]struct {
	VR    string
	Value []any
}

func (f found) text(t dict.Tag) string {
	v := f[fmt.Sprintf("%08X", uint32(t))].Value
	if len(v) == 0 {
		return ""
	}
	return fmt.Sprint(v[0])
}

// qido searches, and asserts the status.
func (s *site) qido(path string, status int, header ...string) (rows []found, got reply) {
	s.t.Helper()
	got = s.send("GET", path, "", header...)
	require.Equal(s.t, status, got.StatusCode, "%s: %s", path, got.body)
	if status == nethttp.StatusOK {
		require.Equal(s.t, "application/dicom+json", got.Header.Get("Content-Type"))
		require.NoError(s.t, json.Unmarshal([]byte(got.body), &rows), got.body)
	}
	return rows, got
}

// TestQIDO: the proxy searches a server that knows DIMSE alone, at every level, by keywords and tags, under both
// prefixes.
func TestQIDO(t *testing.T) {
	studies := phantom.DemoStudies()
	s, p := searchSite(t, studies)
	first := studies[0]
	study, series := first.StudyInstanceUID, first.Series[0]
	ofPatient := 0
	for _, st := range studies {
		if st.Spec.Patient.ID == first.Spec.Patient.ID {
			ofPatient++
		}
	}
	for name, at := range prefixes {
		t.Run(name, func(t *testing.T) {
			s.t = t
			for path, want := range map[string]int{
				"/studies?StudyInstanceUID=" + study:                                                      1,
				"/studies?0020000D=" + study:                                                              1,
				"/studies?StudyInstanceUID=" + study + "%5C" + studies[1].StudyInstanceUID:                2,
				"/studies?StudyInstanceUID=" + study + "," + studies[1].StudyInstanceUID:                  2,
				"/studies?PatientID=" + url.QueryEscape(first.Spec.Patient.ID):                            ofPatient,
				"/studies?PatientID=nobody":                                                               0,
				"/studies/" + study + "/series?includefield=00080021,00080031,0008103E,00200011":          len(first.Series),
				"/studies/" + study + "/series/" + series.SeriesInstanceUID + "/instances":                len(series.Instances),
				"/studies/" + study + "/instances?includefield=all":                                       len(first.Instances()),
				"/series?StudyInstanceUID=" + study:                                                       len(first.Series),
				"/instances?StudyInstanceUID=" + study + "&SeriesInstanceUID=" + series.SeriesInstanceUID: len(series.Instances),
			} {
				rows, _ := s.qido(at+path, 200)
				require.Len(t, rows, want, path)
			}
			rows, _ := s.qido(at+"/studies/"+study+"/series", 200)
			require.Equal(t, study, rows[0].text(dict.StudyInstanceUID))
			require.NotEmpty(t, rows[0].text(dict.Modality))
			for path, status := range map[string]int{
				"/studies?Nonsense=1":                                    400,
				"/studies?limit=abc":                                     400,
				"/studies?limit=-1":                                      400,
				"/studies?offset=x":                                      400,
				"/studies?StudyInstanceUID=1.x":                          400,
				"/studies?PatientID=a%5Cb":                               400,
				"/studies?PatientID=a%07b":                               400,
				"/studies?includefield=nonsense":                         400,
				"/studies?fuzzymatching=perhaps":                         400,
				"/series?Modality=CT":                                    400,
				"/instances":                                             400,
				"/studies/1.x/series":                                    400,
				"/studies?PixelData=1":                                   400,
				"/studies?PatientID=P1;PatientID=P2":                     400,
				"/studies?PatientID=1&00100020=2":                        400,
				"/studies?StudyDate=abc":                                 400,
				"/studies?StudyDate=20249999":                            400,
				"/studies?StudyDate=-":                                   400,
				"/studies?ModalitiesInStudy=" + strings.Repeat("M,", 21): 400,
				"/studies?Modality=CT":                                   400,
				"/studies?SOPClassUID=1.2":                               400,
				"/studies?RequestAttributesSequence=":                    400,
			} {
				_, got := s.qido(at+path, status)
				if name == "original" {
					require.Contains(t, got.body, `"detail":`)
					require.Equal(t, "application/json", got.Header.Get("Content-Type"))
				}
			}
			for path, want := range map[string]int{
				"?StudyDate=20240101-20241231": len(studies), "?StudyDate=-20000101": 0, "?StudyDate=20240701-": 1,
				"?StudyDate=20240701": 1, "?offset=1&limit=9223372036854775807": len(studies) - 1,
			} {
				rows, _ := s.qido(at+"/studies"+path, 200)
				require.Len(t, rows, want, path)
			}
			_, got := s.qido(at+"/studies?PatientID=nobody", 200)
			require.Equal(t, "[]", got.body)
			_, got = s.qido(at+"/studies?PatientID=nobody&fuzzymatching=true", 200)
			require.Contains(t, got.Header.Get("Warning"), "299 ADIT \"The fuzzymatching parameter is not supported.")
			s.qido(at+"/studies", 406, "Accept", "text/html")
			s.qido(at+"/studies", 200, "Accept", "application/dicom+json, application/json")
			s.qido(at+"/studies", 401, "Authorization", "Token nonsense")
			s.qido(at+"/studies", 200, "Authorization", pacs.BasicAuth("x", s.token))
		})
	}
	s.t = t
	s.qido("/dicom-web/NOBODY/studies", 404)
	s.qido("/api/dicom-web/NOBODY/qidors/studies", 404)
	require.Zero(t, p.Recorder().Log().Open)
}

// TestDICOMwebRefusals: each refusal has a kind of its own, and says what helps. A program is told that it may give
// a password, and a page is not: its browser would ask the person for one.
func TestDICOMwebRefusals(t *testing.T) {
	study := phantom.DemoStudies()[0]
	s, _ := searchSite(t, []*phantom.Study{study})
	server, err := s.client.Servers.Get(t.Context(), "PACS")
	require.NoError(t, err)
	poor := "Token " + s.reader("poor", server.ID, people.DICOMwebRetrieve)
	at := "/dicom-web/PACS/studies/" + study.StudyInstanceUID
	series := study.Series[0]
	one := at + "/series/" + series.SeriesInstanceUID + "/instances/" + series.Instances[0].SOPInstanceUID
	for _, c := range []struct {
		method, path, header, value string
		status                      int
		code, words                 string
	}{
		{"GET", at, "Accept", "text/html", 406, client.CodeNotAcceptable, "multipart/related"},
		{"GET", "/dicom-web/PACS/studies", "Accept", "text/html", 406, client.CodeNotAcceptable, "application/dicom+json"},
		{"GET", one + "/thumbnail", "Accept", "*/*", 501, client.CodeNotImplemented, "makes no pictures"},
		{"GET", at + "/nonsense", "Accept", "*/*", 404, client.CodeNotFound, "/dicom-web/PACS/studies?PatientID="},
		{"DELETE", at, "Accept", "*/*", 405, client.CodeMethodNotAllowed, "GET searches and retrieves"},
		{"GET", at, "Authorization", poor, 403, client.CodeForbidden, "Give a pseudonym (the parameter pseudonym)"},
		{"GET", at + "/metadata", "Authorization", poor, 403, client.CodeForbidden, "Give a pseudonym (the parameter pseudonym)"},
	} {
		p := s.send(c.method, c.path, "", c.header, c.value).problem(t)
		require.Equal(t, []any{c.status, c.code}, []any{p.Status, p.Code}, c.path)
		require.Contains(t, p.Detail, c.words, c.path)
		require.NotContains(t, p.Detail, "/api/docs", c.path)
	}
	got := s.oneZero(at).problem(t)
	require.Equal(t, []any{505, client.CodeVersionNotSupported}, []any{got.Status, got.Code})
	const basic = `Basic realm="ADIT, with an API token as the password", charset="UTF-8"`
	for _, path := range []string{at, "/api/dicom-web/PACS/wadors/studies/1.2", "/dicom-web/PACS/studies"} {
		refused := s.send("GET", path, "", "Authorization", "")
		require.Equal(t, []string{`Token realm="ADIT"`, basic}, refused.Header.Values("WWW-Authenticate"), path)
		for _, header := range []string{"Sec-Fetch-Mode", "Referer", "Origin"} {
			refused = s.send("GET", path, "", "Authorization", "", header, s.url)
			require.Equal(t, []string{`Token realm="ADIT"`}, refused.Header.Values("WWW-Authenticate"), path)
		}
	}
}

// oneZero sends a request by HTTP/1.0.
func (s *site) oneZero(path string) reply {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	defer func() { _ = c.Close() }()
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: localhost\r\nAuthorization: Token %s\r\n\r\n", path, s.token)
	require.NoError(s.t, err)
	got, err := nethttp.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(s.t, err)
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	require.NoError(s.t, err)
	return reply{got, string(body)}
}

// TestQIDOModalities: where a PACS does not say of which modalities a study is, its series do, as far as a bound; what
// they say is told. Where that was not done, the answer says so.
func TestQIDOModalities(t *testing.T) {
	of := func(seed uint64, kinds ...phantom.Kind) *phantom.Study {
		spec := phantom.StudySpec{Patient: phantom.Patient{ID: fmt.Sprintf("KINDS-%d", seed), Name: "Kinds^All"}}
		for _, k := range kinds {
			spec.Series = append(spec.Series, phantom.SeriesSpec{Kind: k, Instances: 2, Rows: 16, Columns: 16})
		}
		return phantom.New(seed, spec)
	}
	few := []*phantom.Study{of(930, phantom.CT), of(931, phantom.MR), of(932, phantom.CT, phantom.MR), of(933, phantom.MR)}
	var many []*phantom.Study
	for i := range uint64(203) {
		many = append(many, of(1000+i, phantom.CT))
	}
	mute := []dict.Tag{dict.ModalitiesInStudy, dict.NumberOfStudyRelatedSeries, dict.NumberOfStudyRelatedInstances}
	for name, c := range map[string]struct {
		studies []*phantom.Study
		faults  pacs.FindFaults
		queries map[string]int // with the studies that are found
		finds   int            // at most, for each
		warns   bool
	}{
		"said": {few, pacs.FindFaults{}, map[string]int{"MR": 3, "CT": 2, "CT,MR": 4, "US": 0}, 2, false},
		"left out": {few, pacs.FindFaults{
			IgnoreKeys: mute, Study: pacs.ListFaults{OmitKeys: mute},
		}, map[string]int{"MR": 3, "ct": 2, "CT,MR": 4, "US": 0, "M*": 3}, 2 + len(few), false},
		"empty": {few, pacs.FindFaults{
			IgnoreKeys: mute, Answers: map[dict.Tag][]string{dict.ModalitiesInStudy: {}},
		}, map[string]int{"MR": 3}, 1 + len(few), false},
		"too many": {many, pacs.FindFaults{
			IgnoreKeys: mute, Study: pacs.ListFaults{OmitKeys: mute},
		}, map[string]int{"MR": 3}, 201, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: c.studies, Misbehave: pacs.Misbehave{Find: c.faults}})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, p.Close()) })
			s := newSite(t)
			s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
			for wanted, found := range c.queries {
				before := len(p.Recorder().Log().Finds)
				rows, got := s.qido("/dicom-web/PACS/studies?ModalitiesInStudy="+wanted, 200)
				require.Len(t, rows, found, wanted)
				require.LessOrEqual(t, len(p.Recorder().Log().Finds)-before, c.finds, wanted)
				require.Equal(t, c.warns, strings.Contains(got.Header.Get("Warning"), "ModalitiesInStudy"), wanted)
				for _, row := range rows {
					if c.warns {
						continue
					}
					require.NotEmpty(t, row.text(dict.ModalitiesInStudy))
					series := row.text(dict.NumberOfStudyRelatedSeries)
					require.Contains(t, []string{"1", "2"}, series)
					require.Equal(t, map[string]string{"1": "2", "2": "4"}[series], row.text(dict.NumberOfStudyRelatedInstances))
				}
			}
			if c.warns {
				return
			}
			rows, _ := s.qido("/dicom-web/PACS/series?PatientID=KINDS-932&ModalitiesInStudy=MR", 200)
			require.Len(t, rows, 2)
			rows, _ = s.qido("/dicom-web/PACS/series?PatientID=KINDS-930&ModalitiesInStudy=MR", 200)
			require.Empty(t, rows)
			ct := c.studies[0]
			at := "/dicom-web/PACS/studies/" + ct.StudyInstanceUID + "/series"
			for path, found := range map[string]int{
				at + "?ModalitiesInStudy=MR": 0, at + "?PatientID=KINDS-930": 1, at + "?PatientID=nobody": 0,
				at + "/" + ct.Series[0].SeriesInstanceUID + "/instances?Modality=MR": 0,
				at + "/" + ct.Series[0].SeriesInstanceUID + "/instances?Modality=CT": 2,
			} {
				rows, _ := s.qido(path, 200)
				require.Len(t, rows, found, path)
			}
		})
	}
}

// TestQIDOPages: pages are parts of one list, which the PACS is asked for once; none is missing and none comes twice.
func TestQIDOPages(t *testing.T) {
	var studies []*phantom.Study
	for i := range 25 {
		studies = append(studies, phantom.New(uint64(900+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: fmt.Sprintf("PAGES-%d", i), Name: "Pages^All"},
			Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1, Rows: 16, Columns: 16}},
		}))
	}
	s, p := searchSite(t, studies)
	for _, at := range prefixes {
		before := len(p.Recorder().Log().Finds)
		seen := map[string]bool{}
		for offset := 0; ; offset += 10 {
			rows, _ := s.qido(fmt.Sprintf("%s/studies?PatientName=Pages*&limit=10&offset=%d", at, offset), 200)
			if len(rows) == 0 {
				break
			}
			for _, r := range rows {
				require.False(t, seen[r.text(dict.StudyInstanceUID)])
				seen[r.text(dict.StudyInstanceUID)] = true
			}
		}
		require.Len(t, seen, 25)
		require.Len(t, p.Recorder().Log().Finds, before+1)
	}
}

// TestQIDOClientLeaves: a client that leaves ends the search at the PACS.
func TestQIDOClientLeaves(t *testing.T) {
	reached := make(chan struct{})
	ended := make(chan struct{})
	p, err := pacs.Start(pacs.Config{
		AETitle: "PACS", Studies: phantom.DemoStudies(), Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind != pacs.AtMatch || e.Number != 2 {
				return
			}
			close(reached)
			select {
			case <-e.Canceled:
			case <-ctx.Done():
			}
			close(ended)
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.Host, c.Port = "127.0.0.1", p.Port() })
	ctx, leave := context.WithCancel(t.Context())
	rq, err := nethttp.NewRequestWithContext(ctx, "GET", s.url+"/dicom-web/PACS/studies", nil)
	require.NoError(t, err)
	rq.Header.Set("Authorization", "Token "+s.token)
	go func() {
		<-reached
		leave()
	}()
	rsp, err := nethttp.DefaultClient.Do(rq)
	if err == nil {
		_ = rsp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	<-ended
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
}
