// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/deidentify"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/engine/nodes"
)

// TestDeidVerify: what adit deid has written is proven by its manifest, on its own, with the key, and with the number
// that was printed; more files may come later; what was changed, added or removed is named, and nothing of the patient
// is.
func TestDeidVerify(t *testing.T) {
	in, more, out, key := t.TempDir(), t.TempDir(), t.TempDir(), keyFile(t)
	aStudy(t, in, "HOSPITAL-4711", 7)
	aStudy(t, more, "HOSPITAL-4711", 8)
	number := regexp.MustCompile(`The manifest ends in ([0-9a-f]{64}); keep`)
	deidentifies := func(from, to string) string {
		code, stdout, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", from, to)
		require.Equal(t, command.ExitSuccess, code, stderr)
		m := number.FindStringSubmatch(stdout)
		require.NotNil(t, m, stdout)
		return m[1]
	}
	chain := deidentifies(in, out)
	again := t.TempDir()
	require.Equal(t, chain, deidentifies(in, again), "the same files give the same manifest")
	verify := func(want int, args ...string) string {
		t.Helper()
		code, stdout, stderr := adit(t, append([]string{"deid", "--verify"}, args...)...)
		require.Equal(t, want, code, "%s%s", stdout, stderr)
		require.NotContains(t, stdout+stderr, "Meierschmidt")
		require.NotContains(t, stdout+stderr, "HOSPITAL")
		return stdout + stderr
	}
	require.Contains(t, verify(command.ExitSuccess, out), "15 files are what the manifest says.")
	require.Contains(t, verify(command.ExitSuccess, "--key-file", key, "--chain", chain, out), "sealed by the key")
	require.Contains(t, verify(command.ExitFailure, "--chain", chain[1:]+"0", out), "hash that you gave")

	longer := deidentifies(more, out)
	require.NotEqual(t, chain, longer)
	require.Contains(t, verify(command.ExitSuccess, "--chain", longer, out), "30 files are what the manifest says.")

	// The same files once more, into the same folder.
	longest := deidentifies(in, out)
	require.NotEqual(t, longer, longest)
	require.Contains(
		t, verify(command.ExitSuccess, "--key-file", key, "--chain", longest, out),
		"30 files are what the manifest says.",
	)

	var first string
	for name := range tree(t, out) {
		first = filepath.Join(out, name)
		break
	}
	b, err := os.ReadFile(first)
	require.NoError(t, err)
	require.NoError(t, os.Remove(first))
	require.Contains(t, verify(command.ExitFailure, out), "is missing")
	require.NoError(t, os.WriteFile(first, append(b, 0), 0o600))
	require.Contains(t, verify(command.ExitFailure, out), "was changed")
	require.NoError(t, os.WriteFile(first, b, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(out, "more.dcm"), b, 0o600))
	require.Contains(t, verify(command.ExitFailure, out), "more.dcm was added")
	require.Contains(t, verify(command.ExitFailure, in), "nothing about the folder can be proven")
	require.Contains(t, verify(command.ExitUsage), "expected")
	require.Contains(t, verify(command.ExitUsage, out, in), "nothing else")

	// What was written may be read again: the manifest is none of the files.
	code, _, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", "P-2", again, t.TempDir())
	require.Equal(t, command.ExitSuccess, code, stderr)

	bare := t.TempDir()
	code, stdout, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", "P-1", "--no-manifest", in, bare)
	require.Equal(t, command.ExitSuccess, code, stderr)
	require.NotContains(t, stdout, "manifest")
	require.NoFileExists(t, filepath.Join(bare, manifest.Name))
	require.Equal(t, tree(t, again), tree(t, bare))
}

// TestDeidVerifyMark: what says by what a folder was de-identified is proven like the objects: who may exchange it
// decides which patients a later run takes for which.
func TestDeidVerifyMark(t *testing.T) {
	in, more, out, key := t.TempDir(), t.TempDir(), t.TempDir(), keyFile(t)
	aStudy(t, in, "HOSPITAL-4711", 7)
	aStudy(t, more, "HOSPITAL-4712", 8)
	require.NoError(t, os.WriteFile(filepath.Join(more, nodes.MarkerName), []byte("of ADIT"), 0o600))
	run := func(from, pseudonym, to string) {
		t.Helper()
		code, _, stderr := adit(t, "deid", "--key-file", key, "--pseudonym", pseudonym, from, to)
		require.Equal(t, command.ExitSuccess, code, stderr)
	}
	run(in, "P-1", out)
	mark := filepath.Join(out, deidentify.FolderMarkName)
	first, err := os.ReadFile(mark)
	require.NoError(t, err)
	run(more, "P-2", out)
	second, err := os.ReadFile(mark)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	for _, c := range []struct {
		name string
		do   func() error
		code int
		says string
	}{
		{"as written", func() error { return nil }, command.ExitSuccess, "30 files are what the manifest says."},
		{"marked by jobs", func() error { return os.WriteFile(filepath.Join(out, nodes.MarkerName), []byte("of ADIT"), 0o600) }, command.ExitSuccess, "30 files are what the manifest says."},
		{"with a line more", func() error { return os.WriteFile(mark, append(slices.Clip(second), '\n'), 0o600) }, command.ExitFailure, "changed"},
		{"of the run before", func() error { return os.WriteFile(mark, first, 0o600) }, command.ExitFailure, "changed"},
		{"with something of a patient", func() error { return os.WriteFile(mark, []byte(`{"format":1,"note":"Meierschmidt"}`), 0o600) }, command.ExitFailure, "changed"},
		{"gone", func() error { return os.Remove(mark) }, command.ExitFailure, "is missing"},
		{"a link", func() error { return os.Symlink("manifest.jsonl", mark) }, command.ExitFailure, "is not a file"},
	} {
		_ = os.Remove(mark)
		require.NoError(t, os.WriteFile(mark, second, 0o600))
		if c.name == "a link" {
			require.NoError(t, os.Remove(mark))
		}
		require.NoError(t, c.do(), c.name)
		code, stdout, stderr := adit(t, "deid", "--verify", "--key-file", key, out)
		require.Equal(t, c.code, code, "%s: %s%s", c.name, stdout, stderr)
		require.Contains(t, stdout+stderr, c.says, c.name)
		require.NotContains(t, stdout+stderr, "Meierschmidt")
	}
}
