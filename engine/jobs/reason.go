// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"regexp"
	"strings"
)

var (
	uids = regexp.MustCompile(`\b[0-2]\.[0-9]+(?:\.[0-9]+)+\b`)
	list = regexp.MustCompile(`UID(?:(?:, | and )UID)*(?: and [0-9]+ more)?`)
	// a status is no number: it says what went wrong; nor is what belongs to a name
	numbers = regexp.MustCompile(`(^|[\s("])((?:status )?)[0-9]+(?:[.,][0-9]+)*(?:(?:ms|µs|h|m|s)(?:[0-9]+(?:\.[0-9]+)?(?:ms|h|m|s))*)?\b`)
	one     = strings.NewReplacer(
		"N instance is ", "N instances are ", "N instance was ", "N instances were ", "N instance has ", "N instances have ",
		"N instance ", "N instances ", "N instance.", "N instances.", "N instance,", "N instances,",
		"N instance:", "N instances:", "N instance;", "N instances;",
		"de-identify it safely", "de-identify them safely", "; it was not taken", "; they were not taken",
		"the task lists it.", "the task lists them.",
	)
)

// ReasonOf returns what a sentence about a task has in common with those about others to which the same happened: N
// stands for each number, and UID for a UID or several.
func ReasonOf(message string) string {
	s := list.ReplaceAllString(uids.ReplaceAllString(message, "UID"), "UID")
	s = numbers.ReplaceAllStringFunc(s, func(found string) string {
		if m := numbers.FindStringSubmatch(found); m[2] == "" {
			return m[1] + "N"
		}
		return found
	})
	return one.Replace(s)
}
