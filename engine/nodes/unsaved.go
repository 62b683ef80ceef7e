// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// Unsaved returns a server that is not one of ours, to be tried by a user: its ID is that of the user, below zero. Its
// settings have to be what a saved one's have to be, but need not name a service.
func (svc *Service) Unsaved(user people.User, s NewServer) (DICOMNode, error) {
	unasked := s.Supports == (Supports{})
	if unasked { // which no server may say of itself
		s.Supports.StudyRootFind = s.Host != "" || s.DICOMweb.RootURL == ""
		s.Supports.QIDO = s.DICOMweb.RootURL != ""
	}
	if err := s.validate(); err != nil {
		return DICOMNode{}, err
	}
	if unasked {
		s.Supports = Supports{}
	}
	row, err := sealed(svc.People, -user.ID, &s, nil)
	if err != nil {
		return DICOMNode{}, err
	}
	out := DICOMNode{ID: row.ID, Name: s.Name, Server: &db.Server{}, Verify: s.Verify, Direct: s.Retrieve.Direct}
	text, err := json.Marshal(row) //nolint:musttag // it is read again below, by the names of the fields
	if err != nil {
		return DICOMNode{}, err
	}
	return out, json.Unmarshal(text, out.Server) //nolint:musttag // sqlc gives both structs the same names
}

// ServerAt returns the ID of the server of ours that is where another one is: at its host and port, or else at its root
// URL; 0: none.
func (svc *Service) ServerAt(ctx context.Context, n DICOMNode) (int64, error) {
	s := n.Server
	id, err := svc.Q.ServerAt(ctx, db.ServerAtParams{Host: s.Host, Port: s.Port, RootUrl: s.WebRootUrl})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return id, err
}
