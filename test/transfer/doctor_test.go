// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// diagnosis is what the doctor is to say of a server.
type diagnosis struct {
	good, bad map[string]string // check → part of its words
	absent    string            // check
	suggests  map[string]any    // setting → value
}

func (d diagnosis) require(t *testing.T, r doctor.Report) {
	t.Helper()
	seen, suggested := map[string]doctor.Check{}, map[string]any{}
	for _, c := range r.Checks {
		seen[c.Name] = c
		require.NotEmpty(t, c.Detail)
		require.True(t, strings.HasSuffix(c.Detail, "."), c.Detail)
		require.NotContains(t, c.Detail, "PHANTOM-00")
	}
	for _, s := range r.Suggestions {
		suggested[s.Setting] = s.Suggested
		require.NotEqual(t, s.Now, s.Suggested)
		require.NotEmpty(t, s.Why)
	}
	for name, words := range d.good {
		require.True(t, seen[name].OK, "%s: %+v", name, r.Checks)
		require.Contains(t, seen[name].Detail, words)
	}
	for name, words := range d.bad {
		require.Contains(t, seen, name)
		require.False(t, seen[name].OK, "%s: %+v", name, r.Checks)
		require.Contains(t, seen[name].Detail, words)
	}
	for name, c := range seen {
		if _, expected := d.bad[name]; !c.OK && !expected {
			t.Errorf("%s: %s", name, c.Detail)
		}
	}
	if d.absent != "" {
		require.NotContains(t, seen, d.absent)
	}
	if d.suggests == nil {
		d.suggests = map[string]any{}
	}
	require.Equal(t, d.suggests, suggested)
}

// TestDoctor: the check of a server says in words what it lacks, and what to do.
func TestDoctor(t *testing.T) {
	counts := []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances}
	find := func(f pacs.FindFaults) func(*pacs.Config) {
		return func(c *pacs.Config) { c.Misbehave.Find = f }
	}
	demo := func(f pacs.FindFaults) func(*pacs.Config) {
		return func(c *pacs.Config) { c.Studies, c.Misbehave.Find = phantom.DemoStudies(), f }
	}
	n := harness.New(t, harness.Config{})
	receives := func(f pacs.MoveFaults) func(*pacs.Config) {
		return func(c *pacs.Config) {
			c.MoveDestinations, c.Misbehave.Move = map[string]string{"ADIT": n.ReceiverAddr}, f
		}
	}
	originator := map[string]any{"retrieve.move_originator": true}
	for _, tt := range []struct {
		name     string
		set      func(*pacs.Config)
		settings func(*nodes.NewServer)
		diagnosis
	}{
		{
			"nothing wrong", receives(pacs.MoveFaults{}), nil,
			diagnosis{suggests: originator, good: map[string]string{
				"association": "open after", "echo": "was answered in", "find (study root)": "offers it",
				"store": "offers it", "transfer syntaxes": "JPEG 2000",
				"find studies": "its answers hold everything", "find keys": "filters by patient",
				"find limit": "The search reached no limit of results", "find series": "listed",
				"find images": "can be proven complete", "get": "5 instances of", "move": "An instance of",
			}},
		},
		{
			"empty", func(c *pacs.Config) { c.Studies = nil }, nil,
			diagnosis{good: map[string]string{"find studies": "finds no study"}, absent: "get"},
		},
		{
			"only uncompressed",
			func(c *pacs.Config) { receives(pacs.MoveFaults{})(c); c.StorageSyntaxes = plain }, nil,
			diagnosis{suggests: originator, good: map[string]string{"transfer syntaxes": "only uncompressed"}},
		},
		{
			"no IMAGE level", find(pacs.FindFaults{ImageLevelRefused: true}), noMove,
			diagnosis{
				suggests: map[string]any{"find_images": false},
				good:     map[string]string{"find images": "the count proves a transfer complete", "get": "5 instances of"},
			},
		},
		{
			"no IMAGE level, known", find(pacs.FindFaults{ImageLevelEmpty: true}),
			func(s *nodes.NewServer) { noMove(s); s.FindImages = new(bool) },
			diagnosis{good: map[string]string{"find images": "the count proves a transfer complete"}},
		},
		{
			"an IMAGE level that nobody asks for", find(pacs.FindFaults{}),
			func(s *nodes.NewServer) { noMove(s); s.FindImages = new(bool) },
			diagnosis{
				suggests: map[string]any{"find_images": true},
				good:     map[string]string{"find images": "can be proven complete"},
			},
		},
		{
			"neither list nor counts", find(pacs.FindFaults{ImageLevelEmpty: true, OmitKeys: counts}), noMove,
			diagnosis{
				good: map[string]string{"find studies": "lack NumberOfStudyRelatedInstances"},
				bad:  map[string]string{"find images": "neither lists nor counts instances"},
			},
		},
		{
			"counts that are wrong",
			find(pacs.FindFaults{Answers: map[dict.Tag][]string{dict.NumberOfSeriesRelatedInstances: {"7"}}}), noMove,
			diagnosis{
				suggests: map[string]any{"rules.ignore_counts": true},
				bad:      map[string]string{"find images": "counts wrongly"},
				good:     map[string]string{"get": "5 instances of"},
			},
		},
		{
			"capped lists", find(pacs.FindFaults{Cap: 3}), noMove,
			diagnosis{bad: map[string]string{"find images": "caps its answers"}},
		},
		{
			"capped searches", demo(pacs.FindFaults{Cap: 5}), noMove,
			diagnosis{
				suggests: map[string]any{"result_limit": 5},
				bad: map[string]string{
					"find limit":  "ends a search after 5 studies without saying",
					"find images": "caps its answers",
				},
			},
		},
		{
			"more than the limit", demo(pacs.FindFaults{}), func(s *nodes.NewServer) { noMove(s); s.ResultLimit = 10 },
			diagnosis{good: map[string]string{"find limit": "more than the 10 studies"}},
		},
		{
			"ignores keys", demo(pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientName, dict.StudyDate}}), noMove,
			diagnosis{
				good:   map[string]string{"find keys": "doesn't filter by PatientName, StudyDate"},
				absent: "find limit",
			},
		},
		{
			"answers C-CANCEL by an abort", demo(pacs.FindFaults{AbortOnCancel: true}), noMove,
			diagnosis{good: map[string]string{"find keys": "filters by", "get": "arrived in"}},
		},
		{
			"success, 0 of 0",
			func(c *pacs.Config) { receives(pacs.MoveFaults{})(c); c.Misbehave.Get.Empty = true }, nil,
			diagnosis{
				suggests: map[string]any{
					"retrieve.methods": []string{"C-MOVE", "C-GET"}, "retrieve.move_originator": true,
				},
				bad: map[string]string{"get": "nothing arrived"}, good: map[string]string{"move": "An instance of"},
			},
		},
		{
			"sends half of it", func(c *pacs.Config) { c.Misbehave.Get.SuccessAfter = 2 }, noMove,
			diagnosis{
				bad:      map[string]string{"get": "Of 5 requested instances, 2 arrived"},
				suggests: map[string]any{"supports.study_root_move": true},
			},
		},
		{
			"moves without originator", receives(pacs.MoveFaults{NoOriginator: true}),
			nil,
			diagnosis{good: map[string]string{"move": "An instance of"}},
		},
		{
			"moves late", receives(pacs.MoveFaults{Late: 1}), nil,
			diagnosis{suggests: originator, good: map[string]string{"move": "An instance of"}},
		},
		{
			"doesn't know the destination", find(pacs.FindFaults{}), nil,
			diagnosis{
				bad: map[string]string{
					"move": "doesn't know the Move Destination ADIT (status A801H): have its administrator enter this AE title",
				},
			},
		},
		{
			"calls under another name", receives(pacs.MoveFaults{CallingAE: "STRANGER"}), nil,
			diagnosis{bad: map[string]string{"move": "whether it calls under its own AE title"}},
		},
		{
			"offers C-MOVE that nobody uses", find(pacs.FindFaults{}),
			func(s *nodes.NewServer) { s.Supports.StudyRootMove = false },
			diagnosis{good: map[string]string{"move (study root)": "only where nothing else brings"}},
		},
		{
			"offers C-MOVE where nothing else is used", find(pacs.FindFaults{}),
			func(s *nodes.NewServer) { s.Supports.StudyRootMove, s.Supports.StudyRootGet = false, false },
			diagnosis{
				suggests: map[string]any{"supports.study_root_get": true},
				good:     map[string]string{"move (study root)": "only where nothing else brings"},
			},
		},
		{
			"offers C-MOVE, and a C-GET that brings nothing", func(c *pacs.Config) { c.Misbehave.Get.Empty = true },
			func(s *nodes.NewServer) { s.Supports.StudyRootMove = false },
			diagnosis{
				suggests: map[string]any{"supports.study_root_move": true},
				bad:      map[string]string{"get": "nothing arrived"},
			},
		},
		{
			"wrong called AE title", func(c *pacs.Config) { c.AETitle = "OTHER" }, nil,
			diagnosis{bad: map[string]string{"association": "alled AE title"}, absent: "find studies"},
		},
		{
			"calling AE title unknown there", func(c *pacs.Config) { c.CallingAETitles = []string{"SOMEBODY"} }, nil,
			diagnosis{bad: map[string]string{"association": "add this AE title"}, absent: "find studies"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := fmt.Sprintf("DOC%d", pairs.Add(1))
			cfg := pacs.Config{AETitle: name, Studies: []*phantom.Study{ct(uint64(100+pairs.Load()), 5)}}
			tt.set(&cfg)
			p := startPACS(t, cfg)
			n.AddServer(name, name, p.Addr(), func(s *nodes.NewServer) {
				s.Supports.StudyRootMove, s.Retrieve.MovePatience = true, time.Second
				if tt.settings != nil {
					tt.settings(s)
				}
			})
			report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, name)
			require.NoError(t, err)
			tt.require(t, report)
			require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
			most := 1
			if cfg.Misbehave.Find.AbortOnCancel {
				most = 2 // it sees the end of the association that it has aborted later than we
			}
			require.LessOrEqual(t, p.Recorder().Log().Peak, most, "one slot is one association")
		})
	}
}

// noMove has the server known to offer no C-MOVE, though it does: that is another test's.
func noMove(s *nodes.NewServer) { s.Supports.StudyRootMove, s.Supports.StudyRootGet = false, true }

var plain = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}

// TestDoctorPeers: what real servers are like.
func TestDoctorPeers(t *testing.T) {
	n := harness.New(t, harness.Config{})
	c := newCorpus(t)
	c.addPhantoms(t, dict.ExplicitVRLittleEndian)
	check := func(name, ae, addr string) doctor.Report {
		n.AddServer(name, ae, addr, func(s *nodes.NewServer) { s.Supports.StudyRootMove = true })
		report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, name)
		require.NoError(t, err)
		return report
	}
	all := map[string]string{
		"echo": "was answered in", "find keys": "", "find limit": "reached no limit",
		"find images": "can be proven complete", "get": "arrived in", "move": "An instance of",
	}
	t.Run("Orthanc", func(t *testing.T) {
		o := testpeer.Orthanc(t, noDelay, map[string]any{
			"DicomModalities": map[string]any{"adit": []any{"ADIT", "127.0.0.1", n.ReceiverPort()}},
		})
		for _, file := range c.files {
			o.Upload(t, file)
		}
		diagnosis{good: all, suggests: map[string]any{"retrieve.move_originator": true}}.require(
			t, check("orthanc", "ORTHANC", o.Addr),
		)
	})
	t.Run("dcmqrscp", func(t *testing.T) {
		index := t.TempDir()
		output, exit := testpeer.Run(
			t, nil, "dcmqridx", append([]string{index}, slices.Sorted(maps.Values(c.files))...)...,
		)
		require.Zero(t, exit, output)
		qr := testpeer.DcmQRSCPTo(t, noDelay, index, map[string]int{"ADIT": n.ReceiverPort()})
		diagnosis{good: all, suggests: map[string]any{"retrieve.move_originator": true}}.require(
			t, check("dcmqrscp", "QRSCP", qr.Addr),
		)
	})
	t.Run("storescp", func(t *testing.T) {
		diagnosis{
			good: map[string]string{"store": "offers it", "echo": "was answered"}, absent: "find studies",
			bad: map[string]string{
				"find (study root)": "doesn't offer it", "get (study root)": "doesn't offer it",
				"move (study root)": "doesn't offer it",
			},
			suggests: map[string]any{
				"supports.study_root_find": false, "supports.study_root_get": false, "supports.study_root_move": false,
			},
		}.require(t, check("storescp", "STORESCP", testpeer.StoreSCP(t, noDelay, t.TempDir(), "--fork").Addr))
	})
}

// TestDoctorElsewhere: what listens there is no PACS at all.
func TestDoctorElsewhere(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("down", "DOWN", "127.0.0.1:1", nil)
	n.AddFolder("folder", t.TempDir())
	for name, words := range map[string]string{"down": "nothing listens there", "folder": "exists and is writable"} {
		report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, name)
		require.NoError(t, err)
		require.Len(t, report.Checks, 1)
		require.Contains(t, report.Checks[0].Detail, words)
		require.True(t, strings.HasSuffix(report.Checks[0].Detail, "."), report.Checks[0].Detail)
	}
}
