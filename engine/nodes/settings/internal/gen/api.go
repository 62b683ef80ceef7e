// SPDX-License-Identifier: AGPL-3.0-or-later

package main

import (
	"fmt"

	"github.com/adit-go/adit/engine/nodes/settings"
)

// ToEngine is a setting of the API, of c, as package nodes has it.
func (s setting) ToEngine() string {
	switch {
	case s.Kind == settings.Time && s.ZeroCounts:
		return "durationOf(" + s.In("c") + ")"
	case s.Kind == settings.Time:
		return "time.Duration(" + s.In("c") + ") * time.Second"
	default:
		return s.In("c")
	}
}

// ToClient is a setting of the engine, of s, as the API shows it, beside the defaults def.
func (s setting) ToClient() string {
	value := s.In("s")
	if s.group.Shown == settings.Each {
		switch {
		case s.isList():
			return "entries(" + value + ")"
		case s.Default != nil && s.ZeroCounts:
			value = fmt.Sprintf("otherThan(%s, %s)", value, s.In("def"))
		case s.Default != nil:
			value = fmt.Sprintf("unless(%s, %s)", value, s.In("def"))
		}
	}
	switch {
	case s.Kind == settings.Time && s.ZeroCounts:
		return "secondsOf(" + value + ")"
	case s.Kind == settings.Time:
		return "int(" + value + " / time.Second)"
	default:
		return value
	}
}
