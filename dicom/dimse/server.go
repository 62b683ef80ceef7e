// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// Server accepts associations and serves what its handlers can. A service without a handler is refused with
// status 0211H; give it no presentation context.
type Server struct {
	// Accept decides about an association before its contexts are chosen; nil accepts all. An error that is (or
	// wraps) a *Reject is answered with it, any other with "rejected permanently, no reason".
	Accept func(ctx context.Context, rq *AssociationRequest) error
	// Choose answers one proposed presentation context: the transfer syntax to use and ul.ContextAccepted, or the
	// reason against it. Required.
	Choose func(rq *AssociationRequest, c ul.ContextRQ) (transferSyntax string, result ul.ContextResult)

	Echo  func(ctx context.Context, a *ServerAssociation) Status // nil answers Success
	Store func(ctx context.Context, a *ServerAssociation, in *Incoming) StoreResponse
	Find  func(ctx context.Context, op *FindOperation) Status
	Get   func(ctx context.Context, op *GetOperation) Status

	// Ended is told about the end of each accepted association; err is nil after a release. May be nil.
	Ended func(a *ServerAssociation, err error)

	MaxAssociations int           // more are rejected with "local limit exceeded"; 100 when 0
	MaxPDU          uint32        // as in Config
	IdleTimeout     time.Duration // as in Config
	ARTIM           time.Duration // for the A-ASSOCIATE-RQ to arrive; 30 s when 0
	Grace           time.Duration // for open associations when Serve is told to end; then they are aborted
	TLS             *tls.Config
	Log             *slog.Logger // nil: silent
}

// Reject is the A-ASSOCIATE-RJ that an Accept hook wants (PS3.8 table 9-21).
type Reject struct {
	Result ul.RejectResult
	Source ul.RejectSource
	Reason byte
}

func (r *Reject) Error() string { panic("soon") }

// AssociationRequest is what a peer asks for.
type AssociationRequest struct {
	CalledAE, CallingAE string
	RemoteAddr          net.Addr
	Open                int // associations open at this moment, this one not counted
	RQ                  *ul.AssociateRQ
}

// ServerAssociation is an association that a peer opened.
type ServerAssociation struct {
	AssociationRequest
}

// Contexts lists the accepted contexts.
func (a *ServerAssociation) Contexts() []AcceptedContext { panic("soon") }

// Abort sends A-ABORT and closes.
func (a *ServerAssociation) Abort() { panic("soon") }

// Drop closes the connection without a word, even in the middle of a data set.
func (a *ServerAssociation) Drop() { panic("soon") }

// Serve accepts connections until ctx ends, then closes the listener, lets open associations end within Grace,
// aborts the rest, and returns nil. It returns an error only when the listener fails.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { panic("soon") }

// FindOperation is a C-FIND that a peer asked for. The handler's status is sent as the final response unless Final
// was called before or the association has ended. ctx ends with the association.
type FindOperation struct {
	Association *ServerAssociation
	SOPClassUID string
	Priority    Priority
	Identifier  *stream.DataSet
}

// Canceled is closed when the peer sent C-CANCEL.
func (op *FindOperation) Canceled() <-chan struct{} { panic("soon") }

// Pending sends a match, or with nil a pending response without an identifier.
func (op *FindOperation) Pending(identifier *stream.DataSet) error { panic("soon") }

// Final sends the final response.
func (op *FindOperation) Final(status Status, errorComment string) error { panic("soon") }

// GetOperation is a C-GET that a peer asked for. The handler's status is sent as the final response, without
// counts, unless Final was called before or the association has ended.
type GetOperation struct {
	Association *ServerAssociation
	SOPClassUID string
	Priority    Priority
	Identifier  *stream.DataSet
}

// Canceled is closed when the peer sent C-CANCEL.
func (op *GetOperation) Canceled() <-chan struct{} { panic("soon") }

// Store performs one C-STORE sub-operation. Errors as of Association.Store.
func (op *GetOperation) Store(ctx context.Context, rq StoreRequest, data io.Reader) (StoreResponse, error) {
	panic("soon")
}

// Pending sends a pending response with the counts that are present.
func (op *GetOperation) Pending(c Counts) error { panic("soon") }

// Final sends the final response with the counts that are present, and the failed UIDs if any.
func (op *GetOperation) Final(r GetResult) error { panic("soon") }
