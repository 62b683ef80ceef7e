// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package process

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// own is how many of DemoStudies RESEARCH has of its own.
const own = 3

// ServePhantoms starts a server as Serve does, which knows the servers PACS-A, with all but the last of DemoStudies,
// and RESEARCH. Unlike a demo it has no jobs, and its administrator no password.
func ServePhantoms(t testing.TB, dataDir string, args ...string) *Server {
	t.Helper()
	s := Serve(t, dataDir, args...)
	studies := phantom.DemoStudies()
	receiver := "127.0.0.1:" + DICOMLine.FindStringSubmatch(s.Banner)[1]
	for _, p := range []struct {
		name, aeTitle string
		studies       []*phantom.Study
	}{
		{"PACS-A", "PACS_A", studies[:len(studies)-own]},
		{"RESEARCH", "RESEARCH", studies[len(studies)-own:]},
	} {
		running, err := pacs.Start(pacs.Config{
			AETitle: p.aeTitle, Studies: p.studies, Folder: t.TempDir(),
			MoveDestinations: map[string]string{"ADIT": receiver, "ADIT_LE": receiver},
		})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, running.Close()) })
		out, code := s.Adit(
			"node", "add", "server", p.name, "--ae-title", p.aeTitle, "--host", "127.0.0.1",
			"--port", strconv.Itoa(running.Port()), "--supports", "find,get,move,store",
		)
		require.Zero(t, code, out)
	}
	return s
}
