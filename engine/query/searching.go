// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"context"
	"iter"
	"slices"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// searching is a search under way: one query for each modality, over one association or connection.
type searching struct {
	a      *source.Server
	search Search
	of     *sifting[FoundStudy]
	older  bool // the server was seen to find text only in another character set than UTF-8
}

// run asks until all is found, or as much as is wanted.
func (s *searching) run(ctx context.Context) error {
	modalities := s.search.modalities()
	if len(modalities) == 0 {
		modalities = []string{""}
	}
	for _, m := range modalities {
		if more, err := s.ask(ctx, m); err != nil || !more {
			return err
		}
	}
	return nil
}

// ask makes the query for a modality, and reports whether more is wanted.
func (s *searching) ask(ctx context.Context, modality string) (more bool, err error) {
	s.older, more, err = inTwoCharsets(
		s.a, s.search.identifier(modality), s.older,
		func(id *stream.DataSet) (int, bool, error) { return s.query(ctx, id, modality) },
	)
	return more, err
}

// inTwoCharsets asks a server, and reports whether more is wanted. Text beyond ASCII goes out in UTF-8 first, unless
// only an older character set is known to work. A server that knows no UTF-8 finds nothing by it, or refuses it: it is
// asked once more, in a character set of one language that can hold the text (docs/decisions/0017). older reports
// whether that is known to work then.
func inTwoCharsets(
	of *source.Server, id *stream.DataSet, only bool, ask func(id *stream.DataSet) (answers int, more bool, err error),
) (older, more bool, err error) {
	second := inOlderCharset(id)
	if nodes.AsksByWeb(of.Node.Server) {
		second = nil // QIDO-RS is in UTF-8 in any case
	}
	if second == nil || !only {
		var answers int
		answers, more, err = ask(id)
		if second == nil || answers > 0 || err != nil && !refused(err) {
			return only, more, err
		}
	}
	answers, more, again := ask(second)
	if again != nil && err != nil {
		return answers > 0, more, err
	}
	return answers > 0, more, again
}

// refused reports whether a query was answered with a failure that is not for want of resources.
func refused(err error) bool {
	return fault.Declined(err)
}

// olderCharsets are what servers keep text in that know no UTF-8, by how common they are; the first that can hold a
// text is taken.
var olderCharsets = [][]string{
	{charset.Latin1},
	{"ISO_IR 101"},
	{"ISO_IR 148"},
	{"ISO_IR 109"},
	{"ISO_IR 110"},
	{"ISO_IR 144"},
	{"ISO_IR 126"},
	{"ISO_IR 138"},
	{"ISO_IR 127"},
	{"ISO_IR 166"},
	{"", "ISO 2022 IR 87"},
	{"", "ISO 2022 IR 149"},
	{"GB18030"},
}

// inOlderCharset returns an identifier in another character set than UTF-8; nil if it holds nothing beyond ASCII, or no
// other can hold it.
func inOlderCharset(id *stream.DataSet) *stream.DataSet {
	if id.String(dict.SpecificCharacterSet) != charset.UTF8 {
		return nil
	}
	for _, terms := range olderCharsets {
		older := *id
		if older.SetCharset(terms...) == nil {
			return &older
		}
	}
	return nil
}

// query asks once and shows what matches.
func (s *searching) query(ctx context.Context, id *stream.DataSet, modality string) (
	answers int, more bool, err error,
) {
	wanted := s.search
	wanted.Modality = modality
	answers, more, err = s.of.sift(s.a.Find(ctx, id), wanted.judge)
	return answers, more, toldCut(err, s.search.Cut)
}

// toldCut makes of a list that is not whole one that was cut, if the caller wants to know that.
func toldCut(err error, cut *bool) error {
	if err = doubted(err); cut == nil || !source.CutShort(err) {
		return err
	}
	*cut = true
	return nil
}

func keyOf(study FoundStudy) [2]string { return [2]string{study.StudyInstanceUID, study.PatientID} }

// sifting shows what of the answers to one or several queries was asked for, each thing once.
type sifting[T any] struct {
	limit int // most that is shown; 0: all
	yield func(T, error) bool
	key   func(T) [2]string  // what tells it from others, as far as two answers can be about the same
	shown map[[2]string]bool // a study may have several of the modalities
}

// sift goes through the answers to a query. One that lacks what was asked for can't be judged by itself: it is shown if
// no other answer to the same query shows that the server doesn't filter by that key. more tells whether more is
// wanted.
func (s *sifting[T]) sift(
	found iter.Seq2[*stream.DataSet, error], judge func(*stream.DataSet) (what T, lacks, against criteria),
) (answers int, more bool, err error) {
	type unsure struct {
		what  T
		lacks criteria
	}
	var kept []unsure
	var ignored criteria
	left := s.limit - len(s.shown)
	var ds *stream.DataSet
	for ds, err = range found {
		if err != nil {
			break
		}
		answers++
		what, lacks, against := judge(ds)
		switch {
		case against != 0:
			ignored |= against &^ identity
			kept = slices.DeleteFunc(kept, func(u unsure) bool { return u.lacks&ignored != 0 })
			continue
		case s.shown[s.key(what)] || lacks&ignored != 0:
			continue
		case lacks != 0:
			kept = append(kept, unsure{what, lacks})
		case !s.show(what):
			return answers, false, nil
		default:
			left--
		}
		if s.limit > 0 && left <= len(kept) {
			break
		}
	}
	for _, u := range kept {
		if !s.show(u.what) {
			return answers, false, err
		}
	}
	return answers, s.limit == 0 || len(s.shown) < s.limit, err
}

// show reports whether more is wanted. It passes over what was shown before.
func (s *sifting[T]) show(what T) bool {
	if s.shown[s.key(what)] {
		return true
	}
	s.shown[s.key(what)] = true
	return s.yield(what, nil)
}
