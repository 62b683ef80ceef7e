// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
)

const (
	demoFolder  = "EXPORTS"
	demoProject = "TRIAL-A"

	demoOpensIn, demoOpenFor = 3 * time.Hour, 4 * time.Hour // of the archive, for jobs
)

// makeDemoSite adds what the administrator of a new demo would: a folder, a project, and hours of the archive for jobs.
func (s *server) makeDemoSite(ctx context.Context, admin people.User) error {
	path := filepath.Join(s.cfg.DataDir, "folders", "exports")
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	if _, err := s.engine.Nodes.AddFolder(ctx, admin, nodes.NewFolder{
		Name: demoFolder, Path: path, FolderLimits: nodes.FolderLimits{QuotaGB: 5, WarnGB: 4},
	}); err != nil {
		return err
	}
	if _, err := s.engine.Projects.Create(ctx, admin, projects.NewProject{
		Name: demoProject, Description: "A trial of phantoms, pseudonymized", Manifest: true,
	}); err != nil {
		return err
	}
	zone, err := s.cfg.Site.zone()
	if err != nil {
		return err
	}
	at := func(in time.Duration) schedule.TimeOfDay {
		t := time.Now().In(zone).Add(in)
		return schedule.Clock(t.Hour(), 0)
	}
	_, err = s.engine.Nodes.SetSchedule(ctx, admin, demoArchive, schedule.Schedule{
		Default: schedule.Limits{Name: "closed for jobs", Interactive: 2},
		Windows: []schedule.Window{{
			Span: schedule.Span{
				From: at(demoOpensIn), To: at(demoOpensIn + demoOpenFor), TimeZone: zone.String(),
			},
			Limits: schedule.Limits{Name: "for jobs", Batch: 4, Interactive: 2},
		}},
	})
	return err
}

// makeDemoJobs makes jobs of every outcome, which the engine runs as any others. Most studies remain for whoever tries
// the demo.
func (s *server) makeDemoJobs(ctx context.Context) error {
	if s.newDemo == nil {
		return nil
	}
	studies := phantom.Hospital(time.Now()) // from the oldest up, so that new ones remain
	study := func(fromEnd int) jobs.Study {
		st := studies[len(studies)-1-fromEnd]
		return jobs.Study{StudyInstanceUID: st.StudyInstanceUID, PatientID: st.Spec.Patient.ID}
	}
	other, unknown := study(8), study(9)
	other.PatientID = studies[0].Spec.Patient.ID // of another patient: a warning
	unknown.StudyInstanceUID += "1"              // there is no such study: a failure
	for _, t := range []jobs.Transfer{
		{Source: demoSource, Destination: demoTarget, Studies: []jobs.Study{study(0), study(1)}},
		{Source: demoSource, Destination: demoFolder, Studies: []jobs.Study{study(2)}},
		{
			Source: demoSource, Destination: demoTarget, Project: demoProject, Pseudonymize: true,
			TrialProtocolID: "TA-1", TrialProtocolName: demoProject, Studies: []jobs.Study{study(3), study(4), study(5)},
		},
		{Source: demoSource, Destination: demoTarget, Studies: []jobs.Study{study(7), other}},
		{Source: demoSource, Destination: demoTarget, Studies: []jobs.Study{study(6), unknown}},
		{Source: demoArchive, Destination: demoTarget, Studies: []jobs.Study{study(10), study(11)}},
	} {
		if _, err := s.engine.Jobs.Create(ctx, *s.newDemo, t); err != nil {
			return fmt.Errorf("--demo: a job could not be made: %w", err)
		}
	}
	return nil
}
