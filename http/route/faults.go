// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route/internal/strictjson"
)

// Faults that huma finds in a request itself become our problems, and the values that it would send back stay here:
// they may be a patient's.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		if msg == unreadBody { // which it takes for our fault
			return unread(errors.Join(errs...))
		}
		if status == http.StatusRequestEntityTooLarge {
			return problem.New(status,
				"The body of the request is larger than this address takes; send less at once, in several requests.",
			)
		}
		if status >= http.StatusInternalServerError {
			msg = "ADIT failed to do this, by a fault of its own."
			errs = nil
		}
		if status == http.StatusUnsupportedMediaType {
			return problem.New(status,
				"The header Content-Type names a form of the body that is not taken here. Send JSON, with "+
					"Content-Type: application/json.",
			)
		}
		more := false
		p := problem.New(status, problem.Sentence(msg))
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

// ambiguous says in a sentence what keeps a body of JSON from being read in one way only; nil: it is something else.
func ambiguous(err error) *problem.Problem {
	var double *strictjson.TwiceError
	var null *strictjson.NullError
	switch {
	case errors.As(err, &double):
		return faulty(client.FieldError{Field: ownName(double.Name), Message: "given more than once"})
	case errors.As(err, &null):
		return faulty(client.FieldError{Field: ownName(null.Name), Message: "must not be null; leave it out instead"})
	case errors.Is(err, strictjson.ErrNotText):
		return problem.New(http.StatusUnprocessableEntity,
			"The body holds text that is not valid Unicode: bytes that are not UTF-8, or half of a surrogate pair; "+
				"correct that text.")
	}
	return nil
}

func faulty(fault client.FieldError) *problem.Problem {
	p := problem.New(http.StatusUnprocessableEntity, "The request can't be used: "+describe(fault)+".")
	p.Errors = []client.FieldError{fault}
	return p
}
