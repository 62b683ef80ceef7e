// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Output says how a command answers: in words, or as JSON.
type Output struct {
	JSON bool `name:"json" help:"Write the answer as JSON, with the fields of the REST API. An error is a line of JSON on the standard error."`
}

// Tell writes an answer: the value itself with --json, else what words writes of it.
func (o Output) Tell(streams Streams, answer any, words func(w io.Writer) error) error {
	if o.JSON {
		return PrintJSON(streams.Out, answer)
	}
	return words(streams.Out)
}

// Say is Tell for an answer in one sentence.
func (o Output) Say(streams Streams, answer any, format string, args ...any) error {
	return o.Tell(streams, answer, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	})
}

// Aside returns streams for words that go beside an answer in JSON: all to the standard error.
func (o Output) Aside(streams Streams) Streams {
	return Streams{Out: o.Progress(streams), Err: streams.Err}
}

// Progress is where a command says how far it is: beside its answer, if that is JSON.
func (o Output) Progress(streams Streams) io.Writer {
	if o.JSON {
		return streams.Err
	}
	return streams.Out
}

// Done is the answer to an action of which the server gives no value, such as a deletion: "done" says what was done,
// the other names say to what.
type Done map[string]any

// TimeForm is how all commands show an instant: with its zone.
const TimeForm = "2006-01-02 15:04:05 MST"

// Stamp returns an instant by the clock of this machine.
func Stamp(t time.Time) string { return t.Local().Format(TimeForm) }

// PrintJSON writes a value for programs.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// AskedAgain says when a server is asked for more than it takes, if that is known.
func AskedAgain(at *time.Time) string {
	if at == nil {
		return ""
	}
	if at.Before(time.Now()) {
		return ", asked again with the next task"
	}
	return ", asked again at " + Stamp(*at)
}
