// SPDX-License-Identifier: AGPL-3.0-or-later

// Package settings describes the settings of a DICOM server, each once (table.go). What else has to know of them is
// generated from that:
//
//   - engine/nodes/zz_settings.go: their types, defaults and checks, and both ways between them and the row of a server
//   - db/queries/zz_servers.sql: the query that writes the row
//   - client/zz_settings.go: the types of the REST API
//   - http/api/zz_settings.go: from the ones to the others, and back
//   - cli/zz_settings.go: the flags of adit node add server and adit node set
//   - docs/settings.md: the table for people
package settings

//go:generate go run ./internal/gen

// Group is a number of settings that stand together: an object in JSON, a struct in Go.
type Group struct {
	Title    string // in docs/settings.md
	Name     string // in JSON; empty: the settings of the group belong to the server itself
	Field    string // in Go, also the name of the type
	Is       string // what the type is, behind its name
	Doc      string // what the group is, in the REST API
	Required bool   // it has to be given when a server is added
	Shown    Shown

	// Words is the one flag for all settings of the group, which are words of it: the Flag of each is its word.
	Words Flag

	Settings []Setting
}

// Shown says when settings that are as they are by default are shown.
type Shown int

// The ways of showing defaults.
const (
	Always   Shown = iota // in any case
	Each                  // a setting that is as by default is left out
	Together              // the group is left out while all of it is as by default
)

// Setting is one setting. Lengths of time are in seconds here, in JSON and in the database, and a time.Duration in Go.
type Setting struct {
	Name   string // in JSON, behind the name of its group and a dot
	Field  string // in Go
	Column string // of the table servers; empty: it is kept elsewhere, and read and written by hand
	Kind   Kind

	Choices    []string // of a Choice, or of the entries of a List
	Min, Max   int      // of a Number or a Time; Max also of the entries of a List and the bytes of a Text, 0: any
	Default    any      // an int, a bool or a string; nil: the zero value
	ZeroCounts bool     // zero is a value that differs from the default: what is not given is nil
	Tidy       string   // name of the function in Go that a text, or each entry of a list, goes through first
	Valid      string   // name of the function in Go that says whether one is possible
	Reason     string   // what is wrong with a value that can't be; empty: all can, or they are checked by hand
	NoHidden   bool     // the API says of a text with characters that can't be seen what is wrong with it

	Required bool // it has to be given when a server is added
	Fixed    bool // it is never changed, and has no flag
	Act      bool // it is said with a change, and not kept
	Secret   bool // it goes in only, and is sealed by hand

	When string // it has to be given when this is so, which is checked by hand

	// Daily says that it is about how a server is used, not where data goes, who may send it, and whose it is. To
	// change any other takes the password (docs/decisions/0034).
	Daily bool

	Doc       string // what it means, in the REST API and docs/settings.md
	ChangeDoc string // what it means in a change, if that is something else
	Example   string // of its values, in the REST API
	Flag      Flag
}

// Flag is a flag of adit node add server and adit node set.
type Flag struct {
	Name        string
	Placeholder string // of its value; empty: as of its type
	Help        string
	SetHelp     string // of adit node set, if it says something else
	SetOnly     bool   // adit node add server does not have it
	Parse       string // name of the function in cli that reads it, if it has a form of its own
}

// Kind says what values a setting has.
type Kind int

// The kinds.
const (
	Text   Kind = iota
	Number      // an integer
	Time        // a length of time
	Switch      // true or false
	Choice      // one of a few words
	List        // of texts
	PEM         // certificates or a key; the flag names a file
	File        // a text that is not for a command line: the flag names a file with it
	Pairs       // names with a text for each, as the flag NAME=TEXT,…
)
