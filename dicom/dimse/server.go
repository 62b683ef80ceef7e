// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/ul"
)

// Server accepts associations and serves what its handlers can. A request without a handler is answered with
// status 0211H; better give it no presentation context. One Server may serve several listeners, one after the other
// or at once; its fields do not change meanwhile.
type Server struct {
	// Accept decides about an association before its contexts are chosen; nil accepts all. An error that is (or
	// wraps) a *Reject is answered with it, any other with "rejected permanently, no reason". It must not wait for
	// anything remote. Never called for two associations at once. It may set rq.IdentityResponse.
	Accept func(ctx context.Context, rq *AssociationRequest) error
	// Choose answers one proposed presentation context: the transfer syntax to use and ul.ContextAccepted, or the
	// reason against it. Required.
	Choose func(rq *AssociationRequest, c ul.ContextRQ) (transferSyntax string, result ul.ContextResult)

	// Extend answers the extended negotiation of a SOP class of which a context was accepted (PS3.7 D.3.3.5); nil from
	// it leaves the answer out. May be nil.
	Extend func(rq *AssociationRequest, x ul.ExtendedNegotiation) []byte

	// The handlers. ctx ends with the association. They run on goroutines of the association, one at a time.
	Echo  func(ctx context.Context, a *ServerAssociation) Status // nil answers Success
	Store func(ctx context.Context, a *ServerAssociation, in *Incoming) StoreResponse
	Find  func(ctx context.Context, op *FindOperation) Status
	Get   func(ctx context.Context, op *GetOperation) Status
	Move  func(ctx context.Context, op *MoveOperation) Status
	// Commitment takes the reports about storage commitment that this side asked for on another association
	// (PS3.4 J.3.3). The peer proposes the SCP role for itself, which is granted.
	Commitment func(ctx context.Context, a *ServerAssociation, r *CommitmentReport) Status
	// CommitmentRequest is asked to take over the responsibility for instances (PS3.4 J.3.2). Its report goes out
	// before its status does; nil: none does.
	CommitmentRequest func(ctx context.Context, a *ServerAssociation, rq *CommitmentRequest) (Status, *CommitmentReport)

	// Refused is told of each C-STORE request that never reaches Store, since its SOP class or instance isn't named by
	// a UID, and what it is answered: 0119H or 0117H. May be nil.
	Refused func(a *ServerAssociation, status Status)

	// Unheard is told of each connection that ended before its A-ASSOCIATE-RQ was there: no TLS or no DICOM was spoken,
	// or nothing at all. May be nil.
	Unheard func(peer net.Addr, err error)

	// Crowded is told of each association that was rejected only since there was no place for it. May be nil.
	Crowded func(rq *AssociationRequest)

	// Ended is told about the end of each accepted association, once; err is nil for a release, which is told before
	// the A-RELEASE-RP is sent. May be nil.
	Ended func(a *ServerAssociation, err error)

	MaxAssociations int           // of those that are expected, and of all others; 100 when 0. See Expected.
	MaxPerCaller    int           // of them, by AE title and address; no bound when 0
	MaxPDU          uint32        // as in Config
	IdleTimeout     time.Duration // as in Config
	ARTIM           time.Duration // for the A-ASSOCIATE-RQ to arrive; 30 s when 0
	Grace           time.Duration // for open associations when Serve is told to end; then they are aborted
	TLS             *tls.Config   // nil: no TLS
	Log             *slog.Logger  // nil: silent

	mu     sync.Mutex // Accept
	places places
}

const acceptRetry = 100 * time.Millisecond // after a failure of the listener that may pass: no file descriptors

// Reject is the A-ASSOCIATE-RJ that an Accept hook wants (PS3.8 table 9-21).
type Reject struct {
	Result ul.RejectResult
	Source ul.RejectSource
	Reason byte
}

func (r *Reject) Error() string {
	switch *r {
	case *RejectCalledAE:
		return "rejected: called AE title not recognized"
	case *RejectCallingAE:
		return "rejected: calling AE title not recognized"
	case *RejectLimit:
		return "rejected: too many associations are open"
	}
	return fmt.Sprintf("rejected (result %d, source %d, reason %d)", r.Result, r.Source, r.Reason)
}

// The rejections that an Accept hook needs.
var (
	RejectCalledAE  = &Reject{ul.RejectedPermanent, ul.RejectedByUser, ul.ReasonCalledAE}
	RejectCallingAE = &Reject{ul.RejectedPermanent, ul.RejectedByUser, ul.ReasonCallingAE}
	RejectLimit     = &Reject{ul.RejectedTransient, ul.RejectedByPresentation, ul.ReasonLocalLimit}
	rejectNoReason  = &Reject{ul.RejectedPermanent, ul.RejectedByUser, ul.ReasonNone}
)

// AssociationRequest is what a peer asks for.
type AssociationRequest struct {
	CalledAE, CallingAE string
	RemoteAddr          net.Addr
	Open                int // associations open at this moment, this one not counted
	RQ                  *ul.AssociateRQ
	// Expected is for Accept to set where this side has asked the peer to call. Expected associations have places of
	// their own: whatever others hold, there is room. Where places are short, associations without an operation are
	// aborted for newcomers, of the caller with the most first; those that have brought an instance after five seconds.
	// If there are none such, the newcomer is rejected with "local limit exceeded".
	Expected bool
	// Caller is for Accept to set, and for the handlers to read: whom it takes the peer for.
	Caller any
	// IdentityResponse is for Accept to set where RQ.User.UserIdentityRQ names a user that it has verified; it is sent
	// only if the peer asked for it (PS3.7 D.3.3.7).
	IdentityResponse *ul.UserIdentityAC
}

// Serve accepts connections until ctx ends, then closes the listener, lets open associations end within Grace,
// aborts the rest, and returns nil when all are gone. It returns an error only when the listener fails.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	abort, abortAll := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abortAll(nil)
	var all sync.WaitGroup
	err := s.acceptAll(ctx, l, func(c net.Conn) {
		ctx, evict := context.WithCancelCause(abort)
		p := s.places.arrive(c, evict)
		all.Go(func() {
			defer evict(nil)
			s.serve(ctx, c, p)
		})
	})
	timer := time.AfterFunc(s.Grace, func() { abortAll(errors.New("the server is shutting down")) })
	defer timer.Stop()
	all.Wait()
	return err
}

// acceptAll calls start for each connection. It returns nil when ctx ended.
func (s *Server) acceptAll(ctx context.Context, l net.Listener, start func(net.Conn)) error {
	for {
		c, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = c.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("the DICOM listener was closed: %w", err)
		case err != nil:
			s.log().Warn("a DICOM connection could not be accepted", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptRetry):
			}
			continue
		}
		start(c)
	}
}

func (s *Server) maxAssociations() int {
	if s.MaxAssociations > 0 {
		return s.MaxAssociations
	}
	return defaultAssociations
}

func (s *Server) log() *slog.Logger {
	if s.Log != nil {
		return s.Log
	}
	return slog.New(slog.DiscardHandler)
}

// serve handles one connection.
func (s *Server) serve(ctx context.Context, c net.Conn, p *place) {
	s.places.told(p, c.RemoteAddr())
	var admitted bool
	var refused error
	var rq *AssociationRequest
	a, err := ul.Accept(ctx, c, ul.Options{MaxPDU: s.MaxPDU, IdleTimeout: s.IdleTimeout, ARTIM: s.ARTIM, TLS: s.TLS},
		func(u *ul.AssociateRQ) ul.PDU {
			rq = &AssociationRequest{CalledAE: u.CalledAE, CallingAE: u.CallingAE, RemoteAddr: c.RemoteAddr(), RQ: u}
			if refused = s.admit(ctx, rq, p); refused != nil {
				rj := rejection(refused)
				return &ul.AssociateRJ{Result: rj.Result, Source: rj.Source, Reason: rj.Reason}
			}
			admitted = true
			return s.choose(rq)
		})
	if err != nil {
		if admitted {
			(&ServerAssociation{AssociationRequest: *rq, server: s, place: p}).ended(err)
		}
		switch gone := s.places.leave(p); {
		case gone:
			s.log().Info("a DICOM connection was closed", "peer", c.RemoteAddr().String(), "reason", errMadeRoom)
		case refused != nil:
			s.log().Info("a DICOM association was refused", "peer", c.RemoteAddr().String(),
				"calling", rq.CallingAE, "called", rq.CalledAE, "reason", refused)
		default:
			s.log().Info(
				"a DICOM connection did not become an association", "peer", c.RemoteAddr().String(), "reason", err,
			)
			if rq == nil && s.Unheard != nil {
				s.Unheard(c.RemoteAddr(), err)
			}
		}
		return
	}
	served := &ServerAssociation{
		AssociationRequest: *rq, server: s, place: p,
		session: session{ul: a, contexts: acceptedByServer(rq.RQ, a.AC())},
	}
	served.ended(served.run(ctx))
	if s.places.leave(p) {
		s.log().Info(
			"a DICOM association was aborted", "peer", c.RemoteAddr().String(),
			"calling", rq.CallingAE, "reason", errMadeRoom,
		)
	}
}

// ended counts the association off and reports it, once.
func (a *ServerAssociation) ended(err error) {
	a.once.Do(func() {
		a.server.places.close(a.place)
		if a.server.Ended != nil {
			a.server.Ended(a, err)
		}
	})
}

// admit counts the association in, or says why not.
func (s *Server) admit(ctx context.Context, rq *AssociationRequest, p *place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rq.Open = s.places.opened()
	if s.Accept != nil {
		if err := s.Accept(ctx, rq); err != nil {
			return err
		}
	}
	err := s.places.admit(p, rq, s.maxAssociations(), s.MaxPerCaller)
	if errors.Is(err, RejectLimit) && s.Crowded != nil {
		s.Crowded(rq)
	}
	return err
}

// Open returns how many associations are open.
func (s *Server) Open() int { return s.places.opened() }

// rejection is the A-ASSOCIATE-RJ for the error of an Accept hook.
func rejection(err error) *Reject {
	if rj, ok := errors.AsType[*Reject](err); ok {
		return rj
	}
	return rejectNoReason
}

// choose answers the contexts, and grants the roles that were asked for. An asynchronous operations window is never
// granted: without an answer it is 1 (PS3.7 D.3.3.3).
func (s *Server) choose(rq *AssociationRequest) *ul.AssociateAC {
	ac := &ul.AssociateAC{CalledAE: rq.CalledAE, CallingAE: rq.CallingAE}
	agreed := map[string]bool{}
	for _, c := range rq.RQ.Contexts {
		ts, result := s.chooseUIDs(rq, c)
		ac.Contexts = append(ac.Contexts, ul.ContextAC{ID: c.ID, Result: result, TransferSyntax: ts})
		if result == ul.ContextAccepted {
			agreed[c.AbstractSyntax] = true
		}
	}
	for _, r := range rq.RQ.User.Roles {
		if agreed[r.SOPClassUID] {
			ac.User.Roles = append(ac.User.Roles, r)
		}
	}
	for _, x := range rq.RQ.User.Extended {
		if s.Extend == nil || !agreed[x.SOPClassUID] {
			continue
		}
		if info := s.Extend(rq, x); info != nil {
			ac.User.Extended = append(ac.User.Extended, ul.ExtendedNegotiation{SOPClassUID: x.SOPClassUID, Info: info})
		}
	}
	if q := rq.RQ.User.UserIdentityRQ; q != nil && q.PositiveResponse {
		ac.User.UserIdentityAC = rq.IdentityResponse
	}
	return ac
}

// chooseUIDs is Choose for what is proposed under UIDs. Whatever else is proposed is refused: nobody could name it
// further on.
func (s *Server) chooseUIDs(rq *AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	if !dict.ValidUID(c.AbstractSyntax) {
		return "", ul.ContextAbstractSyntaxRefused
	}
	c.TransferSyntaxes = slices.DeleteFunc(
		slices.Clone(c.TransferSyntaxes), func(u string) bool { return !dict.ValidUID(u) },
	)
	if len(c.TransferSyntaxes) == 0 {
		return "", ul.ContextTransferSyntaxesRefused
	}
	return s.Choose(rq, c)
}

// acceptedByServer lists the accepted contexts with this side's roles: SCP unless a role selection says otherwise
// (PS3.7 D.3.3.4), where the requestor's SCP role makes this side the SCU.
func acceptedByServer(rq *ul.AssociateRQ, ac *ul.AssociateAC) []AcceptedContext {
	var out []AcceptedContext
	for i, c := range ac.Contexts {
		if c.Result != ul.ContextAccepted {
			continue
		}
		a := AcceptedContext{
			ID: c.ID, AbstractSyntax: rq.Contexts[i].AbstractSyntax, TransferSyntax: c.TransferSyntax, SCP: true,
		}
		for _, r := range ac.User.Roles {
			if r.SOPClassUID == a.AbstractSyntax {
				a.SCP, a.SCU = r.SCU, r.SCP
			}
		}
		out = append(out, a)
	}
	return out
}
