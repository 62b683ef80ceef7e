// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// TestDoctor: the check of a server says in words what it lacks, and what to do.
func TestDoctor(t *testing.T) {
	counts := []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances}
	tests := []struct {
		name   string
		set    func(*pacs.Config)
		good   map[string]string // check → part of its words
		bad    map[string]string
		absent string
	}{
		{
			name: "nothing wrong", set: func(*pacs.Config) {},
			good: map[string]string{
				"echo": "C-ECHO answered in", "find (study root)": "offers it", "store": "offers it", "transfer syntaxes": "JPEG 2000",
				"find studies": "answers everything", "find series": "listed", "find images": "can be proven complete",
				"get": "as Explicit VR Little Endian",
			},
		},
		{
			name: "empty", set: func(c *pacs.Config) { c.Studies = nil },
			good: map[string]string{"find studies": "finds no study"}, absent: "get",
		},
		{
			name: "uncompressed only", set: func(c *pacs.Config) { c.StorageSyntaxes = plain },
			good: map[string]string{"transfer syntaxes": "uncompressed only"},
		},
		{
			name: "no IMAGE level", set: func(c *pacs.Config) { c.Misbehave.Find.ImageLevelRefused = true },
			good: map[string]string{"find images": "proven complete by the count", "get": "An image of"},
		},
		{
			name: "neither list nor counts", set: func(c *pacs.Config) {
				c.Misbehave.Find = pacs.FindFaults{ImageLevelEmpty: true, OmitKeys: counts}
			},
			good: map[string]string{"find studies": "lack NumberOfStudyRelatedInstances"},
			bad:  map[string]string{"find images": "neither listed nor counted"},
		},
		{
			name: "capped lists", set: func(c *pacs.Config) { c.Misbehave.Find.Cap = 3 },
			bad: map[string]string{"find images": "caps its answers"},
		},
		{
			name: "success, 0 of 0", set: func(c *pacs.Config) { c.Misbehave.Get.Empty = true },
			bad: map[string]string{"get": "nothing arrived"},
		},
		{
			name: "wrong called AE title", set: func(c *pacs.Config) { c.AETitle = "OTHER" },
			bad: map[string]string{"echo": "alled AE title"}, absent: "find studies",
		},
		{
			name: "calling AE title unknown there", set: func(c *pacs.Config) { c.CallingAETitles = []string{"SOMEBODY"} },
			bad: map[string]string{"echo": "add this AE title"}, absent: "find studies",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := pacs.Config{AETitle: "PACS", Studies: []*phantom.Study{ct(11, 5)}}
			tt.set(&cfg)
			p := startPACS(t, cfg)
			n := harness.New(t, harness.Config{Idle: true})
			n.AddServer("pacs", "PACS", p.Addr(), nil)
			report, err := n.Engine.CheckNode(t.Context(), n.Admin, "pacs")
			require.NoError(t, err)
			checks := report.Checks
			seen := map[string]engine.Check{}
			for _, c := range checks {
				seen[c.Name] = c
			}
			for name, words := range tt.good {
				require.True(t, seen[name].OK, "%+v", checks)
				require.Contains(t, seen[name].Detail, words)
			}
			for name, words := range tt.bad {
				require.False(t, seen[name].OK, "%+v", checks)
				require.Contains(t, seen[name].Detail, words)
			}
			if tt.absent != "" {
				require.NotContains(t, seen, tt.absent)
			}
			require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
			require.LessOrEqual(t, p.Recorder().Log().Peak, 1, "one slot is one association")
		})
	}
}

var plain = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}

// TestDoctorElsewhere: what listens there is no PACS at all.
func TestDoctorElsewhere(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("down", "DOWN", "127.0.0.1:1", nil)
	n.AddFolder("folder", t.TempDir())
	for name, words := range map[string]string{"down": "nothing listens there", "folder": "there and writable"} {
		report, err := n.Engine.CheckNode(t.Context(), n.Admin, name)
		require.NoError(t, err)
		checks := report.Checks
		require.Len(t, checks, 1)
		require.Contains(t, checks[0].Detail, words)
		require.True(t, strings.HasSuffix(checks[0].Detail, "."), checks[0].Detail)
	}
}
