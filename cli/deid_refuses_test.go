// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestDeidTellsNothing: what would show who a patient is, or doesn't say whose a file is, is refused before the first
// file is written.
func TestDeidTellsNothing(t *testing.T) {
	in := t.TempDir()
	change := func(ds *stream.DataSet) {
		ds.Set(dict.PatientBirthDate, "19630214")
		ds.Set(dict.AccessionNumber, "ACC-77123")
	}
	anImage(t, filepath.Join(in, "a.dcm"), 1, "HOSPITAL-8150", change)
	anImage(t, filepath.Join(in, "b.dcm"), 2, "HOSPITAL-8151", change)
	several, mixed := t.TempDir(), t.TempDir()
	anImage(t, filepath.Join(several, "a.dcm"), 3, "HOSPITAL-8150", func(ds *stream.DataSet) {
		ds.Set(
			dict.PatientID, `HOSPITAL-8150\HOSPITAL-8151`,
		)
	})
	anImage(t, filepath.Join(mixed, "a.dcm"), 4, "HOSPITAL-8150", func(ds *stream.DataSet) {
		ds.Set(
			dict.IssuerOfPatientID, "NORTH",
		)
	})
	anImage(
		t, filepath.Join(mixed, "b.dcm"), 5, "HOSPITAL-8150",
		func(ds *stream.DataSet) { ds.Remove(dict.IssuerOfPatientID) },
	)
	one := filepath.Join(in, "a.dcm")
	table := func(rows string) []string { return []string{"--pseudonyms", aFile(t, "PatientID,Pseudonym\n"+rows)} }
	for name, c := range map[string]struct {
		flags []string
		in    string
		code  int
		says  string
	}{
		"her name":        {[]string{"--pseudonym", "meierschmidt-1"}, one, command.ExitFailure, "PatientName"},
		"name turned":     {[]string{"--pseudonym", "Hannelore Meierschmidt"}, one, command.ExitFailure, "PatientName"},
		"birth date":      {[]string{"--pseudonym", "P-14.02.1963"}, one, command.ExitFailure, "PatientBirthDate"},
		"accession":       {[]string{"--pseudonym", "acc 77123"}, one, command.ExitFailure, "AccessionNumber"},
		"trial":           {[]string{"--pseudonym", "P-1", "--trial-id", "HOSPITAL-8150"}, one, command.ExitFailure, "PatientID"},
		"in a table":      {table("HOSPITAL-8150,P-1\nHOSPITAL-8151,Meierschmidt\n"), in, command.ExitFailure, "b.dcm: its pseudonym"},
		"swapped":         {table("P-1,HOSPITAL-8150\nP-2,HOSPITAL-8151\n"), in, command.ExitFailure, "seem to be swapped"},
		"exchanged":       {table("HOSPITAL-8150,HOSPITAL-8151\nHOSPITAL-8151,HOSPITAL-8150\n"), in, command.ExitFailure, "Patient ID of another row"},
		"another's ID":    {table("HOSPITAL-8150,P-1\nHOSPITAL-8151,hospital-8150\n"), in, command.ExitFailure, "Patient ID of another row"},
		"ID, other signs": {table("HOSPITAL-8150,P-1\nHOSPITAL-8151,hospital.8150\n"), in, command.ExitFailure, "Patient ID of another row"},
		"several values":  {[]string{"--pseudonym", "P-1"}, several, command.ExitFailure, "has several values"},
		"issuer or none":  {[]string{"--pseudonym", "P-1"}, mixed, command.ExitSuccess, "1 file names of this patient no Issuer"},
		"nothing of hers": {table("HOSPITAL-8150,P-1\nHOSPITAL-8151,P-2\n"), in, command.ExitSuccess, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			code, _, stderr := adit(t, append(
				append([]string{"deid", "--key-file", keyFile(t)}, c.flags...), c.in, out,
			)...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.says)
			if code != command.ExitSuccess {
				require.NoDirExists(t, out)
			}
		})
	}
}

// TestDeidOddFiles: what is no file, or no secret, is named with what to do.
func TestDeidOddFiles(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	in := filepath.Join(dir, "in")
	anImage(t, filepath.Join(in, "a.dcm"), 1, "HOSPITAL-8150", nil)
	pipe, link, zeros, own := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "zeros"),
		filepath.Join(dir, "own.yaml")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(in, link))
	require.NoError(t, os.WriteFile(zeros, []byte(strings.Repeat("0", 64)), 0o600))
	require.NoError(t, os.WriteFile(own, []byte("name: adit-default\nversion: \"1\"\nbase: ps3.15-basic\n"), 0o600))
	proven := filepath.Join(dir, "proven")
	key := keyFile(t)
	code, _, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", in, proven)
	require.Equal(t, command.ExitSuccess, code, stderr)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a key that is a pipe":      {[]string{"--key-file", pipe, "--pseudonym", "P-1", in, proven}, command.ExitFailure, "is a folder, a pipe or a device"},
		"a key that is a device":    {[]string{"--key-file", "/dev/zero", "--pseudonym", "P-1", in, proven}, command.ExitFailure, "is a folder, a pipe or a device"},
		"a profile that is a pipe":  {[]string{"--profile", pipe, "--pseudonym", "P-1", in, proven}, command.ExitFailure, "is a folder, a pipe or a device"},
		"a table that is a pipe":    {[]string{"--pseudonyms", pipe, in, proven}, command.ExitFailure, "is a folder, a pipe or a device"},
		"a pipe to read":            {[]string{"--pseudonym", "P-1", pipe, filepath.Join(dir, "o1")}, command.ExitFailure, "not a file"},
		"a key of zeros":            {[]string{"--key-file", zeros, "--pseudonym", "P-1", in, filepath.Join(dir, "o2")}, command.ExitFailure, "is no secret"},
		"a profile of our name":     {[]string{"--profile", own, "--pseudonym", "P-1", in, filepath.Join(dir, "o3")}, command.ExitFailure, "give it another name"},
		"the same folder by a link": {[]string{"--pseudonym", "P-1", in, link}, command.ExitUsage, "must lie outside"},
		"below it by a link":        {[]string{"--pseudonym", "P-1", in, filepath.Join(link, "new")}, command.ExitUsage, "must lie outside"},
		"read by a link":            {[]string{"--pseudonym", "P-1", link, filepath.Join(in, "new")}, command.ExitUsage, "must lie outside"},
		"an empty folder":           {[]string{"--pseudonym", "P-1", empty, filepath.Join(dir, "o4")}, command.ExitFailure, "there is no file in it"},
		"nothing there":             {[]string{"--pseudonym", "P-1", filepath.Join(dir, "none"), filepath.Join(dir, "o5")}, command.ExitFailure, "there is no file or folder"},
		"without its manifest":      {[]string{"--key-file", key, "--no-manifest", "--pseudonym", "P-1", in, proven}, command.ExitUsage, "omit --no-manifest"},
		"a folder explained":        {[]string{"--explain", in}, command.ExitUsage, "name a file in it"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := adit(t, append([]string{"deid"}, c.args...)...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.says)
			require.NotContains(t, stderr, "adit deid: adit")
			require.NotContains(t, stderr, "no such file")
		})
	}
	code, _, stderr = adit(t, "deid", in)
	require.Equal(t, command.ExitUsage, code)
	require.True(t, strings.HasPrefix(stderr, "adit deid: give --pseudonym"), stderr)
}

// TestDeidSaysLeftOut: what is left out by the profile is named, and copies are told apart from faults.
func TestDeidSaysLeftOut(t *testing.T) {
	in := t.TempDir()
	anImage(t, filepath.Join(in, "a.dcm"), 1, "HOSPITAL-8150", nil)
	anImage(t, filepath.Join(in, "copy.dcm"), 1, "HOSPITAL-8150", nil)
	anImage(t, filepath.Join(in, "us.dcm"), 1, "HOSPITAL-8150", func(ds *stream.DataSet) {
		ds.Set(dict.SOPInstanceUID, "1.2.3.99")
		ds.Set(dict.BurnedInAnnotation, "YES")
	})
	_, stdout, stderr := adit(
		t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", in, filepath.Join(t.TempDir(), "out"),
	)
	require.Contains(t, stderr, "us.dcm (file 3): left out, as the profile says: text is, or may be, burned in")
	require.Contains(t, stdout, "1 instance was de-identified")
	require.Contains(t, stdout, "1 instance is left out")
	require.Contains(t, stdout, "1 file could not be de-identified and is left out")
	require.Contains(t, stdout, "1 of them is a copy of another file: nothing of it is missing")
}

// TestCreateNew: what a command writes for its user overwrites nothing.
func TestCreateNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.csv")
	f, err := command.CreateNew(path)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
	_, err = command.CreateNew(path)
	require.ErrorContains(t, err, "exists already and is not overwritten")
}

// TestByCaller: a caller whose address is that of several servers has one row.
func TestByCaller(t *testing.T) {
	call := func(server, ae, address string) client.RejectedCaller {
		return client.RejectedCaller{
			Server: server, CallingAE: ae, Address: address,
			Reason: "calling_ae_title", Detail: "of " + server, Calls: 2,
		}
	}
	rows := byCaller([]client.RejectedCaller{
		call("A", "X", "10.0.0.1"), call("B", "X", "10.0.0.1"), call("", "X", "10.0.0.1"),
		call("A", "Y", "10.0.0.1"), call("A", "X", "10.0.0.2"),
	})
	require.Len(t, rows, 3)
	require.Equal(t, "A or B", rows[0].Server)
	require.EqualValues(t, 2, rows[0].Calls)
	require.Contains(t, rows[0].Detail, "of A; or: of B")
}
