// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// highest returns how many bytes the heap had at the most while something ran, beyond what it had before.
func highest(run func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapAlloc
	most, stop, stopped := before, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	run()
	close(stop)
	<-stopped
	return most - before
}

// written makes a zip archive whose parts may be large; each writes itself.
func written(t testing.TB, parts map[string]func(w io.Writer)) []byte {
	t.Helper()
	small := book{rows: line(1, "PatientID"), strings: []string{}}.bytes(t)
	in, err := zip.NewReader(bytes.NewReader(small), int64(len(small)))
	require.NoError(t, err)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range in.File {
		if parts[f.Name] == nil {
			require.NoError(t, z.Copy(f))
		}
	}
	for name, write := range parts {
		w, err := z.Create(name)
		require.NoError(t, err)
		write(w)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// manyRows is a file of n rows of a transfer, as a spreadsheet program writes it.
func manyRows(t testing.TB, n int) []byte {
	t.Helper()
	return written(t, map[string]func(io.Writer){
		"xl/sharedStrings.xml": func(w io.Writer) {
			fmt.Fprint(w, `<sst><si><t>PatientID</t></si><si><t>StudyInstanceUID</t></si><si><t>SeriesInstanceUID</t></si>`+
				`<si><t>Pseudonym</t></si><si><t>Site</t></si><si><t>north</t></si>`)
			for i := range n {
				fmt.Fprintf(w, `<si><t>%010d</t></si><si><t>1.2.840.113845.11.1000000001951524609.20200705182951.%d</t></si>`+
					`<si><t>1.2.840.113845.11.1000000001951524609.20200705182951.%d.1</t></si><si><t>SUBJ-%d</t></si>`, i, i, i, n+i)
			}
			fmt.Fprint(w, `</sst>`)
		},
		"xl/worksheets/sheet1.xml": func(w io.Writer) {
			fmt.Fprint(w, `<worksheet><sheetData>`)
			for i := range n + 1 {
				fmt.Fprintf(w, `<row r="%d">`, i+1)
				for col := range 5 {
					text := 6 + 4*(i-1) + col
					if i == 0 {
						text = col
					} else if col == 4 {
						text = 5
					}
					fmt.Fprintf(w, `<c r="%s%d" s="1" t="s"><v>%d</v></c>`, columnLetters(col), i+1, text)
				}
				fmt.Fprint(w, `</row>`)
			}
			fmt.Fprint(w, `</sheetData></worksheet>`)
		},
	})
}

// TestMemory: rows are read in little memory; TestFaultMemory reads as many as a file may be asked to have.
func TestMemory(t *testing.T) { memory(t, 10_000, 60_000_000) }

func memory(t *testing.T, n int, bound uint64) {
	takesTime(t)
	file := manyRows(t, n)
	t.Run("transfer", func(t *testing.T) {
		var tr *Transfers
		most := highest(func() { tr = transfersOf(t, file, true) })
		require.Empty(t, tr.Faults)
		require.Len(t, tr.Tasks, n)
		require.Equal(t, []string{"north"}, tr.Tasks[n-1].Rows[0].Extra)
		t.Logf("%d MB", most/1e6)
		require.Less(t, most, bound)
	})
	var table strings.Builder
	table.WriteString("PatientID;PatientName;PatientBirthDate;Modality;From;StudyDescription;SeriesNumber;Site\n")
	for i := range n {
		fmt.Fprintf(&table, "%010d;Apple, Annie %d;1945-04-27;CT, MR;2019-06-04;*head %d*;4,5;north\n", i, i, i)
	}
	t.Run("query", func(t *testing.T) {
		var q *Queries
		most := highest(func() { q = queriesOf(t, []byte(table.String()), Options{}) })
		require.Len(t, q.Rows, n)
		t.Logf("%d MB", most/1e6)
		require.Less(t, most, bound)
	})
	t.Run("remarks", func(t *testing.T) {
		most := highest(func() {
			require.NoError(t, WriteRemarks(
				t.Context(), io.Discard, bytes.NewReader(file), int64(len(file)), Options{Columns: TransferColumns()},
				[]Fault{{Row: 2, Column: "PatientID", Sentence: "PatientID is wrong."}},
			))
		})
		t.Logf("%d MB", most/1e6)
		require.Less(t, most, bound)
	})
}

// takesTime lets files be read for as long as it takes: the race detector and other programs make it long.
func takesTime(t testing.TB) {
	before := readingTime
	readingTime = time.Hour
	t.Cleanup(func() { readingTime = before })
}

func repeat(n int, s string) func(io.Writer) {
	return func(w io.Writer) {
		block := []byte(strings.Repeat(s, max(1, min(n, 1<<20/len(s)))))
		for left := n * len(s); left > 0; left -= len(block) {
			_, _ = w.Write(block[:min(left, len(block))])
		}
	}
}

func sheetOf(rows func(io.Writer)) func(io.Writer) {
	return func(w io.Writer) {
		fmt.Fprint(w, `<worksheet><sheetData>`+line(1, "PatientID", "Modality"))
		rows(w)
		fmt.Fprint(w, `</sheetData></worksheet>`)
	}
}

// bomb is a small file that unpacks to a lot; want is why it is refused, if it is.
type bomb struct {
	name, part string
	write      func(io.Writer)
	want       string
}

const sheetPart, stringsPart = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"

func explode(t *testing.T, bombs []bomb) {
	takesTime(t)
	for _, c := range bombs {
		t.Run(c.name, func(t *testing.T) {
			file := written(t, map[string]func(io.Writer){c.part: c.write})
			most := highest(func() {
				if c.want == "" {
					require.Empty(t, queriesOf(t, file, Options{}).Rows)
				} else {
					require.Contains(t, refused(t, file, Options{}), c.want)
				}
			})
			t.Logf("%d kB, %d MB", len(file)/1000, most/1e6)
			require.Less(t, most, uint64(100_000_000))
		})
	}
}

// TestBombs: small files that unpack to a lot are refused before they take memory. TestFaultBombs has more of them.
func TestBombs(t *testing.T) {
	explode(t, []bomb{
		{"XFD in 100,000 rows", sheetPart, sheetOf(repeat(100_000, `<row><c r="XFD2"><v>1</v></c></row>`)), "a value in column XFD"},
		{"XFD in 10,000 rows, empty", sheetPart, sheetOf(repeat(10_000, `<row><c r="XFD2" s="1"/></row>`)), ""},
		{"cells without a place", sheetPart, sheetOf(repeat(1, `<row>`+strings.Repeat(`<c><v>1</v></c>`, 20_000)+`</row>`)), "a value in column IW"},
		{"nothing", sheetPart, sheetOf(repeat(4, strings.Repeat(" ", 1<<20))), "more than a spreadsheet allows"},
		{"a comment without an end", sheetPart, sheetOf(repeat(1, "<!--"+strings.Repeat("x", 4<<20))), "more than a spreadsheet allows"},
		{"elements in elements", sheetPart, sheetOf(repeat(100_000, "<a>")), ""},
		{"merged areas", sheetPart, sheetOf(repeat(20_000, `<mergeCell ref="A2:C1048576"/>`)), "more than 10000 merged areas"},
		{"a text", sheetPart, sheetOf(repeat(1, `<row><c t="str"><v>`+strings.Repeat("x", 500_000)+`</v></c></row>`)), "more than 32767 characters"},
		{"a shared string", stringsPart, repeat(3, "<si><t>"+strings.Repeat("x", 1<<20)), "more than"},
		{"sheets", "xl/workbook.xml", repeat(10_000, `<sheet state="hidden" r:id="rId1"/>`), "more than 1000 sheets"},
		{"styles", "xl/styles.xml", repeat(1, "<cellXfs>"+strings.Repeat(`<xf numFmtId="1"/>`, 100_000)+"</cellXfs>"), ""},
	})
	require.Contains(t, refused(t, claimed(t, sheetPart, maxPart+1), Options{}), "unpacks to more than 256 MiB")
	require.Contains(t, refused(t, claimed(t, stringsPart, 4*maxStrings+1), Options{}), "more than 32 MiB of text")
	require.Contains(t, refused(t, claimed(t, sheetPart, 10), Options{}), "the file is damaged", "more than it says")
}

// claimed is a file one of whose parts says that it unpacks to some bytes.
func claimed(t testing.TB, part string, size uint64) []byte {
	t.Helper()
	small := book{rows: line(1, "PatientID"), strings: []string{}}.bytes(t)
	in, err := zip.NewReader(bytes.NewReader(small), int64(len(small)))
	require.NoError(t, err)
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, f := range in.File {
		h := f.FileHeader
		if f.Name == part {
			h.UncompressedSize64 = size
		}
		w, err := z.CreateRaw(&h)
		require.NoError(t, err)
		raw, err := f.OpenRaw()
		require.NoError(t, err)
		_, err = io.Copy(w, raw)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// TestTime: a file that takes too long is left, and so is one whose reader has gone.
func TestTime(t *testing.T) {
	for _, file := range [][]byte{manyRows(t, 1000), []byte("PatientID,StudyInstanceUID\n1,1.2\n")} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := ReadTransfers(ctx, bytes.NewReader(file), int64(len(file)), Options{}, OnlyPseudonyms)
		require.ErrorIs(t, err, context.Canceled)

		table := open(t, file, Options{Columns: TransferColumns()})
		ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		for _, err := range table.Rows(ctx) {
			require.ErrorContains(t, err, "the file takes longer than")
		}
	}
}

// TestBrokenDisk: what the disk says is no fault of the file.
func TestBrokenDisk(t *testing.T) {
	plain := []byte("PatientID,StudyInstanceUID\n" + strings.Repeat("1,1.2\n", 100))
	for _, file := range [][]byte{manyRows(t, 100), plain} {
		for _, good := range []int64{0, 512, int64(len(file) / 2)} {
			disk := brokenDisk{bytes.NewReader(file), good}
			_, err := ReadQueries(t.Context(), disk, int64(len(file)), Options{})
			require.ErrorIs(t, err, errDisk)
		}
	}
}

// brokenDisk reads the first bytes of a file only.
type brokenDisk struct {
	*bytes.Reader

	good int64
}

var errDisk = errors.New("the disk does not answer")

func (d brokenDisk) ReadAt(to []byte, at int64) (int, error) {
	if at+int64(len(to)) > d.good {
		return 0, &fs.PathError{Op: "read", Path: "upload", Err: errDisk}
	}
	return d.Reader.ReadAt(to, at)
}

func BenchmarkRead(b *testing.B) {
	file := manyRows(b, 100_000)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		transfersOf(b, file, true)
	}
}
