// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// The demo's servers. The archive holds the older studies of the source. The target has a few studies of its own. What
// they are sent they keep in the data directory.
const (
	demoSource, demoSourceAE   = "PACS-A", "PACS_A"
	demoTarget, demoTargetAE   = "RESEARCH", "RESEARCH"
	demoArchive, demoArchiveAE = "ARCHIVE", "ARCHIVE"
	demoOld                    = 20
)

// demoMarker in a data directory says that it is a demo's.
const demoMarker = "demo"

// checkDemoDir refuses a demo in the data directory of a real server, and a real server in a demo's. A new one becomes
// what is started in it.
func checkDemoDir(dir string, demo bool) error {
	_, err := os.Stat(filepath.Join(dir, demoMarker))
	marked := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the data directory can't be used: %w", err)
	}
	_, err = os.Stat(filepath.Join(dir, "id"))
	isNew := errors.Is(err, fs.ErrNotExist)
	switch {
	case marked && !demo:
		return fmt.Errorf(
			"%s holds a demo, which must not be mixed with real servers; choose another --data-dir, or remove that "+
				"directory",
			dir,
		)
	case !marked && demo && !isNew:
		return fmt.Errorf("%s belongs to a real server; choose another --data-dir for --demo", dir)
	case !marked && demo:
		return files.WritePrivate(
			filepath.Join(dir, demoMarker),
			"This directory holds a demo of ADIT. You can remove it once the demo has stopped.\n",
		)
	}
	return nil
}

// startDemo starts PACS with studies of phantoms, and makes what else a new demo has.
func (s *server) startDemo(ctx context.Context) (*Demo, error) {
	token, err := files.ReadPrivate(s.tokenPath())
	if err != nil {
		return nil, fmt.Errorf(
			"--demo adds its PACS in the administrator's name and needs %s, which the first start of this database "+
				"wrote: %w",
			s.tokenPath(), err,
		)
	}
	admin, err := s.people.Tokens.UserOf(ctx, token)
	if err != nil {
		return nil, fmt.Errorf(
			"--demo adds its PACS in the administrator's name, and the token in %s is not valid: %w",
			s.tokenPath(), err,
		)
	}
	_, err = s.engine.Nodes.ByName(ctx, demoSource)
	if err != nil && !errors.Is(err, refusal.ErrNotFound) {
		return nil, err
	}
	isNew := err != nil
	studies := phantom.Hospital(time.Now())
	for _, p := range []struct {
		name, aeTitle string
		studies       []*phantom.Study
	}{
		{demoSource, demoSourceAE, studies},
		{demoTarget, demoTargetAE, phantom.DemoStudies()[9:]},
		{demoArchive, demoArchiveAE, studies[len(studies)-demoOld:]},
	} {
		if err := s.startDemoPACS(ctx, admin, p.name, p.aeTitle, p.studies); err != nil {
			return nil, err
		}
	}
	if isNew {
		if err := s.makeDemoSite(ctx, admin); err != nil {
			return nil, fmt.Errorf("--demo: %w", err)
		}
		s.newDemo = &admin
	}
	return &Demo{
		Source: demoSource, Target: demoTarget, PatientID: studies[0].Spec.Patient.ID,
		StudyInstanceUID: studies[0].StudyInstanceUID,
	}, nil
}

// startDemoPACS starts a PACS, at the port where an earlier start left it, and adds it to the servers if it is not
// there.
func (s *server) startDemoPACS(
	ctx context.Context, admin people.User, name, aeTitle string, studies []*phantom.Study,
) error {
	node, err := s.engine.Nodes.ByName(ctx, name)
	known := err == nil
	if err != nil && !errors.Is(err, refusal.ErrNotFound) {
		return err
	}
	listen := "127.0.0.1:0"
	if known {
		if node.Server == nil || node.Server.AeTitle != aeTitle {
			return fmt.Errorf(
				"--demo: another DICOM node has the name %s; remove it with adit node remove, or start "+
					"without --demo",
				name,
			)
		}
		listen = net.JoinHostPort(node.Server.Host, strconv.Itoa(int(node.Server.Port)))
	}
	destinations := map[string]string{}
	if s.dicomAddr != "" {
		destinations[s.cfg.Receiver.AETitle], destinations[s.cfg.Receiver.PlainAETitle] = s.dicomAddr, s.dicomAddr
	}
	p, err := pacs.Start(pacs.Config{ //nolint:contextcheck // it runs until the server ends
		MoveDestinations: destinations,
		Listen:           listen, AETitle: aeTitle, Studies: studies,
		Folder: filepath.Join(s.cfg.DataDir, name), Log: s.log.With("part", name),
	})
	if err != nil {
		return fmt.Errorf(
			"--demo: %s can't be started: %w; stop the program that uses its port, or remove the server with adit "+
				"node remove",
			name, err,
		)
	}
	s.atEnd(func() {
		if err := p.Close(); err != nil {
			s.log.Error("a demo PACS did not stop cleanly", "name", name, "error", err)
		}
	})
	if known {
		return nil
	}
	_, err = s.engine.Nodes.AddServer(ctx, admin, nodes.NewServer{
		Name: name, AETitle: aeTitle, Host: "127.0.0.1", Port: p.Port(),
		Supports: nodes.Supports{StudyRootFind: true, StudyRootGet: true, StudyRootMove: true, Store: true},
	})
	return err
}
