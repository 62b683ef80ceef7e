// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dicomweb tests the proxy for DICOMweb with the clients that people use.
package dicomweb

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

func TestMain(m *testing.M) { process.Main(m, cli.Main) }

// TestAditClientSearches: the original's Python client finds through ADIT what a PACS has that knows DIMSE alone.
func TestAditClientSearches(t *testing.T) {
	python := testpeer.Python(t, "dicomweb")
	dir := filepath.Join(t.TempDir(), "data")
	s := process.ServePhantoms(t, dir, "--database-url", dbtest.URL(t))
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	patient := phantom.DemoStudies()[0].Spec.Patient.ID
	type study struct {
		Study      string   `json:"study"`
		Name       string   `json:"name"`
		Modalities []string `json:"modalities"`
		Series     []string `json:"series"`
		Images     []string `json:"images"`
	}
	var want []study
	for _, st := range phantom.DemoStudies()[:2] {
		require.Equal(t, patient, st.Spec.Patient.ID)
		one := study{Study: st.StudyInstanceUID}
		for _, series := range st.Series {
			one.Series = append(one.Series, series.SeriesInstanceUID)
		}
		for _, in := range st.Instances() {
			one.Images = append(one.Images, in.SOPInstanceUID)
		}
		slices.Sort(one.Series)
		slices.Sort(one.Images)
		want = append(want, one)
	}
	var got struct {
		Found   []study `json:"found"`
		Nothing int     `json:"nothing"`
		Unknown int     `json:"unknown"`
	}
	cmd := exec.CommandContext(t.Context(), python, "search.py", s.URL, strings.TrimSpace(string(token)), "PACS_A", patient)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("%s", exit.Stderr)
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &got))
	require.Zero(t, got.Nothing)
	require.Equal(t, 404, got.Unknown)
	for i := range got.Found {
		require.NotEmpty(t, got.Found[i].Name)
		require.NotEmpty(t, got.Found[i].Modalities)
		got.Found[i].Name, got.Found[i].Modalities = "", nil
	}
	require.ElementsMatch(t, want, got.Found)
}
