// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"cmp"
	"strings"

	"github.com/adit-go/adit/engine/nodes/settings"
)

// FlagType is the type of its flag; nil: it is not given.
func (s setting) FlagType() string {
	switch {
	case s.Act && s.Kind == settings.Switch:
		return "bool"
	case s.Kind == settings.Time:
		return "*time.Duration"
	case s.isList(), s.Kind == settings.Pairs:
		return "*string"
	default:
		return "*" + s.plain()
	}
}

// NewFlagType is the type of its flag of adit node add server.
func (s setting) NewFlagType() string {
	if s.Required {
		return strings.TrimPrefix(s.FlagType(), "*")
	}
	return s.FlagType()
}

// FlagTag and NewFlagTag tell the parser of the flag of adit node set and that of adit node add server.
func (s setting) FlagTag() string    { return s.flagTag(cmp.Or(s.Flag.SetHelp, s.Flag.Help), false) }
func (s setting) NewFlagTag() string { return s.flagTag(s.Flag.Help, s.Required) }

func (s setting) flagTag(help string, required bool) string {
	t := tag{}
	t.add("name", s.Flag.Name)
	if s.Kind == settings.Choice {
		t.add("enum", strings.Join(s.Choices, ","))
	}
	t.add("placeholder", s.Flag.Placeholder)
	t.add("help", help)
	if s.Kind == settings.Switch && !s.Act {
		t.parts = append(t.parts, `negatable:""`)
	}
	if required {
		t.parts = append(t.parts, `required:""`)
	}
	return t.String()
}

// WordsTag and NewWordsTag are of the one flag of a group.
func (g group) WordsTag() string    { return g.wordsTag(cmp.Or(g.Words.SetHelp, g.Words.Help), false) }
func (g group) NewWordsTag() string { return g.wordsTag(g.Words.Help, g.Required) }

func (g group) wordsTag(help string, required bool) string {
	s := setting{Setting: settings.Setting{Flag: g.Words}}
	return s.flagTag(help, required)
}

// FromFlag is what a change says by the flag, of c.
func (s setting) FromFlag() string {
	field := "c." + s.Field
	switch {
	case s.Act && s.isList():
		return "value(splitList(" + field + "))"
	case s.Kind == settings.Time:
		return "seconds(" + field + ")"
	case s.isList():
		return "splitList(" + field + ")"
	default:
		return field
	}
}

// FromNewFlag is the same of adit node add server.
func (s setting) FromNewFlag() string {
	if s.Required {
		return "&c." + s.Field
	}
	return s.FromFlag()
}

// Reader is what reads a flag that may be wrong, empty if it can't be.
func (s setting) Reader() string {
	field := "c." + s.Field
	switch {
	case s.Flag.Parse != "":
		return s.Flag.Parse + "(" + quoted(s.Flag.Name) + ", " + field + ")"
	case s.Kind == settings.PEM:
		return "textOf(" + field + ")"
	case s.Kind == settings.File:
		return "lineOf(" + quoted(s.Flag.Name) + ", " + field + ")"
	case s.Kind == settings.Pairs:
		return "splitPairs(" + quoted(s.Flag.Name) + ", " + field + ")"
	}
	return ""
}
