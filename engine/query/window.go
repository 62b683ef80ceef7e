// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/source"
)

// Window is a part of what a server has: the studies of some days. Times are of one day only, since some servers match
// date and time each by itself, others as one instant.
type Window struct {
	FirstDay, LastDay string // YYYYMMDD, both inclusive
	FromTime, ToTime  string // HHMMSS with or without a fraction, both inclusive; empty: at any time, or at none
	Modality          string // one that is in the study; empty: any
	PatientIDs        string // what their Patient IDs begin with; empty: any
}

// Answers are what a server says of a window.
type Answers struct {
	Studies []FoundStudy
	Count   int    // of all that it said
	Beside  Beside // what it did not heed, by studies that lie outside
	Cut     bool   // it broke off after some answers: by a failure, or by ending the association
	Gone    bool   // it ended the association
}

// Beside says which keys of a window a server did not heed.
type Beside struct{ Days, Times, Modality, PatientIDs bool }

// Within asks for the studies of a window. Studies outside of its days are left out; what the server does not say of a
// study is no reason to leave it out.
func (q Asking) Within(ctx context.Context, w Window) (a Answers, err error) {
	id := source.LevelQuery("STUDY", source.StudyKeys)
	id.Set(dict.StudyDate, rangeOf(w.FirstDay, w.LastDay))
	if w.FromTime != "" {
		id.Set(dict.StudyTime, rangeOf(w.FromTime, w.ToTime))
	}
	source.SetKey(id, dict.ModalitiesInStudy, w.Modality)
	if w.PatientIDs != "" {
		id.Set(dict.PatientID, w.PatientIDs+"*")
	}
	shown := map[[2]string]bool{}
	for ds, err := range q.Server.Find(ctx, id) {
		if err = doubted(err); err != nil {
			return a, a.broken(ctx, err)
		}
		if ds == nil {
			break
		}
		a.Count++
		study := foundStudy(ds)
		if !fault.ValidUID(study.StudyInstanceUID) || shown[keyOf(study)] || a.Beside.note(w, study) {
			continue
		}
		shown[keyOf(study)] = true
		a.Studies = append(a.Studies, study)
	}
	return a, nil
}

// note takes down what a study says against its window, and reports whether it is of other days.
func (b *Beside) note(w Window, s FoundStudy) bool {
	if day := DateOf(s.StudyDate); day != "" && (day < w.FirstDay || day > w.LastDay) {
		b.Days = true
		return true
	}
	if clock := timeOf(s.StudyTime); w.FromTime != "" && clock != "" {
		from, to := timeOf(w.FromTime), timeOf(w.ToTime)
		b.Times = b.Times || clock < from || to != "" && clock > to
	}
	b.Modality = b.Modality || w.Modality != "" && len(s.ModalitiesInStudy) > 0 &&
		!HasModality(s.ModalitiesInStudy, w.Modality)
	b.PatientIDs = b.PatientIDs || w.PatientIDs != "" && !strings.HasPrefix(
		strings.ToUpper(s.PatientID), strings.ToUpper(w.PatientIDs),
	)
	return false
}

// broken makes of a query that broke off after some answers one that was cut. Some servers say so that there is more.
func (a *Answers) broken(ctx context.Context, err error) error {
	if a.Count == 0 || ctx.Err() != nil {
		return err
	}
	_, failed := errors.AsType[*dimse.StatusError](err)
	_, aborted := errors.AsType[*ul.AbortedError](err)
	_, lost := errors.AsType[*ul.LostError](err)
	_, answered := errors.AsType[*web.StatusError](err)
	_, broken := errors.AsType[*web.BrokenError](err)
	failed = failed || answered || source.CutShort(err)
	if a.Gone = aborted || lost || broken || errors.Is(err, dimse.ErrReleased); !failed && !a.Gone {
		return err
	}
	a.Cut = true
	return nil
}

// TooMuch reports whether an error may mean that there is more than a server wants to tell at once: it refused a query,
// or failed in it. It may as well mean that it has too much to do.
func TooMuch(err error) bool {
	status, ok := errors.AsType[*dimse.StatusError](err)
	return ok && (fault.OutOfResources(status.Status) || status.Status&0xF000 == 0xC000) ||
		NotWhole(err) || fault.IsWebAnswer(
		err, http.StatusRequestEntityTooLarge, http.StatusInternalServerError, http.StatusServiceUnavailable,
	)
}
