// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// corpusFile is a line of testdata/pydicom.txt: outcome, transfer syntax ("meta" if the file names it), path, and the
// words that must be in the reason of a refusal.
type corpusFile struct {
	pass           bool
	syntax         string
	path           string
	reason         string
	bytes, dataSet []byte // the file, and what of it follows file meta
}

// corpus reads the list and the files, which Debian's python3-pydicom ships.
func corpus(t testing.TB) []corpusFile {
	t.Helper()
	list, err := os.ReadFile("testdata/pydicom.txt")
	require.NoError(t, err)
	root := corpusRoot(t)
	var files []corpusFile
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, " | ", 4)
		require.GreaterOrEqual(t, len(fields), 3, line)
		f := corpusFile{pass: fields[0] == "pass", syntax: fields[1], path: fields[2]}
		if !f.pass {
			require.Len(t, fields, 4, "a refusal has a reason: %s", line)
			f.reason = fields[3]
		}
		f.bytes, err = os.ReadFile(filepath.Join(root, f.path))
		require.NoError(t, err)
		f.dataSet = f.bytes
		if f.syntax == "meta" {
			f.dataSet, f.syntax = splitMeta(f.bytes)
		}
		files = append(files, f)
	}
	return files
}

// corpusRoot is found where dpkg says, or where ADIT_PYDICOM_DATA points to.
func corpusRoot(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("ADIT_PYDICOM_DATA"); dir != "" {
		return dir
	}
	out, err := exec.Command("dpkg", "-L", "python3-pydicom").Output()
	require.NoError(
		t, err,
		"the corpus test needs Debian's test files: apt-get install python3-pydicom, or name the folder in ADIT_PYDICOM_DATA",
	)
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, "/pydicom/data") {
			return line
		}
	}
	t.Fatal("python3-pydicom has no data folder: apt-get install python3-pydicom")
	return ""
}

// splitMeta cuts file meta information off by hand, not with the code under test.
func splitMeta(b []byte) (dataSet []byte, syntax string) {
	pos := 132
	for pos+8 <= len(b) && b[pos] == 2 && b[pos+1] == 0 {
		size, length := 8, int(b[pos+6])|int(b[pos+7])<<8
		if vr := string(b[pos+4 : pos+6]); vr == "OB" || vr == "UN" {
			size, length = 12, int(b[pos+8])|int(b[pos+9])<<8
		}
		if b[pos+2] == 0x10 && b[pos+3] == 0 {
			syntax = strings.TrimRight(string(b[pos+size:pos+size+length]), "\x00 ")
		}
		pos += size + length
	}
	return b[min(pos, len(b)):], syntax
}

// through passes a data set as the transfer pipeline does.
func through(b []byte, syntax string) ([]byte, error) {
	o, err := Open(bytes.NewReader(b), syntax, Limits{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

func TestCorpus(t *testing.T) {
	passed := 0
	for _, f := range corpus(t) {
		t.Run(f.path, func(t *testing.T) {
			var out []byte
			var err error
			if meta, o, openErr := OpenFile(bytes.NewReader(f.bytes), Limits{}); openErr == nil {
				require.Equal(t, f.syntax, meta.TransferSyntaxUID)
				defer o.Close()
				out, err = io.ReadAll(o)
			} else if dict.TransferSyntaxOf(f.syntax).Known {
				out, err = through(f.dataSet, f.syntax)
			} else {
				err = openErr
			}
			if !f.pass {
				require.ErrorContains(t, err, f.reason)
				return
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(f.dataSet, out), "the data set was changed on its way")
			_, err = ParseDataSet(f.dataSet, f.syntax, Limits{})
			require.NoError(t, err)
			passed++
		})
	}
	require.GreaterOrEqual(t, passed, 170)
}

// TestCorpusIsListed holds the list against the folder: no file is left out.
func TestCorpusIsListed(t *testing.T) {
	var listed []string
	for _, f := range corpus(t) {
		listed = append(listed, f.path)
	}
	root := corpusRoot(t)
	var found []string
	require.NoError(t, filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if err == nil && d.Name() == "__pycache__" {
				return filepath.SkipDir
			}
			return err
		}
		rel, err := filepath.Rel(root, p)
		switch filepath.Ext(p) {
		case ".py", ".json", ".txt", ".md":
			return err
		}
		if filepath.Base(p) != "README" {
			found = append(found, rel)
		}
		return err
	}))
	slices.Sort(listed)
	slices.Sort(found)
	require.Equal(t, found, listed)
}

// TestPiecewise passes the corpus byte by byte: pieces may be cut anywhere.
func TestPiecewise(t *testing.T) {
	for _, f := range corpus(t) {
		if !f.pass || len(f.dataSet) > 20_000 {
			continue
		}
		o, err := Open(&slowReader{b: f.dataSet}, f.syntax, Limits{})
		require.NoError(t, err, f.path)
		var out bytes.Buffer
		_, err = o.WriteTo(&out)
		require.NoError(t, err, f.path)
		require.True(t, bytes.Equal(f.dataSet, out.Bytes()), f.path)
		require.NoError(t, o.Close())
	}
}

// slowReader gives one byte a time, and its end together with the last.
type slowReader struct{ b []byte }

func (r *slowReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	p[0] = r.b[0]
	r.b = r.b[1:]
	if len(r.b) == 0 {
		return 1, io.EOF
	}
	return 1, nil
}

// TestTruncated cuts every file that passes. A cut between two top-level elements can't be seen by anyone; every
// other one must be an error.
func TestTruncated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, f := range corpus(t) {
		if !f.pass {
			continue
		}
		ts := dict.TransferSyntaxOf(f.syntax)
		whole := boundaries(f.dataSet, ts)
		for _, cut := range cuts(rnd, len(f.dataSet), whole) {
			_, err := through(f.dataSet[:cut], f.syntax)
			if slices.Contains(whole, cut) {
				require.NoError(t, err, "%s cut at byte %d, between elements", f.path, cut)
				continue
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s cut at byte %d", f.path, cut)
			_, err = ParseDataSet(f.dataSet[:cut], f.syntax, Limits{})
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s cut at byte %d", f.path, cut)
		}
	}
}

// cuts returns every place in small files; in others those near boundaries and a sample.
func cuts(rnd *rand.Rand, n int, whole []int) []int {
	if n <= 1000 {
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		return list
	}
	list := []int{1, 7, n - 1, n - 7, n - 9}
	for range 100 {
		list = append(list, rnd.IntN(n))
	}
	for _, at := range whole[:min(len(whole), 40)] {
		list = append(list, at, min(at+1, n-1), min(at+8, n-1), max(at-1, 0))
	}
	return slices.DeleteFunc(list, func(at int) bool { return at >= n || at < 0 })
}

// boundaries finds the places between top-level elements by plain recursive descent, apart from the code under test.
func boundaries(b []byte, ts dict.TransferSyntax) []int {
	if ts.Deflated {
		// Nothing but the trailer can be missed: here a gzip one, of eight bytes.
		var list []int
		for i := range 8 {
			list = append(list, len(b)-8+i)
		}
		return list
	}
	var list []int
	for pos := 0; pos < len(b); pos = skipElement(b, pos, ts.Implicit, ts.BigEndian) {
		list = append(list, pos)
	}
	return list
}

func skipElement(b []byte, pos int, implicit, big bool) int {
	u16 := func(at int) int {
		if big {
			return int(b[at])<<8 | int(b[at+1])
		}
		return int(b[at+1])<<8 | int(b[at])
	}
	u32 := func(at int) int {
		if big {
			return u16(at)<<16 | u16(at+2)
		}
		return u16(at+2)<<16 | u16(at)
	}
	length, vr := u32(pos+4), ""
	value := pos + 8
	if !implicit && u16(pos) != 0xFFFE {
		vr = string(b[pos+4 : pos+6])
		length = u16(pos + 6)
		if slices.Contains(strings.Fields("OB OD OF OL OV OW SQ SV UC UN UR UT UV"), vr) {
			length, value = u32(pos+8), pos+12
		}
	}
	if length != 0xFFFFFFFF {
		return value + length
	}
	fragments := u16(pos) == 0x7FE0
	if vr == "UN" {
		implicit, big = true, false
	}
	for {
		item, n := u16(value+2), u32(value+4)
		value += 8
		switch {
		case item == 0xE0DD:
			return value
		case fragments || n != 0xFFFFFFFF:
			value += n
		default:
			for u16(value) != 0xFFFE {
				value = skipElement(b, value, implicit, big)
			}
			value += 8
		}
	}
}

// TestMutated damages the corpus. Whatever comes of it, it comes soon, without panic, in bounded memory, and what is
// accepted goes out as it came in.
func TestMutated(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var before, after runtime.MemStats
	for _, f := range corpus(t) {
		if len(f.dataSet) > 50_000 {
			continue
		}
		ts := dict.TransferSyntaxOf(f.syntax)
		for range 12 {
			damaged := mutate(rnd, f.dataSet)
			runtime.ReadMemStats(&before)
			out, err := through(damaged, f.syntax)
			_, parseErr := ParseDataSet(damaged, f.syntax, Limits{})
			runtime.ReadMemStats(&after)
			if !ts.Deflated {
				require.LessOrEqual(t, after.TotalAlloc-before.TotalAlloc, uint64(40*len(damaged)+1<<20), f.path)
			}
			if err == nil {
				require.True(t, bytes.Equal(damaged, out), f.path)
				require.NoError(t, parseErr, f.path)
			}
		}
	}
}

// mutate changes a few bytes, preferring values that lengths go wrong with, and sometimes cuts, repeats or drops a
// piece.
func mutate(rnd *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) == 0 {
		return b
	}
	for range 1 + rnd.IntN(4) {
		at := rnd.IntN(len(b))
		switch rnd.IntN(6) {
		case 0:
			b[at] = 0xFF
		case 1:
			b[at] ^= 1 << rnd.IntN(8)
		case 2:
			copy(b[at:], []byte{0xFF, 0xFF, 0xFF, 0xFF})
		case 3:
			copy(b[at:], []byte{0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0})
		case 4:
			end := min(len(b), at+rnd.IntN(64))
			b = append(b[:end:end], b[at:]...)
		default:
			end := min(len(b), at+rnd.IntN(16))
			if end-at < len(b) {
				b = append(b[:at:at], b[end:]...)
			}
		}
	}
	return b
}
