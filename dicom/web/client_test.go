// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// serve starts a server and makes a client of it.
func serve(t testing.TB, handler http.HandlerFunc, change ...func(*Config)) *Client {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return client(t, s.URL+"/root/", change...)
}

// saw checks what a server saw, whose goroutine must not end the test.
func saw(t testing.TB, want, got any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("the server saw %v instead of %v", got, want)
	}
}

func client(t testing.TB, root string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{Root: root}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func part10(t testing.TB, uid string) []byte {
	t.Helper()
	return append(metaOf(uid), object(t, studyUID, uid, dict.ExplicitVRLittleEndian)...)
}

func metaOf(uid string) []byte {
	return stream.FileMeta{
		MediaStorageSOPClassUID: ctClass, MediaStorageSOPInstanceUID: uid,
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}.AppendTo(nil)
}

func retrieve(c *Client) (Retrieved, map[string]taken, error) {
	got := map[string]taken{}
	r, err := c.Retrieve(context.Background(), Resource{Study: studyUID}, AnySyntax, nil, collect(got))
	return r, got, err
}

func TestNew(t *testing.T) {
	for _, bad := range []string{
		"", "pacs", "ftp://pacs/", "https://", "https://user:secret@pacs/", "https://pacs/?a=b", "https://pacs/#x", ":",
		"https://secret pacs/",
	} {
		_, err := New(Config{Root: bad})
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
	}
	_, err := New(Config{Root: "https://pacs", WADO: "wado?x"})
	require.Error(t, err)
}

// TestRequests: what is asked for is spelled as every server understands it.
func TestRequests(t *testing.T) {
	var seen *http.Request
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		w.WriteHeader(http.StatusNoContent)
	}, func(cfg *Config) {
		cfg.QIDO, cfg.WADO, cfg.Credentials = "q", "/w/", Basic("me", "secret")
	})
	ctx := t.Context()
	_, _, err := retrieve(c)
	require.NoError(t, err)
	require.Equal(t, "/root/w/studies/"+studyUID, seen.RequestURI)
	require.Equal(t, `multipart/related; type="application/dicom"; transfer-syntax=*`, seen.Header.Get("Accept"))
	require.Equal(t, "identity", seen.Header.Get("Accept-Encoding"))
	require.Equal(t, "Basic bWU6c2VjcmV0", seen.Header.Get("Authorization"))

	_, err = c.Retrieve(ctx, Resource{studyUID, seriesUID, "1.2"}, dict.ImplicitVRLittleEndian, nil, nil)
	require.NoError(t, err)
	require.Equal(t, "/root/w/studies/"+studyUID+"/series/"+seriesUID+"/instances/1.2", seen.RequestURI)
	require.Equal(t, `multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2`, seen.Header.Get("Accept"))

	var match stream.DataSet
	match.Set(dict.StudyInstanceUID, "1.2", "1.3")
	match.Set(dict.PatientName, "Ä*^B c?")
	match.Set(dict.StudyDate, "20200101-20200202")
	match.Set(dict.AccessionNumber)
	match.Set(dict.QueryRetrieveLevel, "STUDY")
	var item stream.DataSet
	item.Set(dict.ScheduledProcedureStepID, "a&b=c")
	match.SetSequence(dict.RequestAttributesSequence, &item)
	var queries []string
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries, seen = append(queries, r.RequestURI), r
		w.WriteHeader(http.StatusNoContent)
	})
	include := []dict.Tag{dict.PatientID, dict.AccessionNumber}
	for _, err := range c.Search(ctx, Search{Level: Study, Match: &match, Include: include}) {
		require.NoError(t, err)
	}
	require.Equal(t, "application/dicom+json", seen.Header.Get("Accept"))
	require.Equal(t, "gzip", seen.Header.Get("Accept-Encoding"))
	const rest = "&00400275.00400009=a%26b%3Dc&includefield=00080050&includefield=00100020&limit=200"
	require.Equal(t, []string{
		"/root/studies?00080020=20200101-20200202&00100010=%C3%84*%5EB%20c?&0020000D=1.2,1.3" + rest,
		"/root/studies?00080020=20200101-20200202&00100010=*B*c?&0020000D=1.2,1.3" + strings.Replace(rest, "a%26b%3Dc", "a*b*c", 1),
	}, queries)

	for _, x := range []struct {
		s    Search
		want string
	}{
		{Search{Level: Series, In: Resource{Study: "1.2"}}, "/root/studies/1.2/series?limit=200"},
		{Search{Level: Instance, In: Resource{Study: "1.2", Series: "1.3"}, Limit: 5}, "/root/studies/1.2/series/1.3/instances?limit=5"},
		{Search{Level: Instance, In: Resource{Study: "1.2"}}, "/root/studies/1.2/instances?limit=200"},
		{Search{Level: Study, In: Resource{Study: "1.2"}}, "/root/studies?0020000D=1.2&limit=200"},
		{Search{Level: Study, In: Resource{Study: "1.2", Series: "1.3"}}, "/root/studies?0020000D=1.2&0020000E=1.3&limit=200"},
		{Search{Level: Series, In: Resource{Study: "1.2", Series: "1.3"}}, "/root/studies/1.2/series?0020000E=1.3&limit=200"},
		{Search{Level: Instance, In: Resource{"1.2", "1.3", "1.4"}}, "/root/studies/1.2/series/1.3/instances?00080018=1.4&limit=200"},
		{Search{Level: Instance, Match: keys(dict.StudyInstanceUID, "1.2", dict.SeriesInstanceUID, "1.3")}, "/root/studies/1.2/series/1.3/instances?limit=200"},
		{Search{Level: Instance, Match: keys(dict.SeriesInstanceUID, "1.3")}, "/root/instances?0020000E=1.3&limit=200"},
	} {
		queries = nil
		for _, err := range c.Search(ctx, x.s) {
			require.NoError(t, err)
		}
		require.Equal(t, []string{x.want}, queries)
	}

	queries = nil
	for _, s := range []Search{{}, {Level: Series, In: Resource{Study: "a/b"}}, {Level: Instance, In: Resource{Series: "1.2"}}} {
		for _, err := range c.Search(ctx, s) {
			require.Error(t, err)
		}
	}
	for _, r := range []Resource{{}, {Study: "../x"}, {Instance: "1.2"}, {Study: "1", Instance: "1.2"}} {
		_, err := c.Retrieve(ctx, r, AnySyntax, nil, nil)
		require.Error(t, err)
		for _, err := range c.Metadata(ctx, r) {
			require.Error(t, err)
		}
	}
	_, err = c.Retrieve(ctx, Resource{Study: "1"}, `*, "`, nil, nil)
	require.Error(t, err)
	require.Empty(t, queries)
}

// keys makes an identifier of pairs.
func keys(pairs ...any) *stream.DataSet {
	var ds stream.DataSet
	for i := 0; i < len(pairs); i += 2 {
		ds.Set(pairs[i].(dict.Tag), pairs[i+1].(string))
	}
	return &ds
}

const mixed = `multipart/related; type="application/dicom"; boundary=b`

// TestRetrieve: whatever a server sends, an object is taken for whole only if it is, and so is the answer.
func TestRetrieve(t *testing.T) {
	one, two := part10(t, seriesUID+".1"), part10(t, seriesUID+".2")
	parts := func(list ...[]byte) string {
		var b strings.Builder
		for _, p := range list {
			b.WriteString("\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" + string(p))
		}
		return b.String() + "\r\n--b--\r\n"
	}
	both := parts(one, two)
	odd := append(bytes.Clone(one), "\r\n"...)
	noMeta := object(t, studyUID, seriesUID+".1", dict.ExplicitVRLittleEndian)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(both))
	require.NoError(t, z.Close())

	type broken = *BrokenError
	type invalid = *AnswerError
	for _, c := range []struct {
		name    string
		answer  func(http.ResponseWriter)
		want    Retrieved
		objects int // read whole
		err     any
	}{
		{"all", say(200, mixed, both), Retrieved{Status: 200, Objects: 2}, 2, nil},
		{"without line ends around", say(200, mixed, strings.TrimSpace(both)), Retrieved{Status: 200, Objects: 2}, 2, nil},
		{"a line end behind each object", say(200, mixed, parts(odd, odd)), Retrieved{Status: 200, Objects: 2}, 1, nil},
		{"no preamble", say(200, mixed, parts(one[132:])), Retrieved{Status: 200, Objects: 1}, 1, nil},
		{"odd type", say(200, `multipart/mixed; boundary="b"; boundary=c; type=application/dicom`, both), Retrieved{Status: 200, Objects: 2}, 2, nil},
		{"one object", say(200, "application/dicom", string(one)), Retrieved{Status: 200, Objects: 1}, 1, nil},
		{"one object, cut", say(200, "application/dicom", string(one[:len(one)-1])), Retrieved{Status: 200}, 0, io.ErrUnexpectedEOF},
		{"compressed", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			say(200, mixed, zipped.String())(w)
		}, Retrieved{Status: 200, Objects: 2}, 2, nil},
		{"compressed, cut", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "gzip")
			say(200, mixed, zipped.String()[:zipped.Len()-9])(w)
		}, Retrieved{Status: 200, Objects: 2}, 2, new(broken)},
		{"parts missing", func(w http.ResponseWriter) {
			w.Header().Set("Warning", `299 x: "1 objects not acceptable"`)
			say(206, mixed, parts(one))(w)
		}, Retrieved{Status: 206, Objects: 1, Warning: `299 x: "1 objects not acceptable"`}, 1, nil},
		{"none", say(200, mixed, parts()), Retrieved{Status: 200}, 0, nil},
		{"no content", say(204, "", ""), Retrieved{Status: 204}, 0, nil},
		{"unknown", say(404, "text/plain", "no"), Retrieved{Status: 404}, 0, nil},
		{"other syntax", say(406, "", ""), Retrieved{Status: 406}, 0, nil},
		{"gone", say(410, "", ""), Retrieved{Status: 410}, 0, nil},
		{"busy", say(503, "text/plain", "busy with\x00 made-up"), Retrieved{Status: 503}, 0, new(*StatusError)},
		{"cut between parts", say(200, mixed, both[:strings.LastIndex(both, "\r\n--b--")]), Retrieved{Status: 200, Objects: 1}, 1, new(broken)},
		{"cut in an object", say(200, mixed, both[:len(both)-20]), Retrieved{Status: 200, Objects: 1}, 1, new(broken)},
		{"cut by the transport", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100000")
			say(200, mixed, both)(w)
		}, Retrieved{Status: 200, Objects: 2}, 2, new(broken)},
		{"cut by the transport in an object", func(w http.ResponseWriter) {
			say(200, mixed, both[:len(both)-30])(w)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, Retrieved{Status: 200, Objects: 1}, 1, new(broken)},
		{"late error", say(200, mixed, "--b\r\nContent-Type: text/plain\r\n\r\nfailed\r\n--b--"), Retrieved{Status: 200}, 0, new(invalid)},
		{"not DICOM", say(200, mixed, parts(one, bytes.Repeat([]byte("x"), 500))), Retrieved{Status: 200, Objects: 1}, 1, new(invalid)},
		{"too little", say(200, mixed, parts([]byte("x"))), Retrieved{Status: 200}, 0, new(invalid)},
		{"no file meta information", say(200, mixed, parts(noMeta)), Retrieved{Status: 200}, 0, new(invalid)},
		{"HTML", say(200, "text/html", "<html>log in"), Retrieved{Status: 200}, 0, new(invalid)},
		{"JSON", say(200, "application/json", "[]"), Retrieved{Status: 200}, 0, new(invalid)},
		{"nothing", say(200, "", ""), Retrieved{Status: 200}, 0, new(invalid)},
		{"no boundary", say(200, "multipart/related", both), Retrieved{Status: 200}, 0, new(invalid)},
		{"unknown compression", func(w http.ResponseWriter) {
			w.Header().Set("Content-Encoding", "br")
			say(200, mixed, both)(w)
		}, Retrieved{}, 0, new(invalid)},
		{"endless headers", say(200, mixed, "--b\r\n"+strings.Repeat("A: b\r\n", 20000)), Retrieved{Status: 200}, 0, new(invalid)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := serve(t, func(w http.ResponseWriter, _ *http.Request) { c.answer(w) })
			r, got, err := retrieve(cl)
			switch want := c.err.(type) {
			case nil:
				require.NoError(t, err)
			case error:
				require.ErrorIs(t, err, want)
			default:
				require.ErrorAs(t, err, want)
				require.NotContains(t, err.Error(), "made-up")
				require.NotEqual(t, io.EOF, err)
			}
			if c.want.Status != 0 && !isType[*StatusError](err) {
				require.Equal(t, c.want, r)
			}
			whole := 0
			for uid, o := range got {
				require.Equal(t, ctClass, o.class)
				require.Equal(t, dict.ExplicitVRLittleEndian, o.syntax)
				if bytes.Equal(o.data, object(t, studyUID, uid, dict.ExplicitVRLittleEndian)) {
					whole++
				}
			}
			require.Equal(t, c.objects, whole)
		})
	}
}

// TestRetrieveCut: an object that ends too early fails alone, where its part is seen to end there.
func TestRetrieveCut(t *testing.T) {
	one, two := part10(t, seriesUID+".1"), part10(t, seriesUID+".2")
	cut := one[:len(one)-4]
	begin := "--b\r\nContent-Type: application/dicom\r\n"
	whole := begin + "\r\n" + string(two) + "\r\n"
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	for _, c := range []struct {
		name, body string
		want       Retrieved
		err        any
	}{
		{"first", begin + "\r\n" + string(cut) + "\r\n" + whole + "--b--", Retrieved{Status: 200, Objects: 1, Damaged: 1}, nil},
		{"last", whole + begin + "\r\n" + string(cut) + "\r\n--b--", Retrieved{Status: 200, Objects: 1, Damaged: 1}, nil},
		{"of the length that is named", begin + length(len(cut)) + "\r\n" + string(cut) + "\r\n" + whole + "--b--", Retrieved{Status: 200, Objects: 1, Damaged: 1}, nil},
		{"of another length", begin + length(len(one)) + "\r\n" + string(cut) + "\r\n" + whole + "--b--", Retrieved{Status: 200}, io.ErrUnexpectedEOF},
		{"no delimiter behind it", whole + begin + "\r\n" + string(cut), Retrieved{Status: 200, Objects: 1}, new(*BrokenError)},
		{"what follows is no part", begin + "\r\n" + string(cut) + "\r\n--b\r\nx\r\n\r\n" + "--b--", Retrieved{Status: 200, Damaged: 1}, new(*AnswerError)},
		{"what follows is no object", begin + "\r\n" + string(cut) + "\r\n--b\r\n\r\nx\r\n" + "--b--", Retrieved{Status: 200, Damaged: 1}, new(*AnswerError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := serve(t, func(w http.ResponseWriter, _ *http.Request) { say(200, mixed, c.body)(w) })
			failed := 0
			take := func(_ context.Context, o *Object) error {
				b, err := io.ReadAll(o.Data)
				if o.SOPInstanceUID == seriesUID+".1" {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
					failed++
					return nil
				}
				require.Equal(t, object(t, studyUID, o.SOPInstanceUID, dict.ExplicitVRLittleEndian), b)
				return err
			}
			r, err := cl.Retrieve(t.Context(), Resource{Study: studyUID}, AnySyntax, nil, take)
			require.Equal(t, c.want, r)
			require.Equal(t, 1, failed)
			switch want := c.err.(type) {
			case nil:
				require.NoError(t, err)
			case error:
				require.ErrorIs(t, err, want)
			default:
				require.ErrorAs(t, err, want)
			}
		})
	}
}

// say answers.
func say(status int, contentType, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		} else {
			w.Header()["Content-Type"] = nil
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestRetrieveErrors: the error of who takes objects comes back as it is, and nobody needs to read them.
func TestRetrieveErrors(t *testing.T) {
	one := part10(t, seriesUID+".1")
	body := strings.Repeat("--b\r\n\r\n"+string(one)+"\r\n", 3) + "--b--"
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { say(200, mixed, body)(w) })
	full := errors.New("full")
	r, err := c.Retrieve(t.Context(), Resource{Study: studyUID}, AnySyntax, nil, func(context.Context, *Object) error {
		return full
	})
	require.ErrorIs(t, err, full)
	require.Zero(t, r.Objects)
	r, err = c.Retrieve(t.Context(), Resource{Study: studyUID}, AnySyntax, nil, func(context.Context, *Object) error {
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, r.Objects)

	ctx, cancel := context.WithCancelCause(t.Context())
	_, err = c.Retrieve(ctx, Resource{Study: studyUID}, AnySyntax, nil, func(context.Context, *Object) error {
		cancel(full)
		return nil
	})
	require.ErrorIs(t, err, full)
	_, err = c.Retrieve(ctx, Resource{Study: studyUID}, AnySyntax, nil, nil)
	require.ErrorIs(t, err, full)
}

// TestStop: a retrieve that is stopped ends behind the object under way, or at once where none is.
func TestStop(t *testing.T) {
	one := "--b\r\n\r\n" + string(part10(t, seriesUID+".1")) + "\r\n"
	release := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/1") { // says nothing
			<-r.Context().Done()
			return
		}
		say(200, mixed, one+one+"--b\r\n")(w) // then waits
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-release:
		}
	})
	defer close(release)
	stop := make(chan struct{})
	study := Resource{Study: studyUID}
	r, err := c.Retrieve(t.Context(), study, AnySyntax, stop, func(_ context.Context, o *Object) error {
		close(stop)
		_, err := io.ReadAll(o.Data)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, Retrieved{Status: 200, Objects: 1, Stopped: true}, r)

	stop = make(chan struct{})
	n := 0
	r, err = c.Retrieve(t.Context(), Resource{Study: studyUID}, AnySyntax, stop, func(context.Context, *Object) error {
		if n++; n == 2 {
			time.AfterFunc(time.Millisecond, func() { close(stop) })
		}
		return nil
	})
	require.NoError(t, err)
	require.True(t, r.Stopped)

	stop = make(chan struct{})
	close(stop)
	r, err = c.Retrieve(t.Context(), Resource{Study: "1"}, AnySyntax, stop, nil)
	require.NoError(t, err)
	require.Equal(t, Retrieved{Stopped: true}, r)
}

// TestTimeouts: a server may be slow but not silent, and whoever takes objects may take any time.
func TestTimeouts(t *testing.T) {
	short := func(cfg *Config) { cfg.IdleTimeout, cfg.StoreTimeout = 200*time.Millisecond, 500*time.Millisecond }
	one := "--b\r\n\r\n" + string(part10(t, seriesUID+".1")) + "\r\n--b--"
	var seen atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/2") {
			say(200, mixed, one[:300])(w)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	}, short)
	var late *TimeoutError
	_, _, err := retrieve(c)
	require.ErrorAs(t, err, &late)
	require.Equal(t, 200*time.Millisecond, late.After)
	_, err = c.Retrieve(t.Context(), Resource{Study: "2"}, AnySyntax, nil, collect(map[string]taken{}))
	require.ErrorAs(t, err, &late)
	_, err = c.Store(t.Context(), "", []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, []byte("x"))})
	require.ErrorAs(t, err, &late)
	require.Equal(t, 500*time.Millisecond, late.After)
	for _, err := range c.Search(t.Context(), Search{Level: Study}) {
		require.ErrorAs(t, err, &late)
	}
	require.EqualValues(t, 4, seen.Load())

	// Longer than the timeout for the whole, and for who takes the object.
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mixed)
		ticks := time.NewTicker(10 * time.Millisecond)
		defer ticks.Stop()
		for _, b := range []byte(one[:50]) {
			_, _ = w.Write([]byte{b})
			w.(http.Flusher).Flush()
			<-ticks.C
		}
		_, _ = io.WriteString(w, one[50:])
	}, short)
	r, err := c.Retrieve(t.Context(), Resource{Study: "2"}, AnySyntax, nil, func(ctx context.Context, o *Object) error {
		timer := time.NewTimer(500 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		_, err := io.ReadAll(o.Data)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, 1, r.Objects)
}

// TestLifeSigns: a server that sends bytes of which none is content is waited for no longer than one that is silent
// behind what was stored.
func TestLifeSigns(t *testing.T) {
	var blocks bytes.Buffer // of a compressed answer that never has content
	z := gzip.NewWriter(&blocks)
	require.NoError(t, z.Flush())
	compressed := func(w http.ResponseWriter) { w.Header().Set("Content-Encoding", "gzip") }
	for name, tt := range map[string]struct {
		begin       func(w http.ResponseWriter)
		first, drip string
	}{
		"100 Continue":               {},
		"blanks before an answer":    {drip: " "},
		"blanks within an answer":    {first: `[{"0020000D":{"vr":"UI","Value":["1.2"]}}`, drip: "\n"},
		"blanks behind an answer":    {first: `[]`, drip: " "},
		"compressed":                 {begin: compressed, first: blocks.String()[:10], drip: "\x00\x00\x00\xff\xff"},
		"before the first delimiter": {first: "x", drip: "x"},
		"within a header":            {first: "--b\r\nA: ", drip: "x"},
		"behind the last delimiter":  {first: "--b\r\n\r\n" + string(part10(t, seriesUID+".1")) + "\r\n--b--", drip: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				ticks := time.NewTicker(10 * time.Millisecond)
				defer ticks.Stop()
				w.Header().Set("Content-Type", mixed)
				if tt.begin != nil {
					tt.begin(w)
				}
				if tt.first != "" {
					_, _ = io.WriteString(w, tt.first)
				}
				for r.Context().Err() == nil {
					if tt.drip == "" {
						w.WriteHeader(http.StatusEarlyHints)
					} else {
						_, _ = io.WriteString(w, tt.drip)
						w.(http.Flusher).Flush()
					}
					select {
					case <-ticks.C:
					case <-r.Context().Done():
					}
				}
			}, func(cfg *Config) { cfg.IdleTimeout, cfg.StoreTimeout = 200*time.Millisecond, 500*time.Millisecond })
			var err error
			if strings.Contains(name, "answer") || tt.begin != nil || tt.drip == "" {
				_, err = search(c, Search{Level: Study})
			} else {
				_, _, err = retrieve(c)
			}
			var late *TimeoutError
			require.ErrorAs(t, err, &late)
			require.True(t, late.Alive)
			require.Equal(t, 500*time.Millisecond, late.After)
		})
	}
}

// TestConnect: what never reached the server is told from what broke off.
func TestConnect(t *testing.T) {
	var failed *ConnectError
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, _, err = retrieve(client(t, "http://"+addr))
	require.ErrorAs(t, err, &failed)
	require.False(t, failed.Settings)
	require.Contains(t, err.Error(), "nothing listens there")

	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = nil
	_, _, err = retrieve(client(t, s.URL))
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Settings)
	require.Contains(t, err.Error(), "not trusted")

	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	_, _, err = retrieve(client(t, strings.Replace(plain.URL, "http", "https", 1)))
	require.ErrorAs(t, err, &failed)
	require.True(t, failed.Settings)
	require.Contains(t, err.Error(), "does not speak TLS")

	// A listener that never answers the TLS handshake.
	l, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	_, err = client(t, "https://"+l.Addr().String(), func(cfg *Config) { cfg.IdleTimeout = 50 * time.Millisecond }).
		Store(t.Context(), "", []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, nil)})
	require.ErrorAs(t, err, &failed)
	require.Contains(t, err.Error(), "no answer within 50ms")

	var broken *BrokenError
	c := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, _, err = retrieve(c)
	require.ErrorAs(t, err, &broken)
	require.NotErrorIs(t, err, io.EOF)
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "made-up answer\r\n\r\n")
			_ = conn.Close()
		}
	})
	_, _, err = retrieve(c)
	require.ErrorAs(t, err, &broken)
	require.NotContains(t, err.Error(), "made-up")
}

// TestHTTP2: where TLS offers it, HTTP/2 is spoken, with the same answers and bounds, and one connection serves all.
func TestHTTP2(t *testing.T) {
	one := "--b\r\n\r\n" + string(part10(t, seriesUID+".1")) + "\r\n--b--"
	var dials atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		saw(t, 2, r.ProtoMajor)
		switch {
		case r.Method == http.MethodPost:
			_, err := io.Copy(io.Discard, r.Body)
			if err == nil {
				say(200, "application/dicom+json", `{"00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2"]}}]}}`)(w)
			}
		case strings.HasSuffix(r.URL.Path, "/2"):
			say(200, mixed, one[:300])(w)
			panic(http.ErrAbortHandler)
		case strings.HasSuffix(r.URL.Path, "/3"):
			<-r.Context().Done()
		default:
			say(200, mixed, one)(w)
		}
	}))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dials.Add(1)
		}
	}
	s.StartTLS()
	defer s.Close()
	trust := x509.NewCertPool()
	trust.AddCert(s.Certificate())
	c := client(t, s.URL, func(cfg *Config) {
		cfg.TLS, cfg.IdleTimeout = &tls.Config{RootCAs: trust}, time.Second
	})
	for range 3 {
		r, _, err := retrieve(c)
		require.NoError(t, err)
		require.Equal(t, 1, r.Objects)
	}
	out := []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, make([]byte, 1<<20))}
	stored, err := c.Store(t.Context(), "", out)
	require.NoError(t, err)
	require.Equal(t, Acknowledged, stored.Instances["1.2"].Outcome)
	require.EqualValues(t, 1, dials.Load())
	_, err = c.Retrieve(t.Context(), Resource{Study: "2"}, AnySyntax, nil, collect(map[string]taken{}))
	require.True(t, isType[*BrokenError](err), err)
	lost := errors.New("lost")
	_, err = c.Store(t.Context(), "", []Outgoing{{ctClass, "1.2", dict.ExplicitVRLittleEndian, func() io.Reader {
		return io.MultiReader(strings.NewReader("begun"), failing{lost})
	}}})
	require.ErrorIs(t, err, lost)
	_, err = c.Retrieve(t.Context(), Resource{Study: "3"}, AnySyntax, nil, nil)
	require.True(t, isType[*TimeoutError](err), err)
	_, _, err = retrieve(c)
	require.NoError(t, err)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestGuard: once the guard has said no nothing is sent any more, and its error comes back.
func TestGuard(t *testing.T) {
	denied := errors.New("another member has the task")
	var allowed atomic.Int32
	var requests atomic.Int32
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			say(200, mixed, "\r\n--b--")(w)
		}
	}, func(cfg *Config) {
		cfg.Guard = func() error {
			if allowed.Add(-1) < 0 {
				return denied
			}
			return nil
		}
	})
	_, _, err := retrieve(c)
	require.ErrorIs(t, err, denied)
	require.Zero(t, requests.Load())
	allowed.Store(3)
	_, err = c.Store(t.Context(), "", []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, make([]byte, 4<<20))})
	require.ErrorIs(t, err, denied)
	allowed.Store(1000)
	_, _, err = retrieve(c)
	require.NoError(t, err)
}

// TestRedirects: they are followed within the server only, with credentials for nobody else.
func TestRedirects(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	var paths []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		saw(t, "secret", r.Header.Get("X-Key"))
		switch r.URL.Path {
		case "/root/studies/1":
			http.Redirect(w, r, "/elsewhere/1", http.StatusFound)
		case "/root/studies/2":
			http.Redirect(w, r, other.URL+"/a?name=made-up", http.StatusTemporaryRedirect)
		case "/root/studies/3":
			http.Redirect(w, r, "/root/studies/3", http.StatusPermanentRedirect)
		case "/root/studies/4":
			w.WriteHeader(http.StatusMovedPermanently)
		case "/root/studies":
			http.Redirect(w, r, "/stow", http.StatusPermanentRedirect)
		case "/stow":
			b, err := io.ReadAll(r.Body)
			saw(t, nil, err)
			saw(t, true, strings.Contains(string(b), "content"))
		default:
			say(200, mixed, "--b--")(w)
		}
	}, func(cfg *Config) { cfg.Credentials = FixedHeader("X-Key", "secret") })
	get := func(study string) error {
		_, err := c.Retrieve(t.Context(), Resource{Study: study}, AnySyntax, nil, nil)
		return err
	}
	require.NoError(t, get("1"))
	require.Equal(t, []string{"/root/studies/1", "/elsewhere/1"}, paths)
	var redirected *RedirectError
	for study, to := range map[string]string{"2": other.URL, "3": "", "4": ""} {
		err := get(study)
		require.ErrorAs(t, err, &redirected)
		require.Equal(t, to, redirected.To)
		require.NotContains(t, err.Error(), "made-up")
	}
	stored, err := c.Store(t.Context(), "", []Outgoing{outgoingOf("1.2", dict.ExplicitVRLittleEndian, []byte("content"))})
	require.NoError(t, err)
	require.Equal(t, Unknown, stored.Instances["1.2"].Outcome)
	require.Zero(t, elsewhere.Load())
}

// changing are credentials that are new each time.
type changing struct{ n, rejected int }

func (c *changing) Header(context.Context) (name, value string, err error) {
	c.n++
	return "Authorization", fmt.Sprint("Bearer ", c.n), nil
}

func (c *changing) Rejected(string) bool { c.rejected++; return true }

// TestUnauthorized: new credentials are tried once, also for what is stored.
func TestUnauthorized(t *testing.T) {
	accept := "Bearer 2"
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != accept {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		b, err := io.ReadAll(r.Body)
		saw(t, nil, err)
		saw(t, r.Method == http.MethodPost, bytes.Contains(b, []byte("content")))
		say(200, mixed, "--b--")(w)
	}, func(cfg *Config) { cfg.Credentials = &changing{} })
	_, _, err := retrieve(c)
	require.NoError(t, err)
	accept = "Bearer 4"
	opened := 0
	_, err = c.Store(t.Context(), "", []Outgoing{{ctClass, "1.2", dict.ExplicitVRLittleEndian, func() io.Reader {
		opened++
		return strings.NewReader("content")
	}}})
	require.NoError(t, err)
	require.LessOrEqual(t, opened, 2)
	accept = "none"
	var status *StatusError
	_, _, err = retrieve(c)
	require.ErrorAs(t, err, &status)
	require.Equal(t, 401, status.Code)
	require.False(t, status.Transient())
	require.Equal(t, 6, c.cfg.Credentials.(*changing).n)

	for _, bad := range []Credentials{FixedHeader("", "a"), FixedHeader("A B", "a"), FixedHeader("A", "se\ncret")} {
		c := serve(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *Config) { cfg.Credentials = bad })
		_, _, err := retrieve(c)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "cret")
	}
}

func TestStatusError(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
		w.Header().Set("Retry-After", "Sun, 06 Nov 1994 08:50:37 GMT")
		say(503, "text/plain", "made-up\r\n is\x07 busy "+strings.Repeat("x", 5000))(w)
	})
	for _, err := range c.Search(t.Context(), Search{Level: Study}) {
		var status *StatusError
		require.ErrorAs(t, err, &status)
		require.True(t, status.Transient())
		require.Equal(t, time.Minute, status.RetryAfter)
		require.True(t, strings.HasPrefix(status.Reason, "made-up is busy xxx"), status.Reason)
		require.LessOrEqual(t, len(status.Reason), 1024)
		require.Equal(t, "the server answered the search for studies with status 503 Service Unavailable; it asks to wait for 1m0s", err.Error())
	}
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "9999999999": 24 * time.Hour,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {text}}), text)
	}
}
