// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/source"
)

// Asking asks a server as a task does: without a limit but the caller's.
type Asking struct {
	Server *source.Server
}

// Studies yields the studies that match, each once. Errors: *Invalid, or of the network.
func (q Asking) Studies(ctx context.Context, s Search) iter.Seq2[FoundStudy, error] {
	return streamed(func(yield func(FoundStudy, error) bool) error {
		s, err := s.tidied()
		if err != nil {
			return err
		}
		of := &sifting[FoundStudy]{limit: s.Limit, yield: yield, key: keyOf, shown: map[[2]string]bool{}}
		return (&searching{a: q.Server, search: s, of: of}).run(ctx)
	})
}

// Series yields the series of a study of a patient, each once; more are attributes that are asked for beside the usual
// ones.
func (q Asking) Series(
	ctx context.Context, study, patientID string, more ...dict.Tag,
) iter.Seq2[FoundSeries, error] {
	l := seriesOf(SeriesSearch{StudyInstanceUID: study, PatientID: patientID})
	l.keys = slices.Concat(l.keys, more)
	return below(ctx, q, l)
}

// Instances yields the instances of a series of a patient, each once.
func (q Asking) Instances(ctx context.Context, study, series, patientID string) iter.Seq2[FoundInstance, error] {
	return below(ctx, q, instancesOf(InstanceSearch{
		StudyInstanceUID: study, SeriesInstanceUID: series, PatientID: patientID,
	}))
}

// below makes a search below a study.
func below[T any](ctx context.Context, q Asking, l *level[T]) iter.Seq2[T, error] {
	return streamed(func(yield func(T, error) bool) error {
		if err := l.tidy(); err != nil {
			return err
		}
		of := &sifting[T]{limit: l.limit, yield: yield, key: l.key, shown: map[[2]string]bool{}}
		_, _, err := of.sift(q.Server.Find(ctx, l.query(q.Server.Node, l.patientID)), l.judge)
		return doubted(err)
	})
}

// doubted drops the doubt of a list by QIDO-RS that can be only for want of pages: one came that was not full, without
// a word of more, and the server gives no further ones (web.IncompleteError.Short). For who searches such a list is
// whole. Who has to prove that a study is complete asks for more (source.Source).
func doubted(err error) error {
	if incomplete, ok := errors.AsType[*web.IncompleteError](err); ok && incomplete.Short {
		return nil
	}
	return err
}

// NotWhole reports whether an error behind a list says no more than that the list can't be shown to be whole.
func NotWhole(err error) bool { return source.CutShort(doubted(err)) }

// MatchesText reports whether a value is what a text with * for any characters and ? for one describes as a whole,
// without regard to case, accents and blanks.
func MatchesText(wanted, value string) bool { return matchesText(wanted, value) }

// SameName reports whether a person has a name, in DICOM form and without wildcards: without regard to case and
// accents, in any of the component groups. A name that ends early is the same whatever follows.
func SameName(wanted, value string) bool { return matchesName(wanted, value) }
