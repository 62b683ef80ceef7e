// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/people"
)

// Unsaved returns a server that is not one of ours, to be tried by a user: its ID is that of the user, below zero. Its
// settings have to be what a saved one's have to be, but need not name a service.
func (svc *Service) Unsaved(user people.User, s NewServer) (DICOMNode, error) {
	unasked := s.Supports == (Supports{})
	if unasked { // which no server may say of itself
		s.Supports.StudyRootFind, s.Supports.PatientRootFind = true, true
	}
	if err := s.validate(); err != nil {
		return DICOMNode{}, err
	}
	if unasked {
		s.Supports = Supports{}
	}
	row := s.row(-user.ID)
	var err error
	if row.TlsSealedKey, err = svc.sealTLS(row.ID, s.TLS, nil); err != nil {
		return DICOMNode{}, err
	}
	out := DICOMNode{ID: row.ID, Name: s.Name, Server: &db.Server{}, Verify: s.Verify, Direct: s.Retrieve.Direct}
	text, err := json.Marshal(row) //nolint:musttag // it is read again below, by the names of the fields
	if err != nil {
		return DICOMNode{}, err
	}
	return out, json.Unmarshal(text, out.Server) //nolint:musttag // sqlc gives both structs the same names
}

// ServerAt returns the ID of the server of ours that is at an address; 0: none.
func (svc *Service) ServerAt(ctx context.Context, peer door.Peer) (int64, error) {
	host, port, err := net.SplitHostPort(peer.Addr)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return 0, err
	}
	id, err := svc.Q.ServerAt(ctx, db.ServerAtParams{Host: host, Port: int32(n)})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return id, err
}
