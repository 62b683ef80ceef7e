// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"context"
	"errors"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
)

// Mover returns the server itself, if it supports C-MOVE.
func (s *Server) Mover() (Mover, bool) {
	if !s.Node.Server.StudyRootMove && !s.Node.Server.PatientRootMove {
		return nil, false
	}
	return s, true
}

// MoveClass returns the SOP class of its C-MOVE.
func (s *Server) MoveClass() string {
	if s.Node.Server.StudyRootMove {
		return dict.StudyRootQueryRetrieveInformationModelMove
	}
	return dict.PatientRootQueryRetrieveInformationModelMove
}

// openMove opens an association for queries and C-MOVE.
func (s *Server) openMove(ctx context.Context) error {
	s.Release(ctx)
	if s.InTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.InTime)
		defer cancel()
	}
	a, err := s.Slot.Open(ctx, s.Peer, []dimse.Context{
		{AbstractSyntax: s.FindClass(), TransferSyntaxes: door.PlainSyntaxes},
		{AbstractSyntax: s.MoveClass(), TransferSyntaxes: door.PlainSyntaxes},
	})
	if err != nil {
		return err
	}
	s.A, s.moves, s.proposed = a, true, nil
	return nil
}

// Move has what is asked for sent by C-MOVE.
func (s *Server) Move(ctx context.Context, rq Request, by dimse.MoveRequest) (dimse.MoveResult, error) {
	by.SOPClassUID, by.Identifier = s.MoveClass(), retrieveKeys(rq, s.Node.Server.StudyRootMove)
	for tries := 0; ; tries++ {
		if s.A == nil || !s.moves {
			if err := s.openMove(ctx); err != nil {
				return dimse.MoveResult{}, err
			}
		}
		result, err := s.A.Move(ctx, by, nil)
		if _, stale := errors.AsType[*dimse.StaleError](err); !stale || tries == door.StaleTries {
			return result, err
		}
		s.Abort() // nothing was sent
	}
}

// retrieveKeys returns the identifier of a retrieve.
func retrieveKeys(rq Request, studyRoot bool) *stream.DataSet {
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, "STUDY")
	id.Set(dict.StudyInstanceUID, rq.Of.Study)
	if rq.Series != "" {
		id.Set(dict.QueryRetrieveLevel, "SERIES")
		id.Set(dict.SeriesInstanceUID, rq.Series)
	}
	if !studyRoot {
		SetKey(id, dict.PatientID, rq.Of.PatientID)
	}
	if len(rq.UIDs) > 0 {
		id.Set(dict.QueryRetrieveLevel, "IMAGE")
		id.Set(dict.SOPInstanceUID, rq.UIDs...)
	}
	return id
}
