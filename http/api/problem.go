// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/http/api/internal/strictjson"
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

// problem is a client.Problem in the shape that huma writes.
type problem struct {
	client.Problem
}

// GetStatus is asked for by huma.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is asked for by huma.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders is asked for by huma.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.RetryAfter/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Token realm="ADIT"`)
	}
	return h
}

const problemType = "application/problem+json"

// codes are the kinds of problems that a status says alone.
var codes = map[int]string{
	http.StatusBadRequest:   client.CodeMalformed,
	http.StatusUnauthorized: client.CodeUnauthenticated, http.StatusForbidden: client.CodeForbidden,
	http.StatusNotFound: client.CodeNotFound, http.StatusMethodNotAllowed: client.CodeMethodNotAllowed,
	http.StatusConflict: client.CodeConflict, http.StatusPreconditionFailed: client.CodeChangedMeanwhile,
	http.StatusRequestTimeout: client.CodeTimeout, http.StatusRequestEntityTooLarge: client.CodeTooLarge,
	http.StatusUnsupportedMediaType: client.CodeUnsupportedMediaType,
	http.StatusMisdirectedRequest:   client.CodeMisdirected,
	http.StatusUnprocessableEntity:  client.CodeInvalid,
	http.StatusTooManyRequests:      client.CodeTooMany, http.StatusBadGateway: client.CodeServerFailed,
	http.StatusServiceUnavailable: client.CodeBusy,
}

func newProblem(status int, detail string) *problem {
	code, ok := codes[status]
	if !ok {
		code = client.CodeInternal
	}
	p := &problem{client.Problem{Title: http.StatusText(status), Status: status, Detail: detail}}
	return p.as(code)
}

// as names the kind of problem, where its status alone does not.
func (p *problem) as(code string) *problem {
	p.Code, p.Type = code, "urn:adit:problem:"+code
	return p
}

func (p *problem) retry(after time.Duration) *problem {
	p.RetryAfter = after
	return p
}

// problemOf says in a sentence what went wrong. What nobody foresaw goes to the log, and the caller gets the request's
// name.
func problemOf(ctx context.Context, err error) *problem {
	if own, ok := errors.AsType[*problem](err); ok {
		return own
	}
	if p := problemOfRequest(err); p != nil {
		return p
	}
	if p := problemOfServers(err); p != nil {
		logger(ctx).InfoContext(ctx, "a request could not be served", "status", p.Status, "reason", err)
		return p
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return newProblem(
			http.StatusServiceUnavailable, "The request was given up before it was done; send it again.",
		).retry(retryBusy).as(client.CodeTimeout)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return newProblem(
			http.StatusServiceUnavailable, "The request took too long and was given up; try again, or ask for less.",
		).retry(retryUnreachable).as(client.CodeTimeout)
	}
	if fault.Removed(err) {
		logger(ctx).WarnContext(ctx, "a request met a removal", "error", err)
		return newProblem(http.StatusConflict,
			"Something that this request needs was removed at the same moment, and nothing was done; look what is "+
				"there now, and send it again.")
	}
	logger(ctx).ErrorContext(ctx, "a request failed", "error", err)
	return internal(ctx)
}

func internal(ctx context.Context) *problem {
	p := newProblem(http.StatusInternalServerError,
		"ADIT failed to do this, by a fault of its own. Tell your administrator the request's name "+
			RequestID(ctx)+"; the log says more.")
	p.RequestID = RequestID(ctx)
	return p
}

// problemOfRequest judges what the caller can do something about.
func problemOfRequest(err error) *problem {
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
		p := newProblem(http.StatusUnprocessableEntity, sentence(faulty.Error()))
		for _, f := range faulty.Faults {
			at := fmt.Sprintf("row %d", f.Row)
			if f.Column != "" {
				at += ", " + f.Column
			}
			p.Errors = append(p.Errors, client.FieldError{Field: at, Message: f.Reason})
		}
		return p
	case errors.As(err, &invalid):
		p := newProblem(http.StatusUnprocessableEntity, sentence(invalid.Error()))
		if invalid.Field != "" {
			p.Errors = []client.FieldError{{Field: invalid.Field, Message: invalid.Reason}}
		}
		return p
	case errors.As(err, &many):
		return newProblem(http.StatusTooManyRequests, sentence(many.Reason)).retry(many.RetryAfter)
	case errors.As(err, &conflict):
		return newProblem(http.StatusConflict, sentence(conflict.Reason))
	case errors.As(err, &changed):
		return newProblem(http.StatusPreconditionFailed, sentence(changed.Error()))
	case errors.As(err, &denied):
		return newProblem(http.StatusForbidden, sentence(denied.Reason))
	case errors.As(err, &unconfirmed):
		return newProblem(http.StatusForbidden, sentence(unconfirmed.Reason)).as(client.CodePasswordNeeded)
	case errors.As(err, &maintenance):
		return newProblem(
			http.StatusServiceUnavailable, maintenance.Reason,
		).retry(retryMaintenance).as(client.CodeMaintenance)
	case errors.Is(err, refusal.ErrNotFound):
		return newProblem(http.StatusNotFound, sentence(err.Error()))
	case errors.Is(err, people.ErrUnauthenticated), errors.Is(err, people.ErrWrongPassword):
		return newProblem(http.StatusUnauthorized, sentence(err.Error()))
	}
	return nil
}

// problemOfServers judges what lies with a PACS or with the database.
func problemOfServers(err error) *problem {
	var busy *door.Busy
	var closed *door.Closed
	if trouble := fault.DatabaseTrouble(err); trouble != nil {
		if trouble.Away() {
			return databaseAway(trouble.Retry)
		}
		return newProblem(http.StatusServiceUnavailable, sentence(trouble.Reason)).retry(trouble.Retry).as(
			client.CodeDatabaseUnavailable,
		)
	}
	switch {
	case errors.As(err, &busy):
		return newProblem(http.StatusServiceUnavailable, sentence(busy.Error())).retry(retryBusy)
	case errors.As(err, &closed):
		return newProblem(http.StatusServiceUnavailable, sentence(closed.Error())).as(client.CodeServerUnavailable)
	case fault.NeedsSettings(err):
		return newProblem(http.StatusBadGateway, sentence(err.Error()))
	case fault.Unreachable(err):
		return newProblem(
			http.StatusServiceUnavailable, sentence(err.Error()),
		).retry(retryUnreachable).as(client.CodeServerUnavailable)
	case fault.PeerRefused(err), fault.PeerFailed(err):
		return newProblem(http.StatusBadGateway, sentence(err.Error()))
	}
	return nil
}

func databaseAway(after time.Duration) *problem {
	return newProblem(http.StatusServiceUnavailable,
		"ADIT's database doesn't answer. Nothing is lost; try again in a moment, and tell your administrator if "+
			"it lasts.").retry(
		after,
	).as(
		client.CodeDatabaseUnavailable,
	)
}

// refuseCaller answers who can't be let in. Only the database was asked until then.
func refuseCaller(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		err = databaseAway(retryDatabase)
	}
	WriteProblem(w, r, err)
}

// WriteProblem answers a request outside of huma: unknown routes, callers without a token, panics.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	text, err := json.Marshal(&p.Problem)
	if err != nil {
		panic(err) // it holds texts and numbers
	}
	_, _ = w.Write(text) // whoever has gone misses nothing
}

// Refuse is WriteProblem with a status and a sentence.
func Refuse(w http.ResponseWriter, r *http.Request, status int, detail string) {
	WriteProblem(w, r, newProblem(status, detail))
}

// Error makes problem an error.
func (p *problem) Error() string { return p.Problem.Error() }

// Faults that huma finds in a request itself become our problems, and the values that it would send back stay here:
// they may be a patient's.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		if msg == unreadBody { // which it takes for our fault
			return unread(errors.Join(errs...))
		}
		if status == http.StatusRequestEntityTooLarge {
			return newProblem(status,
				"The body of the request is larger than this address takes; send less at once, in several requests.",
			)
		}
		if status >= http.StatusInternalServerError {
			msg = "ADIT failed to do this, by a fault of its own."
			errs = nil
		}
		if status == http.StatusUnsupportedMediaType {
			return newProblem(status,
				"The header Content-Type names a form of the body that is not taken here. Send JSON, with "+
					"Content-Type: application/json.",
			)
		}
		more := false
		p := newProblem(status, sentence(msg))
		for _, err := range errs {
			var detail huma.ErrorDetailer
			if !errors.As(err, &detail) {
				continue
			}
			if len(p.Errors) == maxErrors {
				more = true
				break
			}
			p.Errors = append(p.Errors, fieldError(detail.ErrorDetail()))
		}
		if len(p.Errors) > 0 {
			p.Detail = "The request can't be used: " + describe(p.Errors[0]) + "."
		}
		if more {
			p.Detail += fmt.Sprintf(" More than the %d faults that are named were found.", maxErrors)
		}
		return p
	}
}

const (
	unreadBody = "cannot read request body" // huma's words
	maxErrors  = 20                         // that an answer names
)

// fieldError says in ADIT's words what huma found in a request.
func fieldError(d *huma.ErrorDetail) client.FieldError {
	e := client.FieldError{Field: field(d.Location), Message: d.Message}
	_, raw := d.Value.(string)
	name, missing := missingProperty(d.Message)
	switch {
	case raw && d.Location == "body": // the parser's words may quote a value
		e.Message = "the body is not valid JSON, or not of the documented form"
	case missing:
		e.Field, e.Message = strings.TrimPrefix(e.Field+"."+name, "."), "is missing"
	case strings.HasPrefix(d.Message, "invalid date/time"):
		e.Message = "give a time with its zone, such as 2026-11-30T08:00:00Z"
	case d.Message == validation.MsgUnexpectedProperty:
		e.Field = ownName(e.Field)
	}
	return e
}

// missingProperty reads the name of a property that has to be given from huma's sentence about it.
func missingProperty(message string) (name string, missing bool) {
	rest, found := strings.CutPrefix(message, "expected required property ")
	name, is := strings.CutSuffix(rest, " to be present")
	return name, found && is
}

// ownName takes off what the caller called a property that isn't ours, unless it looks like a slip of the pen: it may
// be a patient's name or number.
func ownName(path string) string {
	if slip().MatchString(path) {
		return path
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 && slip().MatchString(path[:i]) {
		return path[:i]
	}
	return ""
}

// slip is compiled when it is first needed, as the start of a program would pay for it.
var slip = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z_]{1,40}(\[[0-9]{1,9}\])?\.)*[a-z_]{1,40}(\[[0-9]{1,9}\])?$`)
})

func describe(e client.FieldError) string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// field takes off where a field was found: its name says enough.
func field(location string) string {
	for _, where := range []string{"body.", "query.", "path.", "header."} {
		if name, ok := strings.CutPrefix(location, where); ok {
			if where == "query." { // a list there is one value with commas
				name, _, _ = strings.Cut(name, "[")
			}
			return name
		}
	}
	return strings.TrimPrefix(location, "body")
}

// sentence makes an error a sentence.
func sentence(text string) string {
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

func logger(ctx context.Context) *slog.Logger {
	if rq, ok := ctx.Value(requestKey{}).(request); ok {
		return rq.log
	}
	return slog.New(slog.DiscardHandler)
}

// ambiguous says in a sentence what keeps a body of JSON from being read in one way only; nil: it is something else.
func ambiguous(err error) *problem {
	var double *strictjson.TwiceError
	var null *strictjson.NullError
	switch {
	case errors.As(err, &double):
		return faulty(client.FieldError{Field: ownName(double.Name), Message: "given more than once"})
	case errors.As(err, &null):
		return faulty(client.FieldError{Field: ownName(null.Name), Message: "must not be null; leave it out instead"})
	case errors.Is(err, strictjson.ErrNotText):
		return newProblem(http.StatusUnprocessableEntity,
			"The body holds text that is not valid Unicode: bytes that are not UTF-8, or half of a surrogate pair; "+
				"correct that text.")
	}
	return nil
}

func faulty(fault client.FieldError) *problem {
	p := newProblem(http.StatusUnprocessableEntity, "The request can't be used: "+describe(fault)+".")
	p.Errors = []client.FieldError{fault}
	return p
}
