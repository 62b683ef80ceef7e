// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// watched calls look for each connection that comes.
type watched struct {
	net.Listener
	look func()
}

func (w watched) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err == nil {
		w.look()
	}
	return c, err
}

// TestCommitmentSlots: a report that comes over an association of its own while ours is open has a slot; where the cap
// has no room, ours is over soon, and the report is taken all the same.
func TestCommitmentSlots(t *testing.T) {
	for name, most := range map[string]int{"room for both": 2, "room for one": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			study := ct(58, 4)
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			var n *harness.Member
			var mu sync.Mutex
			var held []int // slots at the destination when a report comes
			cfg := quick()
			cfg.Wrap = func(l net.Listener) net.Listener {
				return watched{l, func() {
					mu.Lock()
					defer mu.Unlock()
					held = append(held, slotsOf(t, n, "batch"))
				}}
			}
			cfg.Idle = true
			n = harness.New(t, cfg)
			n.Start()
			dst := orthancKnowing(t, n.ReceiverPort())
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "ORTHANC", dst.Addr, func(s *nodes.NewServer) {
				verifiedBy(nodes.VerifyCommitment, time.Minute)(s)
				s.BatchCap = &most
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			mu.Lock()
			defer mu.Unlock()
			require.NotEmpty(t, held)
			require.LessOrEqual(t, slices.Max(held), most)
			if most > 1 {
				require.NotContains(t, held, 1, "two associations, one slot")
			}
		})
	}
}
