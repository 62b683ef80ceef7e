// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// relatives are what the files of one patient say: some tell what others hold.
var relatives = []func(ds *stream.DataSet){
	func(ds *stream.DataSet) { ds.Set(dict.AccessionNumber, "ACC-778812") },
	func(ds *stream.DataSet) { ds.Set(dict.PulseSequenceName, "of ACC-778812") },
	func(ds *stream.DataSet) { ds.Set(dict.OperatorsName, "Wisniewska^Olga") },
	func(ds *stream.DataSet) { ds.Set(dict.PulseSequenceName, "by Wisniewska") },
	func(ds *stream.DataSet) { ds.Set(dict.PatientComments, "MRN 7781345") },
	func(ds *stream.DataSet) { ds.Set(dict.PulseSequenceName, "7781345") },
	func(ds *stream.DataSet) { ds.Set(dict.InstitutionName, "Musterhaus Neudorf") },
	func(ds *stream.DataSet) { ds.Set(dict.PulseSequenceName, "Musterhaus Neudorf") },
	func(ds *stream.DataSet) { ds.Set(dict.PatientBirthDate, "19530817") },
	func(ds *stream.DataSet) { ds.Set(dict.PulseSequenceName, "17. August 1953") },
	func(ds *stream.DataSet) { ds.Set(dict.PulseSequenceName, "SE") },
	func(ds *stream.DataSet) { ds.Set(dict.BurnedInAnnotation, "YES") },
}

// relativesRun is what a run makes of files, apart from their order.
type relativesRun struct {
	code     int
	files    map[string]string
	report   map[string]string // by new SOP Instance UID
	manifest map[string]string // by path: what was done, by which rules
}

// runRelatives de-identifies the relatives in an order.
func runRelatives(t *testing.T, key string, order []int) (r relativesRun) {
	t.Helper()
	in, out, report := t.TempDir(), filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "report.csv")
	for at, i := range order {
		anImage(t, filepath.Join(in, fmt.Sprintf("%02d.dcm", at)), uint64(40+i), "HOSPITAL-4711", relatives[i])
	}
	r.code, _, _ = adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", "--report", report, in, out)
	r.files, r.report, r.manifest = tree(t, out), map[string]string{}, map[string]string{}
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	require.NoError(t, err)
	for _, row := range rows {
		r.report[row[5]] = strings.Join(row[1:], ",")
	}
	lines, err := os.ReadFile(filepath.Join(out, manifest.Name))
	require.NoError(t, err)
	rules := map[int]string{}
	for line := range strings.Lines(string(lines)) {
		var l struct {
			Actions struct {
				Number int             `json:"rules"`
				Done   json.RawMessage `json:"done"`
			} `json:"actions"`
			Object struct {
				File    string `json:"file"`
				SHA256  string `json:"sha256"`
				Actions int    `json:"rules"`
			} `json:"object"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &l))
		rules[l.Actions.Number] = string(l.Actions.Done)
		if l.Object.File != "" {
			r.manifest[l.Object.File] = l.Object.SHA256 + rules[l.Object.Actions]
		}
	}
	return r
}

// TestDeidHeedsNoOrder: what becomes of each file of a patient doesn't depend on the order in which they are read, nor
// on how many go at once.
func TestDeidHeedsNoOrder(t *testing.T) {
	key := keyFile(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	all := make([]int, len(relatives))
	for i := range all {
		all[i] = i
	}
	want := runRelatives(t, key, all)
	require.Equal(t, command.ExitWarning, want.code)
	require.Len(t, want.files, 6, "five hold what others tell, and one has text burned in")
	require.Len(t, want.manifest, 6)
	require.Len(t, want.report, 1+len(relatives))
	for seed := range uint64(6) {
		runtime.GOMAXPROCS(1 + int(seed)%3*2)
		require.Equal(t, want, runRelatives(t, key, rand.New(rand.NewPCG(seed, 5)).Perm(len(all))), "order %d", seed)
	}
}
