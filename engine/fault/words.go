// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"fmt"
	"strings"
)

// Sentence makes an error a sentence.
func Sentence(err error) string {
	text := err.Error()
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

// Instances counts instances in words.
func Instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}

// InstancesWere counts instances that something was done to.
func InstancesWere(n int) string {
	if n == 1 {
		return "1 instance was"
	}
	return Instances(n) + " were"
}

// InstancesAre counts instances that are something.
func InstancesAre(n int) string {
	if n == 1 {
		return "1 instance is"
	}
	return Instances(n) + " are"
}

// Were returns "was" or "were".
func Were(n int) string {
	if n == 1 {
		return "it was"
	}
	return "they were"
}

// Them returns "it" or "them".
func Them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// Megabytes writes a number of bytes for people.
func Megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// InstancesOf counts instances in words.
func InstancesOf(n int64) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}

// Words writes a status for people.
func Words(status string) string { return strings.ReplaceAll(status, "_", " ") }
