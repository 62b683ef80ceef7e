// SPDX-License-Identifier: AGPL-3.0-or-later

// Package web tests servers that are spoken to by DICOMweb as sources and destinations: studies that go from one to
// another, complete or loud.
package web

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	os.Exit(m.Run())
}

func startPACS(t *testing.T, cfg pacs.Config) *pacs.PACS {
	t.Helper()
	if cfg.Web == nil {
		cfg.Web = &pacs.WebConfig{}
	}
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// ct is a small study of one series.
func ct(seed uint64, instances int) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: instances, Rows: 64, Columns: 64}},
	})
}

// mixed is a study of several series, in several transfer syntaxes.
func mixed(seed uint64) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-002", Name: "Phantom^Beta"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 30, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: 10, Rows: 64, Columns: 64, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
			{Kind: phantom.Ultrasound, Instances: 3, Rows: 64, Columns: 64, Frames: 3, TransferSyntaxUID: dict.RLELossless},
			{Kind: phantom.Report, Instances: 2},
			{Kind: phantom.MultiFrame, Rows: 512, Columns: 512, Frames: 20},
		},
	})
}

// byWeb has a server be spoken to by DICOMweb alone.
func byWeb(p *pacs.PACS) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.Host, s.Port = "", 0
		s.Supports = nodes.Supports{QIDO: true, WADO: true, STOW: true}
		s.DICOMweb.RootURL = p.WebURL()
	}
}

// requireSame asserts that every object went out of the source once and into the destination with the same bytes.
func requireSame(t *testing.T, src, dst *pacs.PACS, n int) {
	t.Helper()
	sent := map[string]string{}
	for _, s := range src.Recorder().Log().Sent {
		require.NotContains(t, sent, s.SOPInstanceUID, "sent twice")
		sent[s.SOPInstanceUID] = s.SHA256
	}
	stored := map[string]string{}
	for _, s := range dst.Recorder().Log().Stores {
		require.NotContains(t, stored, s.SOPInstanceUID, "stored twice")
		stored[s.SOPInstanceUID] = s.SHA256
	}
	require.Len(t, stored, n)
	require.Equal(t, sent, stored)
}

// TestWays: a study goes between servers by every combination of DIMSE and DICOMweb, byte for byte, and nothing twice.
func TestWays(t *testing.T) {
	study := mixed(1)
	for name, c := range map[string]struct {
		from, to func(*pacs.PACS) func(*nodes.NewServer)
	}{
		"DIMSE to DICOMweb":    {nil, byWeb},
		"DICOMweb to DIMSE":    {byWeb, nil},
		"DICOMweb to DICOMweb": {byWeb, byWeb},
	} {
		t.Run(name, func(t *testing.T) {
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{AETitle: "DST", Memory: 1 << 30})
			n := harness.New(t, harness.Config{})
			for name, at := range map[string]struct {
				p      *pacs.PACS
				change func(*pacs.PACS) func(*nodes.NewServer)
			}{"source": {src, c.from}, "destination": {dst, c.to}} {
				var change func(*nodes.NewServer)
				if at.change != nil {
					change = at.change(at.p)
				}
				n.AddServer(name, map[string]string{"source": "SRC", "destination": "DST"}[name], at.p.Addr(), change)
			}
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
			requireSame(t, src, dst, len(study.Instances()))
		})
	}
}

// TestOneUIDTwice: where a source sends two instances under one UID, the task says so, by whatever means they come.
// Copies are no news.
func TestOneUIDTwice(t *testing.T) {
	study := liars(9)
	twice := func(values map[dict.Tag]string) (m pacs.Misbehave) {
		inside := map[string]map[dict.Tag]string{}
		if values != nil {
			inside[study.Series[0].Instances[2].SOPInstanceUID] = values
		}
		m.Get.TwiceAll, m.Get.Inside, m.Get.InsideCopies = true, inside, true
		m.Web.Retrieve.Twice, m.Web.Retrieve.Inside, m.Web.Retrieve.InsideCopies = true, inside, true
		return m
	}
	for name, tt := range map[string]struct {
		series int // that the second one is of
		values map[dict.Tag]string
		faults pacs.Misbehave
		says   string
	}{
		"other content":  {faults: twice(map[dict.Tag]string{dict.InstanceNumber: "77"}), says: "with other content"},
		"another series": {series: 1, values: map[dict.Tag]string{}, says: "of another series"},
		"copies":         {faults: twice(nil)},
	} {
		for way, change := range map[string]func(*pacs.PACS) func(*nodes.NewServer){
			"DICOMweb": byWeb, "DIMSE": func(*pacs.PACS) func(*nodes.NewServer) { return nil },
		} {
			t.Run(name+", "+way, func(t *testing.T) {
				src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: tt.faults})
				if tt.values != nil {
					first := study.Series[0].Instances[2].SOPInstanceUID
					tt.values[dict.SOPInstanceUID] = first
					src.AddInstance(study.Series[tt.series].Instances[4], tt.values)
				}
				dst := startPACS(t, pacs.Config{AETitle: "DST", Memory: 1 << 30})
				n := harness.New(t, harness.Config{})
				n.AddServer("source", "SRC", src.Addr(), change(src))
				n.AddServer("destination", "DST", dst.Addr(), nil)
				job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
				message := n.Task(job.ID).Message
				if tt.says == "" {
					require.Equal(t, jobs.Success, job.Status, message)
					return
				}
				require.Equal(t, jobs.Warning, job.Status, message)
				require.Contains(t, message, tt.says)
			})
		}
	}
}
