// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

// startDICOM answers C-ECHO, so that administrators of PACS can try the way to ADIT. Nobody is expected to send objects:
// they are refused for good (0124), since a PACS that forwards would repeat anything softer for ever.
func (s *server) startDICOM(ctx context.Context) error {
	if s.cmd.DICOMListen == "" {
		return nil
	}
	l, err := s.listen(ctx, "--dicom-listen", s.cmd.DICOMListen)
	if err != nil {
		return err
	}
	s.dicomAddr = l.Addr().String()
	srv := &dimse.Server{
		Choose: chooseContext,
		Store: func(ctx context.Context, a *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
			s.log.InfoContext(ctx, "an object that nobody expects was refused", "peer", a.RemoteAddr.String(), "sop_class", in.SOPClassUID)
			return dimse.StoreResponse{Status: dimse.RefusedNotAuthorized}
		},
		Log: s.log,
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	s.supervise("the DICOM listener", func() error {
		defer close(done)
		return srv.Serve(ctx, l)
	})
	s.atEnd(func() {
		stop()
		within(endGrace, func() { <-done })
	})
	return nil
}

func chooseContext(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	if c.AbstractSyntax != dict.Verification && !dict.IsStorageClass(c.AbstractSyntax) {
		return "", ul.ContextAbstractSyntaxRefused
	}
	return c.TransferSyntaxes[0], ul.ContextAccepted
}
