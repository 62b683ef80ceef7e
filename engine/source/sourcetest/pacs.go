// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"context"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/source"
)

// PACS is a peer by DIMSE and DICOMweb, which has every fault that the suite asks for. Its AE title is PACS.
type PACS struct {
	*pacs.PACS
	Line    *Line // to it
	WebLine *Line // to its DICOMweb services, which are below /dicom-web

	mu   sync.Mutex
	gate func(ctx context.Context, e pacs.Event) // nil: none
}

// NewPACS starts a PACS with some studies, which ends with the test.
func NewPACS(t *testing.T, studies []*phantom.Study) *PACS {
	t.Helper()
	p := &PACS{}
	var err error
	p.PACS, err = pacs.Start(
		pacs.Config{AETitle: "PACS", Studies: studies, Gate: p.pass, Web: &pacs.WebConfig{}},
	)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	p.Line = NewLine(t, p.Addr())
	root, err := url.Parse(p.WebURL())
	require.NoError(t, err)
	p.WebLine = NewLine(t, root.Host)
	return p
}

// pass holds an event where it is to be held.
func (p *PACS) pass(ctx context.Context, e pacs.Event) {
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	if gate != nil {
		gate(ctx, e)
	}
}

func (p *PACS) setGate(g func(ctx context.Context, e pacs.Event)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = g
}

// retrieve has it err at the next retrieves.
func (p *PACS) retrieve(f pacs.GetFaults) {
	p.SetMisbehave(pacs.Misbehave{Get: f, Move: pacs.MoveFaults{GetFaults: f}})
}

// Subject returns a source that reads from the PACS over its line, with all faults but Drop, which takes seconds to
// try.
func (p *PACS) Subject(from source.Source) Subject {
	return Subject{
		Source: from,
		Quiet:  func(ctx context.Context) error { return p.Recorder().WaitOpen(ctx, 0) },
		Away:   p.Line.Close,
		BreakList: func(after int) {
			p.SetMisbehave(pacs.Misbehave{Find: pacs.FindFaults{First: 1, DropAtMatch: after + 1}})
		},
		DenyList: p.denyList,
		Break: func(after int) {
			p.retrieve(
				pacs.GetFaults{First: 1, DropAtObject: after + 1, DropAfterBytes: 200},
			)
		},
		Deny:   func(status dimse.Status) { p.retrieve(pacs.GetFaults{First: 1, Status: status}) },
		Refuse: func(uid string) { p.retrieve(pacs.GetFaults{Refuse: []string{uid}}) },
		Short:  func(after int) { p.retrieve(pacs.GetFaults{First: 1, SuccessAfter: after}) },
		Hold:   p.hold,
	}
}

func (p *PACS) denyList(level string, status dimse.Status) {
	f, list := pacs.FindFaults{}, pacs.ListFaults{Status: status, First: 1}
	switch level {
	case "STUDY":
		f.Study = list
	case "SERIES":
		f.Series = list
	case "IMAGE":
		f.Image = list
	}
	p.SetMisbehave(pacs.Misbehave{Find: f})
}

func (p *PACS) hold(after int) {
	var retrieves atomic.Int32
	p.setGate(func(ctx context.Context, e pacs.Event) {
		switch {
		case e.Kind == pacs.AtGet || e.Kind == pacs.AtMove:
			retrieves.Add(1)
		case e.Kind == pacs.AtSubOperation && e.Number == after+1 && retrieves.Load() == 1:
			select {
			case <-e.Canceled:
			case <-ctx.Done():
			}
		}
	})
}
