// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/ul"
)

// Config says whom to call and what to propose.
type Config struct {
	Addr                string // host:port
	CallingAE, CalledAE string
	Contexts            []Context          // at most 128
	MaxPDU              uint32             // announced, without the PDU header; 16 KiB to 1 MiB, 1 MiB − header when 0
	IdleTimeout         time.Duration      // without any progress on the connection; 60 s when 0
	ConnectTimeout      time.Duration      // for connecting and negotiating; 30 s when 0
	TLS                 *tls.Config        // nil: no TLS
	Guard               func() error       // of ul.Options
	UserIdentity        *ul.UserIdentityRQ // nil: none
	// C-STOREs to be allowed under way at once; not proposed below 2. See Window.
	AsyncOperations uint16
}

// Context is a presentation context to propose. The same abstract syntax may be proposed several times with one
// transfer syntax each, so that the peer can't choose.
type Context struct {
	AbstractSyntax   string
	TransferSyntaxes []string
	SCP              bool // propose that this side is the SCP (and not the SCU): storage classes of a C-GET
	// Extended is the service-class application information to propose for the SOP class (PS3.7 D.3.3.5), such as
	// QueryOptions; nil: none. The first of a SOP class counts.
	Extended []byte
}

// AcceptedContext is a presentation context that the peer accepted.
type AcceptedContext struct {
	ID                             byte
	AbstractSyntax, TransferSyntax string
	SCU, SCP                       bool // the roles of this side
}

// Association is an association that this side opened. One operation at a time, from one goroutine, but for Store
// where Window says more; Abort may be called from any.
type Association struct {
	session
	lastID      uint16
	window      *window       // nil: one operation at a time
	used        time.Time     // the end of the last operation; not kept with a window
	idle        time.Duration // as in Config
	cancelGrace time.Duration // shorter in tests
	checkAfter  time.Duration // shorter in tests
}

const (
	// maxProposed is given by the context IDs: odd and one byte long (PS3.8 9.3.2.2).
	maxProposed = 128

	// cancelGrace is how long a final response may take after C-CANCEL.
	cancelGrace = 20 * time.Second

	// checkAfter is the rest after which the next operation looks first whether the peer has ended the association.
	checkAfter = time.Second
)

// Dial opens an association. Errors: those of ul.Dial (*ul.ConnectError, *ul.RejectedError, *ul.NotDICOMError,
// *ul.TimeoutError, *ul.AbortedError, *ul.LostError, *ul.ProtocolError, the cause of ctx), and *NoContextsError when
// the peer accepted not one context.
func Dial(ctx context.Context, cfg Config) (*Association, error) {
	if n := len(cfg.Contexts); n == 0 || n > maxProposed {
		return nil, fmt.Errorf("an association proposes 1 to %d presentation contexts, not %d", maxProposed, n)
	}
	a, err := ul.Dial(ctx, cfg.Addr, cfg.request(), ul.Options{
		MaxPDU: cfg.MaxPDU, IdleTimeout: cfg.IdleTimeout, ConnectTimeout: cfg.ConnectTimeout, TLS: cfg.TLS,
		Guard: cfg.Guard,
	})
	if err != nil {
		return nil, err
	}
	s := &Association{
		session:     session{ul: a, contexts: accepted(cfg.Contexts, a.AC())},
		window:      newWindow(cfg.AsyncOperations, a.AC().User.AsyncOperations),
		used:        time.Now(),
		idle:        cmp.Or(cfg.IdleTimeout, time.Minute),
		cancelGrace: cancelGrace, checkAfter: checkAfter,
	}
	if len(s.contexts) == 0 {
		_ = s.Release(ctx) // the error that matters follows
		return nil, &NoContextsError{cfg.Addr, len(cfg.Contexts)}
	}
	return s, nil
}

func (cfg *Config) request() *ul.AssociateRQ {
	rq := &ul.AssociateRQ{CalledAE: cfg.CalledAE, CallingAE: cfg.CallingAE}
	rq.User.UserIdentityRQ = cfg.UserIdentity
	if cfg.AsyncOperations > 1 {
		rq.User.AsyncOperations = &ul.AsyncOperations{Invoked: cfg.AsyncOperations, Performed: 1}
	}
	for i, c := range cfg.Contexts {
		if c.Extended != nil && !slices.ContainsFunc(rq.User.Extended, func(x ul.ExtendedNegotiation) bool {
			return x.SOPClassUID == c.AbstractSyntax
		}) {
			rq.User.Extended = append(
				rq.User.Extended, ul.ExtendedNegotiation{SOPClassUID: c.AbstractSyntax, Info: c.Extended},
			)
		}
		rq.Contexts = append(rq.Contexts, ul.ContextRQ{
			ID: byte(2*i + 1), AbstractSyntax: c.AbstractSyntax, TransferSyntaxes: c.TransferSyntaxes,
		})
	}
	rq.User.Roles = roles(cfg.Contexts)
	return rq
}

// roles proposes one role selection for each SOP class that this side wants to be SCP of (PS3.7 D.3.3.4).
func roles(contexts []Context) []ul.RoleSelection {
	var roles []ul.RoleSelection
	for _, c := range contexts {
		if c.SCP &&
			!slices.ContainsFunc(roles, func(r ul.RoleSelection) bool { return r.SOPClassUID == c.AbstractSyntax }) {
			roles = append(roles, ul.RoleSelection{SOPClassUID: c.AbstractSyntax, SCP: true})
		}
	}
	for i := range roles {
		roles[i].SCU = slices.ContainsFunc(contexts, func(c Context) bool {
			return !c.SCP && c.AbstractSyntax == roles[i].SOPClassUID
		})
	}
	return roles
}

// accepted pairs the answers with the proposals. A missing answer to a role selection is taken as agreement:
// some peers leave it out and send C-STORE sub-operations all the same.
func accepted(contexts []Context, ac *ul.AssociateAC) []AcceptedContext {
	var out []AcceptedContext
	for i, p := range contexts {
		id := byte(2*i + 1)
		k := slices.IndexFunc(ac.Contexts, func(c ul.ContextAC) bool { return c.ID == id })
		if k < 0 || ac.Contexts[k].Result != ul.ContextAccepted {
			continue
		}
		c := AcceptedContext{ID: id, AbstractSyntax: p.AbstractSyntax, TransferSyntax: ac.Contexts[k].TransferSyntax}
		if !slices.Contains(p.TransferSyntaxes, c.TransferSyntax) {
			continue // what was not proposed cannot be used
		}
		c.SCU, c.SCP = !p.SCP, p.SCP
		for _, r := range ac.User.Roles {
			if r.SOPClassUID == p.AbstractSyntax {
				c.SCU, c.SCP = c.SCU && r.SCU, c.SCP && r.SCP
			}
		}
		out = append(out, c)
	}
	return out
}

// Accepted lists the accepted contexts of one abstract syntax, in the order proposed.
func (a *Association) Accepted(abstractSyntax string) []AcceptedContext {
	var out []AcceptedContext
	for _, c := range a.contexts {
		if c.AbstractSyntax == abstractSyntax {
			out = append(out, c)
		}
	}
	return out
}

// Contexts lists all accepted contexts, in the order proposed.
func (a *Association) Contexts() []AcceptedContext { return slices.Clone(a.contexts) }

// Extended is what the peer answered to the extended negotiation of a SOP class (PS3.7 D.3.3.5); nil if nothing.
func (a *Association) Extended(sopClass string) []byte {
	for _, x := range a.ul.AC().User.Extended {
		if x.SOPClassUID == sopClass {
			return x.Info
		}
	}
	return nil
}

// IdentityResponse is the peer's answer to Config.UserIdentity (PS3.7 D.3.3.7.2); nil if it gave none, which says that
// it may not have looked at it.
func (a *Association) IdentityResponse() *ul.UserIdentityAC { return a.ul.AC().User.UserIdentityAC }

// Err is why the association ended, nil while it can be used.
func (a *Association) Err() error { return a.ul.Err() }

// Release ends the association politely (A-RELEASE), within ten seconds, else aborts it.
func (a *Association) Release(ctx context.Context) error { return a.ul.Release(ctx) }

// Abort ends the association at once (A-ABORT).
func (a *Association) Abort() { a.ul.Abort() }

// begin starts an operation: until the returned function is called, the end of ctx aborts the association. After a rest
// it looks first whether the peer has ended the association meanwhile (*StaleError).
func (a *Association) begin(ctx context.Context) (end func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := a.ul.Err(); err != nil {
		return nil, err
	}
	if a.window != nil {
		return a.ul.Watch(ctx), nil
	}
	if time.Since(a.used) >= a.checkAfter {
		if err := a.check(); err != nil {
			return nil, &StaleError{err}
		}
	}
	stop := a.ul.Watch(ctx)
	return func() {
		stop()
		a.used = time.Now()
	}, nil
}

// check looks whether the peer has ended the association, and agrees to its release.
func (a *Association) check() error {
	err := a.ul.Check()
	if errors.Is(err, ul.ErrReleaseRequested) {
		_ = a.ul.ConfirmRelease()
		err = ErrReleased
	}
	return err
}

func (a *Association) nextID() uint16 {
	if a.lastID++; a.lastID == 0 {
		a.lastID = 1
	}
	return a.lastID
}

// next receives a message, and answers the peer's wish to release.
func (a *Association) next() (*AcceptedContext, *Command, error) {
	c, command, err := a.receive()
	if errors.Is(err, ul.ErrReleaseRequested) {
		_ = a.ul.ConfirmRelease()
		err = ErrReleased
	}
	return c, command, err
}

// response receives the response to a request.
func (a *Association) response(field CommandField, id uint16) (*AcceptedContext, *Command, error) {
	c, command, err := a.next()
	if err != nil {
		return nil, nil, err
	}
	return c, command, a.expect(command, field, id)
}

// expect aborts when a message isn't the response that is due.
func (a *Association) expect(c *Command, field CommandField, id uint16) error {
	if c.Field != field || c.MessageIDRespondedTo != id {
		return a.ul.AbortProvider(fmt.Sprintf("it sent %s for message %d where %s for message %d was due",
			c.Field, c.MessageIDRespondedTo, field, id))
	}
	return nil
}

// Echo verifies the peer (C-ECHO, PS3.7 9.1.5). A status other than Success is a *StatusError.
func (a *Association) Echo(ctx context.Context) error {
	c, err := a.contextFor(dict.Verification, "")
	if err != nil {
		return err
	}
	end, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	id := a.nextID()
	if err := a.send(
		c, &Command{Field: CEchoRQ, MessageID: id, AffectedSOPClassUID: dict.Verification}, nil,
	); err != nil {
		return err
	}
	_, rsp, err := a.response(CEchoRSP, id)
	if err != nil {
		return err
	}
	if rsp.Status != Success {
		return &StatusError{CEcho, rsp.Status, rsp.ErrorComment}
	}
	return nil
}
