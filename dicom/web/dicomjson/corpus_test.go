// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomjson_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

// corpus returns the whole and sound DICOM files that Debian's python3-pydicom ships, as the list of package stream has
// them, and one phantom of each kind.
func corpus(t testing.TB) []string {
	root := os.Getenv("ADIT_PYDICOM_DATA")
	if root == "" {
		out, err := exec.Command("dpkg", "-L", "python3-pydicom").Output()
		require.NoError(
			t, err,
			"this test needs Debian's test files: apt-get install python3-pydicom, or name the folder in ADIT_PYDICOM_DATA",
		)
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); strings.HasSuffix(line, "/pydicom/data") {
				root = line
			}
		}
	}
	list, err := os.ReadFile("../../stream/testdata/pydicom.txt")
	require.NoError(t, err)
	var paths []string
	for line := range strings.Lines(string(list)) {
		if f := strings.Split(strings.TrimSpace(line), " | "); f[0] == "pass" && f[1] == "meta" {
			paths = append(paths, filepath.Join(root, f[2]))
		}
	}
	require.Greater(t, len(paths), 100)
	for _, st := range phantom.DemoStudies() {
		for _, se := range st.Series {
			path := filepath.Join(t.TempDir(), se.SeriesInstanceUID+".dcm")
			require.NoError(t, se.Instances[0].WriteFile(path))
			paths = append(paths, path)
		}
	}
	return paths
}

// inMemory reads a file as a data set, with its pixel data; ok is false if it has more than one may have in memory.
func inMemory(t testing.TB, path string) (ds *stream.DataSet, ok bool) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	meta, o, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	b, err := io.ReadAll(o)
	require.NoError(t, err)
	ds, err = stream.ParseDataSet(b, meta.TransferSyntaxUID, stream.Limits{Header: 64 << 20})
	require.NoError(t, err)
	return ds, len(b) < 1<<20
}

// TestCorpusComesBack: what is written is read as the same, but for bulk data and padding.
func TestCorpusComesBack(t *testing.T) {
	for _, path := range corpus(t) {
		ds, ok := inMemory(t, path)
		if !ok {
			continue
		}
		o := dicomjson.Options{InlineBinary: 1 << 20}
		once := write(t, ds, o)
		list, err := read(once, dicomjson.Limits{DataSet: 64 << 20})
		require.NoError(t, err, path)
		require.Len(t, list, 1)
		again := write(t, list[0], o) // a few values were of odd length
		list, err = read(again, dicomjson.Limits{DataSet: 64 << 20})
		require.NoError(t, err, path)
		require.Equal(t, again, write(t, list[0], o), path)
		for e := range ds.All() {
			if e.VR.Text() && e.VR != dict.IS && e.VR != dict.DS && e.VR != dict.PN && e.Tag != dict.SpecificCharacterSet {
				require.Equal(t, ds.Strings(e.Tag), list[0].Strings(e.Tag), "%s %s", path, e.Tag)
			}
		}
	}
}

// TestAsDCMTK holds our JSON against that of dcm2json.
func TestAsDCMTK(t *testing.T) {
	tool, err := exec.LookPath("dcm2json")
	require.NoError(t, err, "dcm2json is missing: apt-get install dcmtk")
	compared := 0
	for i, path := range corpus(t) {
		if i%2 == 1 { // each takes it 50 ms, and pydicom takes all
			continue
		}
		ds, ok := inMemory(t, path)
		if !ok || strings.HasPrefix(filepath.Base(path), "chrSQEncoding") { // dcm2json passes over the character set of items
			continue
		}
		out, err := exec.Command(tool, "-q", path).Output()
		if err != nil { // it finds fault with the file
			continue
		}
		theirs, err := unify(out)
		if err != nil { // NaN, which isn't JSON
			continue
		}
		ours, err := unify([]byte(write(t, ds, dicomjson.Options{InlineBinary: 1 << 20})))
		require.NoError(t, err)
		differ(t, filepath.Base(path), "", theirs, ours)
		compared++
	}
	require.Greater(t, compared, 40)
}

// pydicom prints each file as JSON, one line each; an empty line for what it can't.
const pydicom = `
import sys, pydicom, json, warnings
warnings.simplefilter("ignore")
for path in sys.stdin.read().splitlines():
    try:
        ds = pydicom.dcmread(path)
        if ds.file_meta.TransferSyntaxUID.is_encapsulated or ds.file_meta.TransferSyntaxUID.is_deflated: ds.pop("PixelData", None)
        ds.remove_private_tags()
        text = ds.to_json(bulk_data_threshold=1 << 30, suppress_invalid_tags=False)
        json.loads(text, parse_constant=lambda x: 1/0)
    except Exception:
        text = ""
    print(text)
`

// TestAsPydicom holds our JSON against that of pydicom.
func TestAsPydicom(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's, which has Debian's packages
	paths := corpus(t)
	cmd := exec.Command(python, "-c", pydicom)
	cmd.Stdin = strings.NewReader(strings.Join(paths, "\n"))
	out, err := cmd.Output()
	if os.Getenv("ADIT_PYDICOM_DATA") != "" && err != nil {
		t.Skip("there are pydicom's files, and no pydicom")
	}
	require.NoError(t, err, "pydicom is missing: apt-get install python3-pydicom")
	compared := 0
	for i, line := range bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n")) {
		ds, ok := inMemory(t, paths[i])
		if len(line) == 0 || !ok {
			continue
		}
		theirs, err := unify(line)
		require.NoError(t, err)
		ours, err := unify([]byte(write(t, ds, dicomjson.Options{InlineBinary: 1 << 20})))
		require.NoError(t, err)
		differ(t, filepath.Base(paths[i]), "", theirs, ours)
		compared++
	}
	require.Greater(t, compared, 60)
}

// unify brings JSON to one form: numbers and numbers as text, empty values, padding, names, and elements about which
// programs differ with reason.
func unify(b []byte) (map[string]any, error) {
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	return unified(m).(map[string]any), nil
}

// anything is what is not compared: a value without a VR.
const anything = "anything"

func unified(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, inner := range v {
			element, ok := inner.(map[string]any)
			if ok && isTag(k) && !compared(k) {
				continue
			}
			if ok && isTag(k) && element["vr"] == "UN" {
				out[k] = anything
				continue
			}
			switch u := unified(inner).(type) {
			case nil:
			case map[string]any:
				if len(u) > 0 || isTag(k) {
					out[k] = u
				}
			default:
				out[k] = u
			}
		}
		if vr, _ := out["vr"].(string); vr == "PN" || vr == "UN" || vr == "SS" || vr == "US" || strings.HasPrefix(vr, "O") {
			delete(out, "vr")
		}
		return out
	case []any:
		out := []any{}
		for _, inner := range v {
			out = append(out, unified(inner))
		}
		for len(out) > 0 && (out[len(out)-1] == nil || reflect.DeepEqual(out[len(out)-1], map[string]any{})) {
			out = out[:len(out)-1]
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case json.Number:
		return number(string(v))
	case string:
		if v = strings.TrimRight(strings.Trim(v, " \x00"), "^"); v == "" {
			return nil
		}
		return number(v)
	}
	return v
}

// number writes numbers alike, as text or not.
func number(s string) any {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Sprintf("%.6g", f)
	}
	return s
}

func isTag(s string) bool {
	_, err := strconv.ParseUint(s, 16, 32)
	return err == nil && len(s) == 8
}

// compared reports whether programs agree about an element at all: not about private ones, group lengths, the
// character set, and pixel data.
func compared(key string) bool {
	n, _ := strconv.ParseUint(key, 16, 32)
	tag := dict.Tag(n)
	return !tag.IsPrivate() && !tag.IsGroupLength() && tag.Group() != 2 && tag != dict.SpecificCharacterSet &&
		tag != dict.PixelData && tag.Group() != 0xFFFC
}

// differ says where two trees differ, without values.
func differ(t *testing.T, name, path string, theirs, ours any) {
	t.Helper()
	if theirs == anything || ours == anything {
		return
	}
	a, isMap := theirs.(map[string]any)
	b, _ := ours.(map[string]any)
	if isMap && b != nil {
		keys := map[string]bool{}
		for k := range a {
			keys[k] = true
		}
		for k := range b {
			keys[k] = true
		}
		var sorted []string
		for k := range keys {
			sorted = append(sorted, k)
		}
		sort.Strings(sorted)
		for _, k := range sorted {
			differ(t, name, path+"/"+k, a[k], b[k])
		}
		return
	}
	la, isList := theirs.([]any)
	lb, _ := ours.([]any)
	if isList && len(la) == len(lb) {
		for i := range la {
			differ(t, name, fmt.Sprintf("%s/%d", path, i), la[i], lb[i])
		}
		return
	}
	if !reflect.DeepEqual(theirs, ours) {
		t.Errorf("%s%s: theirs %.80q, ours %.80q", name, path, fmt.Sprint(theirs), fmt.Sprint(ours))
	}
}
