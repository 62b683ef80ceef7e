// SPDX-License-Identifier: AGPL-3.0-or-later

package multipart

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// got is a part as it was read.
type got struct {
	header  Header
	content string
}

// readAll reads a message to its end by a way of reading parts.
func readAll(r io.Reader, boundary string, lim Limits, read func(*Part) ([]byte, error)) ([]got, error) {
	d, err := NewReader(r, boundary, lim)
	if err != nil {
		return nil, err
	}
	var parts []got
	for {
		p, err := d.Next()
		if err != nil {
			return parts, err
		}
		b, err := read(p)
		parts = append(parts, got{p.Header, string(b)})
		if err != nil {
			return parts, err
		}
	}
}

// ways of reading a part; each must give the same.
var ways = map[string]func(*Part) ([]byte, error){
	"small": func(p *Part) ([]byte, error) { return io.ReadAll(struct{ io.Reader }{p}) },
	"large": func(p *Part) ([]byte, error) {
		var all []byte
		b := make([]byte, 1<<20)
		for {
			n, err := p.Read(b)
			all = append(all, b[:n]...)
			if err == io.EOF { //nolint:errorlint // only exactly this value says that the part is whole
				return all, nil
			}
			if err != nil {
				return all, err
			}
		}
	},
	"written": func(p *Part) ([]byte, error) {
		var b bytes.Buffer
		_, err := p.WriteTo(&b)
		return b.Bytes(), err
	},
}

// arrivals of the bytes.
var arrivals = map[string]func(io.Reader) io.Reader{
	"whole":       func(r io.Reader) io.Reader { return r },
	"one by one":  iotest.OneByteReader,
	"halves":      iotest.HalfReader,
	"with an end": iotest.DataErrReader,
}

func TestReader(t *testing.T) {
	crowd := strings.Repeat("\r\n--\r\n--boundaryx\r\n--boundar\r\r\n--boundary-", 5000)
	for _, c := range []struct {
		name, body string
		want       []got
		err        error
	}{
		{"plain", "--boundary\r\nContent-Type: a/b\r\n\r\none\r\n--boundary\r\nX: y\r\n\r\ntwo\r\n--boundary--\r\n", []got{{Header{"content-type": "a/b"}, "one"}, {Header{"x": "y"}, "two"}}, io.EOF},
		{"CRLF before, no line end behind", "\r\n--boundary\r\n\r\none\r\n--boundary--", []got{{Header{}, "one"}}, io.EOF},
		{"preamble and epilogue", "This is MIME.\r\n--boundary\r\n\r\none\r\n--boundary--\r\nThe end --boundary", []got{{Header{}, "one"}}, io.EOF},
		{"another end in the epilogue", "--boundary\r\n\r\none\r\n--boundary--\r\n--boundary--\r\n--boundary", []got{{Header{}, "one"}}, io.EOF},
		{"a part in the epilogue", "--boundary\r\n\r\none\r\n--boundary--\r\nx\r\n--boundary\r\n\r\ntwo\r\n--boundary--", []got{{Header{}, "one"}}, ErrMalformed},
		{"header lines of all kinds", "--boundary \t\r\ncontent-TYPE :  a/b;\r\n c=d\r\nX-Wait: 1\nX-Wait: 2\r\n 3\r\nEmpty:\r\n\r\n\r\none\r\n\r\n--boundary--", []got{{Header{"content-type": "a/b; c=d", "x-wait": "1", "empty": ""}, "\r\none\r\n"}}, io.EOF},
		{"line feeds alone behind the delimiter", "--boundary\nA: b\n\none\r\n--boundary\n\ntwo\r\n--boundary--", []got{{Header{"a": "b"}, "one"}, {Header{}, "two"}}, io.EOF},
		{"empty parts", "--boundary\r\n\r\n\r\n--boundary\r\n\r\n\r\n--boundary--", []got{{Header{}, ""}, {Header{}, ""}}, io.EOF},
		{"no parts", "\r\n--boundary--\r\n", nil, io.EOF},
		{"what only looks like a delimiter", "--boundary\r\n\r\n" + crowd + "\r\n--boundary--", []got{{Header{}, crowd}}, io.EOF},
		{"no closing delimiter", "--boundary\r\n\r\none\r\n", []got{{Header{}, "one"}}, io.ErrUnexpectedEOF},
		{"cut in the closing delimiter", "--boundary\r\n\r\none\r\n--boundary-", []got{{Header{}, "one"}}, io.ErrUnexpectedEOF},
		{"cut behind a delimiter", "--boundary\r\n\r\none\r\n--boundary\r", []got{{Header{}, "one"}}, io.ErrUnexpectedEOF},
		{"cut in a header", "--boundary\r\n\r\none\r\n--boundary\r\nContent-", []got{{Header{}, "one"}}, io.ErrUnexpectedEOF},
		{"nothing", "", nil, io.ErrUnexpectedEOF},
		{"no multipart", "<html>" + strings.Repeat(" ", 1000), nil, io.ErrUnexpectedEOF},
		{"no colon", "--boundary\r\nContent\r\n\r\none\r\n--boundary--", nil, ErrMalformed},
		{"long preamble", strings.Repeat("x", 3000) + "\r\n--boundary--", nil, ErrTooLarge},
		{"long epilogue", "--boundary--" + strings.Repeat("x", 3000), nil, ErrTooLarge},
		{"long header", "--boundary\r\nA: " + strings.Repeat("x", 3000) + "\r\n\r\n\r\n--boundary--", nil, ErrTooLarge},
		{"many headers", "--boundary\r\n" + strings.Repeat("A: x\r\n", 1000) + "\r\n\r\n--boundary--", nil, ErrTooLarge},
		{"padding without end", "--boundary" + strings.Repeat(" ", 1000) + "\r\n\r\n\r\n--boundary--", nil, io.EOF},
	} {
		for arrival, r := range arrivals {
			for way, read := range ways {
				t.Run(c.name+", "+arrival+", "+way, func(t *testing.T) {
					lim := Limits{2000, 2000, 2000}
					parts, err := readAll(r(strings.NewReader(c.body)), "boundary", lim, read)
					require.ErrorIs(t, err, c.err)
					require.Equal(t, c.want, parts)
				})
			}
		}
	}
}

// TestSizes: parts of sizes around those of the buffers come as they were written.
func TestSizes(t *testing.T) {
	t.Run("long boundary", func(t *testing.T) { testSizes(t, NewBoundary()) })
	t.Run("short boundary", func(t *testing.T) { testSizes(t, NewBoundary()[:8]) })
}

func testSizes(t *testing.T, boundary string) {
	source := rand.New(rand.NewPCG(1, 2))
	letters := []byte("\r\n--" + boundary[:2])
	var want []got
	var body bytes.Buffer
	w := NewWriter(&body, boundary)
	for _, size := range []int{0, direct, window, 3 * window} {
		for around := -70; around < 70; around += 23 {
			content := make([]byte, max(0, size+around))
			for i := range content {
				content[i] = letters[source.IntN(len(letters))]
			}
			require.NoError(t, w.Begin(Field{"Content-Type", "application/dicom"}))
			require.NoError(t, w.Field("Content-Length", "1"))
			_, err := w.Write(content)
			require.NoError(t, err)
			want = append(want, got{Header{"content-type": "application/dicom", "content-length": "1"}, string(content)})
		}
	}
	require.NoError(t, w.Close())
	for arrival, r := range arrivals {
		for way, read := range ways {
			parts, err := readAll(r(bytes.NewReader(body.Bytes())), boundary, Limits{}, read)
			require.Equal(t, io.EOF, err)
			require.Len(t, parts, len(want), "%s, %s", arrival, way)
			for i := range want {
				if want[i].content != parts[i].content { // too long to be shown
					require.Fail(t, "another content", "%s, %s: part %d", arrival, way, i)
				}
				require.Equal(t, want[i].header, parts[i].header)
			}
		}
	}
}

// TestCuts: wherever a message is cut, the reader says so.
func TestCuts(t *testing.T) {
	var body bytes.Buffer
	w := NewWriter(&body, "b")
	for range 3 {
		require.NoError(t, w.Begin(Field{"A", "b"}))
		_, err := w.Write([]byte("content"))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	whole := body.Bytes()
	lost := errors.New("lost")
	for n := range len(whole) - len("\r\n") {
		for way, read := range ways {
			_, err := readAll(bytes.NewReader(whole[:n]), "b", Limits{}, read)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s: %d bytes", way, n)
			_, err = readAll(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(lost)), "b", Limits{}, read)
			require.ErrorIs(t, err, lost, "%s: %d bytes", way, n)
		}
	}
	// Whole, but the transport didn't end as it should.
	_, err := readAll(io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(lost)), "b", Limits{}, ways["small"])
	require.ErrorIs(t, err, lost)
}

// TestPassingOver: a part that is not read to its end is passed over, and can't be read afterwards.
func TestPassingOver(t *testing.T) {
	long := strings.Repeat("x", 2*window)
	body := "--b\r\nContent-Length: 7\r\n\r\n" + long + "\r\n--b\r\n\r\n" + long + "\r\n--b\r\n\r\nend\r\n--b--"
	d, err := NewReader(strings.NewReader(body), "b", Limits{Preamble: 10})
	require.NoError(t, err)
	first, err := d.Next()
	require.NoError(t, err)
	require.EqualValues(t, 7, first.ContentLength())
	second, err := d.Next()
	require.NoError(t, err)
	require.EqualValues(t, -1, second.ContentLength())
	_, err = io.ReadFull(second, make([]byte, 1000))
	require.NoError(t, err)
	third, err := d.Next()
	require.NoError(t, err)
	_, err = second.Read(make([]byte, 1))
	require.ErrorIs(t, err, ErrPassed)
	_, err = second.WriteTo(io.Discard)
	require.ErrorIs(t, err, ErrPassed)
	b, err := io.ReadAll(third)
	require.NoError(t, err)
	require.Equal(t, "end", string(b))
	for range 2 {
		_, err = d.Next()
		require.Equal(t, io.EOF, err)
	}
}

func TestBoundaries(t *testing.T) {
	for _, bad := range []string{"", "  ", "a\r\nb", "a\x00", strings.Repeat("b", maxBoundary+1)} {
		_, err := NewReader(strings.NewReader(""), bad, Limits{})
		require.ErrorIs(t, err, ErrMalformed, "%q", bad)
	}
	for _, good := range []string{"a", "a b ", strings.Repeat("-", maxBoundary), "'()+_,-./:=?"} {
		name := strings.TrimRight(good, " ")
		body := "--" + name + "\r\n\r\n-\r\n--" + name[1:] + "\r\n--" + name + "--"
		parts, err := readAll(strings.NewReader(body), good, Limits{}, ways["small"])
		require.Equal(t, io.EOF, err, good)
		require.Len(t, parts, 1, good)
	}
	one, two := NewBoundary(), NewBoundary()
	require.NotEqual(t, one, two)
	require.Regexp(t, "^[a-z0-9]{26}$", NewBoundary())
}

// idle never gives a byte.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestNoProgress(t *testing.T) {
	_, err := readAll(idle{}, "b", Limits{}, ways["small"])
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestWriter(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, "b")
	_, err := w.Write([]byte("x"))
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, w.Field("A", "b"), ErrClosed)
	require.NoError(t, w.Begin(Field{"Content-Type", "application/dicom"}))
	require.NoError(t, w.Field("X-Wait", "1"))
	for _, f := range []Field{{"", "a"}, {"A:", "b"}, {"A", "b\r\nC: d"}, {"A\n", ""}} {
		require.Error(t, w.Field(f.Name, f.Value))
		require.Error(t, w.Begin(f))
	}
	for _, text := range []string{"o", "ne"} {
		_, err = w.Write([]byte(text))
		require.NoError(t, err)
	}
	require.ErrorIs(t, w.Field("Late", "1"), ErrClosed)
	require.NoError(t, w.Begin())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Close(), ErrClosed)
	require.ErrorIs(t, w.Begin(), ErrClosed)
	require.Equal(
		t, "--b\r\nContent-Type: application/dicom\r\nX-Wait: 1\r\n\r\none\r\n--b\r\n\r\n\r\n--b--\r\n", b.String(),
	)

	b.Reset()
	require.NoError(t, NewWriter(&b, "b").Close())
	require.Equal(t, "\r\n--b--\r\n", b.String())

	lost := errors.New("lost")
	w = NewWriter(failing{lost}, "b")
	require.ErrorIs(t, w.Begin(), lost)
	_, err = w.Write(nil)
	require.ErrorIs(t, err, lost)
	require.ErrorIs(t, w.Close(), lost)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzReader: however the bytes come and are read, the parts are the same.
func FuzzReader(f *testing.F) {
	f.Add([]byte("--b\r\nA: b\r\n\r\none\r\n--b\r\n\r\n\r\n--b--\r\n"), "b")
	f.Add([]byte("\r\n--b \r\n\r\n\r\n--bb\r\n--b-\r\n--b\r\r\n--b--x"), "b")
	f.Add([]byte("--b\n x\n\n\r\n--b"), "b ")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		lim := Limits{Header: 500, Preamble: 500, Epilogue: 500}
		want, wantErr := readAll(bytes.NewReader(body), boundary, lim, ways["small"])
		for arrival, r := range arrivals {
			for way, read := range ways {
				parts, err := readAll(r(bytes.NewReader(body)), boundary, lim, read)
				require.Equal(t, want, parts, "%s, %s", arrival, way)
				require.Equal(t, wantErr, err, "%s, %s", arrival, way)
			}
		}
	})
}

// BenchmarkReader reads parts of half a megabyte that hold as many CRs as random bytes have.
func BenchmarkReader(b *testing.B) {
	content := make([]byte, 512<<10)
	source := rand.NewChaCha8([32]byte{})
	_, _ = source.Read(content)
	var body bytes.Buffer
	boundary := NewBoundary()
	w := NewWriter(&body, boundary)
	for range 20 {
		_ = w.Begin(Field{"Content-Type", "application/dicom"})
		_, _ = w.Write(content)
	}
	_ = w.Close()
	buf := make([]byte, 1<<20)
	for name, read := range map[string]func(*Part){
		"read": func(p *Part) {
			for {
				if _, err := p.Read(buf); err != nil {
					return
				}
			}
		},
		"written": func(p *Part) { _, _ = p.WriteTo(nowhere{}) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(body.Len()))
			b.ReportAllocs()
			for b.Loop() {
				d, _ := NewReader(bytes.NewReader(body.Bytes()), boundary, Limits{})
				for {
					p, err := d.Next()
					if err != nil {
						require.Equal(b, io.EOF, err)
						break
					}
					read(p)
				}
			}
		})
	}
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
