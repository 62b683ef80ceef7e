// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"iter"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/pacs"
)

// maxContexts is how many presentation contexts an association can have (PS3.8 9.3.2.2: odd numbers from 1 to 255).
const maxContexts = 128

// source speaks to the server that a task reads from, over one association at a time.
type source struct {
	node    DICOMNode
	peer    pacs.Peer
	slot    *pacs.Slot
	a       *pacs.Association
	classes []string // storage classes that a was opened for
	offer   offer    // that a was opened with
}

func (s *source) findClass() string { return findRoot(s.node.Server.StudyRootFind) }

func (s *source) getClass() string {
	if s.node.Server.StudyRootGet {
		return dict.StudyRootQueryRetrieveInformationModelGet
	}
	return dict.PatientRootQueryRetrieveInformationModelGet
}

// keyPatient adds the patient's ID to an identifier, which the patient root model needs as a unique key below its level.
func (s *source) keyPatient(id *stream.DataSet, patientID string) {
	if !s.node.Server.StudyRootFind || !s.node.Server.StudyRootGet {
		setKey(id, dict.PatientID, patientID)
	}
}

// find queries, opening an association if there is none.
func (s *source) find(ctx context.Context, id *stream.DataSet) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		if s.a == nil {
			if err := s.open(ctx, nil, nil, offerLossless); err != nil {
				yield(nil, err)
				return
			}
		}
		for ds, err := range s.a.Find(ctx, s.findClass(), id) {
			if !yield(ds, err) {
				return
			}
		}
	}
}

// offer says which of the transfer syntaxes that the destination takes are proposed to the source.
type offer int

const (
	offerLossless offer = iota // none that may have been compressed with loss: a source could choose to compress
	offerAll
)

func (o offer) includes(syntax string) bool {
	return o == offerAll || !dict.TransferSyntaxOf(syntax).Lossy
}

// open opens an association for queries and, if there are classes, for retrieving them in those transfer syntaxes of the offer that
// the destination takes. Each transfer syntax has a context of its own, so that the source can't choose one and convert.
func (s *source) open(ctx context.Context, classes []string, accepted map[string][]string, o offer) error {
	s.release(ctx)
	contexts := []dimse.Context{{AbstractSyntax: s.findClass(), TransferSyntaxes: plainSyntaxes}}
	if len(classes) > 0 {
		contexts = append(contexts, dimse.Context{AbstractSyntax: s.getClass(), TransferSyntaxes: plainSyntaxes})
	}
	for _, class := range classes {
		for _, syntax := range accepted[class] {
			if o.includes(syntax) && len(contexts) < maxContexts {
				contexts = append(contexts, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{syntax}, SCP: true})
			}
		}
	}
	a, err := s.slot.Open(ctx, s.peer, contexts)
	if err != nil {
		return err
	}
	s.a, s.classes, s.offer = a, classes, o
	return nil
}

// covers tells whether the open association can retrieve these classes with an offer.
func (s *source) covers(classes []string, o offer) bool {
	if s.a == nil || o > s.offer {
		return false
	}
	for _, c := range classes {
		if !slices.Contains(s.classes, c) {
			return false
		}
	}
	return true
}

// get retrieves the instances of a series, or only those named.
func (s *source) get(ctx context.Context, inv *inventory, series string, uids []string, stop <-chan struct{}, take dimse.StoreHandler) (dimse.GetResult, error) {
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, "SERIES")
	id.Set(dict.StudyInstanceUID, inv.study)
	id.Set(dict.SeriesInstanceUID, series)
	s.keyPatient(id, inv.patientID)
	if len(uids) > 0 {
		id.Set(dict.QueryRetrieveLevel, "IMAGE")
		id.Set(dict.SOPInstanceUID, uids...)
	}
	return s.a.Get(ctx, dimse.GetRequest{SOPClassUID: s.getClass(), Identifier: id, Stop: stop}, take)
}

// release ends the association politely, abort at once. Both may be called when there is none.
func (s *source) release(ctx context.Context) {
	if s.a != nil {
		_ = s.a.Release(ctx) // it ends in any case
		s.a = nil
	}
}

func (s *source) abort() {
	if s.a != nil {
		s.a.Abort()
		s.a = nil
	}
}
