// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/people"
)

func TestSafeName(t *testing.T) {
	for value, want := range map[string]string{
		"":                   "Undefined",
		" ":                  "Undefined~",
		".":                  "Undefined~",
		"..":                 "Undefined~",
		"../../etc/passwd":   ".._.._etc_passwd~",
		`a<b>c:d"e/f\g|h?i*`: "a_b_c_d_e_f_g_h_i_~",
		"tab\tnul\x00":       "tab_nul_~",
		"bad\xffutf8":        "bad_utf8~",
		"trailing. ":         "trailing~",
		"CON":                "_CON~",
		"com1.txt":           "_com1.txt~",
		"CONTRAST":           "CONTRAST",
		"_CON":               "_CON",
		"頭部 CT":              "頭部 CT",
		"Mu\u0308ller":       "Müller~", // composed, as some file systems do
		"Müller":             "Müller",
		"left\u202eright":    "left_right~",
		"A_B~1f2e3d4c":       "A_B~1f2e3d4c~",
	} {
		name := safeName(value)
		if !strings.HasSuffix(want, "~") {
			require.Equal(t, want, name, "%q", value)
			continue
		}
		require.Regexp(t, "^"+regexp.QuoteMeta(want)+"[0-9a-f]{8}$", name, "%q", value)
	}
	long := strings.Repeat("ä", 200)
	a, b := safeName(long+"1"), safeName(long+"2")
	require.LessOrEqual(t, len(a), maxName)
	require.NotEqual(t, a, b, "what is cut off still tells names apart")
	require.True(t, utf8.ValidString(a))
	require.NotEqual(t, strings.ToUpper(patientFolder("abc", true)), strings.ToUpper(patientFolder("ABC", true)))
	require.NotEqual(t, strings.ToUpper(patientFolder("UNDEFINED", true)), strings.ToUpper(patientFolder("", true)))
	require.Equal(t, "abc", patientFolder("abc", false))
}

// TestSafeNamesApart: no two values have one name, of all that is made of a few awkward letters.
func TestSafeNamesApart(t *testing.T) {
	values := []string{""}
	for range 4 {
		for _, v := range slices.Clone(values) {
			for _, letter := range []string{"A", "/", ":", "_", " ", ".", "\u0308", "\xff"} {
				values = append(values, v+letter)
			}
		}
		slices.Sort(values)
		values = slices.Compact(values)
	}
	names := map[string]string{}
	for _, v := range values {
		name := safeName(v)
		require.NotContains(t, names, name, "of %q", v)
		require.Equal(t, name, norm.NFC.String(name))
		names[name] = v
	}
	require.Len(t, names, 4681)
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", "..", "a/b", "CON.txt", strings.Repeat("x", 300), "\x00", " . "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := safeName(s)
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") || len(name) > maxName || !utf8.ValidString(name) {
			t.Fatalf("%q became %q", s, name)
		}
	})
}

// TestBuffer: what goes in comes out, whatever the size of the reads, and what is larger than the limit is begun only.
func TestBuffer(t *testing.T) {
	first := chunkSizes[0]
	for _, size := range []int{0, 1, first - 1, first, first + 1, 3*first + 7, first + chunkSizes[1], 3 << 20, maxBuffer - 1, maxBuffer, maxBuffer + 1} {
		data := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		b := &buffer{}
		r := io.Reader(bytes.NewReader(data))
		if size < 4*first {
			r = iotest.HalfReader(r)
		}
		whole, err := b.fill(r)
		require.NoError(t, err)
		require.Equal(t, size < maxBuffer, whole, size)
		require.Equal(t, min(size, maxBuffer), b.size)
		require.GreaterOrEqual(t, b.held(), int64(b.size))
		require.LessOrEqual(t, b.held(), int64(creditUnit))
		for range 2 { // it can be read again from the beginning
			got, err := io.ReadAll(io.MultiReader(struct{ io.Reader }{b.reader()}, r))
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[:len(got)], got))
			var out bytes.Buffer
			n, err := b.reader().WriteTo(&out)
			require.NoError(t, err)
			require.EqualValues(t, b.size, n)
			require.True(t, bytes.Equal(data[:b.size], out.Bytes()))
		}
		b.free()
	}
	broken := errors.New("broken")
	b := &buffer{}
	_, err := b.fill(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	b.free()
}

func TestCredit(t *testing.T) {
	c := newCredit(10)
	require.True(t, c.take(6))
	require.False(t, c.take(6))
	require.True(t, c.take(4))
	c.give(10)
	require.True(t, c.take(10))
}

// TestPolicies: what follows from an error.
func TestPolicies(t *testing.T) {
	transient := &ul.RejectedError{AssociateRJ: ul.AssociateRJ{Result: ul.RejectedTransient, Source: ul.RejectedByPresentation, Reason: ul.ReasonLocalLimit}}
	unknown := &ul.RejectedError{AssociateRJ: ul.AssociateRJ{Result: ul.RejectedPermanent, Source: ul.RejectedByUser, Reason: ul.ReasonCalledAE}}
	tests := []struct {
		name string
		err  error
		want policy
	}{
		{"nothing listens", &ul.ConnectError{}, policyWait},
		{"local limit exceeded", transient, policyWait},
		{"out of resources", &dimse.StatusError{Status: dimse.OutOfResources}, policyWait},
		{"database away", &pgconn.ConnectError{}, policyWait},
		{"unknown AE title", unknown, policyPermanent},
		{"speaks HTTP", &ul.NotDICOMError{Got: "HTTP"}, policyPermanent},
		{"no contexts", &dimse.NoContextsError{}, policyPermanent},
		{"query refused", &dimse.StatusError{Service: dimse.CFind, Status: dimse.DataSetMismatch}, policyPermanent},
		{"query failed", &dimse.StatusError{Service: dimse.CFind, Status: dimse.CannotUnderstand}, policyAgain},
		{"right lost", &people.Denied{}, policyPermanent},
		{"disk full", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, policyPermanent},
		{"association aborted", &ul.AbortedError{}, policyAgain},
		{"connection lost", &ul.LostError{Err: io.EOF}, policyAgain},
		{"timeout", &ul.TimeoutError{}, policyAgain},
		{"anything else", errors.New("?"), policyAgain},
		{"its own policy", permanent("%w", &ul.ConnectError{}), policyPermanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, policyOf(tt.err))
			require.Equal(t, tt.want, policyOf(fmt.Errorf("while trying: %w", tt.err)))
		})
	}
}

// TestProposals: held and uncompressed transfer syntaxes come first, nothing compressed for what has no pixels. What is proposed at first
// fits into one association, and leaves no room unused; what doesn't fit comes with a greater breadth.
func TestProposals(t *testing.T) {
	held := map[string][]string{dict.CTImageStorage: {dict.JPEGXL}}
	one := proposals([]string{dict.CTImageStorage, dict.BasicTextSRStorage}, held, nil)
	require.Equal(t, []string{dict.JPEGXL, dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}, one[dict.CTImageStorage][:3])
	require.Contains(t, one[dict.CTImageStorage], dict.JPEGBaseline8Bit)
	require.ElementsMatch(t, dataSyntaxes, one[dict.BasicTextSRStorage])

	all := dict.StorageClasses(true)
	for n := 1; n <= len(all); n++ {
		breadths := map[string]breadth{}
		for _, class := range all[:n] {
			breadths[class] = usual
		}
		first, everything := proposals(all[:n], nil, nil), countOf(proposals(all[:n], nil, breadths))
		require.Equal(t, max(2*n, min(maxStorage, everything)), countOf(first), "%d classes", n)
		for _, list := range first {
			require.Equal(t, []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}, list[:2])
		}
	}
	require.Empty(t, proposals(nil, nil, nil))

	rare := map[string]breadth{dict.CTImageStorage: registered, dict.BasicTextSRStorage: registered}
	one = proposals([]string{dict.CTImageStorage, dict.BasicTextSRStorage}, held, rare)
	require.Subset(t, one[dict.CTImageStorage], dict.TransferSyntaxes())
	require.LessOrEqual(t, len(one[dict.CTImageStorage]), maxStorage, "all of one class fit into one association")
	require.ElementsMatch(t, dataSyntaxes, one[dict.BasicTextSRStorage])
}

// fits judges an answer whose character set is beyond doubt.
func fits(s Search, f FoundStudy) bool {
	_, against := s.compare(f, f.PatientID)
	return against == 0
}

func TestSearchMatches(t *testing.T) {
	f := FoundStudy{StudyInstanceUID: "1.2", PatientID: "P", AccessionNumber: "A", ModalitiesInStudy: []string{"CT", "SR"}, StudyDate: "20240105"}
	for _, s := range []Search{
		{PatientID: "P"}, {AccessionNumber: "A"}, {Modality: "SR"}, {StudyDateFrom: "20240105", StudyDateTo: "20240105"}, {StudyDateTo: "20250101"},
	} {
		require.True(t, fits(s, f), "%+v", s)
	}
	for _, s := range []Search{
		{PatientID: "Q"}, {AccessionNumber: "B"}, {Modality: "MR"}, {StudyDateFrom: "20240106"}, {StudyDateTo: "20240104"},
	} {
		require.False(t, fits(s, f), "%+v", s)
	}
	require.False(t, fits(Search{}, FoundStudy{}), "without a UID it is nothing")
	long := "ACC-0123456789-0123"
	for _, tt := range []struct {
		s    Search
		f    FoundStudy
		want bool
	}{
		{Search{Modality: "ct"}, FoundStudy{ModalitiesInStudy: []string{"CT"}}, true},
		{Search{Modality: "CT"}, FoundStudy{}, true}, // not said
		{Search{AccessionNumber: long}, FoundStudy{AccessionNumber: long}, true},
		{Search{AccessionNumber: long}, FoundStudy{AccessionNumber: long[:16]}, true}, // cut by the server
		{Search{AccessionNumber: long}, FoundStudy{AccessionNumber: long[:15]}, false},
		{Search{AccessionNumber: long[:16]}, FoundStudy{AccessionNumber: long}, false}, // another's
		{Search{AccessionNumber: "A"}, FoundStudy{}, false},
		{Search{AccessionNumber: "acc-1"}, FoundStudy{AccessionNumber: "ACC-1"}, true},
		{Search{Modality: "MR"}, FoundStudy{ModalitiesInStudy: []string{"CT/MR"}}, true},
		{Search{Modality: "R"}, FoundStudy{ModalitiesInStudy: []string{"CT/MR"}}, false},
		{Search{StudyDateFrom: "20240105"}, FoundStudy{StudyDate: "unknown"}, true}, // can't be compared
		{Search{StudyDateFrom: "20240105"}, FoundStudy{StudyDate: "2024"}, true},
		{Search{StudyDateTo: "20240105"}, FoundStudy{StudyDate: "2024-01-06"}, false},
		{Search{AccessionNumber: "A", PatientID: "P"}, FoundStudy{PatientID: "P"}, true},
		{Search{StudyDateFrom: "20240105", StudyDateTo: "20240105"}, FoundStudy{StudyDate: "2024.01.05"}, true},
		{Search{StudyDateFrom: "20240106"}, FoundStudy{StudyDate: "2024.01.05"}, false},
		{Search{PatientName: "Doe, Jane"}, FoundStudy{PatientName: "DOE^JANE^M"}, true},
		{Search{PatientName: "Doe, Jane"}, FoundStudy{PatientName: "DOE^JOHN"}, false},
		{Search{PatientName: "Doe, Jane"}, FoundStudy{}, false}, // nobody knows whose
		{Search{PatientName: "Doe, Jane", PatientID: "P"}, FoundStudy{PatientID: "P"}, true},
		{Search{PatientName: "Doe, Jane", PatientID: "P"}, FoundStudy{PatientID: "Q"}, false},
	} {
		tt.f.StudyInstanceUID = "1.2"
		require.Equal(t, tt.want, fits(tt.s, tt.f), "%+v", tt)
	}
	require.Equal(t, "Doe^Jane*", dicomName("Doe, Jane"))
	require.Equal(t, "Doe^J*", dicomName("Doe^J*"))
	require.Equal(t, "Doe^Jane, B.Sc.", dicomName("Doe^Jane, B.Sc."))
	require.Equal(t, "*^Jane*", dicomName(", Jane"))
}

func TestMatchesName(t *testing.T) {
	for _, tt := range []struct {
		wanted, value string
		want          bool
	}{
		{"Doe^Jane", "DOE^JANE", true},
		{"Doe^Jane", "Doe^Jane^^^", true},
		{"doe", "Doe^Jane", true},
		{"doe", "Doering^Max", false},
		{"doe*", "Doering^Max", true},
		{"D?e^J*", "Doe^Jane", true},
		{"D?e^J*", "Doe^Max", false},
		{"*^Jane", "Doe^Jane", true},
		{"*Jane", "Doe^Max", false},
		{"Müller^J*", "MULLER^JÜRGEN", true},
		{"Muller", "Müller^Anna", true},
		{"Möller", "Müller^Anna", false},
		{"Doe ^ Jane", "Doe^Jane", true},
		{"Doe^Jane", "Doe^Jan", false},
		{"Doe^Jan", "Doe^Jane", false},
		{"Doe^Jane^M", "Doe^Jane", false},
		{"山田^*", "Yamada^Tarou=山田^太郎=やまだ^たろう", true},
		{"Yamada", "Yamada^Tarou=山田^太郎=やまだ^たろう", true},
		{"Yamada=山田", "Yamada^Tarou=山田^太郎", true},
		{"Yamada=田中", "Yamada^Tarou=山田^太郎", false},
		{"=山田^太郎", "Yamada^Tarou=山田^太郎", true},
		{"Yamada=山田", "Yamada^Tarou", true}, // a group that isn't there can't be compared
		{"Yamada=山田", "Yamada^Tarou==やまだ^たろう", true},
		{"Yamada=山田", "山田^太郎", false},
		{"Yamada=山田", "", false},
		{"=山田", "Yamada^Tarou", false}, // nothing of it is there
		{"Strauß*", "STRAUSS^JOHANN", true},
		{"ΠΑΠΑΣ", "Παπάς^Άννα", true},
		{"IŞIK*", "ışık^ayşe", true},
		{"Doe^Jane Mary", "DOE^JANE  MARY", true},
		{"Müller*", "M?ller^Anna", true}, // what the server could not write
		{"Müller*", "M\uFFFD\uFFFDller^Anna", true},
		{"Müller*", "M?ier^Anna", false},
		{"Müller^A*", "M?^Berta", false},
		{"金^*", "Hong^Gildong=洪^吉洞=홍^길동", false},
		{"*", "Doe^Jane", true},
		{"Doe", "", false},
		{"a*a*a*a*a*a*a*b", strings.Repeat("a", 320), false},
	} {
		require.Equal(t, tt.want, matchesName(tt.wanted, tt.value), "%q %q", tt.wanted, tt.value)
	}
}

func TestJobMessage(t *testing.T) {
	for _, tt := range []struct {
		success, warning, failure, canceled int32
		status, want                        string
	}{
		{2, 0, 0, 0, Success, "All tasks succeeded."},
		{1, 0, 0, 1, Success, "Some tasks were canceled."},
		{1, 1, 0, 0, Warning, "Some tasks have warnings."},
		{0, 1, 0, 0, Warning, "All tasks have warnings."},
		{1, 0, 1, 0, Failure, "Some tasks failed."},
		{0, 0, 1, 0, Failure, "All tasks failed."},
		{1, 0, 0, 1, Canceled, "Some tasks were canceled."},
		{0, 0, 0, 1, Canceled, "All tasks were canceled."},
		{0, 0, 0, 0, Pending, ""},
	} {
		j := Job{}
		j.Status, j.NSuccess, j.NWarning, j.NFailure, j.NCanceled = tt.status, tt.success, tt.warning, tt.failure, tt.canceled
		require.Equal(t, tt.want, j.Message(), "%+v", tt)
	}
}
