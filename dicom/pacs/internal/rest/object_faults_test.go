// SPDX-License-Identifier: AGPL-3.0-or-later

package rest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

func TestMissingObjects(t *testing.T) {
	st := ctStudy(1, 3)
	all := st.Instances()
	missing := uids(st)[1:3]
	for name, c := range map[string]struct {
		f      pacs.WebRetrieveFaults
		status int
		want   []arrival
	}{
		"and said so":     {pacs.WebRetrieveFaults{Missing: missing, Partial: true}, 206, arrivals(all[0], all[3])},
		"without a sign":  {pacs.WebRetrieveFaults{Missing: missing}, 200, arrivals(all[0], all[3])},
		"all, and said":   {pacs.WebRetrieveFaults{Missing: uids(st), Partial: true}, 410, nil},
		"all, not a word": {pacs.WebRetrieveFaults{Missing: uids(st)}, 200, arrivals()},
	} {
		t.Run(name, func(t *testing.T) {
			p, st := errs(t, 3, pacs.WebFaults{Retrieve: c.f})
			rsp := get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star)
			require.Equal(t, c.status, rsp.StatusCode)
			require.Equal(t, c.status == 206, rsp.Header.Get("Warning") != "")
			if c.want == nil {
				return
			}
			got, err := objects(t, rsp)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestOtherObjects(t *testing.T) {
	st, other := ctStudy(1, 2), ctStudy(7, 1)
	all := st.Instances()
	for name, c := range map[string]struct {
		f    pacs.WebRetrieveFaults
		want []arrival
	}{
		"twice":   {pacs.WebRetrieveFaults{Twice: true}, arrivals(all[0], all[0], all[1], all[1], all[2], all[2])},
		"besides": {pacs.WebRetrieveFaults{Besides: uids(other)[:1]}, arrivals(all[0], all[1], all[2], other.Instances()[0])},
		"instead": {pacs.WebRetrieveFaults{Besides: uids(other)[:1], Instead: true}, arrivals(other.Instances()[0])},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := errs(t, 2, pacs.WebFaults{Retrieve: c.f})
			p.AddStudies(other)
			got, err := objects(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestInsideAndTruncated(t *testing.T) {
	p, st := errs(t, 2, pacs.WebFaults{})
	f := pacs.WebRetrieveFaults{
		Inside:   map[string]map[dict.Tag]string{uids(st)[0]: {dict.PatientID: "OTHER"}},
		Truncate: map[string]int64{uids(st)[1]: 1000},
	}
	p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Retrieve: f}})
	got, err := objects(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "of the object, not of the message")
	require.Len(t, got, 1)
	require.NotEqual(t, hexOf(st.Instances()[0]), got[0].sha256)
	b := text(t, get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star))
	require.Contains(t, b, "OTHER")
	require.True(t, strings.HasSuffix(b, "--\r\n"))
}

func TestCutObject(t *testing.T) {
	for name, c := range map[string]struct {
		how   string
		bytes int64
		form  pacs.WebForm
		end   bool // the transport ends cleanly
	}{
		"in an object":              {pacs.CutEnd, 3000, pacs.WebForm{}, true},
		"between objects":           {pacs.CutEnd, 0, pacs.WebForm{}, true},
		"dropped in an object":      {pacs.CutDrop, 3000, pacs.WebForm{}, false},
		"dropped between objects":   {pacs.CutDrop, 0, pacs.WebForm{}, false},
		"without closing delimiter": {"", 0, pacs.WebForm{NoClosing: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, st := errs(t, 3, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
				AnswerFaults: pacs.WebAnswerFaults{Cut: c.how, CutAfterBytes: c.bytes}, CutAtObject: 2, Form: c.form,
			}})
			url := p.WebURL() + "/studies/" + st.StudyInstanceUID
			b, err := io.ReadAll(get(t, url, "Accept: "+star).Body)
			require.Equal(t, c.end, err == nil)
			require.False(t, strings.HasSuffix(string(b), "--\r\n"))
			got, err := objects(t, get(t, url, "Accept: "+star))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			switch {
			case c.how == "": // the last one's delimiter is the closing one
				require.Equal(t, arrivals(st.Instances()[:3]...), got)
			case c.bytes == 0: // no delimiter says that the first one is whole
				require.Empty(t, got)
			default:
				require.Equal(t, arrivals(st.Instances()[0]), got)
			}
		})
	}
}

func TestStallInObject(t *testing.T) {
	p, st := errs(t, 3, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
		AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutStall, CutAfterBytes: 3000}, CutAtObject: 2,
	}})
	ctx, cancel := context.WithCancel(limit(t))
	url := p.WebURL() + "/studies/" + st.StudyInstanceUID
	rsp, err := do(ctx, t, client(t, nil), http.MethodGet, url, nil, "Accept: "+star)
	require.NoError(t, err)
	require.NoError(t, p.Recorder().Wait(ctx, func(l *pacs.Log) bool { return len(l.Sent) == 1 }))
	cancel()
	_, err = io.ReadAll(rsp.Body)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, p.Recorder().WaitRequests(limit(t), 1))
}

func TestLevelsNotOffered(t *testing.T) {
	p, st := errs(t, 2, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{
		NotOffered: map[string]int{"STUDY": 501, "SERIES": 405},
	}})
	root := p.WebURL() + "/studies/" + st.StudyInstanceUID
	series := root + "/series/" + st.Series[0].SeriesInstanceUID
	require.Equal(t, 501, get(t, root).StatusCode)
	require.Equal(t, 405, get(t, series).StatusCode)
	require.Equal(t, 200, get(t, series+"/instances/"+uids(st)[0]).StatusCode)
}

func TestStars(t *testing.T) {
	implicit := phantom.New(3, phantom.StudySpec{Series: []phantom.SeriesSpec{
		{Kind: phantom.CT, Rows: 16, Columns: 16, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
	}})
	p, _ := errs(t, 1, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{IgnoreStar: true}})
	p.AddStudies(implicit)
	got, err := objects(t, get(t, p.WebURL()+"/studies/"+implicit.StudyInstanceUID, "Accept: "+star))
	require.NoError(t, err)
	require.Equal(t, dict.ExplicitVRLittleEndian, got[0].syntax)
	p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{RefuseStar: true}}})
	require.Equal(t, 406, get(t, p.WebURL()+"/studies/"+implicit.StudyInstanceUID, "Accept: "+star).StatusCode)
}

func TestForms(t *testing.T) {
	const explicitVR = dict.ExplicitVRLittleEndian
	for name, c := range map[string]struct {
		form                 pacs.WebForm
		contentType, has     string
		trailing, breaks     bool
		begins, doesNotBegin string
	}{
		"as the standard has it": {pacs.WebForm{}, `^multipart/related; type="application/dicom"; boundary=\w+$`, "\r\nContent-Type: ", false, false, "--", ""},
		"syntax in quotes":       {pacs.WebForm{SyntaxInQuotes: true}, `type="application/dicom; transfer-syntax=` + explicitVR + `"`, "", false, false, "--", ""},
		"quoted boundary":        {pacs.WebForm{QuotedBoundary: true}, `boundary="\w+"$`, "", false, false, "--", ""},
		"type twice":             {pacs.WebForm{TwoTypes: true}, `type="application/dicom"; type="application/dicom"`, "", false, false, "--", ""},
		"preamble":               {pacs.WebForm{Preamble: "hello"}, "", "", false, false, "hello\r\n--", ""},
		"first CRLF":             {pacs.WebForm{FirstCRLF: true}, "", "", false, false, "\r\n--", ""},
		"lower case":             {pacs.WebForm{LowerCase: true}, "", "\r\ncontent-type: ", false, false, "--", ""},
		"extra CRLF":             {pacs.WebForm{ExtraCRLF: true}, "", "\r\n\r\n--", true, false, "--", ""},
		"epilogue":               {pacs.WebForm{Epilogue: "bye"}, "", "--\r\nbye", false, false, "--", ""},
		"text at the end":        {pacs.WebForm{TextAtEnd: "Error: gone"}, "", "text/plain\r\n\r\nError: gone", false, true, "--", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, st := errs(t, 2, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Form: c.form}})
			url := p.WebURL() + "/studies/" + st.StudyInstanceUID
			rsp := get(t, url, "Accept: "+star)
			require.Regexp(t, c.contentType, rsp.Header.Get("Content-Type"))
			b := text(t, rsp)
			require.True(t, strings.HasPrefix(b, c.begins))
			require.Contains(t, b, c.has)
			got, err := objects(t, get(t, url, "Accept: "+star))
			switch {
			case c.breaks:
				require.Error(t, err, "a part that is no object")
				require.Equal(t, arrivals(st.Instances()...), got)
			case c.trailing:
				require.Error(t, err, "two bytes behind the data set")
			default:
				require.NoError(t, err)
				require.Equal(t, arrivals(st.Instances()...), got)
			}
		})
	}
	p, st := errs(t, 2, pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{Form: pacs.WebForm{SinglePart: true}}})
	rsp := get(t, p.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star)
	require.Equal(t, "application/dicom", rsp.Header.Get("Content-Type"))
	got, err := object(rsp.Body)
	require.NoError(t, err)
	require.Equal(t, arrivals(st.Instances()[0])[0], got)
}

func TestStoreFaults(t *testing.T) {
	st := ctStudy(1, 2)
	u := uids(st)
	for name, c := range map[string]struct {
		f      pacs.WebStoreFaults
		status int
		want   outcome
		held   []string
	}{
		"a reason": {
			pacs.WebStoreFaults{Reasons: map[string]int{u[1]: 0xC122}},
			202,
			outcome{stored: []string{u[0], u[2]}, failed: map[string]int{u[1]: 0xC122}},
			[]string{u[0], u[2]},
		},
		"all refused": {
			pacs.WebStoreFaults{Reasons: map[string]int{u[0]: 1, u[1]: 2, u[2]: 3}},
			409,
			outcome{failed: map[string]int{u[0]: 1, u[1]: 2, u[2]: 3}},
			nil,
		},
		"a warning": {
			pacs.WebStoreFaults{Warnings: map[string]int{u[1]: 0xB000}},
			202,
			outcome{stored: u, warned: map[string]int{u[1]: 0xB000}},
			u,
		},
		"200 with one failed": {
			pacs.WebStoreFaults{Reasons: map[string]int{u[1]: 45071}, AnswerStatus: 200},
			200,
			outcome{stored: []string{u[0], u[2]}, failed: map[string]int{u[1]: 45071}},
			[]string{u[0], u[2]},
		},
		"one unreadable": {
			pacs.WebStoreFaults{Unreadable: u[1:2]}, 400, outcome{stored: []string{u[0], u[2]}}, []string{u[0], u[2]},
		},
		"lost":        {pacs.WebStoreFaults{Lose: u[1:2]}, 200, outcome{stored: u}, []string{u[0], u[2]}},
		"unmentioned": {pacs.WebStoreFaults{Unmentioned: u[1:2]}, 200, outcome{stored: []string{u[0], u[2]}}, u},
		"never sent":  {pacs.WebStoreFaults{Extra: []string{"1.2.3"}}, 200, outcome{stored: append(slices.Clone(u), "1.2.3")}, u},
		"empty forms": {pacs.WebStoreFaults{EmptyForms: true}, 200, outcome{stored: u}, u},
		"as a list":   {pacs.WebStoreFaults{List: true}, 200, outcome{stored: u}, u},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, pacs.Config{Memory: 1 << 20, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Store: c.f}}})
			got := outcomeOf(t, stow(t, p.WebURL()+"/studies", st.Instances()...), c.status)
			require.ElementsMatch(t, c.want.stored, got.stored)
			require.Len(t, got.failed, len(c.want.failed))
			require.Subset(t, got.failed, c.want.failed)
			require.Len(t, got.warned, len(c.want.warned))
			require.Subset(t, got.warned, c.want.warned)
			require.Empty(t, got.other)
			p.SetMisbehave(pacs.Misbehave{})
			require.ElementsMatch(t, c.held, values(sets(t, get(t, p.WebURL()+"/instances"), 200), dict.SOPInstanceUID))
		})
	}
}

func TestStoreAnswerForms(t *testing.T) {
	p, st := errs(t, 1, pacs.WebFaults{})
	u := uids(st)
	set := func(f pacs.WebStoreFaults) *http.Response {
		p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Store: f}})
		return stow(t, p.WebURL()+"/studies", st.Instances()[0])
	}
	rsp := set(pacs.WebStoreFaults{AnswerStatus: 409, NoBody: true})
	require.Equal(t, 409, rsp.StatusCode)
	require.Empty(t, rsp.Header.Values("Content-Type"))
	require.Empty(t, text(t, rsp))

	rsp = set(pacs.WebStoreFaults{NoContentType: true})
	require.Empty(t, rsp.Header.Values("Content-Type"))
	require.Regexp(t, `^\{`, text(t, rsp))
	require.Regexp(t, `^\[\{.*\}\]$`, text(t, set(pacs.WebStoreFaults{List: true})))
	require.Contains(t, text(t, set(pacs.WebStoreFaults{EmptyForms: true})), `"00081198":{"vr":"SQ"}`)
	require.Contains(
		t, text(t, set(pacs.WebStoreFaults{HexReasons: true, Reasons: map[string]int{u[0]: 0x0110}})),
		`"00081197":{"vr":"US","Value":["0110"]}`,
	)

	rsp = set(pacs.WebStoreFaults{Duplicates: 45070})
	require.Equal(t, map[string]int{u[0]: 45070}, outcomeOf(t, rsp, 409).failed)

	// the answer is cut, and what came is kept
	rsp = set(pacs.WebStoreFaults{AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutDrop, CutAfterBytes: 30}})
	require.Equal(t, 200, rsp.StatusCode)
	b, err := io.ReadAll(rsp.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Len(t, b, 30)
	require.Len(t, sets(t, get(t, p.WebURL()+"/instances?SOPInstanceUID="+u[0]), 200), 1)

	// refused twice, then taken
	p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{
		Reasons: map[string]int{u[0]: 0xA700}, ReasonsFirst: 2,
	}}})
	for _, status := range []int{409, 409, 200} {
		require.Equal(t, status, stow(t, p.WebURL()+"/studies", st.Instances()[0]).StatusCode)
	}
}

func TestStoreTooLarge(t *testing.T) {
	p, st := errs(t, 3, pacs.WebFaults{Store: pacs.WebStoreFaults{MaxObjects: 2}})
	require.Equal(t, 413, stow(t, p.WebURL()+"/studies", st.Instances()...).StatusCode)
	require.Equal(t, 200, stow(t, p.WebURL()+"/studies", st.Instances()[:2]...).StatusCode)

	p.SetMisbehave(pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{MaxBytes: 12_000}}})
	require.Equal(t, 413, stow(t, p.WebURL()+"/studies", st.Instances()[:2]...).StatusCode)
	require.Equal(t, 200, stow(t, p.WebURL()+"/studies", st.Instances()[0]).StatusCode)
	// of a body whose length nobody tells
	b, contentType := message(t, file(t, st.Instances()[0]), file(t, st.Instances()[1]))
	rsp, err := do(limit(t), t, client(t, nil), http.MethodPost, p.WebURL()+"/studies",
		struct{ io.Reader }{bytes.NewReader(b)}, contentType)
	require.NoError(t, err)
	require.Equal(t, 413, rsp.StatusCode)
}

// TestStoreDrops: the PACS reads no more in the second object, and closes the connection, or never answers.
func TestStoreDrops(t *testing.T) {
	for name, f := range map[string]pacs.WebStoreFaults{
		"drop":           {CutAtObject: 2, CutObject: pacs.CutDrop, CutObjectAt: 2000},
		"stall":          {CutAtObject: 2, CutObject: pacs.CutStall, CutObjectAt: 2000},
		"silent at end":  {SilentAtEnd: true},
		"silent at once": {AnswerFaults: pacs.WebAnswerFaults{Silent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			st := ctStudy(1, 2)
			cfg := pacs.Config{Memory: 1 << 20, Web: &pacs.WebConfig{}, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Store: f}}}
			p, err := pacs.Start(cfg)
			require.NoError(t, err)
			defer func() { require.NoError(t, p.Close()) }()
			b, contentType := message(t, file(t, st.Instances()[0]), file(t, st.Instances()[1]))
			ctx, cancel := context.WithCancel(limit(t))
			defer cancel()
			failed := make(chan error)
			rq, err := http.NewRequestWithContext(ctx, http.MethodPost, p.WebURL()+"/studies", bytes.NewReader(b))
			require.NoError(t, err)
			rq.Header.Set("Content-Type", strings.TrimPrefix(contentType, "Content-Type: "))
			c := client(t, nil)
			go func() {
				_, err := c.Do(rq)
				failed <- err
			}()
			switch name {
			case "drop":
				require.Error(t, <-failed)
				require.Equal(t, uids(st)[:1], pacs.UIDs(p.Recorder().Log().Stores))
				return
			case "stall":
				require.NoError(t, p.Recorder().WaitStores(ctx, 1))
			case "silent at end":
				require.NoError(t, p.Recorder().WaitStores(ctx, 2))
			default:
				require.NoError(t, p.Recorder().Wait(ctx, func(l *pacs.Log) bool { return l.Web.Open == 1 }))
			}
			cancel()
			require.ErrorIs(t, <-failed, context.Canceled)
		})
	}
}

// TestStoreFaultsOfAStudy: where the path names no study, the first instance tells whose faults hold.
func TestStoreFaultsOfAStudy(t *testing.T) {
	p := start(t, pacs.Config{Memory: 1 << 20})
	st := ctStudy(4, 1)
	p.MisbehaveFor(st, pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{Lose: uids(st)}}})
	require.Len(t, outcomeOf(t, stow(t, p.WebURL()+"/studies", st.Instances()...), 200).stored, 2)
	require.Empty(t, sets(t, get(t, p.WebURL()+"/instances"), 200))
	require.Len(t, outcomeOf(t, stow(t, p.WebURL()+"/studies", ctStudy(5, 1).Instances()...), 200).stored, 2)
	require.Len(t, sets(t, get(t, p.WebURL()+"/instances"), 200), 2)
}

// TestLargeObject: an object that is made as it is sent is taken as it comes.
func TestLargeObject(t *testing.T) {
	st := phantom.New(1, phantom.StudySpec{Series: []phantom.SeriesSpec{
		{Kind: phantom.MultiFrame, Rows: 512, Columns: 512, Frames: 60},
	}})
	from := start(t, pacs.Config{Studies: []*phantom.Study{st}})
	to := start(t, pacs.Config{})
	rsp := get(t, from.WebURL()+"/studies/"+st.StudyInstanceUID, "Accept: "+star)
	answer, err := do(limit(t), t, client(t, nil), http.MethodPost, to.WebURL()+"/studies", rsp.Body,
		"Content-Type: "+rsp.Header.Get("Content-Type"), "Accept: "+dicomjson.MediaType)
	require.NoError(t, err)
	require.Equal(t, uids(st), outcomeOf(t, answer, 200).stored)
	l := to.Recorder().Log()
	require.Equal(t, hexOf(st.Instances()[0]), l.Stores[0].SHA256)
	require.Greater(t, l.BytesReceived, int64(30<<20))
}
