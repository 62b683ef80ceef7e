// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/jobs"
)

// transition is an arrow of a diagram.
type transition struct{ from, to, why string }

var arrow = regexp.MustCompile(`^ +(\S+) --> (\S+): (.+)$`)

// diagram returns the arrows below a heading of docs/states.md.
func diagram(t *testing.T, heading string) (all []transition) {
	t.Helper()
	text, err := os.ReadFile("../docs/states.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, ok)
	_, rest, _ = strings.Cut(rest, "stateDiagram-v2\n")
	rest, _, _ = strings.Cut(rest, "```")
	for line := range strings.Lines(rest) {
		m := arrow.FindStringSubmatch(strings.TrimRight(line, "\n"))
		require.NotNil(t, m, line)
		all = append(all, transition{m[1], m[2], m[3]})
	}
	return all
}

func statesOf(all []transition) (states []string) {
	for _, a := range all {
		states = append(states, a.from, a.to)
	}
	slices.Sort(states)
	return slices.DeleteFunc(slices.Compact(states), func(s string) bool { return s == "[*]" })
}

// byAction returns the arrows that are labelled with one of the actions.
func byAction[A ~string](all []transition, actions []A) (of []transition) {
	for _, a := range all {
		if slices.Contains(actions, A(a.why)) {
			of = append(of, a)
		}
	}
	return of
}

// statesInSchema returns the words of the first match of a pattern in the migration that makes jobs and tasks.
func statesInSchema(t *testing.T, pattern, word string) (states []string) {
	t.Helper()
	text, err := os.ReadFile("../db/migrations/00003_jobs.sql")
	require.NoError(t, err)
	found := regexp.MustCompile(pattern).FindString(string(text))
	require.NotEmpty(t, found)
	for _, m := range regexp.MustCompile(word).FindAllStringSubmatch(found, -1) {
		states = append(states, m[1])
	}
	slices.Sort(states)
	return slices.Compact(states)
}

// TestStatesInTheDocs: the diagrams have the states that the schema has, and by actions of people the transitions that
// TestJobActions and TestTaskActions try.
func TestStatesInTheDocs(t *testing.T) {
	list, tasks := diagram(t, "Job"), diagram(t, "Task")
	require.Equal(
		t, statesInSchema(t, `(?s)GENERATED ALWAYS AS \(CASE.*?END\) STORED`, `(?:THEN|ELSE) '(\w+)'`), statesOf(list),
	)
	require.Equal(t, statesInSchema(t, `status IN \([^)]*\)\),\n    patient_id`, `'(\w+)'`), statesOf(tasks))

	var actions []jobs.JobAction
	// of what is unverified, which TestJobActions has none of
	want := []transition{{jobs.Warning, jobs.Pending, string(jobs.RetryJob)}}
	for action, states := range jobActions {
		actions = append(actions, action)
		for from, to := range states {
			if to == "" {
				to = "[*]"
			}
			if from != to {
				want = append(want, transition{from, to, string(action)})
			}
		}
	}
	require.ElementsMatch(t, want, byAction(list, actions))

	want = []transition{{jobs.Pending, "[*]", string(jobs.DeleteTask)}} // not the last one, which TestTaskActions has
	for _, from := range taskActions[jobs.ResetTask] {
		want = append(want, transition{from, jobs.Pending, string(jobs.ResetTask)})
	}
	require.ElementsMatch(t, want, byAction(tasks, []jobs.TaskAction{jobs.ResetTask, jobs.DeleteTask, jobs.KillTask}))
}
