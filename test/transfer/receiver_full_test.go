// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// fillSilent opens connections to the receiver that say nothing, or the beginning of a request.
func fillSilent(t *testing.T, n *harness.Member, connections int, words string) {
	t.Helper()
	var d net.Dialer
	for range connections {
		c, err := d.DialContext(t.Context(), "tcp", n.ReceiverAddr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, words) // it may be closed already
	}
}

// fillIdle opens associations to the receiver under an AE title that ask for nothing. Some may be refused.
func fillIdle(t *testing.T, n *harness.Member, associations int, callingAE string) {
	t.Helper()
	for range associations {
		a, err := dimse.Dial(t.Context(), dimse.Config{
			Addr: n.ReceiverAddr, CallingAE: callingAE, CalledAE: "ADIT",
			Contexts: []dimse.Context{
				{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
			},
		})
		if rejected, ok := errors.AsType[*ul.RejectedError](err); ok && rejected.Transient() {
			continue
		}
		require.NoError(t, err)
		t.Cleanup(a.Abort)
	}
}

// fillStalled opens associations to the receiver under an AE title that begin to store and go no further. Some may be
// refused.
func fillStalled(t *testing.T, n *harness.Member, associations int, callingAE string) {
	t.Helper()
	for range associations {
		a, err := ul.Dial(
			t.Context(), n.ReceiverAddr,
			&ul.AssociateRQ{CalledAE: "ADIT", CallingAE: callingAE, Contexts: []ul.ContextRQ{
				{ID: 1, AbstractSyntax: dict.CTImageStorage, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
			}}, ul.Options{},
		)
		if rejected, ok := errors.AsType[*ul.RejectedError](err); ok && rejected.Transient() {
			continue
		}
		require.NoError(t, err)
		t.Cleanup(a.Drop)
		command := dimse.Command{
			Field: dimse.CStoreRQ, MessageID: 1, AffectedSOPClassUID: dict.CTImageStorage,
			AffectedSOPInstanceUID: "1.2.3", DataSet: true,
		}
		go func() { _ = a.SendMessage(1, command.Append(nil), stalled{t.Context().Done()}) }()
	}
}

// stalled is a data set that never begins.
type stalled struct{ over <-chan struct{} }

func (s stalled) Read([]byte) (int, error) {
	<-s.over
	return 0, io.ErrUnexpectedEOF
}

// fillings are ways to fill the receiver, of which OTHER, THIRD and the source of the C-MOVE are servers.
func fillings(source string) map[string]func(*testing.T, *harness.Member) {
	return map[string]func(*testing.T, *harness.Member){
		"170 silent connections":      func(t *testing.T, n *harness.Member) { fillSilent(t, n, 170, "") },
		"170 with half a request":     func(t *testing.T, n *harness.Member) { fillSilent(t, n, 170, "\x01\x00\x00\x00\x10\x00half") },
		"100 associations of another": func(t *testing.T, n *harness.Member) { fillIdle(t, n, 100, "OTHER") },
		"100 associations of two":     func(t *testing.T, n *harness.Member) { fillIdle(t, n, 50, "OTHER"); fillIdle(t, n, 50, "THIRD") },
		"100 associations of its own": func(t *testing.T, n *harness.Member) { fillIdle(t, n, 100, source) },
		"100 stalled":                 func(t *testing.T, n *harness.Member) { fillStalled(t, n, 50, "OTHER"); fillStalled(t, n, 50, "THIRD") },
		"100 stalled of its own":      func(t *testing.T, n *harness.Member) { fillStalled(t, n, 100, source) },
	}
}

// fullReceiver is a member with a source, at addr under an AE title, that may only C-MOVE, two more servers that may
// call, and a destination.
func fullReceiver(t *testing.T, n *harness.Member, aeTitle, addr string) *pacs.PACS {
	t.Helper()
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", aeTitle, addr, byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	n.AddServer("other", "OTHER", "127.0.0.1:104", nil)
	n.AddServer("third", "THIRD", "127.0.0.1:104", nil)
	return dst
}

// TestMoveIntoFullReceiver: what a C-MOVE brings gets in, whatever else holds connections of the receiver: since
// before, or from between two of its instances on.
func TestMoveIntoFullReceiver(t *testing.T) {
	fills := fillings("SRC")
	during := func(name string) string { return name + ", from its sixth instance on" }
	for _, name := range []string{
		"170 silent connections", "100 associations of another", "100 associations of its own", "100 stalled",
	} {
		fills[during(name)] = fills[name]
	}
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold := pacs.StopAt(pacs.AtSubOperation, 6)
			n := harness.New(t, harness.Config{})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()},
				MoveDestinations: movesTo(n), Gate: hold.Gate,
			})
			dst := fullReceiver(t, n, "SRC", src.Addr())
			later := strings.Contains(name, ",")
			if !later {
				fill(t, n)
			}
			job := n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID)
			<-hold.Reached()
			if later {
				fill(t, n)
			}
			hold.Release()
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			requireStored(t, dst, images)
			require.Len(t, src.Recorder().Log().Moves, 1, "at once")
		})
	}
}

// TestDCMTKIntoFullReceiver: the same from dcmqrscp.
func TestDCMTKIntoFullReceiver(t *testing.T) {
	fills := fillings("QRSCP")
	for _, name := range []string{
		"170 silent connections", "100 associations of another", "100 associations of its own",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCorpus(t)
			c.addPhantom(t, outcomeStudy())
			n := harness.New(t, harness.Config{})
			index := t.TempDir()
			output, exit := testpeer.Run(
				t, nil, "dcmqridx", append([]string{index}, slices.Sorted(maps.Values(c.files))...)...,
			)
			require.Zero(t, exit, output)
			qr := testpeer.DcmQRSCPTo(
				t, noDelay, index, map[string]int{"ADIT": n.ReceiverPort(), "ADIT_LE": n.ReceiverPort()},
			)
			dst := fullReceiver(t, n, "QRSCP", qr.Addr)
			fills[name](t, n)
			job := n.Wait(n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			requireStored(t, dst, images)
		})
	}
}
