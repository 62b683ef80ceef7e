// SPDX-License-Identifier: AGPL-3.0-or-later

package source_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/engine/source/sourcetest"
	"github.com/adit-go/adit/internal/testpeer"
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	goleak.VerifyTestMain(m)
}

// own is the AE title under which peers know the receiver.
const own = "ADIT"

// settings are those of a server that speaks everything.
func settings() *db.Server {
	return &db.Server{
		ID: 1, StudyRootFind: true, StudyRootGet: true, StudyRootMove: true,
		PatientRootFind: true, PatientRootGet: true, PatientRootMove: true, FindImages: true,
	}
}

func patientRoot(s *db.Server) {
	s.StudyRootFind, s.StudyRootGet, s.StudyRootMove = false, false, false
}

// server returns what speaks to a server, over a slot of its own.
func server(s *db.Server, addr, aeTitle string) *source.Server {
	return &source.Server{
		Node: nodes.DICOMNode{ID: s.ID, Name: "peer", Server: s}, Slot: door.NewDoor(nil).Slot(1, s.ID),
		Peer: door.Peer{
			ServerID: s.ID, Name: "peer", Addr: addr, CalledAE: aeTitle, CallingAE: own, IdleTimeout: time.Minute,
		},
		Heard: &atomic.Bool{}, Pair: source.Pair{Source: s.ID, Destination: 2},
	}
}

// TestServer: a server by DIMSE keeps all promises of a source, however it is spoken to.
func TestServer(t *testing.T) {
	for name, c := range map[string]struct {
		settings func(*db.Server)
		change   func(*source.Server)
		byMove   bool
		idles    bool // it is dropped while it is idle, which takes seconds to try
	}{
		"C-GET":                 {idles: true},
		"C-GET, patient root":   {settings: patientRoot},
		"C-GET, no IMAGE level": {settings: func(s *db.Server) { s.FindImages = false }},
		"C-GET, wrong counts":   {settings: func(s *db.Server) { s.IgnoreCounts = true }},
		"C-GET over the association of the queries": {change: foresee, idles: true},
		"C-MOVE":               {byMove: true, idles: true},
		"C-MOVE, patient root": {byMove: true, settings: patientRoot},
		"C-MOVE over the association of the queries": {byMove: true, change: func(s *source.Server) {
			s.Foresight, s.MovesFirst = source.NewForeseen(), true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, func(t *testing.T, studies ...*phantom.Study) sourcetest.Subject {
				p, s := sourcetest.NewPACS(t, studies), settings()
				if c.settings != nil {
					c.settings(s)
				}
				from := server(s, p.Line.Addr, "PACS")
				if c.change != nil {
					c.change(from)
				}
				subject := p.Subject(from)
				if c.byMove {
					r := sourcetest.NewReceiver(t)
					p.AddMoveDestination(own, r.Addr)
					subject.Get = r.From(from, own)
				}
				if c.idles {
					subject.Drop = p.Line.Drop
				}
				return subject
			})
		})
	}
}

// TestServerByWeb: so does a server by DICOMweb, whether it is asked by QIDO-RS or by C-FIND.
func TestServerByWeb(t *testing.T) {
	for name, c := range map[string]struct {
		settings func(*db.Server)
		lists    bool
	}{
		"QIDO-RS and WADO-RS": {settings: byWebAlone, lists: true},
		"QIDO-RS and WADO-RS, wrong counts": {lists: true, settings: func(s *db.Server) {
			byWebAlone(s)
			s.IgnoreCounts = true
		}},
		"C-FIND and WADO-RS": {settings: func(s *db.Server) { s.WadoRs = true }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sourcetest.Run(t, func(t *testing.T, studies ...*phantom.Study) sourcetest.Subject {
				p, s := sourcetest.NewPACS(t, studies), settings()
				c.settings(s)
				from := server(s, p.Line.Addr, "PACS")
				from.WebFirst = true
				from.Peer.Web = func() (web.Config, error) {
					return web.Config{Root: "http://" + p.WebLine.Addr + "/dicom-web", Name: "peer"}, nil
				}
				return p.ByWeb(from, c.lists)
			})
		})
	}
}

// byWebAlone leaves a server DICOMweb.
func byWebAlone(s *db.Server) {
	*s = db.Server{ID: s.ID, QidoRs: true, WadoRs: true, StowRs: true, FindImages: true}
}

// foresee has a server's associations opened at once for what earlier tasks asked for: some of it for more than is
// wanted.
func foresee(s *source.Server) {
	s.Foresight = source.NewForeseen()
	plain := []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}
	s.Foresight.Learn(s.Pair, map[string][]string{
		dict.CTImageStorage: {dict.ExplicitVRLittleEndian}, dict.MRImageStorage: plain, dict.BasicTextSRStorage: plain,
		dict.UltrasoundMultiFrameImageStorage: {dict.RLELossless, dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian},
	})
}

// TestOrthanc: so does Orthanc, as far as it can be made to err.
func TestOrthanc(t *testing.T) {
	o, r := testpeer.Orthanc(t, []string{testpeer.NoDelay}, nil), sourcetest.NewReceiver(t)
	o.Learn(t, "own", own, r.Port)
	full := false
	for name, byMove := range map[string]bool{"C-GET": false, "C-MOVE": true} {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T, studies ...*phantom.Study) sourcetest.Subject {
				for i := 0; i < len(studies) && !full; i++ { // it has the same ones for each promise
					paths, err := studies[i].WriteFiles(filepath.Join(t.TempDir(), "study"))
					require.NoError(t, err)
					for _, file := range paths {
						o.Upload(t, file)
					}
				}
				full = true
				l := sourcetest.NewLine(t, o.Addr)
				from := server(settings(), l.Addr, "ORTHANC")
				s := sourcetest.Subject{Source: from, Quiet: l.Quiet, Away: l.Close}
				if byMove {
					s.Get = r.From(from, own)
				}
				return s
			})
		})
	}
}
