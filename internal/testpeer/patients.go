// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/adit-go/adit/dicom/dict"
)

// patients are parts of the names, IDs and accession numbers of all patients that the tests make up. Whoever makes up
// another one adds them.
var patients = []string{
	// dicom/phantom
	"PHANTOM-", "Phantom^", "Phantom, ", "Phäntom", "Bêta", "Gen'ei", "幻影", "げんえい", "Фантом", "Φάντασμα", "DEMO-0",
	"Phantöm", "Phantom-", "פנטום", "شبح", "Fantôme", "Widmo", "Huanying",
	// test/faults, test/transfer
	"Fault^", "QUORRA", "Quorra", "Zzyzx", "YORICK", "Yorick", "Xanthippe", "ACCESSION-123",
	"LIAR-", "Liar^", // test/liar
	"Meierschmidt", "Hannelore", "HOSPITAL-4711", "Doe^Jane", "Doe, Jane", "DOE^J", // cli, engine, http
}

// Patient returns the first name, ID or accession number of a patient of the tests that stands in a text; empty if
// there is none.
func Patient(text string) string {
	for _, p := range patients {
		if strings.Contains(text, p) {
			return p
		}
	}
	return ""
}

var (
	// pseudonyms are those that the tests give, and those that ADIT makes.
	pseudonyms = regexp.MustCompile(`(?:^|[^\w.-])(P-\d+|[A-Z0-9]{14})(?:$|[^\w-])`)
	uids       = regexp.MustCompile(`(?:^|[^\w.-])([0-2](?:\.\d+){2,})`)
)

// Linkage returns a pseudonym that stands in a text beside the UID of a study, series or instance; empty if there is
// none. Whoever reads both knows whose the pseudonym is.
func Linkage(text string) string {
	named := false
	for _, m := range uids.FindAllStringSubmatch(text, -1) {
		_, ofStandard := dict.LookupUID(m[1])
		named = named || !ofStandard
	}
	if !named {
		return ""
	}
	for _, m := range pseudonyms.FindAllStringSubmatch(text, -1) {
		if p := m[1]; strings.ContainsAny(p, "-0123456789") && strings.ContainsAny(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
			return p
		}
	}
	return ""
}

// Stands reports whether a word, such as a pseudonym, stands in a text by itself.
func Stands(text, word string) bool {
	return regexp.MustCompile(`(?:^|[^\w.-])` + regexp.QuoteMeta(word) + `(?:$|[^\w-])`).MatchString(text)
}

// NoPatients fails a test if a text that people read beside the data (a log, an error, a metric) holds a name or ID of
// a patient, or a line of it a pseudonym beside a UID.
func NoPatients(t testing.TB, what, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if p := Patient(line); p != "" {
			t.Errorf("%s holds %q of a patient: %s", what, p, line)
		}
		if p := Linkage(line); p != "" {
			t.Errorf("%s tells whose the pseudonym %q is: %s", what, p, line)
		}
	}
}

// WithoutPatients returns a writer that hands on what it is given, and fails the test if a line holds a name or ID of a
// patient.
func WithoutPatients(t testing.TB, what string, w io.Writer) io.Writer {
	return &watched{t: t, what: what, w: w}
}

// Log returns the logger of a test. What is said, of every level, goes to the test's output, and to more if given; a
// line with a name or ID of a patient fails the test. What is logged after the end of the test, as the actors' library
// does, goes nowhere.
func Log(t testing.TB, more ...io.Writer) *slog.Logger {
	out := &watched{t: t, what: "the log", w: io.MultiWriter(append(more, t.Output())...)}
	t.Cleanup(out.end)
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type watched struct {
	t    testing.TB
	what string

	mu   sync.Mutex
	w    io.Writer
	rest []byte // of a line that has not ended
	over bool   // the test has ended
}

// end has nothing written any more.
func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// longestLine is how much of a line is kept until it ends.
const longestLine = 1 << 20

// Write hands on first: the line that is complained of then stands above.
func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return len(p), nil
	}
	w.rest = append(w.rest, p...)
	if end := bytes.LastIndexByte(w.rest, '\n'); end >= 0 || len(w.rest) > longestLine {
		NoPatients(w.t, w.what, string(w.rest))
		w.rest = w.rest[end+1:]
	}
	return w.w.Write(p)
}
