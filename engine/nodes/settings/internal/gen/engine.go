// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/adit-go/adit/engine/nodes/settings"
)

// EngineType is the type of the field in package nodes.
func (s setting) EngineType() string {
	t := s.plain()
	if s.Kind == settings.Time {
		t = "time.Duration"
	}
	if s.ZeroCounts {
		return "*" + t
	}
	return t
}

// EngineComment says what it is, and what it is if it is not given.
func (s setting) EngineComment() string {
	text := s.Doc
	if s.Kind == settings.Time {
		text = s.Flag.Help // names no unit
	}
	switch {
	case s.Act:
		text += " It is said with a change and not kept."
	case s.ZeroCounts:
		text += " Nil: the default."
	case s.Default != nil && s.plain() == "int":
		text += " 0: the default."
	case s.Default != nil:
		text += " Empty: the default."
	}
	if text == "" {
		return ""
	}
	return commented(text, "\t")
}

// DefaultValue is the default in Go, empty if that is the zero value.
func (s setting) DefaultValue() string {
	if s.Default == nil {
		return ""
	}
	value := fmt.Sprintf("%#v", s.Default)
	if s.Kind == settings.Time {
		value += " * time.Second"
	}
	return s.pointed(value)
}

// Settle are the statements that tidy a value up and fill in the default, of s and def.
func (s setting) Settle() []string {
	var out []string
	field := s.In("s")
	say := func(expression string) { out = append(out, field+" = "+expression) }
	switch {
	case s.Tidy != "" && s.isList():
		say(fmt.Sprintf("each(%s, %s)", field, s.Tidy))
	case s.Tidy != "":
		say(fmt.Sprintf("%s(%s)", s.Tidy, field))
	}
	if s.Default != nil {
		say(fmt.Sprintf("cmp.Or(%s, %s)", field, s.In("def")))
	}
	if s.Kind == settings.Time {
		say(s.pointed(fmt.Sprintf("wholeSeconds(%s, %d)", s.star(field), s.Min)))
	}
	return out
}

// Check is the condition that a value has to meet by itself, empty if there is none.
func (s setting) Check() string {
	if s.Reason == "" || s.Act {
		return ""
	}
	field := s.In("s")
	var all []string
	switch s.Kind {
	case settings.Number:
		condition := fmt.Sprintf("between(%s, %d, %d)", s.star(field), s.Min, s.Max)
		if s.When != "" {
			condition = fmt.Sprintf("%s == 0 || %s", field, condition)
		}
		return condition
	case settings.Time:
		return fmt.Sprintf("between(%s, %d*time.Second, %d*time.Second)", s.star(field), s.Min, s.Max)
	case settings.Choice:
		return fmt.Sprintf("slices.Contains(%s, %s)", choices(s), field)
	case settings.List:
		if s.Max > 0 {
			all = append(all, fmt.Sprintf("len(%s) <= %d", field, s.Max))
		}
		if s.Choices != nil {
			all = append(all, fmt.Sprintf("only(%s, %s)", field, choices(s)))
		}
		if s.Valid != "" {
			all = append(all, fmt.Sprintf("every(%s, %s)", field, s.Valid))
		}
		return strings.Join(all, " && ")
	default:
		if s.Max > 0 {
			all = append(all, fmt.Sprintf("len(%s) <= %d", field, s.Max))
		}
		all = append(all, fmt.Sprintf("%s(%s)", s.Valid, field))
		condition := strings.Join(all, " && ")
		if !s.Required {
			condition = fmt.Sprintf("%s == \"\" || %s", field, condition)
		}
		return condition
	}
}

func choices(s setting) string { return fmt.Sprintf("%#v", s.Choices) }

// QuotedPath and QuotedReason are for the error of a value that can't be.
func (s setting) QuotedPath() string   { return quoted(s.Path()) }
func (s setting) QuotedReason() string { return quoted(s.Reason) }
func (s setting) QuotedGoPath() string { return quoted(s.GoPath()) }

// RowField is what sqlc calls the column.
func (s setting) RowField() string {
	var out strings.Builder
	for part := range strings.SplitSeq(s.Column, "_") {
		if part == "id" {
			out.WriteString("ID")
			continue
		}
		out.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return out.String()
}

// ToRow is what the column is given, of s.
func (s setting) ToRow() string {
	value := s.star(s.In("s"))
	switch s.Kind {
	case settings.Number:
		return "int32(" + value + ")"
	case settings.Time:
		return "int32(" + value + " / time.Second)"
	case settings.List:
		return "append([]string{}, " + value + "...)" // a list without entries is not NULL
	default:
		return value
	}
}

// FromRow is the value that a column of row has.
func (s setting) FromRow() string {
	value := "row." + s.RowField()
	switch s.Kind {
	case settings.Number:
		value = "int(" + value + ")"
	case settings.Time:
		value = "time.Duration(" + value + ") * time.Second"
	case settings.List:
		value = "slices.Clone(" + value + ")" // whoever changes it in place changes no other's
	}
	return s.pointed(value)
}

// Parameter is the place of the column among the parameters of the query; 1 is the ID.
func (t table) Parameters() string {
	list := []string{"$1"}
	for i := range t.Columns() {
		list = append(list, fmt.Sprintf("$%d", i+2))
	}
	return strings.Join(list, ", ")
}
