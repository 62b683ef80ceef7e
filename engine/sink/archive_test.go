// SPDX-License-Identifier: AGPL-3.0-or-later

package sink_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/sink/sinktest"
	"github.com/adit-go/adit/internal/zipaes"
)

const archivePassword = "correct horse: battery"

// TestArchive: an archive keeps all promises of a sink, with names under a pseudonym and with archives within.
func TestArchive(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		pseudonym string
		quotaGB   float64
	}{
		"under a pseudonym": {pseudonym: "SUBJ"},
		"with names":        {},
		"with a quota":      {quotaGB: 1},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Subject {
				_, subject := s.archive(t, c.pseudonym, c.quotaGB)
				return subject
			})
		})
	}
}

// archive is an archive in a folder of its own.
func (s *site) archive(t *testing.T, pseudonym string, quotaGB float64) (*task, sinktest.Subject) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "here", "folder")
	require.NoError(t, os.MkdirAll(root, 0o755))
	k := s.claimOf(t, func(name string) nodes.DICOMNode {
		f := nodes.NewFolder{Name: name, Path: root, FolderLimits: nodes.FolderLimits{QuotaGB: quotaGB}}
		n, err := s.Engine.Nodes.AddFolder(t.Context(), s.Admin, f)
		require.NoError(t, err)
		return n
	}, func(transfer *jobs.Transfer) {
		transfer.ArchivePassword = archivePassword
		if pseudonym != "" {
			transfer.Studies[0].Pseudonym = fmt.Sprintf("%s-%d", pseudonym, s.tasks)
		}
	})
	last := k.sink()
	return k, sinktest.Subject{
		Sink: last,
		Crash: func() sink.Sink {
			sink.Abandon(last)
			last = k.sink()
			return last
		},
		Held: func() ([]sinktest.Instance, error) { return archived(t, root) },
		Away: func() { require.NoError(t, os.Rename(root, root+"-aside")) },
		Root: root,
	}
}

// archived returns the instances in the archive in a folder, of which nobody may have finished a copy yet.
func archived(t *testing.T, root string) ([]sinktest.Instance, error) {
	t.Helper()
	finished, err := filepath.Glob(filepath.Join(root, "*.zip"))
	require.NoError(t, err)
	parts, err := filepath.Glob(filepath.Join(root, "*.zip.part"))
	require.NoError(t, err)
	if len(finished)+len(parts) == 0 {
		return nil, nil
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.zip")
	if len(parts) == 0 {
		path = finished[0]
	} else {
		copied := func(from, to string) *os.File {
			b, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(to, b, 0o600))
			f, err := os.OpenFile(to, os.O_RDWR, 0)
			require.NoError(t, err)
			return f
		}
		file, list := copied(parts[0], path), copied(parts[0]+".index", filepath.Join(dir, "index"))
		defer func() { _, _ = file.Close(), list.Close() }()
		known, err := zipaes.ReadList(list, []byte(archivePassword))
		require.NoError(t, err)
		w, err := zipaes.Continue(file, list, []byte(archivePassword), zipaes.About{Label: known.Label})
		require.NoError(t, err)
		require.NoError(t, w.Finish(t.Context()))
	}
	to := filepath.Join(dir, "unpacked")
	out, err := exec.Command("7zz", "x", "-y", "-p"+archivePassword, "-o"+to, path).CombinedOutput()
	require.NoError(t, err, string(out))
	inner, err := filepath.Glob(filepath.Join(to, "*.zip"))
	require.NoError(t, err)
	for _, name := range inner {
		r, err := zip.OpenReader(name)
		require.NoError(t, err)
		require.NoError(t, os.CopyFS(strings.TrimSuffix(name, ".zip"), r))
		require.NoError(t, r.Close())
		require.NoError(t, os.Remove(name))
	}
	return sinktest.Files(to, zipaes.NoteName)
}

// instance is one that is put into an archive.
func instance(uid string) *sink.Outgoing {
	return &sink.Outgoing{
		Class: dict.CTImageStorage, UID: uid, Syntax: dict.ExplicitVRLittleEndian, Series: "1.2.3.4",
		Names: sink.ObjectNames{PatientID: "SECRET", Study: "1.2.3", Series: "1.2.3.4"},
		Open:  func() io.Reader { return bytes.NewReader([]byte(uid)) }, Again: true,
	}
}

// TestArchiveFinished: an archive gets its name when it is whole, goes on behind that, and is begun anew by a restart;
// its names tell no patient. What is not there any more is told.
func TestArchiveFinished(t *testing.T) {
	s := newSite(t)
	for name, pseudonym := range map[string]string{"under a pseudonym": "SUBJ", "with names": ""} {
		t.Run(name, func(t *testing.T) {
			k, subject := s.archive(t, pseudonym, 1)
			var rows []db.DeliveredRow
			named := func(n int) []string {
				files, err := filepath.Glob(filepath.Join(subject.Root, "adit_*"))
				require.NoError(t, err)
				require.Len(t, files, n)
				return files
			}
			run := func(uids ...string) {
				a := k.sink()
				defer a.Close(t.Context())
				gone, err := a.Gone(t.Context(), rows)
				require.NoError(t, err)
				require.Empty(t, gone)
				require.NoError(t, a.Begin(t.Context()))
				_, err = a.Prepare(t.Context(), nil)
				require.NoError(t, err)
				for _, uid := range uids {
					o := instance(uid)
					_, err := a.Put(t.Context(), 0, o)
					require.NoError(t, err)
					rows = append(rows, db.DeliveredRow{SourceSopUid: uid, File: o.File, FileBytes: o.FileBytes})
				}
				a.HangUp(t.Context())
				require.NoError(t, a.Commit())
				gone, err = a.Gone(t.Context(), rows)
				require.NoError(t, err)
				require.Empty(t, gone)
				require.NoError(t, a.(*sink.Archive).FinishNow(t.Context()))
				require.True(t, strings.HasSuffix(named(1)[0], ".zip"))
				gone, err = a.Gone(t.Context(), rows)
				require.NoError(t, err)
				require.Empty(t, gone)
				held, err := archived(t, subject.Root)
				require.NoError(t, err)
				require.Len(t, held, len(rows))
			}
			run("1.2.3.4.1", "1.2.3.4.2")
			run("1.2.3.4.3")
			run()
			out, err := exec.Command("7zz", "l", "-slt", named(1)[0]).CombinedOutput()
			require.NoError(t, err, string(out))
			require.Equal(t, pseudonym != "", strings.Contains(string(out), "SECRET")) // as whose it goes out
			require.Equal(t, pseudonym == "", strings.Contains(string(out), "0001-2.zip"))
			require.Contains(t, string(out), "AES-256")

			require.NoError(t, os.WriteFile(named(1)[0], []byte("something else"), 0o600))
			a := k.sink()
			defer a.Close(t.Context())
			gone, err := a.Gone(t.Context(), rows)
			require.NoError(t, err)
			require.Len(t, gone, len(rows))
			require.NoError(t, a.Begin(t.Context()))
			_, err = a.Prepare(t.Context(), nil)
			require.NoError(t, err)
			_, err = a.Put(t.Context(), 0, instance("1.2.3.4.5"))
			require.ErrorContains(t, err, "is not the archive of this job")
			require.Equal(t, fault.PolicyPermanent, fault.PolicyOf(err))

			require.NoError(t, os.Remove(named(1)[0]))
			_, err = k.Pool.Exec(t.Context(), "UPDATE jobs SET archive_begun = archive_begun + 1 WHERE id = $1", k.held.JobID)
			require.NoError(t, err)
			rows = nil
			run("1.2.3.4.6")
		})
	}
}

// TestArchiveOfFencedMember: a member whose lease has run out writes nothing, and one process at a time does.
func TestArchiveOfFencedMember(t *testing.T) {
	s := newSite(t)
	k, subject := s.archive(t, "", 0)
	first, second := subject.Sink, k.sink()
	for _, a := range []sink.Sink{first, second} {
		defer a.Close(t.Context())
		require.NoError(t, a.Begin(t.Context()))
		_, err := a.Prepare(t.Context(), nil)
		require.NoError(t, err)
	}
	_, err := first.Put(t.Context(), 0, instance("1.2.3.4.1"))
	require.NoError(t, err)
	_, err = second.Put(t.Context(), 0, instance("1.2.3.4.2"))
	require.ErrorContains(t, err, "another process")
	require.Equal(t, fault.PolicyWait, fault.PolicyOf(err))
	s.door.Fence(s.id)
	for _, a := range []sink.Sink{first, second} {
		_, err = a.Put(t.Context(), 0, instance("1.2.3.4.3"))
		require.ErrorIs(t, err, fault.ErrFenced)
	}
}
