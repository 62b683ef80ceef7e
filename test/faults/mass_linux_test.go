// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// holding is a gate that holds what comes at its nth event of a kind, once.
type holding struct {
	kind    pacs.EventKind
	number  int64
	seen    atomic.Int64
	reached chan struct{}
	going   chan struct{}
}

func holdAt(kind pacs.EventKind, number int64) *holding {
	return &holding{kind: kind, number: number, reached: make(chan struct{}, 1), going: make(chan struct{})}
}

func (h *holding) gate(ctx context.Context, e pacs.Event) {
	if e.Kind != h.kind || h.seen.Add(1) != h.number {
		return
	}
	h.reached <- struct{}{}
	select {
	case <-h.going:
	case <-ctx.Done():
	}
}

// TestKillMass: kill -9 in the middle of a mass transfer, while days are looked through and while studies are moved:
// nothing is there twice, nothing is lost, and no partition is looked through that had ended.
func TestKillMass(t *testing.T) {
	for _, tt := range []struct {
		name     string
		atSource bool
		kind     pacs.EventKind
		number   int64
	}{
		{"in the first question", true, pacs.AtFind, 1},
		{"in the question about a study's series", true, pacs.AtFind, 2},
		{"among the days", true, pacs.AtFind, 9},
		{"while a study is read", true, pacs.AtSubOperation, 5},
		{"while a study is written", false, pacs.AtStore, 7},
		{"before the last answer", false, pacs.AtStoreResponse, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var studies []*phantom.Study
			for i := range 5 {
				studies = append(studies, phantom.New(uint64(7700+i), phantom.StudySpec{
					Patient: phantom.Patient{ID: fmt.Sprintf("MASS-%d", i), Name: "Mass^Kill"},
					Date:    fmt.Sprintf("2024010%d", i+1),
					Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 4, Rows: 64, Columns: 64}},
				}))
			}
			hold := holdAt(tt.kind, tt.number)
			source, destination := pacs.Config{Studies: studies}, pacs.Config{}
			if tt.atSource {
				source.Gate = hold.gate
			} else {
				destination.Gate = hold.gate
			}
			from, to := newPACS(t, source), newPACS(t, destination)
			s := serve(t, newDataDir(t))
			t.Cleanup(func() { close(hold.going) })
			s.addServer("from", from.Addr(), 0)
			s.addServer("to", to.Addr(), 0)
			job, err := s.Mass.Create(t.Context(), client.NewMassTransfer{
				MassSettings: client.MassSettings{
					Source: "from", Destination: "to", Filters: []client.MassFilter{{Modality: "CT"}}, Pseudonymize: new(false),
				},
				StartDate: "2024-01-01", EndDate: "2024-01-07",
			}, "")
			require.NoError(t, err)
			receive(t, "the point in the mass transfer", hold.reached)
			s.kill()
			s = serve(t, s.dir)
			ended := s.awaitFinal(job.ID)
			require.Equal(t, client.Success, ended.Status, ended.Message)
			require.Equal(t, 7+5, ended.Tasks.Success, "seven days and five studies, each once")

			series := map[string]bool{}
			for v, err := range s.Mass.Volumes(t.Context(), job.ID, client.VolumeFilter{}) {
				require.NoError(t, err)
				require.False(t, series[v.SeriesInstanceUID], "a series is one volume")
				series[v.SeriesInstanceUID] = true
				require.Equal(t, client.Success, v.Status)
				require.Equal(t, 4, v.Delivered)
			}
			require.Len(t, series, len(studies))
			at := map[string]int{}
			for _, st := range to.Recorder().Log().Stores {
				at[st.SOPInstanceUID]++
			}
			require.Len(t, at, 4*len(studies), "each instance has arrived")
			days := 0
			for p, err := range s.Mass.Partitions(t.Context(), job.ID) {
				require.NoError(t, err)
				days += p.Series
			}
			require.Equal(t, len(studies), days)
		})
	}
}

// TestKillUpload: kill -9 while a large file of rows is taken makes a whole job or none; the same request again gives
// the one job that there is to be.
func TestKillUpload(t *testing.T) {
	const rows = 20_000
	file := client.BatchFile{File: []byte("PatientID,Modality\n" + strings.Repeat("P-1,CT\n", rows))}
	s := serve(t, newDataDir(t))
	from := newPACS(t, pacs.Config{})
	s.addServer("from", from.Addr(), 0)
	_, err := s.Servers.Pause(t.Context(), "from")
	require.NoError(t, err)
	for round := range 4 {
		key := fmt.Sprintf("upload %d", round)
		ask := func(s *server) ([]client.Job, error) {
			return s.Batch.Query(t.Context(), client.NewBatchQuery{BatchFile: file, Sources: []string{"from"}}, key)
		}
		sent := make(chan struct{})
		victim := s
		go func() {
			defer close(sent)
			_, _ = ask(victim) // the server dies meanwhile
		}()
		await(t, "the beginning of the upload", func() bool { return round == 0 || s.status("/health") != 0 })
		for range round * 3 { // ever later in the request
			s.status("/health")
		}
		s.kill()
		s = serve(t, s.dir)
		<-sent
		made, err := ask(s)
		require.NoError(t, err)
		require.Len(t, made, 1)
		require.Equal(t, rows, made[0].Tasks.Pending)
		count := 0
		for _, err := range s.Jobs.List(t.Context(), client.JobFilter{}) {
			require.NoError(t, err)
			count++
		}
		require.Equal(t, round+1, count, "one job for each file")
	}
}
