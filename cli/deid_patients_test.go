// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/deidentify"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// anImage writes a DICOM file of the default size, as change leaves it.
func anImage(t *testing.T, path string, seed uint64, patient string, change func(ds *stream.DataSet)) {
	t.Helper()
	in := phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: patient, Name: "Meierschmidt^Hannelore"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1}},
	}).Instances()[0]
	ds := in.Attributes()
	ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 64))
	if change != nil {
		change(ds)
	}
	body, err := ds.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	meta := stream.FileMeta{
		MediaStorageSOPClassUID:    ds.String(dict.SOPClassUID),
		MediaStorageSOPInstanceUID: ds.String(dict.SOPInstanceUID),
		TransferSyntaxUID:          dict.ExplicitVRLittleEndian,
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
	require.NoError(t, os.WriteFile(path, append(meta.AppendTo(nil), body...), 0o600))
}

// aFile writes a text.
func aFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "names.csv")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// patientsOf counts the files of a folder by Patient ID.
func patientsOf(t *testing.T, dir string) map[string]int {
	t.Helper()
	n := map[string]int{}
	for name, text := range tree(t, dir) {
		_, o, err := stream.OpenFile(strings.NewReader(text), stream.Limits{})
		require.NoError(t, err)
		n[o.Header().Text(dict.PatientID)]++
		require.NoError(t, o.Close())
		for _, word := range []string{"Meierschmidt", "HOSPITAL"} {
			require.NotContains(t, name+text, word)
		}
	}
	return n
}

// TestDeidPatients: a folder of several patients goes at once, whoever wrote the table of their pseudonyms.
func TestDeidPatients(t *testing.T) {
	in := t.TempDir()
	for i := range 3 {
		anImage(t, filepath.Join(in, fmt.Sprintf("a%d.dcm", i)), uint64(10+i), "HOSPITAL-4711", nil)
		anImage(t, filepath.Join(in, fmt.Sprintf("b%d.dcm", i)), uint64(20+i), "=HOSPITAL", nil)
	}
	anImage(
		t, filepath.Join(in, "c.dcm"), 30, "", func(ds *stream.DataSet) { ds.Set(dict.StudyInstanceUID, "2.25.77") },
	)
	anImage(t, filepath.Join(in, "d.dcm"), 31, "HOSPITAL-9", func(ds *stream.DataSet) {
		ds.Set(
			dict.IssuerOfPatientID, "NORTH",
		)
	})
	anImage(t, filepath.Join(in, "e.dcm"), 32, "HOSPITAL-9", func(ds *stream.DataSet) {
		ds.Set(
			dict.IssuerOfPatientID, "SOUTH",
		)
	})
	want := map[string]int{"P-1": 3, "@P-2": 3, "P-3": 1, "P-4": 1, "P-5": 1}
	export := "Pseudonym,PatientID,Issuer,StudyInstanceUID,TrialProtocolID,CreatedAt\r\n" +
		"P-1,HOSPITAL-4711,,,,2026-01-01T00:00:00Z\r\n'@P-2,'=HOSPITAL,,,,x\r\nP-3,,,2.25.77,,x\r\nP-4,HOSPITAL-9,NORTH,,,x\r\nP-5,HOSPITAL-9,SOUTH,,,x\r\n" +
		"P-6,HOSPITAL-4711,,,ANOTHER TRIAL,x\r\nP-9,of nobody here,,,,x\r\n"
	of := func(sign, begin string) string {
		return begin + strings.ReplaceAll(strings.ReplaceAll(export, "\r\n", "\n"), ",", sign)
	}
	key := keyFile(t)
	var first map[string]string
	for name, table := range map[string]string{
		"an export": export, "semicolons": of(";", ""), "tabs and a byte order mark": of("\t", "\xef\xbb\xbf"),
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, stdout, stderr := adit(t, "deid", "--key-file", key, "--pseudonyms", aFile(t, table), in, out)
			require.Equal(t, command.ExitSuccess, code, stderr)
			require.Contains(t, stdout, "9 instances of 5 patients were de-identified")
			require.Equal(t, want, patientsOf(t, out))
			if first == nil {
				first = tree(t, out)
			}
			require.Equal(t, first, tree(t, out))
		})
	}

	t.Run("made of the key", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		only := filepath.Join(in, "a0.dcm")
		code, _, stderr := adit(t, "deid", "--key-file", key, "--pseudonymize", only, filepath.Join(in, "b0.dcm"), out)
		require.Equal(t, command.ExitSuccess, code, stderr)
		made := patientsOf(t, out)
		k, err := deidentify.ReadKey(key)
		require.NoError(t, err)
		require.Equal(t, map[string]int{k.Pseudonym(deid.PatientIdentity("HOSPITAL-4711", "", "")): 1, k.Pseudonym(
			deid.PatientIdentity("=HOSPITAL", "", ""),
		): 1}, made)
		code, _, stderr = adit(t, "deid", "--pseudonymize", only, t.TempDir())
		require.Equal(t, command.ExitSuccess, code)
		require.Contains(t, stderr, "get other pseudonyms, UIDs and dates")
	})
}

// TestDeidChecksFirst: what speaks against a run is listed as a whole before anything is written, by rows and files,
// and by nothing of the patients'.
func TestDeidChecksFirst(t *testing.T) {
	const header = "PatientID,Pseudonym,Issuer\n"
	image := func(name string, seed uint64, patient string, change func(ds *stream.DataSet)) func(
		t *testing.T, dir string,
	) {
		return func(t *testing.T, dir string) { anImage(t, filepath.Join(dir, name), seed, patient, change) }
	}
	issuer := func(name string) func(ds *stream.DataSet) {
		return func(ds *stream.DataSet) { ds.Set(dict.IssuerOfPatientID, name) }
	}
	study := func(uid string) func(ds *stream.DataSet) {
		return func(ds *stream.DataSet) { ds.Set(dict.StudyInstanceUID, uid) }
	}
	both := func(one, other func(ds *stream.DataSet)) func(ds *stream.DataSet) {
		return func(ds *stream.DataSet) { one(ds); other(ds) }
	}
	type files []func(t *testing.T, dir string)
	a, b := image("a.dcm", 1, "HOSPITAL-1", nil), image("b.dcm", 2, "HOSPITAL-2", nil)
	for name, c := range map[string]struct {
		files files
		table string   // empty: --pseudonym
		want  []string // of stderr
	}{
		"two patients, one pseudonym": {files: files{a, b}, want: []string{`b\.dcm: it is of another patient than .*a\.dcm, and --pseudonym stands for one; .*--pseudonyms FILE or --pseudonymize`}},
		"no row":                      {files: files{a, b}, table: header + "HOSPITAL-1,P-1\n", want: []string{`b\.dcm: no row of .*names\.csv that can be used has its Patient ID; add one`}},
		"another spelling":            {files: files{image("a.dcm", 1, "0815", nil)}, table: header + "815,P-1\n", want: []string{`a\.dcm: no row .* leading zeros`}},
		"one pseudonym for two":       {files: files{a, b}, table: header + "HOSPITAL-1,P-1\nHOSPITAL-2,P-1\n", want: []string{`names\.csv, row 3, column Pseudonym: another row gives`, `b\.dcm: no row .* that can be used`}},
		"two pseudonyms for one":      {files: files{a}, table: header + "HOSPITAL-1,P-1\nHOSPITAL-1,P-2\n", want: []string{`row 3, column PatientID: another row gives this patient another`}},
		"for the trial another":       {files: files{a}, table: "PatientID,Pseudonym,TrialProtocolID\nHOSPITAL-1,P-1,\nHOSPITAL-1,P-2,T\n", want: []string{`row 3, column PatientID: row 2 gives this patient another`}},
		"for the trial another's":     {files: files{a}, table: "PatientID,Pseudonym,TrialProtocolID\nHOSPITAL-1,P-1,\nHOSPITAL-2,P-1,T\n", want: []string{`row 3, column Pseudonym: row 2 gives this pseudonym to another`}},
		"no such pseudonym":           {files: files{a}, table: header + "HOSPITAL-1,P^1\n", want: []string{`row 2, column Pseudonym: the pseudonym contains one of the characters`}},
		"no table":                    {files: files{a}, table: "Name,Pseudonym\nx,P-1\n", want: []string{`the pseudonyms of .* can't be read: the first row has no column "PatientID"`}},
		"Latin-1":                     {files: files{a}, table: header + "M\xfcller,P-1\n", want: []string{`not in UTF-8`}},
		"a study of two":              {files: files{image("a.dcm", 1, "HOSPITAL-1", study("2.25.7")), image("b.dcm", 2, "HOSPITAL-2", study("2.25.7"))}, table: header + "HOSPITAL-1,P-1\nHOSPITAL-2,P-2\n", want: []string{`b\.dcm: its study has two patients, this one and the one of .*a\.dcm`}},
		"a study of one and nobody":   {files: files{image("a.dcm", 1, "HOSPITAL-1", study("2.25.7")), image("b.dcm", 2, "", study("2.25.7"))}, want: []string{`b\.dcm: its study has two patients`}},
		"one UID, two contents":       {files: files{a, image("b.dcm", 1, "HOSPITAL-1", func(ds *stream.DataSet) { ds.Set(dict.ImageComments, "HOSPITAL") })}, want: []string{`b\.dcm: it has the same SOP Instance UID as .*a\.dcm but another content`}},
		"two issuers":                 {files: files{image("a.dcm", 1, "HOSPITAL-1", issuer("HOSPITAL-N")), image("b.dcm", 2, "HOSPITAL-1", issuer("HOSPITAL-S"))}, want: []string{`a\.dcm \(and 1 more file\): one Patient ID, but two values of Issuer of Patient ID \(the other in .*b\.dcm\)`}},
		"which of two issuers":        {files: files{a}, table: header + "HOSPITAL-1,P-1,N\nHOSPITAL-1,P-2,S\n", want: []string{`a\.dcm: rows 2, 3 have its Patient ID, under different issuers`}},
		"perhaps of two issuers":      {files: files{image("a.dcm", 1, "HOSPITAL-1", both(issuer("N"), study("2.25.7"))), image("b.dcm", 2, "HOSPITAL-1", study("2.25.7"))}, table: header + "HOSPITAL-1,P-1,N\nHOSPITAL-1,P-2,S\n", want: []string{`^.*b\.dcm: rows 2, 3 have its Patient ID.*\nadit deid: nothing was written; correct this`}},
		"another issuer":              {files: files{image("a.dcm", 1, "HOSPITAL-1", issuer("HOSPITAL-N"))}, table: header + "HOSPITAL-1,P-1,S\n", want: []string{`a\.dcm: row 2 has its Patient ID, but under another issuer`}},
		"all at once": {
			files: files{a, b, image("c.dcm", 3, "HOSPITAL-3", study("2.25.7")), image("d.dcm", 4, "HOSPITAL-4", study("2.25.7"))},
			table: header + "HOSPITAL-1,P^1\nHOSPITAL-4,P-4\n",
			want:  []string{`names\.csv, row 2`, `a\.dcm: no row`, `b\.dcm: no row`, `c\.dcm: no row`, `d\.dcm: its study has two`, `nothing was written; correct these 5`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
			for _, write := range c.files {
				write(t, in)
			}
			key := filepath.Join(t.TempDir(), "key")
			args := []string{"deid", "--key-file", key, "--new-key", "--trial-id", "T", "--pseudonym", "P-1", in, out}
			if c.table != "" {
				args[6], args[7] = "--pseudonyms", aFile(t, c.table)
			}
			code, stdout, stderr := adit(t, args...)
			require.Equal(t, command.ExitFailure, code, stderr)
			for _, want := range c.want {
				require.Regexp(t, want, stderr)
			}
			require.Empty(t, stdout)
			require.NotContains(t, stderr, "HOSPITAL")
			require.NoDirExists(t, out)
			require.NoFileExists(t, key)
		})
	}
	for _, args := range [][]string{
		{"--pseudonym", "P", "--pseudonymize"}, {"--pseudonyms", "f", "--pseudonymize"}, {"--pseudonym", "P^1"}, {},
	} {
		code, _, _ := adit(t, append(append([]string{"deid"}, args...), t.TempDir(), "out")...)
		require.NotEqual(t, command.ExitSuccess, code)
	}
}

// TestDeidLeavesOutBeside: what is nobody's, and what can't be read, keeps nothing else from being de-identified.
func TestDeidLeavesOutBeside(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	anImage(t, filepath.Join(in, "DICOMDIR"), 1, "", func(ds *stream.DataSet) {
		ds.Set(dict.SOPClassUID, dict.MediaStorageDirectoryStorage)
		ds.Remove(dict.StudyInstanceUID)
	})
	anImage(t, filepath.Join(in, "a.dcm"), 2, "HOSPITAL-1", nil)
	whole, err := os.ReadFile(filepath.Join(in, "a.dcm"))
	require.NoError(t, err)
	// the first under its UID, but not to be read
	require.NoError(t, os.WriteFile(filepath.Join(in, "0-cut.dcm"), whole[:len(whole)-8], 0o600))
	code, stdout, stderr := adit(t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", in, out)
	require.Equal(t, command.ExitWarning, code)
	require.Contains(t, stdout, "1 instance was de-identified")
	require.Regexp(t, `0-cut\.dcm \(file 1\): .*truncated`, stderr)
	require.Regexp(t, `DICOMDIR \(file 2\): it has neither Patient ID nor Study Instance UID`, stderr)
	require.Equal(t, map[string]int{"P-1": 1}, patientsOf(t, out))

	nothing := filepath.Join(t.TempDir(), "out")
	code, stdout, _ = adit(
		t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", filepath.Join(in, "DICOMDIR"), nothing,
	)
	require.Equal(t, command.ExitWarning, code)
	require.Contains(t, stdout, "0 instances were de-identified")
	require.NoDirExists(t, nothing)
}

// TestDeidFolder: a folder takes the objects of one key, profile, trial and linkage, and more of them later.
func TestDeidFolder(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	key := keyFile(t)
	first, second := filepath.Join(in, "a.dcm"), filepath.Join(in, "b.dcm")
	anImage(t, first, 1, "HOSPITAL-1", nil)
	anImage(t, second, 2, "HOSPITAL-2", nil)
	deidentifies := func(args ...string) (int, string) {
		code, _, stderr := adit(t, append(append([]string{"deid"}, args...), out)...)
		return code, stderr
	}
	code, stderr := deidentifies("--key-file", key, "--pseudonym", "P-1", first)
	require.Equal(t, command.ExitSuccess, code, stderr)
	mark := func() string {
		text, err := os.ReadFile(filepath.Join(out, deidentify.FolderMarkName))
		require.NoError(t, err)
		return string(text)
	}
	for _, secret := range []string{deidKey, "HOSPITAL", "P-1"} {
		require.NotContains(t, mark(), secret)
	}
	was, marked := tree(t, out), mark()
	other := filepath.Join(t.TempDir(), "other")
	profile := filepath.Join(t.TempDir(), "profile.yaml")
	require.NoError(t, os.WriteFile(profile, []byte("name: adit-default\nversion: '1'\nbase: ps3.15-basic\n"), 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"another key":                   {[]string{"--key-file", other, "--new-key", "--pseudonym", "P-1", first}, `holds instances that were de-identified under another key.*take that key \(--key-file\), or write to another folder`},
		"no key file":                   {[]string{"--pseudonym", "P-1", first}, `under another key`},
		"another profile":               {[]string{"--key-file", key, "--profile", "ps3.15-basic", "--pseudonym", "P-1", first}, `by profile adit-default 1 \(`},
		"another profile of that name":  {[]string{"--key-file", key, "--profile", profile, "--pseudonym", "P-1", first}, `give it another name`},
		"another trial":                 {[]string{"--key-file", key, "--trial-id", "T", "--pseudonym", "P-1", first}, `with another trial ID or name`},
		"another pseudonym":             {[]string{"--key-file", key, "--pseudonym", "P-9", first}, `a\.dcm: the patient has another pseudonym in .* already`},
		"the pseudonym of another":      {[]string{"--key-file", key, "--pseudonym", "P-1", second}, `b\.dcm: the pseudonym is another patient's in .* already`},
		"the pseudonym by another flag": {[]string{"--key-file", key, "--pseudonymize", first}, `a\.dcm: the patient has another pseudonym`},
	} {
		t.Run(name, func(t *testing.T) {
			code, stderr := deidentifies(c.args...)
			require.Equal(t, command.ExitFailure, code, stderr)
			require.Regexp(t, c.want, stderr)
			require.Equal(t, was, tree(t, out))
			require.Equal(t, marked, mark())
		})
	}

	// The same, and more.
	code, stderr = deidentifies("--key-file", key, "--pseudonym", "P-1", first)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.Equal(t, was, tree(t, out))
	require.Equal(t, marked, mark())
	code, stderr = deidentifies(
		"--key-file", key, "--pseudonyms", aFile(t, "PatientID;Pseudonym\nHOSPITAL-1;P-1\nHOSPITAL-2;P-2\n"), in,
	)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.Equal(t, map[string]int{"P-1": 1, "P-2": 1}, patientsOf(t, out))

	// While another run writes, without a mark, and with a damaged one.
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	k, err := deidentify.ReadKey(key)
	require.NoError(t, err)
	f, err := deidentify.LookAtFolder(out, k, deid.Subject{}, p)
	require.NoError(t, err)
	leave, err := f.Enter([]deidentify.Patient{{Identity: "HOSPITAL-1\x1f", Pseudonym: "P-1"}})
	require.NoError(t, err)
	code, stderr = deidentifies("--key-file", key, "--pseudonym", "P-1", first)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(t, stderr, "another adit deid writes to")
	leave()
	require.NoError(t, os.WriteFile(filepath.Join(out, deidentify.FolderMarkName), []byte(marked[:20]), 0o600))
	code, stderr = deidentifies("--key-file", key, "--pseudonym", "P-1", first)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(t, stderr, "is damaged, or of another version")
	require.NoError(t, os.Remove(filepath.Join(out, deidentify.FolderMarkName)))
	code, stderr = deidentifies("--key-file", key, "--pseudonym", "P-1", first)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(t, stderr, "holds folders of studies but no "+deidentify.FolderMarkName)
}

// TestDeidExplain: it shows what the run does, and ends as the run does.
func TestDeidExplain(t *testing.T) {
	tail := func(ds *stream.DataSet) {
		ds.SetBytes(dict.NewTag(0x7FE1, 0x0010), dict.LO, []byte("ACME BEHIND "))
		ds.SetBytes(dict.DataSetTrailingPadding, dict.OB, make([]byte, 30))
	}
	for name, c := range map[string]struct {
		change func(ds *stream.DataSet)
		cut    int
		shown  []string
	}{
		"whole": {tail, 0, []string{
			`preamble .*keep`, `\(0002,0003\) +MediaStorageSOPInstanceUID .* uid`,
			`\(0028,0010\) +Rows +512 +keep`, `\(7FE0,0010\) .*64 bytes +keep`,
			`\(7FE1,0010\) +12 bytes +remove`, `\(FFFC,FFFC\) .*30 null bytes +remove`,
			`\(0012,0064\)\[new\] \(0008,0100\) .*113100`,
		}},
		"refused": {func(ds *stream.DataSet) { ds.Set(dict.BurnedInAnnotation, "YES") }, 0, nil},
		"undecodable": {func(ds *stream.DataSet) {
			ds.SetBytes(dict.SpecificCharacterSet, dict.CS, []byte("ISO_IR 192"))
			ds.SetBytes(dict.Manufacturer, dict.LO, []byte("M\xfcller"))
		}, 0, []string{`\(0008,0016\)`}},
		"cut off":   {tail, 8, []string{`\(0010,0010\)`}},
		"no UIDs":   {func(ds *stream.DataSet) { ds.Remove(dict.SeriesInstanceUID) }, 0, []string{`\(0010,0010\)`}},
		"no header": {nil, 1 << 20, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.dcm")
			anImage(t, path, 1, "HOSPITAL-1", c.change)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, b[:max(0, len(b)-c.cut)], 0o600))
			args := []string{"deid", "--key-file", keyFile(t), "--pseudonym", "P-1"}
			runs, stdout, said := adit(t, append(args, "--no-manifest", path, filepath.Join(t.TempDir(), "out"))...)
			code, shown, stderr := adit(t, append(args, "--explain", path)...)
			require.Equal(t, runs, code)
			require.Equal(t, said, stderr)
			for _, want := range c.shown {
				require.Regexp(t, want, shown)
			}
			if _, refused, ok := strings.Cut(stdout, "\n"); ok && strings.Contains(refused, "as the profile says") {
				require.Contains(t, shown, refused)
			}
		})
	}
	// A pseudonym isn't needed; a table is looked into.
	path := filepath.Join(t.TempDir(), "a.dcm")
	anImage(t, path, 1, "HOSPITAL-1", nil)
	code, shown, stderr := adit(t, "deid", "--explain", path)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.Regexp(t, `PatientID +HOSPITAL-1 +assign .*PSEUDONYM`, shown)
	code, shown, stderr = adit(
		t, "deid", "--explain", "--pseudonyms", aFile(t, "PatientID,Pseudonym\nHOSPITAL-1,P-7\n"), path,
	)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.Regexp(t, `PatientID +HOSPITAL-1 +assign .*P-7`, shown)
	code, _, _ = adit(t, "deid", "--explain", "--key-file", path+".key", "--new-key", path)
	require.Equal(t, command.ExitUsage, code)
	require.NoFileExists(t, path+".key")
	code, _, stderr = adit(
		t, "deid", "--explain", "--pseudonyms", aFile(t, "PatientID,Pseudonym\nHOSPITAL-2,P-7\n"), path,
	)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(t, stderr, "has its Patient ID")
}

// TestDeidReport: a line per file, with what went behind the pixel data, and without a path.
func TestDeidReport(t *testing.T) {
	in, out := filepath.Join(t.TempDir(), "Meierschmidt"), filepath.Join(t.TempDir(), "out")
	anImage(t, filepath.Join(in, "a.dcm"), 1, "HOSPITAL-1", nil)
	anImage(t, filepath.Join(in, "b.dcm"), 2, "HOSPITAL-1", func(ds *stream.DataSet) {
		ds.SetBytes(dict.NewTag(0x7FE1, 0x0010), dict.LO, []byte("ACME BEHIND "))
		ds.SetBytes(dict.DataSetTrailingPadding, dict.OB, make([]byte, 30))
	})
	anImage(t, filepath.Join(in, "c.dcm"), 3, "HOSPITAL-1", func(ds *stream.DataSet) {
		ds.Set(
			dict.BurnedInAnnotation, "YES",
		)
	})
	require.NoError(t, os.WriteFile(filepath.Join(in, "d.dcm"), []byte("none"), 0o600))
	path := filepath.Join(t.TempDir(), "report.csv")
	code, _, _ := adit(t, "deid", "--key-file", keyFile(t), "--pseudonym", "Größe", "--report", path, in, out)
	require.Equal(t, command.ExitWarning, code)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 5)
	var got []map[string]string
	for _, row := range rows[1:] {
		cells := map[string]string{}
		for i, name := range rows[0] {
			cells[name] = row[i]
		}
		got = append(got, cells)
	}
	for i, want := range []map[string]string{
		{"File": "1", "Result": "de-identified", "Reason": "", "BehindPixelData": "0", "Codes": "113100 113105 113107 113108 113111"},
		{"File": "2", "Result": "de-identified", "Reason": "", "BehindPixelData": "2"},
		{"File": "3", "Result": "left out", "Reason": "burned-in", "BehindPixelData": "0", "Codes": "", "keep": "0"},
		{"File": "4", "Result": "left out", "Reason": "unreadable", "SOPInstanceUID": ""},
	} {
		for column, cell := range want {
			require.Equal(t, cell, got[i][column], "%s of row %d", column, i+2)
		}
	}
	more, err := strconv.Atoi(got[1]["remove"])
	require.NoError(t, err)
	require.Equal(t, got[0]["remove"], strconv.Itoa(more-2))
	require.NotContains(t, string(text), "Meierschmidt")
}

// TestDeidKeepsApart: what must not be handed on lies outside of the folder that is, and no report takes the place of
// another.
func TestDeidKeepsApart(t *testing.T) {
	dir := t.TempDir()
	in, out, report := filepath.Join(dir, "in"), filepath.Join(dir, "out"), filepath.Join(dir, "report.csv")
	require.NoError(t, os.Mkdir(in, 0o700))
	require.NoError(t, phantom.DemoStudies()[0].Instances()[0].WriteFile(filepath.Join(in, "1.dcm")))
	for what, flags := range map[string][]string{
		"the key must lie outside":                       {"--key-file", filepath.Join(out, "key"), "--new-key"},
		"the report must lie outside":                    {"--key-file", keyFile(t), "--report", filepath.Join(out, "report.csv")},
		"exists already and is not overwritten; name an": {"--key-file", keyFile(t), "--report", aFile(t, "Result\n")},
	} {
		code, _, stderr := adit(t, append(append([]string{"deid", "--pseudonymize"}, flags...), in, out)...)
		require.Equal(t, command.ExitUsage, code, stderr)
		require.Contains(t, stderr, what)
		require.NoDirExists(t, out)
	}
	code, _, stderr := adit(t, "deid", "--pseudonymize", "--key-file", keyFile(t), "--report", report, in, out)
	require.Equal(t, command.ExitSuccess, code, stderr)
}

// TestDeidTellingLater: a pseudonym is compared with what each file says, not with the first ones alone.
func TestDeidTellingLater(t *testing.T) {
	dir := t.TempDir()
	for i, number := range []string{"", "", "ACC-778812", ""} {
		anImage(t, filepath.Join(dir, fmt.Sprint(i)), 30+uint64(i), "HOSPITAL-4711", func(ds *stream.DataSet) {
			ds.Set(dict.StudyInstanceUID, "1.2.826.0.1.1")
			ds.Set(dict.SeriesInstanceUID, "1.2.826.0.1.1.1")
			ds.Set(dict.AccessionNumber, number)
		})
	}
	code, _, stderr := adit(
		t, "deid", "--key-file", keyFile(t), "--pseudonym", "ACC-778812", dir, filepath.Join(t.TempDir(), "out"),
	)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(t, stderr, "its pseudonym is, or holds, what AccessionNumber (0008,0050) says of the patient")
}
