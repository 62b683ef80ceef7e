// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// Rules are what a server is asked and spared of at all hours. Zero numbers take the defaults.
type Rules struct {
	MaxPDU            int            // bytes of a PDU that we announce there, 16 KiB to 1 MiB; 1,048,564 by default
	MinStudyAge       time.Duration  // a study is not read before, counted from its date and time
	YoungStudy        *time.Duration // up to which a study may still grow, so that its lists are asked for again at the end; nil: 24 h
	OfflinePatience   time.Duration  // until studies that are offline or nearline are brought back; 4 h by default
	RefusedSOPClasses []string       // that it never takes, as a destination: left out and noted
	Duplicates        string         // what becomes of images that it holds already, as a destination; empty: SendDuplicates
	IgnoreCounts      bool           // as a source, its counts of instances are wrong and no evidence
	FallbackCharset   string         // as a source, what objects are read in that declare no character set; empty: ISO_IR 100
}

// Defaults of a server that names no other.
const (
	DefaultMaxPDU          = 1_048_564
	DefaultOfflinePatience = 4 * time.Hour
	DefaultYoungStudy      = 24 * time.Hour

	maxStudyAge       = 365 * 24 * time.Hour
	maxRefusedClasses = 100
)

// RulesOf gives these settings of a server that is there.
func RulesOf(s *db.Server) Rules {
	young := time.Duration(s.YoungStudyS) * time.Second
	return Rules{
		MaxPDU: int(s.MaxPdu), MinStudyAge: time.Duration(s.MinStudyAgeS) * time.Second, OfflinePatience: time.Duration(s.OfflinePatienceS) * time.Second,
		RefusedSOPClasses: s.RefusedSopClasses, Duplicates: s.Duplicates, IgnoreCounts: s.IgnoreCounts,
		FallbackCharset: s.FallbackCharset, YoungStudy: &young,
	}
}

func (r Rules) checks(s Supports) []check {
	notUID := func(uid string) bool { return !validUID(uid) }
	_, charsetErr := charset.New(strings.Split(r.FallbackCharset, `\`))
	return []check{
		{r.MaxPDU == 0 || r.MaxPDU >= 16<<10 && r.MaxPDU <= 1<<20, "rules.max_pdu", "must be between 16384 and 1048576 bytes"},
		{r.MinStudyAge >= 0 && r.MinStudyAge <= maxStudyAge, "rules.min_study_age", "must be between 0 and a year"},
		{r.YoungStudy == nil || *r.YoungStudy >= 0 && *r.YoungStudy <= maxStudyAge, "rules.young_study", "must be between 0 and a year"},
		{r.OfflinePatience >= 0 && r.OfflinePatience <= 24*time.Hour, "rules.offline_patience", "must be between one second and a day"},
		{
			len(r.RefusedSOPClasses) <= maxRefusedClasses && !slices.ContainsFunc(r.RefusedSOPClasses, notUID), "rules.refused_sop_classes",
			"give SOP Class UIDs, at most 100",
		},
		{
			charsetErr == nil && len(r.FallbackCharset) <= 64, "rules.fallback_character_set",
			"give a term of Specific Character Set, such as ISO_IR 100, or ISO_IR 6 for none",
		},
		{slices.Contains([]string{"", SendDuplicates, SkipDuplicates, RefuseDuplicates}, r.Duplicates), "rules.duplicates", "must be send, skip or refuse"},
		{
			r.Duplicates == "" || r.Duplicates == SendDuplicates || s.StudyRootFind || s.PatientRootFind, "rules.duplicates",
			"what it holds already is asked for by C-FIND, which this server doesn't support",
		},
	}
}

// putRules writes them.
func (s *NewServer) putRules(ctx context.Context, q *db.Queries, id int64) error {
	return q.PutRules(ctx, db.PutRulesParams{
		ID: id, MaxPdu: int32(orDefault(s.Rules.MaxPDU, DefaultMaxPDU)), MinStudyAgeS: int32(s.Rules.MinStudyAge / time.Second),
		OfflinePatienceS:  int32(max(1, orDefault(s.Rules.OfflinePatience, DefaultOfflinePatience)/time.Second)),
		RefusedSopClasses: append([]string{}, s.Rules.RefusedSOPClasses...), Duplicates: orDefault(s.Rules.Duplicates, SendDuplicates),
		IgnoreCounts: s.Rules.IgnoreCounts, FallbackCharset: s.Rules.FallbackCharset,
		YoungStudyS: int32(deref(s.Rules.YoungStudy, DefaultYoungStudy) / time.Second),
	})
}

// checkStudy tells whether a study has to be waited for: it is too young, or offline. A nearline one is retrieved with more patience.
func (r *run) checkStudy(study *stream.DataSet) error {
	if err := r.checkAvailability(study); err != nil {
		return err
	}
	age := time.Duration(r.src.Server.MinStudyAgeS) * time.Second
	taken, known := studyTime(study, "")
	if age == 0 || !known {
		return nil
	}
	if left := taken.Add(age).Sub(r.now()); left > 0 {
		return waitFor(left, "the study is too young: DICOM Server %s lets it be read %s after its date and time", r.src.Name, age)
	}
	return nil
}

// now gives the instant that schedules are reckoned from.
func (r *run) now() time.Time { return r.loadedAt.Add(time.Since(r.loadedOn)) }

// isYoung reports whether a study may still grow, by its date and time. One without a date counts as young, and one without a time as of the end of
// its day: a list too many does less harm than a study that is not whole.
func (r *run) isYoung(study *stream.DataSet) bool {
	age := time.Duration(r.src.Server.YoungStudyS) * time.Second
	taken, known := studyTime(study, "235959")
	return age > 0 && (!known || taken.Add(age).After(r.now()))
}

// studyTime gives the date and time of a study (PS3.3 C.7.2.1), which are local ones unless the server names an offset (PS3.3 C.12.1). A study that has
// no time is taken at the one given.
func studyTime(study *stream.DataSet, timeless string) (time.Time, bool) {
	loc := time.Local
	if offset, err := time.Parse("-0700", study.String(dict.TimezoneOffsetFromUTC)); err == nil {
		loc = offset.Location()
	}
	clock, _, _ := strings.Cut(study.String(dict.StudyTime), ".")
	if clock == "" {
		clock = timeless
	}
	text := study.String(dict.StudyDate) + clock + "000000"[min(len(clock), 6):]
	t, err := time.ParseInLocation("20060102150405", text, loc)
	return t, err == nil
}

// waitFor makes the task wait so long, without an attempt counted.
func waitFor(d time.Duration, format string, args ...any) error {
	return &fault{policy: policyWait, err: fmt.Errorf(format, args...), wait: d}
}

// classNeverTaken is the reason of what a rule of the destination leaves out.
const classNeverTaken deid.Reason = "a SOP class that the destination never takes"

// neverTakes tells whether a rule of the destination leaves a SOP class out.
func (r *run) neverTakes(class string) bool {
	return r.dst.Server != nil && slices.Contains(r.dst.Server.RefusedSopClasses, class)
}

// ruleOut takes down what the source lists, and that the destination never takes or the source has rejected.
func (r *run) ruleOut() {
	for _, s := range r.inv.series {
		for uid, i := range s.instances {
			if r.neverTakes(i.class) {
				r.instances.leave(uid, s.uid, leftOut{UID: uid, Reason: classNeverTaken}, "")
			}
		}
	}
	r.instances.leaveRejected(r.inv)
}

// ruledOutOnArrival reports whether an instance that has come is left out by a rule, and takes that down.
func (r *run) ruledOutOnArrival(o *dimse.Incoming, series string, obj *stream.Object) bool {
	isRejection, err := r.heedNote(o, obj) // whatever becomes of the note
	if err != nil {
		r.instances.odd(o.SOPInstanceUID, unclearNote)
	}
	reason, rejected := r.instances.rejectionOf(o.SOPInstanceUID)
	switch {
	case rejected:
	case isRejection:
		reason = isNote
	case r.neverTakes(o.SOPClassUID):
		reason = classNeverTaken
	case r.excludes(obj.Header().Text(dict.Modality), o.SOPClassUID):
		reason = modalityExcluded
	default:
		return false
	}
	if r.instances.leave(o.SOPInstanceUID, series, leftOut{UID: o.SOPInstanceUID, Reason: reason}, "") {
		r.progress.Expected.Add(-1)
	}
	return true
}

// modalityExcluded is the reason of what is left out under a pseudonym, though its series was not known to be of such a modality.
const modalityExcluded deid.Reason = "a modality that is excluded under a pseudonym"

// leftOutByRule are the reasons of rules that are no profile's.
var leftOutByRule = []deid.Reason{classNeverTaken, modalityExcluded, isNote}

// excludes reports whether the job leaves an instance out, by its own modality or by its SOP class: what the source says of the series may
// be wrong.
func (r *run) excludes(modality, class string) bool {
	if !pseudonymized(r.task, r.job.Job) {
		return false
	}
	return slices.Contains(r.e.cfg.ExcludedModalities, modality) || slices.ContainsFunc(r.e.cfg.ExcludedModalities, func(m string) bool { return dict.IsClassOfModality(class, m) })
}
