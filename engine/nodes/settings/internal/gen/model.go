// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/adit-go/adit/engine/nodes/settings"
)

// table is what the templates are given.
type table struct{ Groups []group }

type group struct {
	settings.Group
	Settings []setting
}

type setting struct {
	settings.Setting
	group settings.Group
}

func newTable(groups []settings.Group) table {
	var t table
	for _, g := range groups {
		of := group{Group: g}
		for _, s := range g.Settings {
			of.Settings = append(of.Settings, setting{s, g})
		}
		t.Groups = append(t.Groups, of)
	}
	return t
}

// Named are the groups that are a struct of their own.
func (t table) Named() []group { return pick(t.Groups, func(g group) bool { return g.Name != "" }) }

// Flagged are those whose settings have a flag each.
func (t table) Flagged() []group {
	return pick(t.Named(), func(g group) bool { return g.Words.Name == "" })
}

// All are the settings of all groups.
func (t table) All() []setting {
	var all []setting
	for _, g := range t.Groups {
		all = append(all, g.Settings...)
	}
	return all
}

// Own are the settings that belong to the server itself.
func (t table) Own() []setting {
	return pick(t.All(), func(s setting) bool { return s.group.Name == "" })
}

// Columns are the settings that the row of a server has a column for.
func (t table) Columns() []setting {
	return pick(t.All(), func(s setting) bool { return s.Column != "" })
}

// Hidden are the settings whose characters the API looks at.
func (t table) Hidden() []setting {
	return pick(t.All(), func(s setting) bool { return s.NoHidden })
}

// Daily are the settings that are changed day by day.
func (t table) Daily() []setting {
	return pick(t.All(), func(s setting) bool { return s.Daily })
}

// Acts are what is said with a change and not kept.
func (t table) Acts() []setting { return pick(t.All(), func(s setting) bool { return s.Act }) }

// Kept are the settings of a group without its acts.
func (g group) Kept() []setting {
	return pick(g.Settings, func(s setting) bool { return !s.Act })
}

// Comparable reports whether all settings of a group can be compared at once with their defaults.
func (g group) Comparable() bool { return g.Shown == settings.Together }

func pick[T any](list []T, wanted func(T) bool) []T {
	var out []T
	for _, v := range list {
		if wanted(v) {
			out = append(out, v)
		}
	}
	return out
}

// Path is the setting in JSON.
func (s setting) Path() string {
	if s.group.Name == "" {
		return s.Name
	}
	return s.group.Name + "." + s.Name
}

// GoPath is the setting in Go, as audit.Entry of a change names it.
func (s setting) GoPath() string {
	if s.group.Field == "" {
		return s.Field
	}
	return s.group.Field + "." + s.Field
}

// InGroup reports whether it belongs to a struct of the settings, GroupField.
func (s setting) InGroup() bool      { return s.group.Field != "" }
func (s setting) GroupField() string { return s.group.Field }

// In is the setting of a variable.
func (s setting) In(variable string) string { return variable + "." + s.GoPath() }

// star is the value of what may be a pointer.
func (s setting) star(expression string) string {
	if s.ZeroCounts {
		return "*" + expression
	}
	return expression
}

// pointed is a pointer to a value, where the setting is one.
func (s setting) pointed(value string) string {
	if s.ZeroCounts {
		return "new(" + value + ")"
	}
	return value
}

func (s setting) isList() bool { return s.Kind == settings.List }

// plain is the type of a value in JSON.
func (s setting) plain() string {
	switch s.Kind {
	case settings.Number, settings.Time:
		return "int"
	case settings.Switch:
		return "bool"
	case settings.List:
		return "[]string"
	case settings.Pairs:
		return "map[string]string"
	default:
		return "string"
	}
}

// quoted writes sentences as a string in Go.
func quoted(text string) string { return fmt.Sprintf("%q", text) }

// commented writes a text as a comment of lines that fit.
func commented(text, indent string) string {
	const width = 120
	var out, line strings.Builder
	line.WriteString(indent + "//")
	for word := range strings.FieldsSeq(text) {
		if line.Len()+1+len(word) > width {
			out.WriteString(line.String() + "\n")
			line.Reset()
			line.WriteString(indent + "//")
		}
		line.WriteString(" " + word)
	}
	return out.String() + line.String()
}

// Comment is what the type of a group is.
func (g group) Comment() string { return commented(g.Field+" "+g.Is, "") }
