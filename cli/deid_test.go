// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/deidentify"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

const deidKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// adit runs a command in this process.
func adit(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"adit"}, args...), command.Streams{Out: &out, Err: &errs})
	return code, out.String(), errs.String()
}

func keyFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(deidKey+"\n"), 0o600))
	return path
}

// aStudy writes a study whose files are named and dated after the patient.
func aStudy(t *testing.T, dir, patient string, seed uint64) {
	t.Helper()
	files, err := phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: patient, Name: "Meierschmidt^Hannelore", BirthDate: "19630214", Sex: "F"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 12}, {Kind: phantom.MR, Instances: 3}},
	}).WriteFiles(dir)
	require.NoError(t, err)
	for i, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		copy(b, "Meierschmidt in the preamble")
		require.NoError(t, os.WriteFile(f, b, 0o600))
		named := filepath.Join(dir, fmt.Sprintf("Meierschmidt-%02d.dcm", i))
		require.NoError(t, os.Rename(f, named))
		require.NoError(t, os.Chtimes(named, time.Unix(0, 0), time.Unix(0, 0)))
	}
}

// tree reads a folder: its files by name, without what says by which key they were written.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		// see TestDeidVerify
		if err != nil || d.IsDir() || d.Name() == deidentify.FolderMarkName || d.Name() == manifest.Name {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		all[rel] = string(b)
		return err
	}))
	return all
}

// TestDeidFiles: new names, new times, nothing of the original, the same in any order and number of workers.
func TestDeidFiles(t *testing.T) {
	in, out, key := t.TempDir(), t.TempDir(), keyFile(t)
	aStudy(t, in, "HOSPITAL-4711", 7)
	report := filepath.Join(t.TempDir(), "report.csv")
	begin := time.Now().Add(-time.Minute)
	code, stdout, stderr := adit(
		t, "deid", "--key-file", key, "--pseudonym", "P-1", "--trial-id", "TRIAL", "--report", report, in, out,
	)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "15 instances were de-identified by profile adit-default 1 (")
	written := tree(t, out)
	require.Len(t, written, 15)
	for name, text := range written {
		for _, word := range []string{"Meierschmidt", "HOSPITAL", "19630214"} {
			require.NotContains(t, name+text, word)
		}
		info, err := os.Stat(filepath.Join(out, name))
		require.NoError(t, err)
		require.True(t, info.ModTime().After(begin))
		require.Equal(t, strings.Repeat("\x00", 128)+"DICM", text[:132])
		meta, o, err := stream.OpenFile(strings.NewReader(text), stream.Limits{})
		require.NoError(t, err)
		h := o.Header()
		require.Equal(t, filepath.Join(
			h.Text(dict.StudyInstanceUID), h.Text(dict.SeriesInstanceUID), meta.MediaStorageSOPInstanceUID+".dcm",
		), name)
		require.Equal(t, meta, o.FileMeta())
		require.Equal(t, "P-1", h.Text(dict.PatientID))
		require.Equal(t, "TRIAL", h.Text(dict.ClinicalTrialProtocolID))
		require.NoError(t, o.Close())
	}

	text, err := os.ReadFile(report)
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 16)
	for i, row := range rows[1:] {
		require.Equal(t, []string{strconv.Itoa(i + 1), "de-identified", ""}, row[:3])
		require.Contains(t, written, filepath.Join(row[3], row[4], row[5]+".dcm"))
		require.NotEqual(t, "0", row[6])
	}
	require.NotContains(t, string(text), "Meierschmidt")

	// Backwards, file by file, over what is there already.
	var args []string
	for i := 14; i >= 0; i-- {
		args = append(args, filepath.Join(in, fmt.Sprintf("Meierschmidt-%02d.dcm", i)))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one worker
	code, _, stderr = adit(t, append(
		append([]string{"deid", "--key-file", key, "--pseudonym", "P-1", "--trial-id", "TRIAL"}, args...), out,
	)...)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.Equal(t, written, tree(t, out))
}

// TestDeidLeavesOut: refused objects are counted, those that can't be de-identified are named, and none of them is
// written.
func TestDeidLeavesOut(t *testing.T) {
	in, out, key := t.TempDir(), t.TempDir(), keyFile(t)
	aStudy(t, in, "HOSPITAL-4711", 7)
	_, err := phantom.New(8, phantom.StudySpec{
		Patient: phantom.Patient{ID: "HOSPITAL-4711", Name: "Meierschmidt^Hannelore"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.Ultrasound, Instances: 2}},
	}).WriteFiles(filepath.Join(in, "us"))
	require.NoError(t, err)
	whole, err := os.ReadFile(filepath.Join(in, "Meierschmidt-00.dcm"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(in, "X-cut.dcm"), whole[:400_000], 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(in, "X-note.txt"), []byte("no DICOM"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(in, "X-twice.dcm"), whole, 0o600))
	report := filepath.Join(t.TempDir(), "report.csv")
	code, stdout, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", "--report", report, in, out)
	require.Equal(t, command.ExitWarning, code)
	require.Contains(t, stdout, "15 instances were de-identified")
	require.Regexp(t, `2 instances are left out, as the profile says: text is, or may be, burned in`, stdout)
	require.Contains(t, stdout, "3 files could not be de-identified")
	require.Regexp(t, `X-cut\.dcm \(file 16\): .*truncated`, stderr)
	require.Regexp(t, `X-note\.txt \(file 17\): not a DICOM file`, stderr)
	require.Regexp(t, `X-twice\.dcm \(file 18\): it is a copy of .*Meierschmidt-00\.dcm; one of them is enough`, stderr)
	require.Len(t, tree(t, out), 15)
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(text), "left out,burned-in,2.25."))
	require.Contains(t, string(text), "16,left out,unreadable,2.25.")
	require.Contains(t, string(text), "17,left out,unreadable,,,,")
	require.Contains(t, string(text), "18,left out,duplicate,,,,")
	require.NotContains(t, string(text), "X-")
	require.NotContains(
		t, string(text),
		phantom.New(8, phantom.StudySpec{Patient: phantom.Patient{ID: "HOSPITAL-4711"}}).StudyInstanceUID,
	)

	// Refused alone is a note, but a run that writes nothing is a Warning.
	code, _, stderr = adit(
		t, "deid", "--key-file", key, "--pseudonym", "P-1",
		filepath.Join(in, "us"), filepath.Join(in, "Meierschmidt-00.dcm"), out,
	)
	require.Equal(t, command.ExitSuccess, code, stderr)
	code, _, _ = adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", filepath.Join(in, "us"), out)
	require.Equal(t, command.ExitWarning, code)
}

// TestDeidSecondPatient: nothing is written, and the file is named.
func TestDeidSecondPatient(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	aStudy(t, filepath.Join(in, "a"), "HOSPITAL-4711", 7)
	aStudy(t, filepath.Join(in, "b"), "HOSPITAL-4712", 9)
	code, _, stderr := adit(t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", in, out)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(
		t, stderr, filepath.Join(in, "b", "Meierschmidt-00.dcm")+" (and 14 more files): it is of another patient than ",
	)
	require.NotContains(t, stderr, "HOSPITAL")
	require.Empty(t, tree(t, out))
}

// TestDeidPydicom: files of many makers either come out whole or are left out; what comes out opens again.
func TestDeidPydicom(t *testing.T) {
	key, n := keyFile(t), map[int]int{}
	require.NoError(t, filepath.WalkDir(
		filepath.Join(testpeer.PydicomDir(t), "test_files"),
		func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".dcm" {
				return err
			}
			out := t.TempDir()
			code, _, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", path, out)
			n[code]++
			files := tree(t, out)
			if code == command.ExitSuccess {
				require.Len(t, files, 1, path)
			} else {
				require.Empty(t, files, "%s: %s", path, stderr)
			}
			for _, text := range files {
				_, o, err := stream.OpenFile(strings.NewReader(text), stream.Limits{})
				require.NoError(t, err, path)
				require.Equal(t, "P-1", o.Header().Text(dict.PatientName))
				require.NoError(t, o.Close())
			}
			return nil
		},
	))
	require.Greater(t, n[command.ExitSuccess], 20)
	require.Positive(t, n[command.ExitWarning])
}

// TestDeidDiskFull: a disk that takes no more ends the run, and leaves no half file.
func TestDeidDiskFull(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	aStudy(t, in, "HOSPITAL-4711", 7)
	require.NoError(t, os.WriteFile(out, nil, 0o600)) // a file where the folder should be
	code, _, stderr := adit(t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", in, out)
	require.Equal(t, command.ExitUsage, code)
	require.Contains(t, stderr, "out is a file; name a folder")

	// A folder where a file should be, when the first ones have been written.
	out = t.TempDir()
	key := keyFile(t)
	code, _, stderr = adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", in, out)
	require.Equal(t, command.ExitSuccess, code, stderr)
	var last string
	for name := range tree(t, out) {
		last = max(last, name)
	}
	require.NoError(t, os.Remove(filepath.Join(out, last)))
	require.NoError(t, os.MkdirAll(filepath.Join(out, last, "in the way"), 0o700))
	code, _, stderr = adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", in, out)
	require.Equal(t, command.ExitFailure, code)
	require.Regexp(t, `\d+ instances were de-identified, then:`, stderr)
	require.Len(t, tree(t, out), 14, "and no half file")
}

// TestDeidUndeclared: adit deid reads files that declare no character set in the one of --charset, and says how many.
func TestDeidUndeclared(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.dcm")
	d := &stream.DataSet{}
	for tag, text := range map[dict.Tag]string{
		dict.SOPClassUID: dict.CTImageStorage, dict.SOPInstanceUID: "1.2.3.1",
		dict.StudyInstanceUID: "1.2.3.2", dict.SeriesInstanceUID: "1.2.3.3", dict.PatientID: "P-1",
	} {
		d.Set(tag, text)
	}
	d.SetBytes(dict.Manufacturer, dict.LO, []byte("M\xfcller"))
	b, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: dict.CTImageStorage, MediaStorageSOPInstanceUID: "1.2.3.1",
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}
	require.NoError(t, os.WriteFile(in, append(meta.AppendTo(nil), b...), 0o600))
	for i, c := range []struct {
		flags     []string
		code      int
		says, row string
	}{
		{nil, 0, "1 instance declares no character set; the text was read as ISO_IR 100, which is declared now", ",ISO_IR 100,adit-default"},
		{[]string{"--charset", "ISO_IR 126"}, 0, "read as ISO_IR 126", ",ISO_IR 126,adit-default"},
		{[]string{"--charset", "ISO_IR 6"}, command.ExitWarning, "1 file could not be de-identified", "undecodable-text"},
		{[]string{"--charset", "LATIN1"}, command.ExitUsage, "", ""},
	} {
		report := filepath.Join(dir, fmt.Sprint("report", i))
		args := append([]string{"deid", "--pseudonym", "X-1", "--key-file", keyFile(t), "--report", report}, c.flags...)
		code, stdout, stderr := adit(t, append(args, in, filepath.Join(dir, fmt.Sprint("out", i)))...)
		require.Equal(t, c.code, code, stderr)
		require.Contains(t, stdout, c.says)
		if c.row != "" {
			rows, err := os.ReadFile(report)
			require.NoError(t, err)
			require.Contains(t, string(rows), c.row)
		}
	}
}

// TestDeidExplainsRefusals: what the run refuses, wherever the reason stands, --explain refuses too.
func TestDeidExplainsRefusals(t *testing.T) {
	dir := t.TempDir()
	files, err := phantom.New(5, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PID-1", Name: "Meierschmidt^Hannelore"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1}},
	}).WriteFiles(dir)
	require.NoError(t, err)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for name, c := range map[string]struct {
		behind string
		code   int
		says   string
	}{
		"nothing":         {"", command.ExitSuccess, "PatientName"},
		"what goes":       {"\xfc\xff\xfc\xffOB\x00\x00\x02\x00\x00\x00xx", command.ExitSuccess, "PatientName"},
		"disorder":        {"\x10\x00\x10\x00PN\x08\x00Doe^Jane", command.ExitWarning, "out of order"},
		"half an element": {"\xfc\xff\xfc\xffOB\x00\x00\x08\x00\x00\x00xx", command.ExitWarning, "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			in := filepath.Join(t.TempDir(), "in.dcm")
			require.NoError(t, os.WriteFile(in, append(bytes.Clone(b), c.behind...), 0o600))
			code, out, errs := adit(t, "deid", "--key-file", keyFile(t), "--explain", in)
			require.Equal(t, c.code, code, errs)
			require.Contains(t, out+errs, c.says)
			ran, _, errs := adit(
				t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", in, filepath.Join(t.TempDir(), "out"),
			)
			require.Equal(t, c.code, ran, errs)
		})
	}
}
