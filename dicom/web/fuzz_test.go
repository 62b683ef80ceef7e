// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/web/multipart"
)

// answer makes an exchange whose answer was begun.
func answer(t testing.TB, contentType string, body []byte) *exchange {
	t.Helper()
	c, err := New(Config{Root: "https://pacs.example"})
	require.NoError(t, err)
	return &exchange{
		c: c, rq: request{doing: "test"}, in: bytes.NewReader(body),
		rsp: &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {contentType}}},
	}
}

// FuzzRetrieve: an answer is whole only with its last delimiter, or as one object.
func FuzzRetrieve(f *testing.F) {
	one := part10(f, "1.2")
	f.Add(mixed, append(append([]byte("--b\r\nContent-Type: application/dicom\r\n\r\n"), one...), "\r\n\r\n--b--\r\n"...))
	f.Add(mixed, []byte("\r\n--b\r\nContent-Type: text/plain\r\n\r\nfailed\r\n--b--"))
	f.Add("application/dicom", one)
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		g := &retrieving{x: answer(t, contentType, body), take: func(_ context.Context, o *Object) error {
			_, err := io.Copy(io.Discard, o.Data)
			return err
		}}
		err := g.objects(t.Context())
		require.NotEqual(t, io.EOF, err)
		m := g.x.mediaType()
		if err == nil && strings.HasPrefix(m.Name, "multipart/") {
			require.Contains(t, string(body), "--"+strings.TrimRight(m.Param("boundary"), " ")+"--")
		}
	})
}

// FuzzDataSets: an answer in JSON ends with an error, or was read to its end.
func FuzzDataSets(f *testing.F) {
	f.Add([]byte(`[{"0020000D":{"vr":"UI","Value":["1.2"]}}]`))
	f.Add([]byte("\xEF\xBB\xBF {}"))
	f.Add([]byte("null "))
	f.Fuzz(func(t *testing.T, body []byte) {
		x := answer(t, "application/dicom+json", body)
		var last error
		for ds, err := range x.dataSets() {
			require.NoError(t, last)
			require.NotEqual(t, ds == nil, err == nil)
			last = err
		}
		require.NotEqual(t, io.EOF, last)
		if last == nil {
			n, err := x.in.Read(make([]byte, 1))
			require.Zero(t, n)
			require.Equal(t, io.EOF, err)
		}
	})
}

// BenchmarkRetrieve is a retrieve of images of half a megabyte over loopback.
func BenchmarkRetrieve(b *testing.B) {
	one := part10(b, "1.2")
	one = append(one, "\xE2\x7F\x10\x00OW\x00\x00\x00\x00\x08\x00"...)
	one = append(one, make([]byte, 512<<10)...)
	boundary := multipart.NewBoundary()
	body := bytes.Repeat(append([]byte("\r\n--"+boundary+"\r\nContent-Type: application/dicom\r\n\r\n"), one...), 40)
	body = append(body, "\r\n--"+boundary+"--"...)
	c := serve(b, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "multipart/related; boundary="+boundary)
		_, _ = w.Write(body)
	})
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := c.Retrieve(b.Context(), Resource{Study: "1.2"}, AnySyntax, nil, func(_ context.Context, o *Object) error {
			for {
				if _, err := o.Data.Read(buf); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
			}
		})
		require.NoError(b, err)
		require.Equal(b, 40, r.Objects)
	}
}
