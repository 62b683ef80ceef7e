// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

// The demo's servers. The target has a few studies of its own, and keeps what it is sent in the data directory.
const (
	demoSource, demoSourceAE = "demo-source", "DEMO_SOURCE"
	demoTarget, demoTargetAE = "demo-target", "DEMO_TARGET"
	demoOwn                  = 3
)

// demoDataDir is where a demo keeps its data unless it is told otherwise: not where the real server that comes after it does.
func demoDataDir() string { return defaultDataDir() + "-demo" }

// demoMarker in a data directory says that it is a demo's.
const demoMarker = "demo"

// checkDemoDir refuses a demo in the data directory of a real server, and a real server in a demo's. A new one becomes what is started in it.
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
		return fmt.Errorf("%s holds a demo, and no real server is to be mixed with it; choose another --data-dir, or remove that directory", dir)
	case !marked && demo && !isNew:
		return fmt.Errorf("%s holds a server that is no demo; choose another --data-dir for --demo", dir)
	case !marked && demo:
		return writeFile(filepath.Join(dir, demoMarker), "This directory holds a demo of ADIT. It can be removed when the demo is stopped.\n")
	}
	return nil
}

// demo is two PACS with studies of phantoms.
type demo struct {
	example *phantom.Study
	dataDir string
}

func startDemo(ctx context.Context, s *server) (*demo, error) {
	token, err := people.ReadPrivate(s.tokenPath())
	if err != nil {
		return nil, fmt.Errorf("--demo adds its PACS in the administrator's name and needs %s, which the first start of this database wrote: %w", s.tokenPath(), err)
	}
	admin, err := s.people.UserOfToken(ctx, token)
	if err != nil {
		return nil, fmt.Errorf("--demo adds its PACS in the administrator's name, and the token in %s is not valid: %w", s.tokenPath(), err)
	}
	studies := phantom.DemoStudies()
	own := len(studies) - demoOwn
	for _, p := range []struct {
		name, aeTitle string
		studies       []*phantom.Study
	}{
		{demoSource, demoSourceAE, studies[:own]},
		{demoTarget, demoTargetAE, studies[own:]},
	} {
		if err := s.startDemoPACS(ctx, admin, p.name, p.aeTitle, p.studies); err != nil {
			return nil, err
		}
	}
	return &demo{example: studies[0], dataDir: s.cmd.DataDir}, nil
}

// startDemoPACS starts a PACS, at the port where an earlier start left it, and adds it to the servers if it is not there.
func (s *server) startDemoPACS(ctx context.Context, admin people.User, name, aeTitle string, studies []*phantom.Study) error {
	node, err := s.engine.DICOMNodeByName(ctx, name)
	known := err == nil
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	listen := "127.0.0.1:0"
	if known {
		if node.Server == nil || node.Server.AeTitle != aeTitle {
			return fmt.Errorf("--demo: the name %s is taken by something else; remove that with adit node remove, or start without --demo", name)
		}
		listen = net.JoinHostPort(node.Server.Host, strconv.Itoa(int(node.Server.Port)))
	}
	destinations := map[string]string{}
	if s.dicomAddr != "" {
		destinations[s.cmd.AETitle], destinations[s.cmd.PlainAETitle] = s.dicomAddr, s.dicomAddr
	}
	p, err := pacs.Start(pacs.Config{ //nolint:contextcheck // it runs until the server ends
		MoveDestinations: destinations,
		Listen:           listen, AETitle: aeTitle, Studies: studies, Folder: filepath.Join(s.cmd.DataDir, name), Log: s.log.With("part", name),
	})
	if err != nil {
		return fmt.Errorf("--demo: %s can't be started: %w; end the program that has its port, or remove the server with adit node remove", name, err)
	}
	s.atEnd(func() {
		if err := p.Close(); err != nil {
			s.log.Error("a demo PACS did not end well", "name", name, "error", err)
		}
	})
	if known {
		return nil
	}
	_, err = s.engine.AddServer(ctx, admin, engine.NewServer{
		Name: name, AETitle: aeTitle, Host: "127.0.0.1", Port: p.Port(),
		Supports: engine.Supports{StudyRootFind: true, StudyRootGet: true, StudyRootMove: true, Store: true},
	})
	return err
}

// text says what to try.
func (d *demo) text(exports, program string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nTwo demo PACS are running, with studies of phantoms. Try in another terminal:\n\n%s", exports)
	for _, args := range []string{
		"node list",
		"search --source " + demoSource + " --patient-id " + d.example.Spec.Patient.ID,
		"transfer --source " + demoSource + " --destination " + demoTarget + " --study " + d.example.StudyInstanceUID + " --wait",
		"job list",
		"search --source " + demoTarget + " --patient-id " + d.example.Spec.Patient.ID,
	} {
		fmt.Fprintf(&out, "  %s %s\n", program, args)
	}
	fmt.Fprintf(&out, "\nAll of the demo is in %s: stop it and remove that directory, and nothing is left of it.\n", d.dataDir)
	return out.String()
}
