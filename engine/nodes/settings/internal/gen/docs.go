// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"
	"strings"

	"github.com/adit-go/adit/engine/nodes/settings"
)

// Values says in words what values a setting has.
func (s setting) Values() string {
	most := ""
	if s.Max > 0 {
		most = fmt.Sprintf(", at most %d", s.Max)
	}
	switch s.Kind {
	case settings.Number:
		return fmt.Sprintf("%d to %d", s.Min, s.Max)
	case settings.Time:
		return fmt.Sprintf("seconds, %d to %d", s.Min, s.Max)
	case settings.Switch:
		return "true, false"
	case settings.Choice:
		return strings.Join(s.Choices, ", ")
	case settings.List:
		if s.Choices != nil {
			return "list of " + strings.Join(s.Choices, ", ")
		}
		return "list" + most
	case settings.PEM:
		return "text in PEM"
	case settings.File:
		return "text; the flag names a file"
	case settings.Pairs:
		return "a text for each name"
	default:
		return "text"
	}
}

// Otherwise is the value of a setting that is not given, in words.
func (s setting) Otherwise() string {
	switch {
	case s.Required:
		return "has to be given"
	case s.When != "":
		return "has to be given " + s.When
	case s.Default != nil:
		return fmt.Sprint(s.Default)
	case s.Kind == settings.Switch && !s.Act:
		return "false"
	case s.plain() == "int":
		return "0"
	default:
		return ""
	}
}

// FlagWords is the flag with the word that it takes.
func (s setting) FlagWords() string {
	switch {
	case s.Flag.Name == "":
		return ""
	case s.group.Words.Name != "":
		return fmt.Sprintf("`--%s %s`", s.group.Words.Name, s.Flag.Name)
	default:
		return "`--" + s.Flag.Name + "`"
	}
}

// Password says whether a change of it takes the password.
func (s setting) Password() string {
	if s.Daily || s.Fixed {
		return ""
	}
	return "yes"
}

// cell writes a text into a cell of a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
