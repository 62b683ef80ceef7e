// SPDX-License-Identifier: AGPL-3.0-or-later

package rest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web"
)

// connect makes a client of package web, of which these tests want what a person would: all, or an error.
func connect(t testing.TB, p *pacs.PACS) *web.Client {
	t.Helper()
	c, err := web.New(web.Config{Root: p.WebURL(), IdleTimeout: patience, StoreTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// retrieve gets a study as it is stored.
func retrieve(t testing.TB, c *web.Client, study string) ([]arrival, web.Retrieved, error) {
	t.Helper()
	got := []arrival{}
	r, err := c.Retrieve(limit(t), web.Resource{Study: study}, web.AnySyntax, nil,
		func(_ context.Context, o *web.Object) error {
			h := sha256.New()
			if _, err := io.Copy(h, o.Data); err != nil {
				return err
			}
			got = append(got, arrival{o.SOPInstanceUID, o.TransferSyntaxUID, hex.EncodeToString(h.Sum(nil))})
			return nil
		})
	return got, r, err
}

func TestClientSearches(t *testing.T) {
	for name, c := range map[string]struct {
		f          pacs.WebSearchFaults
		answers    int
		incomplete bool
	}{
		"as the standard has it":     {pacs.WebSearchFaults{}, 3, false},
		"pages":                      {pacs.WebSearchFaults{Cap: 2}, 3, false},
		"204":                        {pacs.WebSearchFaults{NoContent: true, Cap: 1}, 3, false},
		"an object":                  {pacs.WebSearchFaults{Object: true, Cap: 1}, 3, false},
		"twice":                      {pacs.WebSearchFaults{Twice: true}, 3, false},
		"one page, again and again":  {pacs.WebSearchFaults{Cap: 2, IgnoreOffset: true}, 2, true},
		"more than it wants to tell": {pacs.WebSearchFaults{Cap: 2, IgnoreOffset: true, Warn: true}, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, pacs.Config{
				Studies:   []*phantom.Study{ctStudy(1, 1), ctStudy(2, 1), ctStudy(3, 1)},
				Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Search: c.f}},
			})
			match := &stream.DataSet{}
			match.Set(dict.PatientID, "PHANTOM-100")
			n := 0
			var last error
			for _, err := range connect(t, p).Search(limit(t), web.Search{Level: web.Study, Match: match}) {
				if last = err; err == nil {
					n++
				}
			}
			require.Equal(t, c.answers, n)
			if c.incomplete {
				var incomplete *web.IncompleteError
				require.ErrorAs(t, last, &incomplete)
			} else {
				require.NoError(t, last)
			}
		})
	}
}

func TestClientRetrieves(t *testing.T) {
	st := ctStudy(1, 3)
	all := arrivals(st.Instances()...)
	cut := func(how string, bytes int64) pacs.WebRetrieveFaults {
		return pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{Cut: how, CutAfterBytes: bytes}, CutAtObject: 2,
		}
	}
	form := func(f pacs.WebForm) pacs.WebRetrieveFaults { return pacs.WebRetrieveFaults{Form: f} }
	for name, c := range map[string]struct {
		f      pacs.WebRetrieveFaults
		status int // 0: an error
		want   []arrival
	}{
		"as the standard has it":    {pacs.WebRetrieveFaults{}, 200, all},
		"syntax in quotes":          {form(pacs.WebForm{SyntaxInQuotes: true}), 200, all},
		"odd":                       {form(pacs.WebForm{QuotedBoundary: true, TwoTypes: true, LowerCase: true, PartLength: true}), 200, all},
		"preamble":                  {form(pacs.WebForm{Preamble: "hello", Epilogue: "bye"}), 200, all},
		"extra CRLF":                {form(pacs.WebForm{FirstCRLF: true, ExtraCRLF: true}), 200, all},
		"single part":               {form(pacs.WebForm{SinglePart: true}), 200, all[:1]},
		"partial":                   {pacs.WebRetrieveFaults{Missing: uids(st)[1:], Partial: true}, 206, all[:1]},
		"missing without a sign":    {pacs.WebRetrieveFaults{Missing: uids(st)[1:]}, 200, all[:1]},
		"not offered":               {pacs.WebRetrieveFaults{NotOffered: map[string]int{"STUDY": 501}}, 501, all[:0]},
		"no closing delimiter":      {form(pacs.WebForm{NoClosing: true}), 0, nil},
		"text at the end":           {form(pacs.WebForm{TextAtEnd: "Error"}), 0, nil},
		"an end in an object":       {cut(pacs.CutEnd, 1000), 0, nil},
		"an end between objects":    {cut(pacs.CutEnd, 0), 0, nil},
		"dropped in an object":      {cut(pacs.CutDrop, 1000), 0, nil},
		"dropped between objects":   {cut(pacs.CutDrop, 0), 0, nil},
		"HTML":                      {pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{Status: 200, ContentType: "text/html", Body: "<p>"}}, 0, nil},
		"a redirect to who knows":   {pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{Redirect: "http://elsewhere.example"}}, 0, nil},
		"a redirect to itself":      {pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{Redirect: "/"}}, 200, all},
		"busy":                      {pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{Status: 503, RetryAfter: "7"}}, 0, nil},
		"an object that lies":       {pacs.WebRetrieveFaults{Twice: true, Missing: uids(st)[1:]}, 200, []arrival{all[0], all[0]}},
		"a list that has no object": {pacs.WebRetrieveFaults{Missing: uids(st)}, 200, all[:0]},
	} {
		t.Run(name, func(t *testing.T) {
			p, st := errs(t, 3, pacs.WebFaults{Retrieve: c.f})
			got, r, err := retrieve(t, connect(t, p), st.StudyInstanceUID)
			if c.status == 0 {
				require.Error(t, err, "%+v %v", r, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.want, got)
		})
	}
}

func TestClientSeesWhatIsTruncated(t *testing.T) {
	st := ctStudy(1, 3)
	p, st := errs(t, 3, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Truncate: map[string]int64{uids(st)[1]: 1000}}})
	c := connect(t, p)
	r, err := c.Retrieve(limit(t), web.Resource{Study: st.StudyInstanceUID}, web.AnySyntax, nil,
		func(context.Context, *web.Object) error { return nil })
	require.NoError(t, err)
	require.Equal(t, web.Retrieved{Status: 200, Objects: len(st.Instances()) - 1, Damaged: 1}, r)
	_, _, err = retrieve(t, c, st.StudyInstanceUID)
	require.Error(t, err, "who takes objects says so")
}

func TestClientIsToldWhenToComeAgain(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{Any: pacs.WebAnswerFaults{Status: 429, RetryAfter: "7"}})
	_, _, err := retrieve(t, connect(t, p), st.StudyInstanceUID)
	var status *web.StatusError
	require.ErrorAs(t, err, &status)
	require.Equal(t, 429, status.Code)
	require.Equal(t, 7*time.Second, status.RetryAfter)
}

func TestClientStores(t *testing.T) {
	st := ctStudy(1, 2)
	u := uids(st)
	for name, c := range map[string]struct {
		f      pacs.WebStoreFaults
		want   web.Result // of the second instance; the others are acknowledged
		errors bool
	}{
		"as the standard has it": {pacs.WebStoreFaults{}, web.Result{Outcome: web.Acknowledged}, false},
		"as a list":              {pacs.WebStoreFaults{List: true, EmptyForms: true, NoContentType: true}, web.Result{Outcome: web.Acknowledged}, false},
		"a reason":               {pacs.WebStoreFaults{Reasons: map[string]int{u[1]: 0xC122}}, web.Result{Outcome: web.Refused, Failure: 0xC122}, false},
		"as text": {
			pacs.WebStoreFaults{Reasons: map[string]int{u[1]: 0x0110}, HexReasons: true},
			web.Result{Outcome: web.Refused, Failure: 0x0110},
			false,
		},
		"200 though refused": {
			pacs.WebStoreFaults{Reasons: map[string]int{u[1]: 45070}, AnswerStatus: 200},
			web.Result{Outcome: web.Refused, Failure: 45070},
			false,
		},
		"a warning":      {pacs.WebStoreFaults{Warnings: map[string]int{u[1]: 0xB000}}, web.Result{Outcome: web.Acknowledged, Warning: 0xB000}, false},
		"unmentioned":    {pacs.WebStoreFaults{Unmentioned: u[1:2]}, web.Result{Outcome: web.Unknown}, false},
		"one unreadable": {pacs.WebStoreFaults{Unreadable: u[1:2]}, web.Result{Outcome: web.Unknown}, false},
		"never sent":     {pacs.WebStoreFaults{Extra: []string{"1.2.3"}}, web.Result{}, true},
		"too many":       {pacs.WebStoreFaults{MaxObjects: 2}, web.Result{}, true},
		"dropped":        {pacs.WebStoreFaults{CutAtObject: 2, CutObject: pacs.CutDrop, CutObjectAt: 1000}, web.Result{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, pacs.Config{Memory: 1 << 20, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Store: c.f}}})
			var list []web.Outgoing
			for _, in := range st.Instances() {
				list = append(list, web.Outgoing{
					SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
					Open: func() io.Reader { return in.Open() },
				})
			}
			got, err := connect(t, p).Store(limit(t), st.StudyInstanceUID, list)
			if c.errors {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Len(t, got.Instances, 3)
			require.Equal(t, web.Acknowledged, got.Instances[u[0]].Outcome)
			second := got.Instances[u[1]]
			second.Reason = ""
			require.Equal(t, c.want, second)
			require.Equal(t, web.Acknowledged, got.Instances[u[2]].Outcome)
		})
	}
}

func TestClientMetadata(t *testing.T) {
	p, st := errs(t, 2, pacs.WebFaults{})
	var got []*stream.DataSet
	for ds, err := range connect(t, p).Metadata(limit(t), web.Resource{Study: st.StudyInstanceUID}) {
		require.NoError(t, err)
		got = append(got, ds)
	}
	require.Equal(t, uids(st), values(got, dict.SOPInstanceUID))
}
