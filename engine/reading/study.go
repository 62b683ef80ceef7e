// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/words"
)

// studyKey names a study of a server.
type studyKey struct {
	server int64
	study  string
}

// heldStudy is what a server says of a study.
type heldStudy struct {
	answer    *stream.DataSet
	patientID string
	series    []*source.SeriesInventory // in the order of their numbers
	unnamed   int                       // series that are listed without a UID of their own
	counted   int                       // instances; -1: the server doesn't say
	countedIn int                       // series; -1: it doesn't say
	asked     time.Time
}

// short says why what the server lists of a study can't be all of it; empty: nothing says so.
func (s *heldStudy) short() string {
	listed := 0 // instances, as far as all series are counted
	for _, of := range s.series {
		if of.Counted < 0 {
			listed = -1
			break
		}
		listed += of.Counted
	}
	switch {
	case s.unnamed > 0:
		return fmt.Sprintf("lists %s without a UID of its own", words.Plural(s.unnamed, "series", "series"))
	case s.countedIn > len(s.series):
		return fmt.Sprintf("counts %d series in this study, and lists %d of them", s.countedIn, len(s.series))
	case listed >= 0 && s.counted > listed:
		return fmt.Sprintf("counts %d instances in this study, and %d in its series", s.counted, listed)
	}
	return ""
}

const (
	studyKept   = time.Minute // what a server said of a study stands for so long
	mostStudies = 1000
)

// lookUp returns what the server says of the study. The error is refusal.ErrNotFound if it hasn't it.
func (r *Reading) lookUp(ctx context.Context) (*heldStudy, error) {
	if r.study != nil {
		return r.study, nil
	}
	if r.study = r.svc.remembered(r.key()); r.study != nil {
		return r.study, nil
	}
	var found *heldStudy
	err := r.svc.at(ctx, r.node, func(ctx context.Context, s *connection) (err error) {
		found, err = r.svc.look(ctx, s.Server, r.wish.Study)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.study = found
	return found, nil
}

func (r *Reading) key() studyKey { return studyKey{r.node.ID, r.wish.Study} }

func (svc *Service) forgetStudy(key studyKey, was *heldStudy) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if svc.studies[key] == was {
		delete(svc.studies, key)
	}
}

func (svc *Service) remembered(key studyKey) *heldStudy {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if s := svc.studies[key]; s != nil && time.Since(s.asked) < studyKept {
		return s
	}
	return nil
}

// look asks a server for a study and its series, unless it was asked a moment ago.
func (svc *Service) look(ctx context.Context, s *source.Server, study string) (*heldStudy, error) {
	key := studyKey{s.Node.ID, study}
	if known := svc.remembered(key); known != nil {
		return known, nil
	}
	answer, err := s.OneStudy(ctx, study, "")
	if errors.Is(err, source.ErrNoStudy) {
		return nil, fmt.Errorf("study %s at DICOM Server %s: %w", study, s.Node.Name, refusal.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	found := &heldStudy{answer: answer, patientID: answer.String(dict.PatientID), asked: time.Now()}
	inv := &source.Inventory{Study: study, PatientID: found.patientID}
	if err := s.ListSeries(ctx, inv); err != nil {
		return nil, err
	}
	found.series, found.unnamed = inv.Series, inv.Unnamed
	found.counted = source.TrustedCount(s.Node.Server, answer, dict.NumberOfStudyRelatedInstances)
	found.countedIn = source.TrustedCount(s.Node.Server, answer, dict.NumberOfStudyRelatedSeries)
	svc.mu.Lock()
	defer svc.mu.Unlock()
	if len(svc.studies) >= mostStudies {
		clear(svc.studies)
	}
	svc.studies[key] = found
	return found, nil
}

// Series lists the series of the study that may be read, in the order of their numbers: not those that a pseudonym
// leaves out.
func (r *Reading) Series(ctx context.Context) (uids []string, err error) {
	study, err := r.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range study.series {
		if !r.leavesOut(s) {
			uids = append(uids, s.UID)
		}
	}
	if len(uids) == 0 {
		return nil, r.nothing("study " + r.wish.Study)
	}
	return uids, nil
}

// AllSeries lists them for who wants all of the study: if the server says that there is more than it lists, twice, that
// is an error.
func (r *Reading) AllSeries(ctx context.Context) ([]string, error) {
	study, err := r.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	if study.short() != "" {
		r.svc.forgetStudy(r.key(), study)
		r.study = nil
		if study, err = r.lookUp(ctx); err != nil {
			return nil, err
		}
	}
	if why := study.short(); why != "" {
		return nil, fault.Again(
			"DICOM Server %s %s; nothing can be read of a study as a whole that is not whole: read its series one by one, or "+
				"have an administrator set that the server counts wrongly (ignore_counts), if that is so.", r.node.Name, why,
		)
	}
	return r.Series(ctx)
}

// counted returns how many instances a study has of which all series are read; -1 if that is not known.
func (r *Reading) counted(series []string) int {
	if r.study == nil || len(series) != len(r.study.series) {
		return -1
	}
	return r.study.counted
}

// Modalities lists those of some series, each once.
func (r *Reading) Modalities(ctx context.Context, series []string) ([]string, error) {
	study, err := r.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, s := range study.series {
		if slices.Contains(series, s.UID) && s.Modality() != "" && !slices.Contains(list, s.Modality()) {
			list = append(list, s.Modality())
		}
	}
	return list, nil
}

// leavesOut reports whether a series is of a modality that no pseudonym goes with.
func (r *Reading) leavesOut(s *source.SeriesInventory) bool {
	return r.excludes(s.Modality(), "")
}

func (r *Reading) nothing(of string) error {
	why := ""
	if r.Pseudonymizes() {
		why = fmt.Sprintf(
			"; series of modality %s are left out under a pseudonym", strings.Join(r.svc.Config.ExcludedModalities, ", "),
		)
	}
	return fmt.Errorf("%s at DICOM Server %s%s: %w", of, r.node.Name, why, refusal.ErrNotFound)
}

// seriesOf returns what the server says of one series.
func (r *Reading) seriesOf(ctx context.Context, uid string) (*source.SeriesInventory, error) {
	if !fault.ValidUID(uid) {
		return nil, &refusal.Invalid{Field: "series", Reason: "is not a UID"}
	}
	study, err := r.lookUp(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(study.series, func(s *source.SeriesInventory) bool { return s.UID == uid })
	if i < 0 || r.leavesOut(study.series[i]) {
		return nil, r.nothing("series " + uid)
	}
	return study.series[i], nil
}

// notOnline are the values of Instance Availability (0008,0056) of what has to be brought back first.
var notOnline = []string{"NEARLINE", "OFFLINE"}

// Archived says that a study would have to be brought back from an archive, which is done for nothing that a viewer
// asks for.
type Archived struct{ Server string }

func (e *Archived) Error() string {
	return fmt.Sprintf(
		"the study is not online at DICOM Server %s, and is not brought back from the archive to be looked at; "+
			"retrieve it as a whole, or transfer it", e.Server,
	)
}

// ForViewing refuses, with *Archived, what a server would have to bring back from an archive.
func (r *Reading) ForViewing(ctx context.Context) error {
	study, err := r.lookUp(ctx)
	if err != nil {
		return err
	}
	if study.archived() {
		return &Archived{r.node.Name}
	}
	return nil
}

func (s *heldStudy) archived() bool {
	return slices.Contains(notOnline, s.answer.String(dict.InstanceAvailability))
}
