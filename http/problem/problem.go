// SPDX-License-Identifier: AGPL-3.0-or-later

// Package problem says in sentences why a request is not served (RFC 9457, application/problem+json), whichever door it
// came through.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// How long a caller is asked to wait before trying again.
const (
	retryBusy        = 2 * time.Second
	retryDatabase    = 2 * time.Second
	retryMaintenance = 5 * time.Minute
	retryUnreachable = 30 * time.Second
)

// Problem is a client.Problem in the shape that huma writes.
type Problem struct {
	client.Problem

	basic bool // the caller may say who they are by a password, too
}

// GetStatus is asked for by huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is asked for by huma.
func (p *Problem) ContentType(string) string { return Type }

// GetHeaders is asked for by huma.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.RetryAfter/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Token realm="ADIT"`)
		if p.basic {
			h.Add("WWW-Authenticate", `Basic realm="ADIT, with an API token as the password", charset="UTF-8"`)
		}
	}
	return h
}

// Type is the media type of problems.
const Type = "application/problem+json"

// codes are the kinds of problems that a status says alone.
var codes = map[int]string{
	http.StatusBadRequest:   client.CodeMalformed,
	http.StatusUnauthorized: client.CodeUnauthenticated, http.StatusForbidden: client.CodeForbidden,
	http.StatusNotFound: client.CodeNotFound, http.StatusMethodNotAllowed: client.CodeMethodNotAllowed,
	http.StatusNotAcceptable: client.CodeNotAcceptable,
	http.StatusConflict:      client.CodeConflict, http.StatusPreconditionFailed: client.CodeChangedMeanwhile,
	http.StatusRequestTimeout: client.CodeTimeout, http.StatusRequestEntityTooLarge: client.CodeTooLarge,
	http.StatusUnsupportedMediaType: client.CodeUnsupportedMediaType,
	http.StatusMisdirectedRequest:   client.CodeMisdirected,
	http.StatusUnprocessableEntity:  client.CodeInvalid,
	http.StatusUpgradeRequired:      client.CodeWebSocketOnly,
	http.StatusTooManyRequests:      client.CodeTooMany, http.StatusBadGateway: client.CodeServerFailed,
	http.StatusServiceUnavailable: client.CodeBusy, http.StatusNotImplemented: client.CodeNotImplemented,
	http.StatusHTTPVersionNotSupported: client.CodeVersionNotSupported,
}

// New says something under a status, whose kind of problem it gets.
func New(status int, detail string) *Problem {
	code, ok := codes[status]
	if !ok {
		code = client.CodeInternal
	}
	p := &Problem{Problem: client.Problem{Title: http.StatusText(status), Status: status, Detail: detail}}
	return p.Kind(code)
}

// Kind names the kind of problem, where its status alone does not.
func (p *Problem) Kind(code string) *Problem {
	p.Code, p.Type = code, "urn:adit:problem:"+code
	return p
}

// Retry says after which time the caller may try again.
func (p *Problem) Retry(after time.Duration) *Problem {
	p.RetryAfter = after
	return p
}

// OfferBasic has a caller who is not known asked for a user and a password as well: some programs send none before.
func (p *Problem) OfferBasic() *Problem {
	p.basic = true
	return p
}

// Of says in a sentence what went wrong. What nobody foresaw goes to the log, and the caller gets the request's
// name.
func Of(ctx context.Context, err error) *Problem {
	if own, ok := errors.AsType[*Problem](err); ok {
		return own
	}
	if p := problemOfRequest(err); p != nil {
		return p
	}
	if p := problemOfServers(err); p != nil {
		Logger(ctx).InfoContext(ctx, "a request could not be served", "status", p.Status, "reason", err)
		return p
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return New(
			http.StatusServiceUnavailable, "The request was given up before it was done; send it again.",
		).Retry(retryBusy).Kind(client.CodeTimeout)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return New(
			http.StatusServiceUnavailable, "The request took too long and was given up; try again, or ask for less.",
		).Retry(retryUnreachable).Kind(client.CodeTimeout)
	}
	if fault.Removed(err) {
		Logger(ctx).WarnContext(ctx, "a request met a removal", "error", err)
		return New(http.StatusConflict,
			"Something that this request needs was removed at the same moment, and nothing was done; look what is "+
				"there now, and send it again.")
	}
	Logger(ctx).ErrorContext(ctx, "a request failed", "error", err)
	return internal(ctx)
}

func internal(ctx context.Context) *Problem {
	p := New(http.StatusInternalServerError,
		"ADIT failed to do this, by a fault of its own. Tell your administrator the request's name "+
			RequestID(ctx)+"; the log says more.")
	p.RequestID = RequestID(ctx)
	return p
}

// problemOfRequest judges what the caller can do something about.
func problemOfRequest(err error) *Problem {
	var invalid *refusal.Invalid
	var conflict *refusal.Conflict
	var changed *refusal.Changed
	var denied *people.Denied
	var unconfirmed *audit.Unconfirmed
	var maintenance *people.Maintenance
	var many *people.TooMany
	var faulty *projects.FaultyTable
	switch {
	case errors.As(err, &faulty):
		p := New(http.StatusUnprocessableEntity, Sentence(faulty.Error()))
		for _, f := range faulty.Faults {
			at := fmt.Sprintf("row %d", f.Row)
			if f.Column != "" {
				at += ", " + f.Column
			}
			p.Errors = append(p.Errors, client.FieldError{Field: at, Message: f.Reason})
		}
		return p
	case errors.As(err, &invalid):
		p := New(http.StatusUnprocessableEntity, Sentence(invalid.Error()))
		if invalid.Field != "" {
			p.Errors = []client.FieldError{{Field: invalid.Field, Message: invalid.Reason}}
		}
		return p
	case errors.As(err, &many):
		return New(http.StatusTooManyRequests, Sentence(many.Reason)).Retry(many.RetryAfter)
	case errors.As(err, &conflict):
		return New(http.StatusConflict, Sentence(conflict.Reason))
	case errors.As(err, &changed):
		return New(http.StatusPreconditionFailed, Sentence(changed.Error()))
	case errors.As(err, &denied):
		p := New(http.StatusForbidden, Sentence(denied.Reason))
		if denied.Locked {
			return p.Kind(client.CodeLocked)
		}
		return p
	case errors.As(err, &unconfirmed):
		return New(http.StatusForbidden, Sentence(unconfirmed.Reason)).Kind(client.CodePasswordNeeded)
	case errors.As(err, &maintenance):
		return New(
			http.StatusServiceUnavailable, maintenance.Reason,
		).Retry(retryMaintenance).Kind(client.CodeMaintenance)
	case errors.Is(err, refusal.ErrNotFound):
		return New(http.StatusNotFound, Sentence(err.Error()))
	case errors.Is(err, people.ErrUnauthenticated), errors.Is(err, people.ErrWrongPassword):
		return New(http.StatusUnauthorized, Sentence(err.Error()))
	}
	return nil
}

// problemOfServers judges what lies with a PACS or with the database.
func problemOfServers(err error) *Problem {
	var busy *door.Busy
	var closed *door.Closed
	var narrow *door.Narrow
	if trouble := fault.DatabaseTrouble(err); trouble != nil {
		if trouble.Away() {
			return DatabaseAway().Retry(trouble.Retry)
		}
		return New(http.StatusServiceUnavailable, Sentence(trouble.Reason)).Retry(trouble.Retry).Kind(
			client.CodeDatabaseUnavailable,
		)
	}
	switch {
	case errors.As(err, &busy):
		return New(http.StatusServiceUnavailable, Sentence(busy.Error())).Retry(retryBusy)
	case errors.As(err, &closed):
		return New(http.StatusServiceUnavailable, Sentence(closed.Error())).Kind(client.CodeServerUnavailable)
	case errors.As(err, &narrow):
		return New(http.StatusServiceUnavailable, Sentence(narrow.Error())).Kind(client.CodeServerUnavailable)
	case fault.NeedsSettings(err):
		return New(http.StatusBadGateway, Sentence(err.Error()))
	case fault.Unreachable(err):
		return New(
			http.StatusServiceUnavailable, Sentence(err.Error()),
		).Retry(retryUnreachable).Kind(client.CodeServerUnavailable)
	case fault.PeerRefused(err), fault.PeerFailed(err):
		return New(http.StatusBadGateway, Sentence(err.Error()))
	}
	if own, ok := errors.AsType[*fault.Fault](err); ok {
		return problemOfFault(own)
	}
	return nil
}

// problemOfFault judges what would end a run of a task.
func problemOfFault(f *fault.Fault) *Problem {
	switch f.Policy {
	case fault.PolicyPermanent:
		return New(http.StatusConflict, Sentence(f.Error()))
	case fault.PolicyWait:
		return New(http.StatusServiceUnavailable, Sentence(f.Error())).Retry(max(f.Wait, retryUnreachable))
	}
	return New(http.StatusBadGateway, Sentence(f.Error()))
}

// DatabaseAway is what to say while the database does not answer.
func DatabaseAway() *Problem {
	return New(http.StatusServiceUnavailable,
		"ADIT's database doesn't answer. Nothing is lost; try again in a moment, and tell your administrator if "+
			"it lasts.").Retry(retryDatabase).Kind(client.CodeDatabaseUnavailable)
}

// Write answers a request outside of huma: unknown routes, callers without a token, panics.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	p := Of(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", Type)
	w.WriteHeader(p.Status)
	text, err := json.Marshal(&p.Problem)
	if err != nil {
		panic(err) // it holds texts and numbers
	}
	_, _ = w.Write(text) // whoever has gone misses nothing
}

// Refuse is Write with a status and a sentence.
func Refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	Write(w, r, New(status, detail))
}

// Error makes an Problem an error.
func (p *Problem) Error() string { return p.Problem.Error() }

// Sentence makes an error a sentence.
func Sentence(text string) string {
	text = strings.TrimSuffix(text, ".")
	if text == "" {
		return text
	}
	first, _, _ := strings.Cut(text, " ")
	if !strings.ContainsAny(first, "_-[.:") { // the name of a field stays as it is
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text + "."
}

type requestKey struct{}

type request struct {
	id  string
	log *slog.Logger
}

// WithRequest leaves the request's name, and the logger that carries it, for handlers.
func WithRequest(ctx context.Context, id string, log *slog.Logger) context.Context {
	return context.WithValue(ctx, requestKey{}, request{id, log})
}

// RequestID names the request, for the log and for people.
func RequestID(ctx context.Context) string {
	rq, _ := ctx.Value(requestKey{}).(request)
	return rq.id
}

// Logger is the logger that names the request.
func Logger(ctx context.Context) *slog.Logger {
	if rq, ok := ctx.Value(requestKey{}).(request); ok {
		return rq.log
	}
	return slog.New(slog.DiscardHandler)
}

// RefuseCaller answers who can't be let in (auth.Require). Only the database was asked until then.
func RefuseCaller(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = DatabaseAway()
	}
	Write(w, r, err)
}
