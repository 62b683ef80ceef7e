// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"context"
	"iter"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// Asking asks a server over an association that is open already, as a task does: without a limit but the caller's.
type Asking struct {
	A    *door.Association
	Node nodes.DICOMNode
}

// Contexts are what an association has to propose for the queries to a server.
func Contexts(node nodes.DICOMNode) []dimse.Context { return findContexts(rootOf(node)) }

func rootOf(node nodes.DICOMNode) string { return source.FindRoot(node.Server.StudyRootFind) }

// Studies yields the studies that match, each once. Errors: *Invalid, or of the network.
func (q Asking) Studies(ctx context.Context, s Search) iter.Seq2[FoundStudy, error] {
	return streamed(func(yield func(FoundStudy, error) bool) error {
		s, err := s.tidied()
		if err != nil {
			return err
		}
		of := &sifting[FoundStudy]{limit: s.Limit, yield: yield, key: keyOf, shown: map[[2]string]bool{}}
		return (&searching{a: q.A, root: rootOf(q.Node), search: s, of: of}).run(ctx)
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
		_, _, err := of.sift(q.A.Find(ctx, rootOf(q.Node), l.query(q.Node, l.patientID)), l.judge)
		return err
	})
}

// MatchesText reports whether a value is what a text with * for any characters and ? for one describes as a whole,
// without regard to case, accents and blanks.
func MatchesText(wanted, value string) bool { return matchesText(wanted, value) }

// SameName reports whether a person has a name, in DICOM form and without wildcards: without regard to case and
// accents, in any of the component groups. A name that ends early is the same whatever follows.
func SameName(wanted, value string) bool { return matchesName(wanted, value) }
