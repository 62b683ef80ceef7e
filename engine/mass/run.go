// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/inquiry"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/words"
)

// partition is one run of the task of a partition.
type partition struct {
	svc     *Service
	of      inquiry.Of
	days    db.Partition
	filters Filters

	searched int // studies
	volumes  []volume
	known    int // series that earlier runs of a recurrence have delivered
	doubts   []string
	silent   map[string]int // what the source does not say of series, and of how many studies
}

// volume is a series that was found. Its JSON is what InsertVolumes reads.
type volume struct {
	PatientID         string `json:"patient_id"`
	AccessionNumber   string `json:"accession_number"`
	Study             string `json:"study"`
	StudyDate         string `json:"study_date"`
	StudyTime         string `json:"study_time"`
	StudyDescription  string `json:"study_description"`
	Series            string `json:"series"`
	Modality          string `json:"modality"`
	SeriesDescription string `json:"series_description"`
	SeriesNumber      *int   `json:"series_number"`
	InstitutionName   string `json:"institution_name"`
	Instances         int    `json:"instances"`
}

const maxVolumes = 500_000 // series of a partition

// Run looks through the days of a claimed task, as inquiry.Run does. What it finds becomes volumes and, unless it is a
// dry run, tasks of the same job, in the transaction that ends the lease: a task that is broken off has found nothing.
func (svc *Service) Run(ctx context.Context, held lease.Held, signals *lease.StopSignals) lease.Outcome {
	return svc.inquiry.Run(ctx, held, signals, &partition{svc: svc, silent: map[string]int{}})
}

// Load implements inquiry.Inquiry.
func (p *partition) Load(ctx context.Context, of inquiry.Of) (err error) {
	p.of = of
	if p.days, err = p.svc.Q.GetPartition(ctx, of.Task.ID); err != nil {
		return err
	}
	mass, err := p.svc.Q.GetMass(ctx, of.Job.ID)
	if err != nil {
		return err
	}
	return json.Unmarshal(mass.Filters, &p.filters)
}

// Ask implements inquiry.Inquiry.
func (p *partition) Ask(ctx context.Context, line *inquiry.Line) error {
	d := &discovery{
		limit: int(line.Server.Node.Server.ResultLimit),
		ask: func(ctx context.Context, w query.Window) (query.Answers, error) {
			a, err := line.Within(ctx, w)
			if err == nil && a.Gone {
				err = line.Again(ctx)
			}
			return a, err
		},
	}
	if err := d.whole(ctx, p.days.FirstDay, p.days.LastDay, p.filters.modalities()); err != nil {
		return err
	}
	p.searched, p.doubts = len(d.studies), d.doubts
	for _, s := range d.studies {
		if !p.filters.mayTake(s) {
			continue
		}
		if err := p.look(ctx, line, s); err != nil {
			return err
		}
	}
	return p.forget(ctx)
}

// forget leaves out what earlier runs of a recurrence have delivered, unless it has grown since.
func (p *partition) forget(ctx context.Context) error {
	if p.of.Job.RecurrenceID == nil || len(p.volumes) == 0 {
		return nil
	}
	q := db.KnownVolumesParams{RecurrenceID: p.of.Job.RecurrenceID, JobID: p.of.Job.ID}
	for _, v := range p.volumes {
		q.Series, q.Instances = append(q.Series, v.Series), append(q.Instances, int32(v.Instances))
	}
	list, err := p.svc.Q.Planned().KnownVolumes(ctx, q)
	if err != nil || len(list) == 0 {
		return err
	}
	known := map[string]bool{}
	for _, uid := range list {
		known[uid] = true
	}
	p.known = len(known)
	p.volumes = slices.DeleteFunc(p.volumes, func(v volume) bool { return known[v.Series] })
	return nil
}

// count counts the studies and instances of what was taken.
func (p *partition) count() (studies int, instances int64) {
	seen := map[[2]string]bool{}
	for _, v := range p.volumes {
		seen[[2]string{v.Study, v.PatientID}] = true
		instances += int64(max(0, v.Instances))
	}
	return len(seen), instances
}

// look takes of a study what the filters take.
func (p *partition) look(ctx context.Context, line *inquiry.Line, s query.FoundStudy) error {
	all, err := p.seriesOf(ctx, line, s)
	if err != nil {
		return err
	}
	taken := p.filters.taken(s, all)
	if len(p.volumes)+len(taken) > maxVolumes {
		return fault.Permanent("more than %d series in one partition; take daily partitions", maxVolumes)
	}
	for _, series := range taken {
		p.volumes = append(p.volumes, volume{
			PatientID: s.PatientID, AccessionNumber: s.AccessionNumber, Study: s.StudyInstanceUID,
			StudyDate: s.StudyDate, StudyTime: s.StudyTime, StudyDescription: s.StudyDescription,
			Series: series.SeriesInstanceUID, Modality: series.Modality, SeriesDescription: series.SeriesDescription,
			SeriesNumber: series.SeriesNumber, InstitutionName: series.InstitutionName, Instances: series.Instances,
		})
	}
	return nil
}

// seriesOf asks for the series of a study, with what the filters need to know of them.
func (p *partition) seriesOf(ctx context.Context, line *inquiry.Line, s query.FoundStudy) (
	list []query.FoundSeries, err error,
) {
	for series, err := range line.Series(ctx, s.StudyInstanceUID, s.PatientID, dict.InstitutionName) {
		if err != nil {
			return nil, err
		}
		list = append(list, series)
	}
	if len(list) < s.Series {
		p.silent["lists fewer series than it counts"]++
	}
	counts := slices.ContainsFunc(p.filters, func(f Filter) bool { return f.MinInstances != nil })
	for i := range list {
		if !counts || list[i].Instances >= 0 {
			continue
		}
		if !line.Server.Node.Server.FindImages {
			p.silent["does not say how many images each series has"]++
			break
		}
		n := 0
		for _, err := range line.Instances(ctx, s.StudyInstanceUID, list[i].SeriesInstanceUID, s.PatientID) {
			if err != nil {
				return nil, err
			}
			n++
		}
		list[i].Instances = n
	}
	for what, of := range map[string]struct {
		asked func(f Filter) bool
		said  func(s query.FoundSeries) bool
	}{
		"does not say at which institution": {
			func(f Filter) bool { return f.InstitutionName != "" },
			func(s query.FoundSeries) bool { return s.InstitutionName != "" },
		},
		"does not say how its series are described": {
			func(f Filter) bool { return f.SeriesDescription != "" },
			func(s query.FoundSeries) bool { return s.SeriesDescription != "" },
		},
		"does not say of which modality its series are": {
			func(f Filter) bool { return f.Modality != "" },
			func(s query.FoundSeries) bool { return s.Modality != "" },
		},
	} {
		if slices.ContainsFunc(p.filters, of.asked) && len(list) > 0 && !slices.ContainsFunc(list, of.said) {
			p.silent[what]++
		}
	}
	return list, nil
}

const shownDoubts = 3 // in a task's message

// Found implements inquiry.Inquiry.
func (p *partition) Found() (message string, remarks []string) {
	remarks = append(remarks, p.doubts[:min(len(p.doubts), shownDoubts)]...)
	if more := len(p.doubts) - shownDoubts; more > 0 {
		remarks = append(remarks, fmt.Sprintf("So it is for %d further days or modalities.", more))
	}
	for _, what := range slices.Sorted(maps.Keys(p.silent)) {
		n := p.silent[what]
		remarks = append(remarks, fmt.Sprintf(
			"Of %s the source %s, so that the filters could not judge them all.", words.Plural(n, "study", "studies"), what,
		))
	}
	studies, _ := p.count()
	switch {
	case len(p.volumes) > 0:
		message = fmt.Sprintf("%s of %s found; %s looked at.", words.Plural(len(p.volumes), "series", "series"),
			words.Plural(studies, "study", "studies"), words.Plural(p.searched, "study", "studies"))
	case p.known > 0:
		message = "Nothing new found."
	default:
		message = "No series found."
	}
	if p.known > 0 {
		message += fmt.Sprintf(" Earlier runs have delivered %s.", words.Plural(p.known, "series", "series"))
	}
	return message, remarks
}

// Grow implements inquiry.Inquiry: the volumes, and the tasks that transfer them.
func (p *partition) Grow(ctx context.Context, q *db.Queries) error {
	of := p.of
	if _, err := q.LockJob(ctx, of.Job.ID); err != nil {
		return err
	}
	if len(p.volumes) > 0 {
		text, err := json.Marshal(p.volumes)
		if err != nil {
			return err
		}
		if err := q.InsertVolumes(ctx, of.Job.ID, of.Task.ID, text); err != nil {
			return err
		}
	}
	studies, instances := p.count()
	if err := q.CountPartition(ctx, db.CountPartitionParams{
		TaskID: of.Task.ID, Searched: int32(p.searched), Studies: int32(studies), Series: int32(len(p.volumes)),
		Instances: instances,
	}); err != nil {
		return err
	}
	// Read again, behind the job's lock: it may have been begun meanwhile.
	mass, err := q.GetMass(ctx, of.Job.ID)
	if err != nil || mass.DryRun || len(p.volumes) == 0 {
		return err
	}
	_, err = q.MoveVolumes(ctx, db.MoveVolumesParams{JobID: of.Job.ID, PartitionID: of.Task.ID})
	return err
}

// Keep implements inquiry.Inquiry.
func (p *partition) Keep(context.Context, *db.Queries) (audit.Entry, error) {
	return audit.Entry{Detail: map[string]any{
		"keys":  map[string]string{"study_date_from": p.days.FirstDay, "study_date_to": p.days.LastDay},
		"found": len(p.volumes), "modalities": cmp.Or(strings.Join(p.filters.modalities(), ","), "any"),
	}}, nil
}
