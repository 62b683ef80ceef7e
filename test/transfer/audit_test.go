// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/test/harness"
)

// TestWhoMovedWhichStudyWhere: the audit log says who looked for whom, and who moved which study from where to where,
// under which profile, how much of it and how it ended, also where a job was canceled half-way.
func TestWhoMovedWhichStudyWhere(t *testing.T) {
	study := large(71)
	reached, let := make(chan struct{}), make(chan struct{})
	var once sync.Once
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST", Gate: func(_ context.Context, e pacs.Event) {
		if e.Kind == pacs.AtStoreResponse && e.Number == 100 {
			once.Do(func() { close(reached) })
			<-let
		}
	}})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), withCap(1))
	n.AddFolder("disk", t.TempDir())

	ctx := audit.WithActor(
		t.Context(), audit.Actor{UserID: n.Admin.ID, Username: "admin", Via: audit.ViaToken, Peer: "192.0.2.1"},
	)
	for _, err := range n.Engine.Query.Studies(
		ctx, n.Admin, "source", query.Search{PatientID: study.Spec.Patient.ID, PatientName: "Phantom, *"},
	) {
		require.NoError(t, err)
	}
	half := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-reached
	require.NoError(t, n.Engine.Jobs.Act(ctx, n.Admin, half.ID, jobs.CancelJob))
	require.Equal(t, jobs.Canceled, n.Wait(half.ID).Status)
	close(let)
	require.NoError(t, n.Engine.Jobs.Act(ctx, n.Admin, half.ID, jobs.ResumeJob))
	require.Equal(t, jobs.Success, n.Wait(half.ID).Status)
	hidden := n.Wait(n.Create(pseudonymously("source", "disk", study.StudyInstanceUID, "P-0001")).ID)
	require.Equal(t, jobs.Success, hidden.Status)

	rows, err := n.People.ReadAudit(
		t.Context(), n.Admin, audit.Filter{StudyUID: study.StudyInstanceUID, Action: audit.ActTransfer, Limit: 10},
	)
	require.NoError(t, err)
	require.Len(t, rows, 3)
	type end struct {
		Outcome   string `json:"outcome"`
		Expected  int    `json:"expected"`
		Delivered int    `json:"delivered"`
		Folder    bool   `json:"folder"`
	}
	ends := make([]end, len(rows))
	for i, r := range rows {
		require.NoError(t, json.Unmarshal([]byte(r.Detail), &ends[i]))
		require.Equal(
			t, [...]string{study.Spec.Patient.ID, "source", "admin"}, [...]string{r.PatientID, r.Source, r.Username},
		)
		require.NotContains(t, r.Detail, "P-0001", "who reads the log must not learn who is behind a pseudonym")
	}
	require.Equal(t, end{"success", 400, 400, true}, ends[0])
	require.Equal(t, end{"success", 400, 400, false}, ends[1])
	require.Equal(t, "canceled", ends[2].Outcome)
	require.GreaterOrEqual(t, ends[2].Delivered, 90)
	require.Less(t, ends[2].Delivered, 400)
	require.Equal(t, "disk", rows[0].Destination)
	require.Equal(t, hidden.ProfileName+" "+hidden.ProfileVersion, rows[0].Profile)
	require.Equal(t, hidden.ProfileSha256, rows[0].ProfileSHA256)
	require.Empty(t, rows[1].Profile+rows[2].Profile)

	rows, err = n.People.ReadAudit(t.Context(), n.Admin, audit.Filter{PatientID: study.Spec.Patient.ID, Limit: 50})
	require.NoError(t, err)
	var acts []string
	for _, r := range slices.Backward(rows) {
		acts = append(acts, r.Action)
	}
	require.Equal(t, []string{
		audit.ActSearch, audit.ActBegin, audit.ActTransfer, audit.ActBegin,
		audit.ActTransfer, audit.ActBegin, audit.ActTransfer,
	}, acts)
	search := rows[len(rows)-1]
	require.Equal(
		t, [...]string{"admin", "192.0.2.1", "source"}, [...]string{search.Username, search.Peer, search.Source},
	)
	var keys struct {
		Keys  map[string]string `json:"keys"`
		Class string            `json:"sop_class"`
		Query []byte            `json:"query"`
	}
	require.NoError(t, json.Unmarshal([]byte(search.Detail), &keys))
	require.Equal(t, map[string]string{"patient_id": study.Spec.Patient.ID, "patient_name": "Phantom, *"}, keys.Keys)
	require.Equal(t, dict.StudyRootQueryRetrieveInformationModelFind, keys.Class)
	identifier, err := stream.ParseDataSet(keys.Query, dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	require.Equal(t, "Phantom^**", identifier.String(dict.PatientName))
}
