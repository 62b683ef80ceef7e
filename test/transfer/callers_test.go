// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// callersOf asks which calls the receiver turned away.
func callersOf(t *testing.T, n *harness.Member) []receive.RejectedCaller {
	t.Helper()
	list, err := n.Engine.Receive.RejectedCallers(t.Context(), n.Admin, 0, 100)
	require.NoError(t, err)
	return list
}

// allow does what the command does that a message names: adit node set NAME --add-address ADDRESS.
func allow(t *testing.T, n *harness.Member, message string) (address string) {
	t.Helper()
	_, command, found := strings.Cut(message, "adit node set source --add-address ")
	require.True(t, found, message)
	address, _, _ = strings.Cut(command, " ")
	address = strings.TrimRight(address, ".;,)")
	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "source", func(s *nodes.NewServer) error {
		s.Retrieve.AddAddresses(address)
		return nil
	})
	require.NoError(t, err)
	return address
}

// farms are servers that hold outcomeStudy and C-MOVE it to the receiver as a farm.
func farms(t *testing.T) map[string]func(t *testing.T, n *harness.Member, farm string) {
	return map[string]func(t *testing.T, n *harness.Member, farm string){
		"pacs": func(t *testing.T, n *harness.Member, farm string) {
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()},
				MoveDestinations: map[string]string{"ADIT": farm, "ADIT_LE": farm},
			})
			n.AddServer("source", "SRC", src.Addr(), byMove)
		},
		"several associations at once": func(t *testing.T, n *harness.Member, farm string) {
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()},
				MoveDestinations: map[string]string{"ADIT": farm, "ADIT_LE": farm},
				Misbehave:        move(pacs.MoveFaults{Associations: 3}),
			})
			n.AddServer("source", "SRC", src.Addr(), byMove)
		},
		"says success": func(t *testing.T, n *harness.Member, farm string) {
			success := dimse.Success
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()},
				MoveDestinations: map[string]string{"ADIT": farm, "ADIT_LE": farm},
				Misbehave: move(
					pacs.MoveFaults{GetFaults: pacs.GetFaults{FinalStatus: &success, NoCounts: true}},
				),
			})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				byMove(s)
				impatient(s)
			})
		},
		"dcmqrscp": func(t *testing.T, n *harness.Member, farm string) {
			c := newCorpus(t)
			c.addPhantom(t, outcomeStudy())
			index := t.TempDir()
			output, exit := testpeer.Run(
				t, nil, "dcmqridx", append([]string{index}, slices.Sorted(maps.Values(c.files))...)...,
			)
			require.Zero(t, exit, output)
			port := portOf(t, farm)
			qr := testpeer.DcmQRSCPTo(t, noDelay, index, map[string]int{"ADIT": port, "ADIT_LE": port})
			n.AddServer("source", "QRSCP", qr.Addr, byMove)
		},
	}
}

// TestFarm: a PACS that calls from three addresses. The first transfer fails and says so, each address is allowed by
// the command that it names, and then a retry works.
func TestFarm(t *testing.T) {
	addresses := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"}
	for name, start := range farms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			start(t, n, testpeer.RelayFrom(t, n.ReceiverAddr, addresses...))
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("destination", "DST", dst.Addr(), nil)

			job := n.Wait(n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID).ID)
			allowed := map[string]bool{}
			for job.Status == jobs.Failure {
				message := n.Task(job.ID).Message
				require.Contains(t, message, "which is not among its addresses")
				address := allow(t, n, message)
				require.Contains(t, addresses, address)
				require.NotContains(t, allowed, address, message)
				allowed[address] = true
				require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
				job = n.Wait(job.ID)
			}
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			require.NotEmpty(t, allowed, "the first transfer fails")
			requireStored(t, dst, images)
		})
	}
}

// TestDoctorSeesFarm: the check proposes the address from which the server called, and changes nothing itself.
func TestDoctorSeesFarm(t *testing.T) {
	n := harness.New(t, harness.Config{})
	relay := testpeer.RelayFrom(t, n.ReceiverAddr, "127.0.0.2")
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: phantom.DemoStudies(), MoveDestinations: map[string]string{"ADIT": relay}},
	)
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
		byMove(s)
		s.Retrieve.AddressRanges = []string{"10.0.0.0/8"}
	})
	check := func() doctor.Report {
		report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, "source")
		require.NoError(t, err)
		return report
	}
	of := func(r doctor.Report, setting string) any {
		for _, s := range r.Suggestions {
			if s.Setting == setting {
				return s.Suggested
			}
		}
		return nil
	}
	const setting = "retrieve.address_ranges"
	for range 2 {
		report := check()
		require.Equal(t, []string{"10.0.0.0/8", "127.0.0.2"}, of(report, setting))
		require.Contains(
			t, report.Checks[len(report.Checks)-1].Detail, "called from 127.0.0.2, which is not among its addresses",
		)
	}
	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "source", func(s *nodes.NewServer) error {
		s.Retrieve.AddressRanges = of(check(), setting).([]string)
		return nil
	})
	require.NoError(t, err)
	report := check()
	require.Nil(t, of(report, setting))
	last := report.Checks[len(report.Checks)-1]
	require.True(t, last.OK, last.Detail)
}

// TestImpostorFromElsewhere: while a C-MOVE runs, another machine calls under the source's AE title. It is turned away,
// and the transfer doesn't mind.
func TestImpostorFromElsewhere(t *testing.T) {
	hold := pacs.StopAt(pacs.AtSubOperation, 6)
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()}, MoveDestinations: movesTo(n), Gate: hold.Gate,
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID)
	<-hold.Reached()
	last := outcomeStudy().Instances()[images-1]
	_, err := dimse.Dial(t.Context(), dimse.Config{
		Addr: testpeer.RelayFrom(t, n.ReceiverAddr, "127.0.0.9"), CallingAE: "SRC", CalledAE: "ADIT",
		Contexts: []dimse.Context{
			{AbstractSyntax: last.SOPClassUID, TransferSyntaxes: []string{last.TransferSyntaxUID}},
		},
	})
	require.ErrorContains(t, err, "calling AE title")
	hold.Release()
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	requireSame(t, src, dst, images)
	calls := callersOf(t, n)
	require.Len(t, calls, 1)
	require.Equal(t, "127.0.0.9", calls[0].Address)
}

// TestSecureSourceCallsPlain: a source that uses TLS, and sends without it, is turned away, and the task says so.
func TestSecureSourceCallsPlain(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	own := ca.Issue(t, "localhost")
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()}, MoveDestinations: movesTo(n),
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "source", func(s *nodes.NewServer) error {
		s.TLS = secureWith(ca, own)
		s.Port = portOf(t, testpeer.RelayTLS(t, src.Addr(), own))
		return nil
	})
	require.NoError(t, err)
	job := n.Wait(n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID).ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.Contains(
		t, n.Task(job.ID).Message, "DICOM Server source called from 127.0.0.1 without TLS, which its settings require",
	)
	require.Empty(t, dst.Recorder().Log().Stores)
}
