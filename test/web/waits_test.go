// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// TestAskedWaits: a server that names a time is not asked before it, whatever it was asked for; tasks say so, and go on
// when somebody has looked at it.
func TestAskedWaits(t *testing.T) {
	busy := pacs.WebAnswerFaults{Status: 503, RetryAfter: "1800"}
	for name, tt := range map[string]struct {
		source, destination pacs.WebFaults
		after               float64 // seconds
	}{
		"QIDO-RS": {source: pacs.WebFaults{Search: pacs.WebSearchFaults{AnswerFaults: busy}}, after: 1800},
		"WADO-RS": {source: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: busy}}, after: 1800},
		"STOW-RS": {destination: pacs.WebFaults{Store: pacs.WebStoreFaults{AnswerFaults: busy}}, after: 1800},
		"too many, for a day": {
			source: pacs.WebFaults{Any: pacs.WebAnswerFaults{Status: 429, RetryAfter: "86400"}}, after: 3600,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := harness.New(t, harness.Config{})
			studies := []*phantom.Study{ct(1, 3), ct(2, 3)}
			src := startPACS(t, pacs.Config{Studies: studies, Misbehave: pacs.Misbehave{Web: tt.source}})
			dst := startPACS(t, pacs.Config{Memory: 1 << 30, Misbehave: pacs.Misbehave{Web: tt.destination}})
			n.AddServer("source", "SRC", src.Addr(), byWeb(src))
			n.AddServer("destination", "DST", dst.Addr(), byWeb(dst))
			var list []int64
			for _, st := range studies {
				list = append(list, n.Transfer("source", "destination", st.StudyInstanceUID).ID)
			}
			var breaker, reason string
			var left, asked float64
			open := func(jobs.Job) bool {
				require.NoError(t, n.Pool.QueryRow(t.Context(), `SELECT breaker, breaker_reason, asked_seconds,
					coalesce(extract(epoch FROM probe_at - schedule_now()), 0)::float8 FROM server_state ORDER BY asked_seconds DESC LIMIT 1`,
				).Scan(&breaker, &reason, &asked, &left))
				return breaker == "open" && n.Task(list[0]).Status == jobs.Pending && n.Task(list[1]).Status == jobs.Pending
			}
			n.WaitFor(list[0], open)
			require.InDelta(t, tt.after, asked, 0)
			require.Greater(t, left, tt.after/2)
			require.Contains(t, reason, "it asks to wait for ")
			bounded, err := db.New(n.Pool).BoundWaits(t.Context(), 0.05)
			require.NoError(t, err)
			require.Zero(t, bounded, "it waits no longer than it was asked to")

			src.SetMisbehave(pacs.Misbehave{})
			dst.SetMisbehave(pacs.Misbehave{})
			for _, server := range []string{"source", "destination"} {
				for _, c := range checked(t, n, server).Checks {
					require.True(t, c.OK, c.Detail)
				}
			}
			for _, job := range list {
				require.Equal(t, jobs.Success, n.Wait(job).Status, "%+v", n.Task(job))
			}
			require.Len(t, dst.Recorder().Log().Stores, 6)
		})
	}
}
