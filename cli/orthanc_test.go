// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// TestTransferBetweenOrthancs does by commands what a person does: all studies of one Orthanc go to another. Orthanc
// writes anew what it receives; a third one, to which the first sends by itself, is the control.
func TestTransferBetweenOrthancs(t *testing.T) {
	const noDelay = testpeer.NoDelay
	from, to := testpeer.Orthanc(t, []string{noDelay}, nil), testpeer.Orthanc(t, []string{noDelay}, nil)
	args := []string{"transfer", "--source", "from", "--destination", "to", "--wait"}
	dir := t.TempDir()
	images := 0
	for _, study := range phantom.DemoStudies()[8:] {
		paths, err := study.WriteFiles(dir)
		require.NoError(t, err)
		for _, path := range paths {
			from.Upload(t, path)
		}
		args = append(args, "--study", study.StudyInstanceUID)
		images += len(paths)
	}
	s := process.Serve(t, filepath.Join(t.TempDir(), "data"))
	for name, o := range map[string]*testpeer.OrthancServer{"from": from, "to": to} {
		out, code := s.Adit(
			"node", "add", "server", name, "--ae-title", "ORTHANC_"+name, "--host",
			"127.0.0.1", "--port", strconv.Itoa(o.Port), "--supports", "find,get,store",
		)
		require.Zero(t, code, out)
		out, code = s.Adit("node", "check", name)
		require.Zero(t, code, out)
	}
	out, code := s.Adit(args...)
	require.Zero(t, code, out)
	require.Contains(t, out, "All tasks succeeded")

	control := testpeer.Orthanc(t, []string{noDelay}, nil)
	from.CopyTo(t, control)
	copied, arrived := control.Files(t), to.Files(t)
	require.Len(t, arrived, images)
	require.ElementsMatch(t, slices.Collect(maps.Keys(copied)), slices.Collect(maps.Keys(arrived)))
	for uid := range copied {
		require.True(t, bytes.Equal(copied[uid], arrived[uid]), uid)
	}
}

// TestUnknownToOrthanc: an Orthanc that doesn't know our AE title aborts without a reason; what to do is said by the
// tools and by the server.
func TestUnknownToOrthanc(t *testing.T) {
	o := testpeer.Orthanc(t, []string{testpeer.NoDelay}, map[string]any{
		"DicomAlwaysAllowEcho": false, "DicomAlwaysAllowFind": false,
		"DicomAlwaysAllowGet": false, "DicomAlwaysAllowStore": false,
	})
	dir, port := t.TempDir(), strconv.Itoa(o.Port)
	paths, err := phantom.DemoStudies()[11].WriteFiles(dir)
	require.NoError(t, err)
	const hint = `perhaps it does not know the AE title "ADIT"`
	for _, args := range [][]string{
		{"find", "127.0.0.1", port, "-k", "PatientID=1"},
		{"get", "127.0.0.1", port, "-k", "StudyInstanceUID=1.2", "--sop-class", dict.CTImageStorage, "-od", dir},
		{"store", "127.0.0.1", port, paths[0]},
	} {
		out, errs, code := runAdit(t, args...)
		require.Equal(t, command.ExitFailure, code, out+errs)
		require.Contains(t, errs, hint, args[0])
	}
	s := process.Serve(t, filepath.Join(t.TempDir(), "data"))
	out, code := s.Adit(
		"node", "add", "server", "orthanc", "--ae-title", "ORTHANC", "--host",
		"127.0.0.1", "--port", port, "--supports", "find,get,store",
	)
	require.Zero(t, code, out)
	out, code = s.Adit("search", "--source", "orthanc", "--patient-id", "1")
	require.NotZero(t, code, out)
	require.Contains(t, out, hint)
	out, _ = s.Adit("node", "check", "orthanc")
	require.Contains(t, out, hint)
}
