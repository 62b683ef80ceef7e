// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Queries is a batch query to be made: what each row of a file asks, at each of some sources.
type Queries struct {
	About
	Sources          []string // names of servers; each gets a job of its own, whose windows and caps are its own
	Project          string   // as that of a Transfer
	ExtraColumns     []string // of the file, that ADIT doesn't know
	Rows             []Query
	Urgent           bool
	OutsideWindows   bool // as that of a Transfer
	MailWhenFinished bool
	IdempotencyKey   string // as that of a Transfer
	Recurrence       *int64 `json:"-"` // whose run it is
}

// Query is what a row asks. Dates are YYYYMMDD, the person's name is in DICOM form; what isn't given is empty.
type Query struct {
	Row               int32    `json:"row"` // of the file
	Pseudonym         string   `json:"pseudonym"`
	PatientID         string   `json:"patient_id"`
	PatientName       string   `json:"patient_name"`
	PatientBirthDate  string   `json:"birth_date"`
	AccessionNumber   string   `json:"accession_number"`
	StudyDateFrom     string   `json:"date_from"`
	StudyDateTo       string   `json:"date_to"`
	Modalities        []string `json:"modalities"`
	StudyDescription  string   `json:"study_description"`  // with * and ? as wildcards
	SeriesDescription string   `json:"series_description"` // with * and ? as wildcards
	SeriesNumbers     []int32  `json:"series_numbers"`
	Extra             []string `json:"extra"` // one for each of the extra columns
}

const (
	maxSources     = 10
	queriesAtATime = 10_000 // that are written by one statement
)

// CreateQueries makes the jobs of a batch query, one for each source, in the order of these. Errors: as Create.
func (svc *Service) CreateQueries(ctx context.Context, user people.User, b Queries) ([]Job, error) {
	sources, project, err := making{svc}.checkQueries(ctx, user, b)
	if err != nil {
		return nil, err
	}
	hash, err := b.hash()
	if err != nil {
		return nil, err
	}
	first, err := svc.Once(ctx, user, b.IdempotencyKey, hash, func(q *db.Queries) (int64, error) {
		var first *int64
		for i, source := range sources {
			if err := svc.People.Site.CountJob(ctx, q, user); err != nil {
				return 0, err
			}
			id, err := insertQueries(ctx, q, user, b, b.Sources[i], db.InsertJobParams{
				ProjectID: project, SourceID: &source, FirstJobID: first,
			})
			if err != nil {
				return 0, err
			}
			if first == nil {
				first = &id
			}
		}
		return *first, nil
	})
	if err != nil {
		return nil, err
	}
	svc.Signals.Wake()
	return svc.OfBatch(ctx, user, first)
}

// CheckQueries asks whether the user may make such a batch query, and returns its project. Errors: as CreateQueries.
func (svc *Service) CheckQueries(ctx context.Context, user people.User, b Queries) (project int64, err error) {
	_, project, err = making{svc}.checkQueries(ctx, user, b)
	return project, err
}

func (svc making) checkQueries(ctx context.Context, user people.User, b Queries) (
	sources []int64, project int64, err error,
) {
	if err := b.validate(user); err != nil {
		return nil, 0, err
	}
	if sources, err = svc.querySources(ctx, user, b); err != nil {
		return nil, 0, err
	}
	if err := svc.checkOutside(ctx, user, b.OutsideWindows); err != nil {
		return nil, 0, err
	}
	project, err = svc.projects.ProjectOf(ctx, user, b.Project)
	return sources, project, err
}

// OfBatch returns the jobs of the batch query that a job belongs to, itself among them.
func (svc *Service) OfBatch(ctx context.Context, user people.User, id int64) ([]Job, error) {
	if _, err := svc.Get(ctx, user, id); err != nil {
		return nil, err
	}
	ids, err := svc.Q.JobsOfBatch(ctx, id)
	if err != nil {
		return nil, err
	}
	list := make([]Job, 0, len(ids))
	for _, id := range ids {
		job, err := svc.Get(ctx, user, id)
		if err != nil {
			return nil, err
		}
		list = append(list, job)
	}
	return list, nil
}

func (b Queries) validate(user people.User) error {
	switch {
	case len(b.Sources) == 0 || len(b.Sources) > maxSources:
		return &refusal.Invalid{Field: "sources", Reason: fmt.Sprintf("name one to %d servers", maxSources)}
	case len(b.Rows) == 0:
		return &refusal.Invalid{Field: "file", Reason: "the file has no row that asks for something"}
	case b.OutsideWindows && !b.Urgent:
		return &refusal.Invalid{
			Field: "outside_windows", Reason: "only an urgent job may run outside the windows of its servers",
		}
	}
	if err := checkCount(BatchQuery, user, "file", "rows", len(b.Rows)); err != nil {
		return err
	}
	return b.About.validate()
}

// querySources finds the servers, and asks whether the user may search them so.
func (svc making) querySources(ctx context.Context, user people.User, b Queries) (ids []int64, err error) {
	for _, name := range b.Sources {
		node, err := svc.nodes.ByName(ctx, name)
		if err != nil {
			return nil, unknownNode(err, "sources", name)
		}
		if node.Server == nil || !nodes.Searchable(node.Server) {
			return nil, &refusal.Invalid{
				Field: "sources", Reason: fmt.Sprintf(
					"%s can't be searched: it is not a server that supports C-FIND or QIDO-RS", node.Name,
				),
			}
		}
		if slices.Contains(ids, node.ID) {
			return nil, &refusal.Invalid{Field: "sources", Reason: fmt.Sprintf("%s is named twice", node.Name)}
		}
		a := ActionOf(BatchQuery, node.ID, 0, false)
		if b.Urgent {
			a.Permissions = append(a.Permissions, people.Urgent)
		}
		a.Sections = []string{BatchQuery}
		if err := svc.People.Check(ctx, user.ID, a); err != nil {
			return nil, err
		}
		ids = append(ids, node.ID)
	}
	return ids, nil
}

// insertQueries makes the job of a source, and its tasks.
func insertQueries(
	ctx context.Context, q *db.Queries, user people.User, b Queries, source string, p db.InsertJobParams,
) (int64, error) {
	p.Kind, p.OwnerID, p.Verified, p.NPending = BatchQuery, user.ID, true, int32(len(b.Rows))
	p.Title, p.Description, p.EthicsID = b.Title, b.Description, b.EthicsID
	p.ExtraColumns = append([]string{}, b.ExtraColumns...)
	p.RecurrenceID = b.Recurrence
	p.MailWhenFinished, p.Urgent, p.Priority = b.MailWhenFinished, b.Urgent, priorityOf(BatchQuery, b.Urgent)
	job, err := q.InsertJob(ctx, p)
	if err != nil {
		return 0, err
	}
	if b.OutsideWindows {
		if err := q.SetUrgency(ctx, db.SetUrgencyParams{
			ID: job.ID, Urgent: true, OutsideWindows: true, Priority: p.Priority,
		}); err != nil {
			return 0, err
		}
	}
	if err := audit.Record(ctx, q, audit.Entry{
		Action: "job.create", Object: fmt.Sprintf("job %d", job.ID), Source: source, Detail: map[string]any{
			"kind": job.Kind, "tasks": len(b.Rows), "urgent": b.Urgent, "outside_windows": b.OutsideWindows,
		},
	}); err != nil {
		return 0, err
	}
	seq := int32(0)
	for part := range slices.Chunk(b.Rows, queriesAtATime) {
		rows := make([]numbered, len(part))
		for i, row := range part {
			seq++
			row.Modalities, row.SeriesNumbers, row.Extra = append([]string{}, row.Modalities...),
				append([]int32{}, row.SeriesNumbers...), append([]string{}, row.Extra...) // none is [], not null
			rows[i] = numbered{seq, row}
		}
		text, err := json.Marshal(rows)
		if err != nil {
			return 0, err
		}
		if err := q.InsertQueries(ctx, job.ID, text); err != nil {
			return 0, err
		}
	}
	return job.ID, nil
}

type numbered struct {
	Seq int32 `json:"seq"`
	Query
}

func (b Queries) hash() ([]byte, error) {
	rows, err := json.Marshal(b.Rows)
	h := sha256.New()
	fmt.Fprintf(
		h, "%q %q %q %q %v %v %v %s", b.About, b.Sources, b.Project, b.ExtraColumns, b.Urgent, b.OutsideWindows,
		b.MailWhenFinished, rows,
	)
	return h.Sum(nil), err
}
