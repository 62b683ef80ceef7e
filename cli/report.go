// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes/settings"
)

// saying is how a command says what went wrong.
type saying struct {
	io   command.Streams
	name string // of the command: adit job pause
	json bool

	command *kong.Node // nil: none was found
}

// failure is an error as --json writes it: the problem that the server answered (RFC 9457), or one in its form.
type failure struct {
	Command   string              `json:"command"`
	ExitCode  int                 `json:"exit_code"`
	Code      string              `json:"code"`
	Detail    string              `json:"detail"`
	Status    int                 `json:"status,omitempty"`
	Title     string              `json:"title,omitempty"`
	Errors    []client.FieldError `json:"errors,omitempty"`
	RequestID string              `json:"request_id,omitempty"`
}

// Codes of failures that are not the server's.
const (
	codeUsage       = "usage"
	codeFailed      = "failed"
	codeInterrupted = "interrupted"
	codeUnreachable = "unreachable"
)

// usage says what is wrong with a command line, and where its help is.
func (s saying) usage(err error) int {
	return s.report(&command.Status{Code: command.ExitUsage, Err: err})
}

// report says what went wrong and gives the exit code.
func (s saying) report(err error) int {
	if err == nil {
		return command.ExitSuccess
	}
	f := failure{Command: s.name, ExitCode: command.ExitFailure, Code: codeFailed, Detail: command.Plainly(err)}
	if status, ok := errors.AsType[*command.Status](err); ok {
		f.ExitCode = status.Code
	}
	problem, answered := errors.AsType[*client.Problem](err)
	_, away := errors.AsType[*client.UnreachableError](err)
	_, broken := errors.AsType[*client.BrokenAnswerError](err)
	switch {
	case errors.Is(err, context.Canceled):
		f.Code, f.Detail = codeInterrupted, "interrupted."
	case answered:
		f.Code, f.Status, f.Title = problem.Code, problem.Status, problem.Title
		f.Errors, f.RequestID = problem.Errors, problem.RequestID
		if f.Code == client.CodeInvalid {
			f.ExitCode = command.ExitUsage
		}
	case away || broken:
		f.Code = codeUnreachable
	case f.ExitCode == command.ExitUsage:
		f.Code = codeUsage
	}
	s.write(f)
	return f.ExitCode
}

func (s saying) write(f failure) {
	switch {
	case f.Detail == "": // the exit code says all
	case s.json:
		text, err := json.Marshal(f)
		if err != nil {
			panic(err) // it holds texts and numbers alone
		}
		fmt.Fprintf(s.io.Err, "%s\n", text)
	default:
		fmt.Fprintf(s.io.Err, "%s: %s\n", s.name, s.asTyped(f))
		if f.Code == codeUsage && !strings.Contains(f.Detail, "adit ") { // else it says itself where to go on
			fmt.Fprintf(s.io.Err, "%s --help shows how it is used.\n", s.name)
		}
	}
}

// asTyped says what is wrong in the words of the command line: the API's names of properties become those of flags, and
// go where an argument has the name.
func (s saying) asTyped(f failure) string {
	text := f.Detail
	if s.command == nil {
		return text
	}
	for _, e := range f.Errors {
		if flag := s.flagOf(e.Field); flag != "" {
			text = strings.Replace(text, e.Field+": ", "--"+flag+": ", 1)
		} else if slices.ContainsFunc(s.command.Positional, func(p *kong.Positional) bool { return p.Name == e.Field }) {
			text = strings.Replace(text, e.Field+": ", "", 1)
		}
	}
	return text
}

// flagOf returns the flag for a property of the API, such as retrieve.address_ranges, or study_date_from, which is one
// end of --study-date; empty: there is none. A flag of another name says so by the tag api, with names and blanks.
func (s saying) flagOf(property string) string {
	for _, f := range s.command.Flags {
		if slices.Contains(strings.Fields(f.Tag.Get("api")), property) && f.Target.IsValid() && !f.Target.IsZero() {
			return f.Name
		}
	}
	path := strings.ReplaceAll(property, "_", "-")
	name := path[strings.LastIndexByte(path, '.')+1:]
	tried := []string{strings.ReplaceAll(path, ".", "-")}
	for _, g := range settings.Groups {
		for _, setting := range g.Settings {
			if strings.TrimPrefix(g.Name+"."+setting.Name, ".") == property {
				tried = append(tried, setting.Flag.Name)
			}
		}
	}
	for name != "" {
		tried = append(tried, name)
		name = name[:max(strings.LastIndexByte(name, '-'), 0)]
	}
	for _, name := range tried {
		if slices.ContainsFunc(s.command.Flags, func(f *kong.Flag) bool { return f.Name == name }) {
			return name
		}
	}
	return ""
}
