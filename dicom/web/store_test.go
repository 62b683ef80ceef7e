// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/dicom/web/multipart"
)

// TestStore: the request is what PS3.18 10.5 asks for.
func TestStore(t *testing.T) {
	content := map[string][]byte{}
	var out []Outgoing
	for _, uid := range []string{"1.2.1", "1.2.2", "1.2.3"} {
		content[uid] = object(t, studyUID, uid, dict.ExplicitVRLittleEndian)
		out = append(out, outgoingOf(uid, dict.ExplicitVRLittleEndian, content[uid]))
	}
	got := map[string][]byte{}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		saw(t, "/root/store/studies/"+studyUID, r.URL.Path)
		saw(t, "application/dicom+json", r.Header.Get("Accept"))
		saw(t, "", r.Header.Get("Expect"))
		saw(t, int64(-1), r.ContentLength)
		saw(t, true, regexp.MustCompile(`^multipart/related; type="application/dicom"; boundary=[a-z0-9]{26}$`).MatchString(r.Header.Get("Content-Type")))
		m, err := media.Parse(r.Header.Get("Content-Type"))
		saw(t, nil, err)
		parts, err := multipart.NewReader(r.Body, m.Param("boundary"), multipart.Limits{})
		saw(t, nil, err)
		for {
			p, err := parts.Next()
			if err == io.EOF { //nolint:errorlint // as it is
				break
			}
			saw(t, nil, err)
			saw(t, multipart.Header{"content-type": "application/dicom"}, p.Header)
			meta, o, err := stream.OpenFile(p, stream.Limits{})
			saw(t, nil, err)
			saw(t, ctClass, meta.MediaStorageSOPClassUID)
			saw(t, dict.ExplicitVRLittleEndian, meta.TransferSyntaxUID)
			var b bytes.Buffer
			_, err = o.WriteTo(&b)
			saw(t, nil, err)
			got[meta.MediaStorageSOPInstanceUID] = b.Bytes()
		}
		say(202, "", ` {"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.1"]}},{"00081155":{"vr":"UI","Value":["1.2.2"]},"00081196":{"vr":"US","Value":[45056]}}]},
			"00081198":{"vr":"SQ"}}`)(w)
	}, func(cfg *Config) { cfg.STOW = "/store/" })
	stored, err := c.Store(t.Context(), studyUID, out)
	require.NoError(t, err)
	require.Equal(t, content, got)
	require.Equal(t, Stored{Status: 202, Instances: map[string]Result{
		"1.2.1": {Outcome: Acknowledged}, "1.2.2": {Outcome: Acknowledged, Warning: 0xB000}, "1.2.3": {},
	}}, stored)

	for _, bad := range [][]Outgoing{{out[0], out[0]}, {{}}, {{ctClass, "x", dict.RLELossless, nil}}} {
		_, err := c.Store(t.Context(), studyUID, bad)
		require.Error(t, err)
	}
	_, err = c.Store(t.Context(), "../x", out)
	require.Error(t, err)
	stored, err = c.Store(t.Context(), studyUID, nil)
	require.NoError(t, err)
	require.Empty(t, stored.Instances)
}

// TestStoreAnswers: what a server says about an instance counts, in whatever form, and nothing else.
func TestStoreAnswers(t *testing.T) {
	const ok = `{"00081155":{"vr":"UI","Value":["1.2.1"]}}`
	failed := func(reason string) string {
		return `{"00081155":{"vr":"UI","Value":["1.2.2"]},"00081197":{"vr":"US","Value":[` + reason + `]}}`
	}
	both := func(reason string) string {
		return `{"00081199":{"vr":"SQ","Value":[` + ok + `]},"00081198":{"vr":"SQ","Value":[` + failed(reason) + `]}}`
	}
	type results = map[string]Result
	acknowledged := Result{Outcome: Acknowledged}
	refused := func(reason uint16) results {
		return results{"1.2.1": acknowledged, "1.2.2": {Outcome: Refused, Failure: reason}}
	}
	unknown := results{"1.2.1": {}, "1.2.2": {}}
	const xmlBody = `<?xml version="1.0"?><NativeDicomModel>
		<DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence"><Item number="1">
			<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.1</Value></DicomAttribute></Item></DicomAttribute>
		<DicomAttribute tag="00081198" vr="SQ"><Item number="1">
			<DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.2</Value></DicomAttribute>
			<DicomAttribute tag="00081197" vr="US"><Value number="1">4352</Value></DicomAttribute></Item></DicomAttribute>
		</NativeDicomModel>`
	for _, c := range []struct {
		name, body string
		status     int
		want       results
		err        any
	}{
		{"number", both("43264"), 202, refused(0xA900), nil},
		{"hexadecimal", both(`"0110"`), 202, refused(0x110), nil},
		{"hexadecimal letters", both(`"C122"`), 409, refused(0xC122), nil},
		{"hexadecimal with a prefix", both(`"0xA700"`), 409, refused(0xA700), nil},
		{"decimal text", both(`"45070"`), 409, refused(45070), nil},
		{"no reason", both(`null`), 409, refused(0), nil},
		{"an object as a reason", both(`{"a":1}`), 409, refused(0), nil},
		{"array", "\xEF\xBB\xBF[" + both("1") + "]", 200, refused(1), nil},
		{"array of two", `[{"00081199":{"vr":"SQ","Value":[` + ok + `]}},{"00081198":{"Value":[` + failed("1") + `]}}]`, 200, refused(1), nil},
		{"keywords", strings.NewReplacer("00081199", "ReferencedSOPSequence", "00081155", "ReferencedSOPInstanceUID").Replace(both("1")), 200, refused(1), nil},
		{"XML", xmlBody, 200, refused(4352), nil},
		{"one without a word, with 400", `{"00081199":{"vr":"SQ","Value":[` + ok + `]}}`, 400, results{"1.2.1": acknowledged, "1.2.2": {}}, nil},
		{"a failure without a name", `{"00081199":{"vr":"SQ","Value":[` + ok + `]},"0008119A":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}`, 202, refused(0xC000), nil},
		{"failures without a name of two", `{"0008119A":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}`, 409, unknown, nil},
		{"both at once", `{"00081199":{"vr":"SQ","Value":[` + ok + `]},"00081198":{"vr":"SQ","Value":[` + ok + `]}}`, 202, unknown, nil},
		{"empty sequences", `{"00081199":{"vr":"SQ"},"00081198":{"vr":"SQ","Value":[]}}`, 200, unknown, nil},
		{"comment", `{"00081198":{"Value":[{"00081155":{"Value":["1.2.2"]},"00000902":{"Value":["disk\u0000 full"]}}]}}`, 409, results{"1.2.1": {}, "1.2.2": {Outcome: Refused, Reason: "disk full"}}, nil},
		{"not sent", `{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.9"]}},` + ok + `]}}`, 200, results{"1.2.1": acknowledged, "1.2.2": {}}, new(*AnswerError)},
		{"nothing", "", 200, unknown, nil},
		{"no content", "", 204, unknown, nil},
		{"bad request", "bad", 400, unknown, nil},
		{"conflict", "{}", 409, unknown, nil},
		{"page", " \n<HTML><body>made-up", 200, nil, new(*AnswerError)},
		{"another page", "<!DOCTYPE html><p>made-up", 202, nil, new(*AnswerError)},
		{"page, refused", "<html><body>made-up", 409, unknown, nil},
		{"UTF-16", "\xFF\xFE{\x00}\x00", 200, nil, new(*AnswerError)},
		{"broken JSON", `{"00081199":`, 200, unknown, nil},
		{"too large", "made-up", 413, nil, new(*StatusError)},
		{"busy", `{"error":"made-up"}`, 503, nil, new(*StatusError)},
		{"failed, and says what", both("1"), 500, refused(1), nil},
		{"created", "", 201, nil, new(*AnswerError)},
		{"larger than allowed", strings.Repeat(" ", 5000) + "{}", 200, nil, new(*AnswerError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				say(c.status, "", c.body)(w)
			}, func(cfg *Config) { cfg.Limits.Store = 4000 })
			out := []Outgoing{
				outgoingOf("1.2.1", dict.ExplicitVRLittleEndian, []byte("a")),
				outgoingOf("1.2.2", dict.ExplicitVRLittleEndian, []byte("b")),
			}
			stored, err := cl.Store(t.Context(), "", out)
			if c.err == nil {
				require.NoError(t, err)
				require.Equal(t, c.status, stored.Status)
			} else {
				require.ErrorAs(t, err, c.err)
				require.NotContains(t, err.Error(), "made-up")
			}
			require.Equal(t, c.want, stored.Instances)
		})
	}
}

// TestStoreSourceFails: a reader that fails breaks the request off such that the server can't take the object for
// whole, and its error comes back.
func TestStoreSourceFails(t *testing.T) {
	ended := make(chan error, 1)
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	})
	for _, lost := range []error{errors.New("lost"), io.ErrUnexpectedEOF} {
		_, err := c.Store(t.Context(), "", []Outgoing{{ctClass, "1.2", dict.ExplicitVRLittleEndian, func() io.Reader {
			return io.MultiReader(bytes.NewReader(make([]byte, 100<<10)), failing{lost})
		}}})
		require.ErrorIs(t, err, lost)
		var source *SourceError
		require.ErrorAs(t, err, &source)
		require.Equal(t, "1.2", source.SOPInstanceUID)
		require.Error(t, <-ended)
	}
}

// TestStoreEarlyAnswer: an answer that comes before everything was sent is used, also if the server then closes.
func TestStoreEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, 100<<10))
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge")
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.ReadFull(conn, make([]byte, 100<<10))
			_ = conn.Close() // with bytes unread: it resets
		}
	}()
	c := client(t, "http://"+l.Addr().String())
	var using atomic.Bool
	for range 20 {
		_, err = c.Store(t.Context(), "", []Outgoing{{ctClass, "1.2", dict.ExplicitVRLittleEndian, func() io.Reader {
			return &noting{io.LimitReader(zeros{}, 32<<20), &using}
		}}})
		var status *StatusError
		require.ErrorAs(t, err, &status)
		require.Equal(t, 413, status.Code)
		require.False(t, using.Load())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// noting notes while it is read.
type noting struct {
	io.Reader
	using *atomic.Bool
}

func (n *noting) Read(p []byte) (int, error) {
	n.using.Store(true)
	defer n.using.Store(false)
	return n.Reader.Read(p)
}

// TestStoreUnknown: once the server could have seen objects, an end without an answer is not the end of the matter.
func TestStoreUnknown(t *testing.T) {
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	out := []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, []byte("content"))}
	_, err := c.Store(t.Context(), "", out)
	require.True(t, isType[*BrokenError](err), err)

	left := errors.New("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	c = serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel(left)
		<-r.Context().Done()
	})
	_, err = c.Store(ctx, "", out)
	require.ErrorIs(t, err, left)
}

// TestInformational: a server may say as often as it likes that it goes on.
func TestInformational(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for range 50 {
			w.WriteHeader(http.StatusProcessing)
		}
		say(200, "", `{"00081199":{"Value":[{"00081155":{"Value":["1.2"]}}]}}`)(w)
	})
	stored, err := c.Store(t.Context(), "", []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, nil)})
	require.NoError(t, err)
	require.Equal(t, Acknowledged, stored.Instances["1.2"].Outcome)
}

// FuzzStoreAnswer: no answer makes an instance stored that it doesn't name.
func FuzzStoreAnswer(f *testing.F) {
	f.Add([]byte(`[{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}}]},"0008119A":{"Value":[{}]}}]`))
	f.Add([]byte(`<a><DicomAttribute tag="00081198"><Item><DicomAttribute tag="00081197"><Value>1</Value></DicomAttribute></Item></DicomAttribute></a>`))
	f.Add([]byte(`{"00081199":null,"FailedSOPSequence":{"Value":[{"00081155":{"Value":[7]},"00081197":{"Value":["0x1"]}}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, ok := readAnswer(body)
		require.True(t, ok || len(s.delivered)+len(s.failed)+len(s.others) == 0)
		for _, one := range s.delivered {
			text, err := json.Marshal(one.uid)
			require.NoError(t, err)
			if dict.ValidUID(one.uid) {
				require.Contains(t, string(body), strings.Trim(string(text), `"`))
			}
		}
	})
}
