// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	nethttp "net/http"
	"net/http/httptrace"
	"net/textproto"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/store"
	"github.com/adit-go/adit/people"
)

// storing is the type of a body that storeBody makes.
var storing = []string{"Content-Type", `multipart/related; type="application/dicom"; boundary=b`}

// storedStudy is a CT of six small images.
var storedStudy = phantom.New(4711, phantom.StudySpec{
	Patient: phantom.Patient{ID: "STOW-1", Name: "Stow^All"},
	Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 6, Rows: 16, Columns: 16}},
})

// fileOf is an instance as a file.
func fileOf(in *phantom.Instance) string {
	data := in.Open()
	defer data.Close()
	b := bytes.NewBuffer(in.FileMeta().AppendTo(nil))
	if _, err := b.ReadFrom(data); err != nil {
		panic(err)
	}
	return b.String()
}

// storeBody is a body of parts.
func storeBody(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + p)
	}
	return b.String() + "\r\n--b--\r\n"
}

// withoutPatient is an instance as a file, which says that nothing in it tells who the patient is.
func withoutPatient(in *phantom.Instance) string {
	meta, obj, err := stream.OpenFile(strings.NewReader(fileOf(in)), stream.Limits{})
	if err != nil {
		panic(err)
	}
	defer func() { _ = obj.Close() }()
	if err := obj.Header().SetText(dict.PatientIdentityRemoved, "YES"); err != nil {
		panic(err)
	}
	b := bytes.NewBuffer(meta.AppendTo(nil))
	if _, err := obj.WriteTo(b); err != nil {
		panic(err)
	}
	return b.String()
}

// filesOf are the instances of a study as files.
func filesOf(st *phantom.Study) (files []string) {
	for _, in := range st.Instances() {
		files = append(files, fileOf(in))
	}
	return files
}

// stowed is an answer (PS3.18 I.1), as far as the tests look at it.
type stowed struct {
	there          map[string]bool // sequences
	stored, failed map[string]int  // warning and failure reasons by SOP Instance UID
	others         []int
	comments       []string
	urls           []string
}

func readStowed(t *testing.T, body string) (out stowed) {
	t.Helper()
	type element struct {
		Value []json.RawMessage `json:"Value"`
	}
	var ds map[string]element
	require.NoError(t, json.Unmarshal([]byte(body), &ds), body)
	out.there, out.stored, out.failed = map[string]bool{}, map[string]int{}, map[string]int{}
	for tag, e := range ds {
		out.there[tag] = true
		for _, raw := range e.Value {
			var item map[string]struct {
				Value []any `json:"Value"`
			}
			if tag == "00081190" {
				continue
			}
			require.NoError(t, json.Unmarshal(raw, &item), body)
			number := func(tag string) int {
				if len(item[tag].Value) == 0 {
					return 0
				}
				return int(item[tag].Value[0].(float64))
			}
			switch tag {
			case "00081199":
				out.stored[item["00081155"].Value[0].(string)] = number("00081196")
				if url := item["00081190"].Value; len(url) > 0 {
					out.urls = append(out.urls, url[0].(string))
				}
			case "00081198":
				out.failed[item["00081155"].Value[0].(string)] = number("00081197")
			case "0008119A":
				out.others = append(out.others, number("00081197"))
			}
			if comment := item["00000902"].Value; len(comment) > 0 {
				out.comments = append(out.comments, comment[0].(string))
				require.LessOrEqual(t, len(comment[0].(string)), 64)
			}
		}
	}
	return out
}

// storePrefixes are those of STOW-RS.
var storePrefixes = map[string]string{"plain": "/dicom-web/PACS", "original": "/api/dicom-web/PACS/stowrs"}

// storeSite is a site with a PACS that takes what it is sent.
func storeSite(t *testing.T, cfg pacs.Config, change func(*client.ServerSettings)) (*site, *pacs.PACS) {
	t.Helper()
	cfg.AETitle = "PACS"
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) {
		c.Host, c.Port = "127.0.0.1", p.Port()
		if cfg.Web != nil {
			c.Supports.STOW, c.Supports.QIDO, c.DICOMweb.RootURL = true, true, p.WebURL()
		}
		if change != nil {
			change(c)
		}
	})
	return s, p
}

// stow stores, and asserts the status.
func (s *site) stow(path string, status int, body string, header ...string) (stowed, reply) {
	s.t.Helper()
	got := s.send("POST", path, body, append(append([]string{}, storing...), header...)...)
	require.Equal(s.t, status, got.StatusCode, "%s: %s", path, got.body)
	if got.Header.Get("Content-Type") != "application/dicom+json" {
		return stowed{}, got
	}
	return readStowed(s.t, got.body), got
}

// sumsOf are the sums of the data sets of a study by SOP Instance UID.
func sumsOf(instances ...*phantom.Instance) map[string]string {
	sums := map[string]string{}
	for _, in := range instances {
		sum := in.SHA256()
		sums[in.SOPInstanceUID] = hex.EncodeToString(sum[:])
	}
	return sums
}

// sumsAt are those of what a PACS was sent.
func sumsAt(p *pacs.PACS) map[string]string {
	sums := map[string]string{}
	for _, t := range p.Recorder().Log().Stores {
		sums[t.SOPInstanceUID] = t.SHA256
	}
	return sums
}

// TestSTOW: what comes by STOW-RS goes to a server by C-STORE or STOW-RS, byte for byte, over one association, and is
// in the audit log.
func TestSTOW(t *testing.T) {
	mixed := phantom.New(4712, phantom.StudySpec{
		Patient: phantom.Patient{ID: "STOW-2", Name: "Mixed^All"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 5, Rows: 16, Columns: 16},
			{Kind: phantom.MR, Instances: 5, Rows: 16, Columns: 16},
		},
	})
	for way, web := range map[string]*pacs.WebConfig{"C-STORE": nil, "STOW-RS": {}} {
		for name, at := range storePrefixes {
			t.Run(way+" "+name, func(t *testing.T) {
				s, p := storeSite(t, pacs.Config{Web: web}, nil)
				files := filesOf(mixed)
				files[0] = files[0][128+4:] // pydicom writes no preamble where there was none
				var got stowed
				acts := s.audited(func() {
					got, _ = s.stow(at+"/studies/"+mixed.StudyInstanceUID, 200, storeBody(files...))
				})
				require.Len(t, acts, 2)
				require.Contains(t, acts[0], "server.storing ")
				require.Contains(t, acts[1], "server.store ")
				require.Len(t, got.stored, len(files))
				require.Empty(t, got.failed)
				require.Equal(t, name == "original", got.there["00081198"])
				require.False(t, got.there["0008119A"])
				require.Equal(t, sumsOf(mixed.Instances()...), sumsAt(p))
				require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
				require.LessOrEqual(t, p.Recorder().Log().Total, 2, "one for each new SOP class")
				require.Zero(t, p.Recorder().Log().Lost)
			})
		}
	}
}

// TestSTOWForms: which bodies are taken, however their type is written, and which are not.
func TestSTOWForms(t *testing.T) {
	s, p := storeSite(t, pacs.Config{}, nil)
	one := fileOf(storedStudy.Instances()[0])
	for name, at := range storePrefixes {
		empty := 400
		if name == "original" {
			empty = 200
		}
		for form, c := range map[string]struct {
			media, body string
			want        int
		}{
			"quoted":              {`multipart/related; type="application/dicom"; boundary="b"`, storeBody(one), 200},
			"not quoted":          {`multipart/related; type=application/dicom; boundary=b`, storeBody(one), 200},
			"in another order":    {`Multipart/Related;boundary=b;type=application/dicom`, storeBody(one), 200},
			"twice":               {`multipart/related; type=application/dicom; boundary=b; type=application/dicom; boundary=c`, storeBody(one), 200},
			"with its syntax":     {`multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary=b`, storeBody(one), 200},
			"without a type":      {`multipart/related; boundary=b`, storeBody(one), 200},
			"without CRLF":        {`multipart/related; boundary=b`, strings.TrimPrefix(storeBody(one), "\r\n"), 200},
			"one object":          {`application/dicom`, one, 200},
			"the end alone":       {`multipart/related; type="application/dicom"; boundary=b`, "\r\n--b--", empty},
			"nothing":             {`multipart/related; type="application/dicom"; boundary=b`, "", 400},
			"nothing of one":      {`application/dicom`, "", 400},
			"no multipart":        {`multipart/related; type="application/dicom"; boundary=b`, "junk", 400},
			"another boundary":    {`multipart/related; type="application/dicom"; boundary=c`, storeBody(one), 400},
			"no boundary":         {`multipart/related; type="application/dicom"`, storeBody(one), 400},
			"metadata as JSON":    {`multipart/related; type="application/dicom+json"; boundary=b`, storeBody("{}"), 415},
			"metadata as XML":     {`multipart/related; type=application/dicom+xml; boundary=b`, storeBody("<a/>"), 415},
			"JSON alone":          {`application/dicom+json`, "{}", 415},
			"another type":        {`text/plain`, "x", 415},
			"no type":             {``, one, 415},
			"images":              {`multipart/related; type="image/jpeg"; boundary=b`, storeBody(one), 415},
			"form":                {`multipart/form-data; boundary=b`, storeBody(one), 415},
			"a type of nonsense;": {`;;;`, one, 415},
		} {
			_, got := s.stow(at+"/studies", c.want, c.body, "Content-Type", c.media)
			if c.want >= 400 && name == "original" {
				require.Contains(t, got.body, `"detail":`, form)
			}
		}
		s.stow(at+"/studies", 415, storeBody(one), "Content-Encoding", "gzip")
		s.stow(at+"/studies", 406, storeBody(one), "Accept", "application/dicom+xml")
		s.stow(at+"/studies/1.x", 400, storeBody(one))
		s.stow(at+"/studies", 401, storeBody(one), "Authorization", "Token nonsense")
		s.stow(at+"/studies", 200, storeBody(one), "Authorization", pacs.BasicAuth("x", s.token))
	}
	_, got := s.stow(storePrefixes["original"]+"/studies", 200, "--b--")
	require.JSONEq(t, `{"00081198":{"vr":"SQ"},"00081199":{"vr":"SQ"}}`, got.body)
	s.stow("/dicom-web/NOBODY/studies", 404, storeBody(one))
	s.stow("/api/dicom-web/NOBODY/stowrs/studies", 404, storeBody(one))
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
	for _, sum := range sumsAt(p) {
		require.Equal(t, sumsOf(storedStudy.Instances()[0])[storedStudy.Instances()[0].SOPInstanceUID], sum)
	}
}

// TestSTOWAnswers: each object that is not stored is named with the reason, and the others are stored.
func TestSTOWAnswers(t *testing.T) {
	in := storedStudy.Instances()
	uid := func(i int) string { return in[i].SOPInstanceUID }
	other := phantom.New(4713, phantom.StudySpec{Series: []phantom.SeriesSpec{
		{Kind: phantom.MR, Instances: 1, Rows: 16, Columns: 16},
	}})
	three := filesOf(storedStudy)[:3]
	rle := phantom.New(4714, phantom.StudySpec{Series: []phantom.SeriesSpec{{
		Kind: phantom.SecondaryCapture, Instances: 1, Rows: 16, Columns: 16, TransferSyntaxUID: dict.RLELossless,
	}}})
	cut := three[0][:len(three[0])-100]
	for name, c := range map[string]struct {
		m        pacs.Misbehave
		syntaxes []string
		web      bool
		change   func(*client.ServerSettings)
		study    string
		parts    []string
		status   int // on the plain prefix
		stored   map[string]int
		failed   map[string]int
		others   []int
		say      string // the first comment
	}{
		"one is refused": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{uid(1): 0xA900}}},
			parts: three, status: 202, stored: map[string]int{uid(0): 0, uid(2): 0}, failed: map[string]int{uid(1): 0xA900},
		},
		"one is refused, and one warned of, by STOW-RS": {
			m: pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{
				Reasons: map[string]int{uid(1): 0xA900}, Warnings: map[string]int{uid(2): 0xB006},
			}}},
			web: true, parts: three, status: 202,
			stored: map[string]int{uid(0): 0, uid(2): 0xB006}, failed: map[string]int{uid(1): 0xA900},
		},
		"a class is not taken by STOW-RS": {
			m:   pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{Reasons: map[string]int{uid(0): 0x0122}}}},
			web: true, parts: three[:1], status: 409, failed: map[string]int{uid(0): 0x0122},
		},
		"a transfer syntax is not taken by STOW-RS": {
			m:   pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{Reasons: map[string]int{uid(0): 0xC122}}}},
			web: true, parts: three[:1], status: 409, failed: map[string]int{uid(0): 0xC122},
		},
		"one is not mentioned, and listed": {
			m:   pacs.Misbehave{Web: pacs.WebFaults{Store: pacs.WebStoreFaults{Unmentioned: []string{uid(1)}}}},
			web: true, parts: three, status: 202,
			stored: map[string]int{uid(0): 0, uid(2): 0}, failed: map[string]int{uid(1): 0x0110},
		},
		"one is warned of": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{uid(1): 0xB000}}},
			parts: three, status: 202, stored: map[string]int{uid(0): 0, uid(1): 0xB000, uid(2): 0},
		},
		"all are refused": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{Status: 0xC001}},
			parts: three, status: 409, failed: map[string]int{uid(0): 0xC001, uid(1): 0xC001, uid(2): 0xC001},
		},
		"one is there already": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{uid(2): 0x0111}}},
			parts: three, status: 202, stored: map[string]int{uid(0): 0, uid(1): 0}, failed: map[string]int{uid(2): 0x0111},
		},
		"there is no more room, and nothing more is sent": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{uid(1): 0xA700}}},
			parts: three, status: 202, stored: map[string]int{uid(0): 0}, failed: map[string]int{uid(1): 0xA700, uid(2): 0xA700},
		},
		"another one is acknowledged": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{Misname: []string{uid(0)}}},
			parts: three[:2], status: 202, stored: map[string]int{uid(1): 0}, failed: map[string]int{uid(0): 0x0110},
		},
		"another study than that of the path": {
			study: storedStudy.StudyInstanceUID, parts: append(filesOf(other), three[0]), status: 202,
			stored: map[string]int{uid(0): 0}, failed: map[string]int{other.Instances()[0].SOPInstanceUID: 0xA901},
		},
		"no class is taken": {
			m:     pacs.Misbehave{Association: pacs.AssociationFaults{NoContexts: true}},
			parts: three[:2], status: 409, failed: map[string]int{uid(0): 0x0122, uid(1): 0x0122},
		},
		"another transfer syntax is taken": {
			syntaxes: []string{dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian},
			parts:    append(filesOf(rle), three[0]), status: 202,
			stored: map[string]int{uid(0): 0}, failed: map[string]int{rle.Instances()[0].SOPInstanceUID: 0xC122},
		},
		"a class that ADIT is not to send": {
			change: func(c *client.ServerSettings) { c.Rules.RefusedSOPClasses = []string{in[0].SOPClassUID} },
			parts:  append(filesOf(other), three[0]), status: 202,
			stored: map[string]int{other.Instances()[0].SOPInstanceUID: 0}, failed: map[string]int{uid(0): 0x0122},
		},
		"the same twice": {
			parts: []string{three[0], three[0]}, status: 202,
			stored: map[string]int{uid(0): 0}, failed: map[string]int{uid(0): 0x0111},
		},
		"parts that are no objects": {
			parts: []string{"junk", three[0], three[1][:200], "", three[2]}, status: 202,
			stored: map[string]int{uid(0): 0, uid(2): 0}, others: []int{0xC000, 0xC000, 0xC000},
		},
		"one ends early": {
			parts: []string{cut, three[1]}, status: 202,
			stored: map[string]int{uid(1): 0}, failed: map[string]int{uid(0): 0xC000},
			say: "It is cut off: it ends before its data does.",
		},
		"nothing listens": {
			change: func(c *client.ServerSettings) { c.Port = 1 },
			parts:  three, status: 503, say: "The server accepts no connection of ADIT's now.",
			failed: map[string]int{uid(0): 0x0110, uid(1): 0x0110, uid(2): 0x0110},
		},
		"the server breaks off at one": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{AbortAtObject: 1}},
			parts: three, status: 202, stored: map[string]int{uid(1): 0, uid(2): 0}, failed: map[string]int{uid(0): 0x0110},
		},
		"the server breaks off at all": {
			m:     pacs.Misbehave{Store: pacs.StoreFaults{AbortAll: true}},
			parts: three, status: 409, failed: map[string]int{uid(0): 0x0110, uid(1): 0x0110, uid(2): 0x0110},
		},
		"the server says nothing more": {
			m:      pacs.Misbehave{Store: pacs.StoreFaults{StallAtObject: 2, StallAfterBytes: 10}},
			change: func(c *client.ServerSettings) { c.IdleTimeout = 1 },
			parts:  three, status: 202, stored: map[string]int{uid(0): 0},
			failed: map[string]int{uid(1): 0x0110, uid(2): 0x0110},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for prefix, at := range storePrefixes {
				cfg := pacs.Config{Misbehave: c.m, StorageSyntaxes: c.syntaxes}
				if c.web {
					cfg.Web = &pacs.WebConfig{}
				}
				s, p := storeSite(t, cfg, c.change)
				path, status := at+"/studies", c.status
				if c.study != "" {
					path += "/" + c.study
				}
				if prefix == "original" {
					status = 200
				}
				got, answer := s.stow(path, status, storeBody(c.parts...))
				require.Equal(t, status == 503, answer.Header.Get("Retry-After") != "")
				if c.say != "" {
					require.Equal(t, c.say, got.comments[0])
				}
				for _, m := range []*map[string]int{&c.stored, &c.failed} {
					if *m == nil {
						*m = map[string]int{}
					}
				}
				require.Equal(t, c.stored, got.stored)
				require.Equal(t, c.failed, got.failed)
				require.Equal(t, c.others, got.others)
				require.Len(t, got.comments, len(c.failed)+len(c.others))
				if c.m.Store.StallAtObject == 0 { // one that stalls reads no abort
					require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
				}
				require.NotContains(t, s.log.String(), "STOW-1")
			}
		})
	}
}

// TestSTOWOfAnotherType: a part that is no DICOM object by its type is named, and the others are stored.
func TestSTOWOfAnotherType(t *testing.T) {
	s, _ := storeSite(t, pacs.Config{}, nil)
	body := "--b\r\nContent-Type: text/plain\r\n\r\nhello" + storeBody(fileOf(storedStudy.Instances()[0]))
	got, _ := s.stow("/dicom-web/PACS/studies", 202, body)
	require.Len(t, got.stored, 1)
	require.Equal(t, []int{0xC000}, got.others)
}

// TestSTOWBehind: of an object whose UIDs stand behind a large value it is said that they do.
func TestSTOWBehind(t *testing.T) {
	s, _ := storeSite(t, pacs.Config{}, nil)
	file := fileOf(storedStudy.Instances()[0])
	at := strings.Index(file, "\x10\x00\x10\x00PN")
	large := "\x09\x00\x10\x00LO\x02\x00X \x09\x00\x01\x10OB\x00\x00\x00\x00\x00\x02" + strings.Repeat("x", 32<<20)
	got, _ := s.stow("/dicom-web/PACS/studies", 409, storeBody(file[:at]+large+file[at:]))
	require.Equal(t, []int{0xC000}, got.others)
	require.Equal(t, []string{"A large value stands before its UIDs, which are not looked for."}, got.comments)
}

// TestSTOWUnread: what is not read of a body is told, whatever of it was stored.
func TestSTOWUnread(t *testing.T) {
	s, _ := storeSite(t, pacs.Config{}, nil)
	files := filesOf(storedStudy)
	first, second := storeBody(files[0]), storeBody(files[1])
	end := len(first) - len("\r\n--b--\r\n")
	begun, third := first[:end]+"\r\n--b\r\n", "\r\n\r\n"+files[1]+storeBody(files[2])
	for name, body := range map[string]string{
		"the next part's headers are too large": begun + "X-Large: " + strings.Repeat("x", 70_000) + third,
		"the next part's headers are malformed": begun + "no colon" + third,
		"it ends behind a delimiter":            begun,
		"it ends within headers":                begun + "Content-Ty",
		"parts behind the end":                  first + second,
		"too much behind the end":               first + strings.Repeat("y", 100_000),
	} {
		for prefix, at := range storePrefixes {
			status := 202
			if prefix == "original" {
				status = 200
			}
			got, answer := s.stow(at+"/studies", status, body)
			require.Len(t, got.stored, 1, name)
			require.Equal(t, []int{0x0110}, got.others, name)
			require.Equal(t, []string{"The body can't be read behind its part 1."}, got.comments, name)
			require.True(t, answer.Close, name)
		}
	}
}

// TestSTOWManyParts: everything that a request brings counts, and its answer is bounded.
func TestSTOWManyParts(t *testing.T) {
	s, _ := storeSite(t, pacs.Config{}, nil)
	for name, part := range map[string]string{
		"of another type": "\r\n--b\r\nContent-Type: a/b\r\n\r\n", "of no objects": "\r\n--b\r\n\r\n",
	} {
		got, _ := s.stow("/dicom-web/PACS/studies", 409, strings.Repeat(part, store.MaxObjects+10)+"\r\n--b--\r\n")
		require.Equal(t, store.MaxObjects+1, len(got.others), name) //nolint:testifylint // too many to be shown
		require.Equal(t, "The request has too many objects; send several.", got.comments[store.MaxObjects], name)
	}
}

// member makes somebody in a group with these permissions, which may write to a server or not, and gives their token.
func (s *site) member(name string, server int64, permissions ...string) (token string) {
	s.t.Helper()
	sum := sha256.Sum256([]byte(name))
	token = hex.EncodeToString(sum[:20])
	hash := sha256.Sum256([]byte(token))
	_, err := s.pool.Exec(s.t.Context(), `WITH g AS (INSERT INTO groups (name) VALUES ($1) RETURNING id),
		u AS (INSERT INTO users (username, active_group_id) SELECT $1, id FROM g RETURNING id),
		m AS (INSERT INTO group_members (group_id, user_id) SELECT g.id, u.id FROM g, u),
		p AS (INSERT INTO group_permissions (group_id, permission) SELECT g.id, x FROM g, unnest($2::text[]) x),
		a AS (INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) SELECT g.id, $3::bigint, false, true FROM g WHERE $3::bigint > 0)
		INSERT INTO api_tokens (user_id, description, sha256) SELECT id, 'test', $4 FROM u`,
		name, append([]string{}, permissions...), server, hash[:])
	require.NoError(s.t, err)
	return token
}

// TestSTOWRights: who may not write to a server finds none, and what names its patient takes a right of its own.
func TestSTOWRights(t *testing.T) {
	s, p := storeSite(t, pacs.Config{}, nil)
	server, err := s.client.Servers.Get(t.Context(), "PACS")
	require.NoError(t, err)
	in := storedStudy.Instances()
	both := storeBody(fileOf(in[0]), withoutPatient(in[1]))
	stored := 0
	for name, c := range map[string]struct {
		server      int64
		permissions []string
		want        int
		failed      map[string]int
	}{
		"nothing":           {server.ID, nil, 403, nil},
		"other permissions": {server.ID, []string{people.DICOMwebQuery, people.TransferUnpseudonymized}, 403, nil},
		"store":             {server.ID, []string{people.DICOMwebStore}, 202, map[string]int{in[0].SOPInstanceUID: 0x0124}},
		"unpseudonymized":   {server.ID, []string{people.DICOMwebStore, people.TransferUnpseudonymized}, 200, map[string]int{}},
		"no access":         {0, []string{people.DICOMwebStore, people.TransferUnpseudonymized}, 404, nil},
	} {
		token := s.member(name, c.server, c.permissions...)
		got, _ := s.stow("/dicom-web/PACS/studies", c.want, both, "Authorization", "Token "+token)
		require.Equal(t, c.failed, got.failed, name)
		for _, comment := range got.comments {
			require.Equal(t, "Needs Patient Identity Removed YES, or transfer_unpseudonymized.", comment)
		}
		stored += len(got.stored)
	}
	require.Equal(t, 3, stored)
	require.Len(t, p.Recorder().Log().Stores, stored)
}

// request is one to store whose body comes from a reader.
func (s *site) request(ctx context.Context, path string, body io.Reader) *nethttp.Request {
	s.t.Helper()
	rq, err := nethttp.NewRequestWithContext(ctx, "POST", s.url+path, body)
	require.NoError(s.t, err)
	rq.Header.Set("Authorization", "Token "+s.token)
	rq.Header.Set(storing[0], storing[1])
	return rq
}

// gate holds a PACS at a kind of event until it is opened.
type gate struct {
	kind    pacs.EventKind
	reached chan struct{}
	open    chan struct{}
}

func newGate(kind pacs.EventKind) *gate {
	return &gate{kind, make(chan struct{}, 100), make(chan struct{})}
}

func (g *gate) pass(ctx context.Context, e pacs.Event) {
	if e.Kind != g.kind {
		return
	}
	g.reached <- struct{}{}
	select {
	case <-g.open:
	case <-ctx.Done():
	}
}

// TestSTOWBusy: without a free connection a request is told so before a byte of its body was read; a client that then
// sends it again with a body that it no longer has is not told that all is well.
func TestSTOWBusy(t *testing.T) {
	g := newGate(pacs.AtStoreResponse)
	s, p := storeSite(t, pacs.Config{Gate: g.pass}, func(c *client.ServerSettings) { c.InteractiveCap = new(1) })
	first := make(chan reply, 1)
	go func() {
		object := strings.NewReader(storeBody(filesOf(storedStudy)[:1]...))
		rsp, err := nethttp.DefaultTransport.RoundTrip(
			s.request(context.WithoutCancel(t.Context()), "/dicom-web/PACS/studies", object),
		)
		if err != nil {
			close(first)
			return
		}
		body, _ := io.ReadAll(rsp.Body)
		_ = rsp.Body.Close()
		first <- reply{rsp, string(body)}
	}()
	<-g.reached
	for _, at := range storePrefixes {
		var read atomic.Int64
		body := io.TeeReader(strings.NewReader(storeBody(filesOf(storedStudy)...)), counting{&read})
		rq := s.request(t.Context(), at+"/studies", body)
		rq.Header.Set("Expect", "100-continue")
		transport := &nethttp.Transport{ExpectContinueTimeout: deadline}
		t.Cleanup(transport.CloseIdleConnections)
		rsp, err := transport.RoundTrip(rq)
		require.NoError(t, err)
		require.NoError(t, rsp.Body.Close())
		require.Equal(t, 503, rsp.StatusCode)
		require.NotEmpty(t, rsp.Header.Get("Retry-After"))
		require.Zero(t, read.Load())
	}
	close(g.open)
	got := <-first
	require.Equal(t, 200, got.StatusCode, got.body)
	for _, at := range storePrefixes {
		rq := s.request(t.Context(), at+"/studies", io.MultiReader(strings.NewReader(""))) // chunked, as of a generator
		rsp, err := nethttp.DefaultTransport.RoundTrip(rq)
		require.NoError(t, err)
		require.NoError(t, rsp.Body.Close())
		require.Equal(t, 400, rsp.StatusCode)
	}
	require.Len(t, p.Recorder().Log().Stores, 1)
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
}

// given waits until so many slots were taken in all, and given back again.
func (s *site) given(want int) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		var held, all int
		return s.pool.QueryRow(s.t.Context(), `SELECT count(*),
			coalesce(pg_sequence_last_value(pg_get_serial_sequence('association_slots', 'id')), 0) FROM association_slots`,
		).Scan(&held, &all) == nil && held == 0 && all >= want
	}, deadline, 10*time.Millisecond)
}

// TestSTOWIdle: an upload holds no connection while it brings nothing, before and between its objects, and goes on with
// another one.
func TestSTOWIdle(t *testing.T) {
	for way, web := range map[string]*pacs.WebConfig{"C-STORE": nil, "STOW-RS": {}} {
		t.Run(way, func(t *testing.T) {
			s, p := storeSite(t, pacs.Config{Web: web}, func(c *client.ServerSettings) { c.InteractiveCap = new(1) })
			body, w := io.Pipe()
			answer := make(chan reply, 1)
			go func() {
				defer close(answer)
				rsp, err := nethttp.DefaultTransport.RoundTrip(s.request(t.Context(), "/dicom-web/PACS/studies", body))
				if err != nil {
					return
				}
				text, _ := io.ReadAll(rsp.Body)
				_ = rsp.Body.Close()
				answer <- reply{rsp, string(text)}
			}()
			files := filesOf(storedStudy)[:3]
			for i, file := range files {
				s.given(i + 1)
				whole := storeBody(file)
				_, err := io.WriteString(w, whole[:len(whole)-len("\r\n--b--\r\n")]+"\r\n--b\r\n\r\n")
				require.NoError(t, err)
				require.NoError(t, p.Recorder().WaitStores(t.Context(), i+1))
			}
			s.given(len(files) + 1)
			_, err := io.WriteString(w, "\r\n--b--\r\n")
			require.NoError(t, err)
			require.NoError(t, w.Close())
			got := <-answer
			require.NotNil(t, got.Response)
			require.Equal(t, 202, got.StatusCode, "the parts between are no objects: %s", got.body)
			require.Len(t, readStowed(t, got.body).stored, len(files))
			require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
		})
	}
}

// TestSTOWLeavesOne: uploads never take the last connection that people may have, which is left for searches.
func TestSTOWLeavesOne(t *testing.T) {
	g := newGate(pacs.AtStoreResponse)
	s, _ := storeSite(t, pacs.Config{Gate: g.pass}, func(c *client.ServerSettings) { c.InteractiveCap = new(2) })
	first := make(chan int, 1)
	body := storeBody(filesOf(storedStudy)[0])
	go func() {
		rsp, err := nethttp.DefaultTransport.RoundTrip(
			s.request(t.Context(), "/dicom-web/PACS/studies", strings.NewReader(body)),
		)
		if err != nil {
			close(first)
			return
		}
		_ = rsp.Body.Close()
		first <- rsp.StatusCode
	}()
	<-g.reached
	s.stow("/dicom-web/PACS/studies", 503, body)
	s.qido("/dicom-web/PACS/studies", 200)
	close(g.open)
	require.Equal(t, 200, <-first)
}

// counting counts what is written.
type counting struct{ n *atomic.Int64 }

func (c counting) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// TestSTOWSigns: a client that has sent its body gets a sign now and then while the server takes long, and then the
// answer: on the original's prefix within the body of the answer, elsewhere before it.
func TestSTOWSigns(t *testing.T) {
	g := newGate(pacs.AtStoreResponse)
	s, _ := storeSite(t, pacs.Config{Gate: g.pass}, func(c *client.ServerSettings) { c.InteractiveCap = new(3) })
	body := storeBody(filesOf(storedStudy)[:1]...)
	rsp, err := nethttp.DefaultTransport.RoundTrip(
		s.request(t.Context(), storePrefixes["original"]+"/studies", strings.NewReader(body)),
	)
	require.NoError(t, err, "status and headers are there while the server still thinks")
	defer rsp.Body.Close()
	require.Equal(t, 200, rsp.StatusCode)
	require.Equal(t, "application/dicom+json", rsp.Header.Get("Content-Type"))

	signs := make(chan int, 10)
	traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			signs <- code
			return nil
		},
	})
	plain := make(chan reply, 1)
	go func() {
		rsp, err := nethttp.DefaultTransport.RoundTrip(
			s.request(traced, storePrefixes["plain"]+"/studies", strings.NewReader(storeBody(filesOf(storedStudy)[1:2]...))),
		)
		if err != nil {
			close(plain)
			return
		}
		text, _ := io.ReadAll(rsp.Body)
		_ = rsp.Body.Close()
		plain <- reply{rsp, string(text)}
	}()
	blank := make([]byte, 1)
	_, err = io.ReadFull(rsp.Body, blank)
	require.NoError(t, err)
	require.Equal(t, " ", string(blank))
	require.Equal(t, 100, <-signs)
	close(g.open)
	rest, err := io.ReadAll(rsp.Body)
	require.NoError(t, err)
	require.Len(t, readStowed(t, string(rest)).stored, 1)
	got := <-plain
	require.NotNil(t, got.Response)
	require.Equal(t, 200, got.StatusCode, got.body)
	require.Len(t, readStowed(t, got.body).stored, 1)
}

// TestSTOWClientLeaves: a client that leaves ends the association, within an object as well as while it waits. What it
// has not sent whole is not stored.
func TestSTOWClientLeaves(t *testing.T) {
	t.Run("while it waits", func(t *testing.T) {
		g := newGate(pacs.AtStoreResponse)
		s, p := storeSite(t, pacs.Config{Gate: g.pass}, nil)
		ctx, leave := context.WithCancel(t.Context())
		go func() {
			<-g.reached
			leave()
		}()
		rsp, err := nethttp.DefaultTransport.RoundTrip(
			s.request(ctx, "/dicom-web/PACS/studies", strings.NewReader(storeBody(filesOf(storedStudy)...))),
		)
		if err == nil {
			_ = rsp.Body.Close()
		}
		require.ErrorIs(t, err, context.Canceled)
		require.Eventually(t, func() bool {
			var slots int
			return s.pool.QueryRow(t.Context(), `SELECT count(*) FROM association_slots`).Scan(&slots) == nil && slots == 0
		}, deadline, 10*time.Millisecond, "the association is over though the server has not answered yet")
		close(g.open)
		require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
		require.Len(t, p.Recorder().Log().Stores, 1)
	})
	large := largeStudy(20)
	for name, c := range map[string]struct {
		in  *phantom.Instance
		web bool
	}{
		"within a small object":            {storedStudy.Instances()[1], false},
		"within a large object":            {large.Instances()[0], false},
		"within a large object by STOW-RS": {large.Instances()[0], true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := pacs.Config{}
			if c.web {
				cfg.Web = &pacs.WebConfig{}
			}
			s, p := storeSite(t, cfg, nil)
			ctx, leave := context.WithCancel(t.Context())
			body, w := io.Pipe()
			go func() {
				whole := storeBody(fileOf(storedStudy.Instances()[0]), fileOf(c.in))
				_, _ = io.WriteString(w, whole[:len(whole)-1000])
				_ = p.Recorder().WaitStores(t.Context(), 1)
				leave()
				_ = w.CloseWithError(context.Canceled)
			}()
			rsp, err := nethttp.DefaultTransport.RoundTrip(s.request(ctx, "/dicom-web/PACS/studies", body))
			if err == nil {
				_ = rsp.Body.Close()
			}
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
			require.Equal(t, []string{storedStudy.Instances()[0].SOPInstanceUID}, pacs.UIDs(p.Recorder().Log().Stores))
		})
	}
}

// TestSTOWCut: of a body that ends too early, though the request is whole, what came whole is stored and nothing else.
func TestSTOWCut(t *testing.T) {
	for _, second := range []*phantom.Instance{storedStudy.Instances()[1], largeStudy(20).Instances()[0]} {
		for name, at := range storePrefixes {
			s, p := storeSite(t, pacs.Config{}, nil)
			whole := storeBody(fileOf(storedStudy.Instances()[0]), fileOf(second))
			status := 202
			if name == "original" {
				status = 200
			}
			for _, missing := range []int{100, len("\r\n--b--\r\n"), 6} {
				got, _ := s.stow(at+"/studies", status, whole[:len(whole)-missing])
				require.Contains(t, got.stored, storedStudy.Instances()[0].SOPInstanceUID)
				require.Equal(t, map[string]int{second.SOPInstanceUID: 0x0110}, got.failed)
			}
			for _, sent := range p.Recorder().Log().Stores {
				require.Equal(t, storedStudy.Instances()[0].SOPInstanceUID, sent.SOPInstanceUID)
			}
		}
	}
}

// TestSTOWServerGoes: a server that drops the connection in the middle of a large object gets what follows.
func TestSTOWServerGoes(t *testing.T) {
	s, p := storeSite(t, pacs.Config{Misbehave: pacs.Misbehave{
		Store: pacs.StoreFaults{DropAtObject: 1, DropAfterBytes: 1 << 20},
	}}, nil)
	large := largeStudy(20).Instances()[0]
	got, _ := s.stow("/dicom-web/PACS/studies", 202, storeBody(fileOf(large), fileOf(storedStudy.Instances()[0])))
	require.Equal(t, map[string]int{large.SOPInstanceUID: 0x0110}, got.failed)
	require.Len(t, got.stored, 1)
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
}

// largeStudy is one multi-frame image of so many MiB.
func largeStudy(mebibytes int) *phantom.Study {
	return phantom.New(uint64(5000+mebibytes), phantom.StudySpec{
		Patient: phantom.Patient{ID: "STOW-3", Name: "Large^All"},
		Series: []phantom.SeriesSpec{{
			Kind: phantom.MultiFrame, Instances: 1, Rows: 512, Columns: 512, Frames: 2 * mebibytes,
		}},
	})
}

// TestSTOWMemory: a large object goes through in memory that does not grow with it.
func TestSTOWMemory(t *testing.T) {
	in := largeStudy(512).Instances()[0]
	for way, web := range map[string]*pacs.WebConfig{"C-STORE": nil, "STOW-RS": {}} {
		t.Run(way, func(t *testing.T) {
			s, p := storeSite(t, pacs.Config{Web: web}, nil)
			data := in.Open()
			defer data.Close()
			m := &peak{}
			body := io.MultiReader(
				strings.NewReader("--b\r\n\r\n"+string(in.FileMeta().AppendTo(nil))), io.TeeReader(data, m),
				strings.NewReader("\r\n--b--\r\n"),
			)
			runtime.GC()
			before := heapInUse()
			rsp, err := nethttp.DefaultTransport.RoundTrip(s.request(t.Context(), "/dicom-web/PACS/studies", body))
			require.NoError(t, err)
			text, err := io.ReadAll(rsp.Body)
			require.NoError(t, err)
			require.NoError(t, rsp.Body.Close())
			require.Equal(t, 200, rsp.StatusCode, string(text))
			require.Equal(t, sumsOf(in), sumsAt(p))
			require.Less(t, m.most, before+96<<20, "of an object of %d bytes", in.Size())
		})
	}
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// peak looks at the memory in use each few megabytes that are written to it.
type peak struct{ n, looked, most uint64 }

func (m *peak) Write(p []byte) (int, error) {
	if m.n += uint64(len(p)); m.n-m.looked > 16<<20 {
		m.looked, m.most = m.n, max(m.most, heapInUse())
	}
	return len(p), nil
}

// TestSTOWManyStudies: each study is in the audit log for itself, with its patient.
func TestSTOWManyStudies(t *testing.T) {
	s, _ := storeSite(t, pacs.Config{}, nil)
	other := phantom.New(4715, phantom.StudySpec{
		Patient: phantom.Patient{ID: "STOW-4", Name: "Other^One"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 2, Rows: 16, Columns: 16}},
	})
	s.stow("/dicom-web/PACS/studies", 200, storeBody(append(filesOf(storedStudy)[:2], filesOf(other)...)...))
	for _, st := range []*phantom.Study{storedStudy, other} {
		var acts int
		require.NoError(t, s.pool.QueryRow(
			t.Context(), `SELECT count(*) FROM audit WHERE patient_id = $1 AND study_uid = $2 AND destination = 'PACS'`,
			st.Spec.Patient.ID, st.StudyInstanceUID,
		).Scan(&acts))
		require.Equal(t, 2, acts)
	}
}
