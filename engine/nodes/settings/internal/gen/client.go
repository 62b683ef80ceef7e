// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/adit-go/adit/engine/nodes/settings"
)

// ClientType is the type of the field in package client.
func (s setting) ClientType() string { return pointer(s.ZeroCounts) + s.plain() }

// ChangeType is its type in a change, where nil fields stay as they are.
func (s setting) ChangeType() string {
	return pointer(!s.Act && s.Kind != settings.Pairs) + s.plain()
}

func pointer(is bool) string {
	if is {
		return "*"
	}
	return ""
}

// ClientTag tells of the field what the REST API has to know.
func (s setting) ClientTag() string {
	t := tag{}
	name := s.Name
	if !s.Required {
		name += ",omitempty"
	}
	t.add("json", name)
	s.bounds(&t)
	if s.isList() {
		t.add("enum", strings.Join(s.Choices, ","))
	}
	t.add("example", s.example())
	t.add("doc", s.Doc)
	return t.String()
}

// ChangeTag is the same of a change.
func (s setting) ChangeTag() string {
	t := tag{}
	t.add("json", s.Name+",omitempty")
	s.bounds(&t)
	t.add("example", s.example())
	switch {
	case s.ChangeDoc != "":
		t.add("doc", s.ChangeDoc)
	case s.Act:
		t.add("doc", s.Doc)
	default:
		t.add("doc", s.Doc+" Absent: as it is.")
	}
	return t.String()
}

// example is one of its values; of numbers the default will do.
func (s setting) example() string {
	if s.Example == "" && s.Default != nil && s.plain() == "int" {
		return fmt.Sprint(s.Default)
	}
	return s.Example
}

// bounds are what the API refuses by itself. Zero is taken for the default in any case. What has to be given has its
// bounds in the engine alone.
func (s setting) bounds(t *tag) {
	switch {
	case s.Required:
	case s.plain() == "int":
		t.add("minimum", "0")
		t.add("maximum", fmt.Sprint(s.Max))
	case s.isList():
		t.add("maxItems", fmt.Sprint(s.Max))
	case s.Kind == settings.Choice:
		t.add("enum", strings.Join(s.Choices, ","))
	case s.Max > 0:
		t.add("maxLength", fmt.Sprint(s.Max))
	}
	if s.Secret {
		t.add("writeOnly", "true")
	}
}

// ChangeTag is that of the group in a change.
func (g group) ChangeTag() string {
	t := tag{}
	t.add("json", g.Name+",omitempty")
	t.add("doc", g.Doc+" What is absent stays as it is.")
	return t.String()
}

// Tag is that of the group.
func (g group) Tag() string {
	t := tag{}
	if g.Required {
		t.add("json", g.Name)
	} else {
		t.add("json", g.Name+",omitzero")
	}
	t.add("doc", g.Doc)
	return t.String()
}

// tag is a tag of a field in Go.
type tag struct{ parts []string }

func (t *tag) add(key, value string) {
	if value != "" {
		t.parts = append(t.parts, key+":"+quoted(value))
	}
}

func (t *tag) String() string { return "`" + strings.Join(t.parts, " ") + "`" }
