// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/words"
)

// asker asks a source for the studies of a window.
type asker func(ctx context.Context, w query.Window) (query.Answers, error)

// discovery finds all studies of some days, whatever a source keeps to itself. Many tell no more than so many studies
// at once, and most of those don't say so. DESIGN.md says how it goes about that.
type discovery struct {
	ask   asker
	limit int // that the server is configured to have; 0: none is known

	plain   bool // it refuses fractions of a second
	cut     int  // the fewest answers that were seen not to be all; 0: none were
	asked   int
	studies []query.FoundStudy
	found   map[[2]string]bool
	doubts  []string // for people: what may be missing
}

const (
	few       = 20     // so few answers are all that there are
	maxAsked  = 20_000 // questions about studies in one partition
	maxFound  = 50_000 // studies of a partition
	deepest   = 12     // characters of a Patient ID by which studies are parted
	maxParts  = 2_000  // questions about the Patient IDs of one day
	maxRefuse = 3      // times in a row that a refused question is asked in halves
)

// whole finds the studies of some days with one of some modalities; with any, if none is named.
func (d *discovery) whole(ctx context.Context, first, last string, modalities []string) error {
	d.found = map[[2]string]bool{}
	if len(modalities) == 0 {
		modalities = []string{""}
	}
	for _, m := range modalities {
		if err := d.days(ctx, query.Window{FirstDay: first, LastDay: last, Modality: m}, 0); err != nil {
			return err
		}
	}
	slices.SortStableFunc(d.studies, func(a, b query.FoundStudy) int {
		return strings.Compare(a.StudyDate+a.StudyTime, b.StudyDate+b.StudyTime)
	})
	return nil
}

// put asks for a window and takes what it brings.
func (d *discovery) put(ctx context.Context, w query.Window) (query.Answers, error) {
	if d.asked++; d.asked > maxAsked {
		return query.Answers{}, fault.Permanent(
			"the source gives too few studies at once: after %d questions about these days not all are known. Ask its "+
				"administrator to raise the limit of answers, or look for fewer days or modalities at once", maxAsked,
		)
	}
	if d.plain && w.ToTime == endOfDay {
		w.ToTime = lastSecond
	}
	a, err := d.ask(ctx, w)
	if _, refused := errors.AsType[*dimse.StatusError](err); refused && w.ToTime == endOfDay && !d.plain {
		d.plain, w.ToTime = true, lastSecond // some sources refuse a fraction of a second
		a, err = d.ask(ctx, w)
	}
	for _, s := range a.Studies {
		key := [2]string{s.StudyInstanceUID, s.PatientID}
		if d.found[key] {
			continue
		}
		if d.found[key] = true; len(d.studies) == maxFound {
			return a, fault.Permanent(
				"more than %d studies in one partition; take daily partitions, or a filter for each modality", maxFound,
			)
		}
		d.studies = append(d.studies, s)
	}
	return a, err
}

// isCut reports whether answers may not be all, by themselves.
func (d *discovery) isCut(a query.Answers) bool {
	return a.Cut || a.Count > 0 && a.Count == d.limit || a.Count >= 50 && a.Count%50 == 0 || d.cut > 0 && a.Count >= d.cut
}

// days finds the studies of a window of whole days.
func (d *discovery) days(ctx context.Context, w query.Window, refused int) error {
	a, err := d.put(ctx, w)
	if err != nil {
		return d.inHalves(ctx, w, refused, err)
	}
	cut := d.isCut(a)
	if !cut {
		if cut, err = d.hides(ctx, w, a); err != nil || !cut {
			return err
		}
	}
	d.learn(a)
	if left, right, ok := halfDays(w); ok {
		if err := d.days(ctx, left, 0); err != nil {
			return err
		}
		return d.days(ctx, right, 0)
	}
	return d.day(ctx, w, a)
}

// learn takes down that answers were not all.
func (d *discovery) learn(a query.Answers) {
	if a.Count >= few && (d.cut == 0 || a.Count < d.cut) {
		d.cut = a.Count
	}
}

// inHalves asks for the halves of a window that was refused, a few times: it may have been for too many answers.
func (d *discovery) inHalves(ctx context.Context, w query.Window, refused int, err error) error {
	if !query.TooMuch(err) || refused == maxRefuse {
		return err
	}
	if left, right, ok := halfDays(w); ok {
		if err := d.days(ctx, left, refused+1); err != nil {
			return err
		}
		return d.days(ctx, right, refused+1)
	}
	return d.day(ctx, w, query.Answers{Cut: true})
}

// hides reports whether the source may hide studies of a window: the halves have one that the whole did not bring, so
// that there is a limit of which nobody told. Where a half has as many answers as the whole, the limit may have cut
// both, and the half is looked at itself. Of studies without a time halves of a day prove nothing, nor if they don't
// bring what the whole brought.
func (d *discovery) hides(ctx context.Context, w query.Window, a query.Answers) (bool, error) {
	if a.Count < few || a.Beside.Times || a.Beside.Days {
		return false, nil
	}
	left, right, ok := halves(w)
	if !ok {
		return false, nil
	}
	known := map[string]bool{}
	for _, s := range a.Studies {
		if s.StudyTime == "" && left.FirstDay == right.FirstDay {
			return true, nil
		}
		known[s.StudyInstanceUID] = true
	}
	again := 0
	for _, half := range []query.Window{left, right} {
		part, err := d.put(ctx, half)
		if query.TooMuch(err) {
			return true, nil
		}
		if err != nil || part.Cut {
			return part.Cut, err
		}
		for _, s := range part.Studies {
			seen, in := known[s.StudyInstanceUID]
			if !in {
				return true, nil
			}
			if seen {
				again++
			}
			known[s.StudyInstanceUID] = false
		}
		if part.Count >= a.Count {
			if more, err := d.hides(ctx, half, part); err != nil || more {
				return more, err
			}
		}
	}
	return again < len(known), nil
}

// day finds the studies of one day of which the source does not tell all at once: by their times, and, since a study
// without a time is of none of them, by their Patient IDs. What can't be shown to be all is a doubt.
func (d *discovery) day(ctx context.Context, w query.Window, a query.Answers) error {
	timed := false
	if !a.Beside.Times {
		var err error
		if timed, err = d.times(ctx, w, 0); err != nil {
			return err
		}
	}
	byPatient, err := d.byPatient(ctx, w)
	if err != nil || byPatient {
		return err
	}
	if w.Modality == "" { // no proof, but more than nothing
		for _, m := range modalities {
			w.Modality = m
			if _, err := d.put(ctx, w); err != nil && !query.TooMuch(err) {
				return err
			}
		}
	}
	what := "there may be more"
	if timed {
		what = "there may be more that have no time of day"
	}
	d.doubts = append(d.doubts, fmt.Sprintf(
		"On %s the source did not tell all studies at once, and not of each part of the day either: %s.",
		words.Day(w.FirstDay), what,
	))
	return nil
}

// times finds the studies of a part of a day by their times, in halves that overlap by an instant. It reports whether
// these are all that have one. A source that does not heed times is asked no further.
func (d *discovery) times(ctx context.Context, w query.Window, refused int) (all bool, err error) {
	left, right, ok := halfTimes(w)
	if !ok {
		return false, nil
	}
	all = true
	for _, half := range []query.Window{left, right} {
		a, err := d.put(ctx, half)
		switch {
		case query.TooMuch(err) && refused < maxRefuse:
			a, refused = query.Answers{Cut: true}, refused+1
		case err != nil:
			return false, err
		case a.Beside.Times:
			return false, nil
		}
		if !d.isCut(a) {
			continue
		}
		d.learn(a)
		part, err := d.times(ctx, half, refused)
		if err != nil {
			return false, err
		}
		all = all && part
	}
	return all, nil
}

// byPatient finds the studies of a day by what their Patient IDs begin with, and reports whether these are all: if they
// are among them that are known already. Some sources take wildcards there for letters, or don't heed them.
func (d *discovery) byPatient(ctx context.Context, w query.Window) (all bool, err error) {
	known := map[string]bool{}
	for _, s := range d.studies {
		known[s.StudyInstanceUID] = s.StudyDate == w.FirstDay &&
			(w.Modality == "" || query.HasModality(s.ModalitiesInStudy, w.Modality))
	}
	if all, err = d.patients(ctx, w, d.asked+maxParts, known); err != nil || !all {
		return false, err
	}
	for _, missing := range known {
		all = all && !missing
	}
	return all, nil
}

// patients asks for all beginnings of a Patient ID, further ones where these don't bring all, and takes what they bring
// out of what is known. It gives up after so many questions of the discovery.
func (d *discovery) patients(ctx context.Context, w query.Window, most int, known map[string]bool) (
	all bool, err error,
) {
	if len(w.PatientIDs) >= deepest {
		return false, nil
	}
	for _, c := range d.beginnings(w) {
		if d.asked >= most {
			return false, nil
		}
		part := w
		part.PatientIDs += string(c)
		a, err := d.put(ctx, part)
		if query.TooMuch(err) {
			a, err = query.Answers{Cut: true}, nil
		}
		if err != nil || a.Beside.PatientIDs {
			return false, err
		}
		for _, s := range a.Studies {
			known[s.StudyInstanceUID] = false
		}
		if !d.isCut(a) {
			continue
		}
		d.learn(a)
		deeper, err := d.patients(ctx, part, most, known)
		if err != nil || !deeper {
			return false, err
		}
	}
	return true, nil
}

// usualBeginnings are the characters of Patient IDs.
const usualBeginnings = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_./#"

// beginnings are the characters that may come next in the Patient IDs of a window: the usual ones, and those that were
// seen there.
func (d *discovery) beginnings(w query.Window) []rune {
	list := []rune(usualBeginnings)
	for _, s := range d.studies {
		rest, ok := strings.CutPrefix(s.PatientID, w.PatientIDs)
		if !ok || rest == "" {
			continue
		}
		if c := []rune(rest)[0]; !slices.Contains(list, c) && !fault.BadInExactKey(c) && c != ' ' {
			list = append(list, c)
		}
	}
	return list
}

// modalities are those that most studies have one of.
var modalities = []string{
	"CT", "MR", "CR", "DX", "US", "NM", "PT", "MG", "XA", "RF", "SR", "OT", "PR", "KO", "SC", "ES", "XC", "IO", "PX",
	"BMD", "ECG", "OP", "OCT", "SM", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTIMAGE", "DOC", "SEG", "REG", "IVUS",
}

// halves parts a window into two: of days, or of times of its only day.
func halves(w query.Window) (left, right query.Window, ok bool) {
	if left, right, ok = halfDays(w); ok {
		return left, right, true
	}
	return halfTimes(w)
}

// halfDays parts a window of several days into two.
func halfDays(w query.Window) (left, right query.Window, ok bool) {
	first, err := time.Parse(dayForm, w.FirstDay)
	last, err2 := time.Parse(dayForm, w.LastDay)
	if err != nil || err2 != nil || !first.Before(last) {
		return w, w, false
	}
	n := int(last.Sub(first).Hours() / 24)
	left, right = w, w
	left.LastDay, right.FirstDay = first.AddDate(0, 0, n/2).Format(dayForm), first.AddDate(0, 0, n/2+1).Format(dayForm)
	return left, right, true
}

const (
	endOfDay   = "235959.999999" // after each time of a day, those with fractions among them
	lastSecond = "235959"
)

// halfTimes parts a window of one day, or of a part of it that is longer than a minute, into two that have the instant
// between them in common: sources differ in what a range ends with.
func halfTimes(w query.Window) (left, right query.Window, ok bool) {
	from, to := 0, 24*60*60
	if w.FromTime != "" {
		from = seconds(w.FromTime)
	}
	if w.ToTime != "" && w.ToTime != endOfDay {
		to = seconds(w.ToTime)
	}
	if to-from <= 60 {
		return w, w, false
	}
	middle := clock((from + to) / 2)
	left, right = w, w
	left.FromTime, left.ToTime, right.FromTime = clock(from), middle, middle
	if right.ToTime == "" {
		right.ToTime = endOfDay
	}
	return left, right, true
}

func seconds(clock string) int {
	var h, m, s int
	_, _ = fmt.Sscanf(clock, "%2d%2d%2d", &h, &m, &s) // written by clock
	return h*3600 + m*60 + s
}

func clock(seconds int) string {
	return fmt.Sprintf("%02d%02d%02d", seconds/3600, seconds/60%60, seconds%60)
}
