// SPDX-License-Identifier: AGPL-3.0-or-later

package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

func TestFaultsAsJSON(t *testing.T) {
	m := pacs.Misbehave{Web: pacs.WebFaults{
		Any:      pacs.WebAnswerFaults{After: 1, First: 2, Status: 503, RetryAfter: "1"},
		Search:   pacs.WebSearchFaults{OmitKeys: []dict.Tag{dict.StudyInstanceUID}},
		Retrieve: pacs.WebRetrieveFaults{Inside: map[string]map[dict.Tag]string{"1.2": {dict.PatientID: "X"}}},
	}}
	b, err := json.Marshal(m) //nolint:musttag // Go speaks to Go
	require.NoError(t, err)
	var again pacs.Misbehave
	require.NoError(t, json.Unmarshal(b, &again)) //nolint:musttag // Go speaks to Go
	require.Equal(t, m, again)
}

func TestAnswerStatus(t *testing.T) {
	const date = "Wed, 21 Oct 2099 07:28:00 GMT"
	for name, f := range map[string]pacs.WebAnswerFaults{
		"seconds": {After: 1, First: 2, Status: 429, RetryAfter: "3"},
		"a date":  {After: 1, First: 2, Status: 503, RetryAfter: date},
		"HTML":    {After: 1, First: 2, Status: 200, ContentType: "text/html", Body: "<html>login</html>"},
		"JSON":    {After: 1, First: 2, Status: 200, ContentType: dicomjson.MediaType, Body: "{}"},
		"nothing": {After: 1, First: 2, Status: 409},
	} {
		t.Run(name, func(t *testing.T) {
			for part, c := range map[string]struct {
				f    pacs.WebFaults
				path string
			}{
				"any":      {pacs.WebFaults{Any: f}, ""},
				"search":   {pacs.WebFaults{Search: pacs.WebSearchFaults{AnswerFaults: f}}, "/series"},
				"metadata": {pacs.WebFaults{Metadata: pacs.WebMetadataFaults{AnswerFaults: f}}, "/metadata"},
				"retrieve": {pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: f}}, ""},
			} {
				p, st := errs(t, 1, c.f)
				for i := range 4 {
					rsp := get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID+c.path)
					if i == 0 || i == 3 {
						require.Equal(t, http.StatusOK, rsp.StatusCode, part)
						require.NotEqual(t, f.Body, text(t, rsp))
						continue
					}
					require.Equal(t, f.Status, rsp.StatusCode, part)
					require.Equal(t, f.RetryAfter, rsp.Header.Get("Retry-After"))
					require.Equal(t, f.ContentType, rsp.Header.Get("Content-Type"))
					require.Equal(t, f.Body, text(t, rsp))
				}
			}
			p, st := errs(t, 1, pacs.WebFaults{Store: pacs.WebStoreFaults{AnswerFaults: f}})
			for i := range 4 {
				rsp := stow(t, p.WebURL()+"/studies", st.Instances()[0])
				if i == 0 || i == 3 {
					require.Len(t, outcomeOf(t, rsp, http.StatusOK).stored, 1)
				} else {
					require.Equal(t, f.Status, rsp.StatusCode)
				}
			}
			require.Len(t, p.Recorder().Log().Stores, 2)
		})
	}
}

func TestRedirect(t *testing.T) {
	asked := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.String() }))
	defer other.Close()
	p, st := errs(t, 1, pacs.WebFaults{Any: pacs.WebAnswerFaults{Redirect: other.URL + "/"}})
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID
	c := client(t, nil)
	c.CheckRedirect = nil
	rsp, err := do(limit(t), t, c, http.MethodGet, root+"?a=b", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, rsp.StatusCode)
	require.Equal(t, "/dicom-web/studies/"+st.StudyInstanceUID+"?a=b", <-asked)

	p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Any: pacs.WebAnswerFaults{Redirect: "/"}}})
	rsp = get(t, root)
	require.Equal(t, http.StatusTemporaryRedirect, rsp.StatusCode)
	rsp, err = do(limit(t), t, c, http.MethodGet, root, nil, "Accept: "+star)
	require.NoError(t, err)
	got, err := objects(t, rsp)
	require.NoError(t, err)
	require.Equal(t, arrivals(st.Instances()...), got)
}

// TestSilent: the client gives up, and the PACS notices.
func TestSilent(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{Any: pacs.WebAnswerFaults{Silent: true}})
	ctx, cancel := context.WithCancel(limit(t))
	failed := make(chan error)
	c := client(t, nil)
	go func() {
		rq, err := http.NewRequestWithContext(ctx, http.MethodGet, p.WebURL()+"/studies/"+st.StudyInstanceUID, nil)
		if err == nil {
			_, err = c.Do(rq)
		}
		failed <- err
	}()
	require.NoError(t, p.Recorder().Wait(ctx, func(l *pacs.Log) bool { return l.Web.Open == 1 }))
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.NoError(t, p.Recorder().WaitRequests(limit(t), 1))
	require.Zero(t, p.Recorder().Log().Requests[0].Status)
}

// TestCut cuts the body of each kind of answer.
func TestCut(t *testing.T) {
	for _, how := range []string{pacs.CutEnd, pacs.CutDrop, pacs.CutStall} {
		t.Run(how, func(t *testing.T) {
			f := pacs.WebAnswerFaults{Cut: how, CutAfterBytes: 100}
			p, st := errs(t, 1, pacs.WebFaults{
				Search:   pacs.WebSearchFaults{AnswerFaults: f},
				Metadata: pacs.WebMetadataFaults{AnswerFaults: f},
				Retrieve: pacs.WebRetrieveFaults{AnswerFaults: f},
			})
			for _, path := range []string{"", "/metadata", "/series"} {
				ctx, cancel := context.WithCancel(limit(t))
				rsp, err := do(ctx, t, client(t, nil), http.MethodGet, p.WebURL()+"/studies/"+st.StudyInstanceUID+path, nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, rsp.StatusCode)
				b := make([]byte, 100)
				_, err = io.ReadFull(rsp.Body, b)
				require.NoError(t, err)
				if how == pacs.CutStall {
					cancel()
				}
				rest, err := io.ReadAll(rsp.Body)
				require.Empty(t, rest)
				switch how {
				case pacs.CutEnd:
					require.NoError(t, err)
				case pacs.CutDrop:
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				case pacs.CutStall:
					require.ErrorIs(t, err, context.Canceled)
				}
				cancel()
			}
			require.NoError(t, p.Recorder().WaitRequests(limit(t), 3))
		})
	}
}

func TestRenew(t *testing.T) {
	p := start(t, pacs.Config{
		Web:       &pacs.WebConfig{Credentials: []string{"Bearer a", "Bearer b"}},
		Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Renew: 2}},
	})
	for _, c := range []struct {
		token  string
		status int
	}{{"a", 200}, {"a", 200}, {"a", 401}, {"a", 401}, {"b", 200}, {"c", 401}} {
		require.Equal(t, c.status, get(t, p.WebURL()+"/studies", "Authorization: Bearer "+c.token).StatusCode)
	}
}

func TestHost(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{Host: "elsewhere.example"})
	root := "http://elsewhere.example/dicom-web/studies/" + st.StudyInstanceUID
	require.Equal(t, []string{root}, values(sets(t, get(t, p.WebURL()+"/studies"), 200), dict.RetrieveURL))
	require.Contains(t, text(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID+"/metadata")), `"BulkDataURI":"`+root)
	ds := sets(t, stow(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, st.Instances()[0]), 200)[0]
	require.Equal(t, root, ds.String(dict.RetrieveURL))
}

func TestSearchFaults(t *testing.T) {
	a, b, c := ctStudy(1, 1).StudyInstanceUID, ctStudy(2, 1).StudyInstanceUID, ctStudy(3, 1).StudyInstanceUID
	all := []string{a, b, c}
	for name, k := range map[string]struct {
		f       pacs.WebSearchFaults
		query   string
		want    []string
		warning string
	}{
		"keys ignored":        {pacs.WebSearchFaults{IgnoreKeys: true}, "?PatientID=nobody", all, ""},
		"offset ignored":      {pacs.WebSearchFaults{IgnoreOffset: true}, "?limit=2&offset=2", all[:2], ""},
		"limit ignored":       {pacs.WebSearchFaults{IgnoreLimit: true}, "?limit=1", all, ""},
		"capped":              {pacs.WebSearchFaults{Cap: 2}, "", all[:2], ""},
		"capped, and said so": {pacs.WebSearchFaults{Cap: 2, Warn: true}, "", all[:2], "There are 1 additional results"},
		"capped and offset":   {pacs.WebSearchFaults{Cap: 2, Warn: true}, "?offset=2", all[2:], ""},
		"hidden":              {pacs.WebSearchFaults{Hidden: []string{b}}, "", []string{a, c}, ""},
		"twice":               {pacs.WebSearchFaults{Twice: true}, "?limit=1", []string{a, a}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, pacs.Config{
				Studies:   []*phantom.Study{ctStudy(1, 1), ctStudy(2, 1), ctStudy(3, 1)},
				Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Search: k.f}},
			})
			rsp := get(t, p.WebURL()+"/studies"+k.query)
			require.Equal(t, k.want, values(sets(t, rsp, 200), dict.StudyInstanceUID))
			if k.warning == "" {
				require.Empty(t, rsp.Header.Get("Warning"))
			} else {
				require.Contains(t, rsp.Header.Get("Warning"), "299 ")
				require.Contains(t, rsp.Header.Get("Warning"), k.warning)
			}
		})
	}
}

func TestSearchForms(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{Search: pacs.WebSearchFaults{
		NoContent: true, Object: true, OmitKeys: []dict.Tag{dict.StudyInstanceUID},
	}})
	rsp := get(t, p.WebURL()+"/studies?PatientID=nobody")
	require.Equal(t, http.StatusNoContent, rsp.StatusCode)
	require.Empty(t, text(t, rsp))
	require.Regexp(t, `^\{`, text(t, get(t, p.WebURL()+"/studies")))
	list := sets(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID+"/series"), 200)
	require.Len(t, list, 2)
	require.False(t, list[0].Has(dict.StudyInstanceUID))
}

func TestSearchLags(t *testing.T) {
	st := ctStudy(1, 2)
	p := start(t, pacs.Config{Memory: 1 << 20, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{
		Search: pacs.WebSearchFaults{Lag: 2},
	}}})
	require.Len(t, outcomeOf(t, stow(t, p.WebURL()+"/studies", st.Instances()...), 200).stored, 3)
	for _, n := range []int{0, 0, 3, 3} {
		require.Len(t, sets(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID+"/instances"), 200), n)
	}
}

func TestMetadataFaults(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{Metadata: pacs.WebMetadataFaults{NoPixelData: true, Object: true}})
	p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Metadata: pacs.WebMetadataFaults{
		NoPixelData: true, Object: true, Missing: uids(st)[1:],
	}}})
	got := text(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID+"/metadata"))
	require.Regexp(t, `^\{`, got)
	require.NotContains(t, got, "7FE00010")
	require.Contains(t, got, uids(st)[0])
}
