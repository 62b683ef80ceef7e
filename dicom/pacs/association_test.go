// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/ul"
)

func TestRejects(t *testing.T) {
	for _, test := range []struct {
		name      string
		cfg       pacs.Config
		transient bool
		reason    byte
	}{
		{"called AE title", pacs.Config{AETitle: "OTHER"}, false, ul.ReasonCalledAE},
		{"calling AE title", pacs.Config{CallingAETitles: []string{"OTHER"}}, false, ul.ReasonCallingAE},
		{"called AE title, by fault", pacs.Config{Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{Reject: pacs.RejectCalledAE}}}, false, ul.ReasonCalledAE},
		{"calling AE title, by fault", pacs.Config{Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{Reject: pacs.RejectCallingAE}}}, false, ul.ReasonCallingAE},
		{"local limit, by fault", pacs.Config{Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{Reject: pacs.RejectLimit}}}, true, ul.ReasonLocalLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.cfg)
			_, err := dimse.Dial(limit(t), config(p))
			var rejected *ul.RejectedError
			require.ErrorAs(t, err, &rejected)
			require.Equal(t, test.reason, rejected.Reason)
			require.Equal(t, test.transient, rejected.Transient())
			require.Equal(t, 1, p.Recorder().Log().Rejected)
			require.Zero(t, p.Recorder().Log().Total)
		})
	}
}

func TestRejectsTheFirstOnly(t *testing.T) {
	p := start(t,
		pacs.Config{Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{First: 2, Reject: pacs.RejectLimit}}},
	)
	for range 2 {
		_, err := dimse.Dial(limit(t), config(p))
		require.Error(t, err)
	}
	require.NoError(t, dial(t, p).Echo(limit(t)))
}

func TestNoContexts(t *testing.T) {
	p := start(t, pacs.Config{Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{NoContexts: true}}})
	_, err := dimse.Dial(limit(t), config(p))
	var none *dimse.NoContextsError
	require.ErrorAs(t, err, &none)
}

func TestStorageSyntaxes(t *testing.T) {
	p := start(t, pacs.Config{StorageSyntaxes: []string{implicit}})
	cfg := config(p)
	cfg.Contexts = []dimse.Context{
		{AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{explicit}},
		{AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{implicit}},
		{AbstractSyntax: "1.2.3.4.5", TransferSyntaxes: []string{implicit}}, // private
		{AbstractSyntax: dict.ModalityWorklistInformationModelFind, TransferSyntaxes: []string{implicit}},
	}
	a, err := dimse.Dial(limit(t), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	require.Len(t, a.Contexts(), 2)
	require.Equal(t, implicit, a.Accepted(dict.CTImageStorage)[0].TransferSyntax)
	require.Len(t, a.Accepted("1.2.3.4.5"), 1)
}

func TestLimitAndCounts(t *testing.T) {
	p := start(t, pacs.Config{MaxAssociations: 3})
	var open []*dimse.Association
	for range 3 {
		open = append(open, dial(t, p))
	}
	_, err := dimse.Dial(limit(t), config(p))
	var rejected *ul.RejectedError
	require.ErrorAs(t, err, &rejected)
	require.Equal(t, ul.ReasonLocalLimit, rejected.Reason)

	// Whoever has its A-RELEASE-RP may come again at once.
	for range 50 {
		require.NoError(t, open[0].Release(limit(t)))
		require.Equal(t, 2, p.Recorder().Log().Open)
		open[0] = dial(t, p)
	}
	open[1].Abort()
	require.NoError(t, p.Recorder().WaitOpen(limit(t), 2))
	log := p.Recorder().Log()
	require.Equal(t, 3, log.Peak)
	require.Equal(t, 53, log.Total)
	require.Equal(t, 1, log.Rejected)
	require.Equal(t, 1, log.Lost)
}

func TestDropsIdle(t *testing.T) {
	p := start(t, pacs.Config{
		Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{First: 1, DropIdle: 50 * time.Millisecond}},
	})
	a := dial(t, p)
	require.NoError(t, p.Recorder().WaitOpen(limit(t), 0))
	require.Error(t, a.Echo(limit(t)))
	require.NoError(t, dial(t, p).Echo(limit(t)))
}

// Faults written as JSON, as other processes do, mean the same.
func TestMisbehaveAsJSON(t *testing.T) {
	in := pacs.Misbehave{
		Association: pacs.AssociationFaults{First: 1, Reject: pacs.RejectLimit},
		Find: pacs.FindFaults{
			Cap: 3, IgnoreKeys: []dict.Tag{dict.StudyDate},
			Answers: map[dict.Tag][]string{dict.AccessionNumber: {"1"}, dict.StudyTime: nil},
		},
		Get: pacs.GetFaults{SuccessAfter: 37, FinalStatus: new(dimse.Success), Refuse: []string{"1.2.3"}},
		Move: pacs.MoveFaults{
			GetFaults: pacs.GetFaults{First: 2, Truncate: map[string]int64{"1.2.3": 4}},
			Limit:     2, NoOriginator: true, Late: 3,
		},
		Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{"1.2.3": 0xA700}},
	}
	b, err := json.Marshal(in) //nolint:musttag // Go speaks to Go
	require.NoError(t, err)
	var out pacs.Misbehave
	require.NoError(t, json.Unmarshal(b, &out)) //nolint:musttag // Go speaks to Go
	require.Equal(t, in, out)
}
