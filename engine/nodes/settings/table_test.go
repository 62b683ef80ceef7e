// SPDX-License-Identifier: AGPL-3.0-or-later

package settings

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTable: an entry says all that is needed of its kind, and no two have the same name.
func TestTable(t *testing.T) {
	taken := map[string]bool{}
	once := func(t *testing.T, kind, name string) {
		t.Helper()
		require.False(t, taken[kind+name], "%s %s is there twice", kind, name)
		taken[kind+name] = name != ""
	}
	for _, g := range Groups {
		require.NotEmpty(t, g.Title)
		require.Equal(t, g.Name == "", g.Field == "", g.Title)
		require.Equal(t, g.Name == "", g.Is == "", g.Title)
		once(t, "group ", g.Name)
		once(t, "flag ", g.Words.Name)
		for _, s := range g.Settings {
			t.Run(g.Name+"."+s.Name, func(t *testing.T) {
				once(t, "setting ", g.Name+"."+s.Name)
				once(t, "column ", s.Column)
				once(t, "field "+g.Field, s.Field)
				once(t, "flag "+g.Words.Name+" ", s.Flag.Name)
				s.check(t, g)
			})
		}
	}
}

func (s Setting) check(t *testing.T, g Group) {
	t.Helper()
	require.NotEmpty(t, s.Name)
	require.NotEmpty(t, s.Field)
	require.NotEqual(t, s.Fixed, s.Flag.Name != "", "what can be changed has a flag")
	if words := g.Words.Name != ""; words {
		require.Equal(t, Switch, s.Kind, "a word is there or not")
	} else {
		require.NotEmpty(t, s.Doc)
		require.Equal(t, s.Flag.Name == "", s.Flag.Help == "")
	}
	if g.Name == "" {
		require.False(t, s.Kind == Pairs || s.Act && s.Kind == List, "a change of a server is compared as a whole")
	} else {
		require.Empty(t, s.Flag.SetHelp, "the flags of a group are those of both commands")
		require.False(t, s.Flag.SetOnly, "the flags of a group are those of both commands")
		require.False(t, s.Required, "a group has to be given as a whole")
	}
	if g.Shown == Together {
		require.NotContains(t, []Kind{List, Pairs}, s.Kind, "a group that is shown as a whole is compared as a whole")
		require.False(t, s.ZeroCounts, "a group that is shown as a whole is compared as a whole")
	}
	require.False(t, s.Required && s.When != "", "it has to be given in any case")
	require.Equal(t, s.Kind == File, s.Secret && s.Kind != PEM, "what is secret is in a file")
	require.False(t, s.Act && (s.Column != "" || s.Default != nil), "an act is not kept")
	require.Equal(t, s.Kind == Choice, s.Choices != nil && s.Kind != List)
	if s.Kind != Number && s.Kind != Time && s.Kind != Choice && s.Kind != Switch {
		require.Nil(t, s.Default, "the place that heeds it knows what nothing stands for")
		require.False(t, s.ZeroCounts)
	}
	switch s.Kind {
	case Number, Time:
		require.Less(t, s.Min, s.Max)
		require.LessOrEqual(t, s.Max, math.MaxInt32, "the column is an integer")
		require.NotEmpty(t, s.Reason)
		if n, ok := s.Default.(int); ok {
			require.GreaterOrEqual(t, n, s.Min)
			require.LessOrEqual(t, n, s.Max)
		} else {
			require.Nil(t, s.Default)
			require.True(t, s.Required || s.When != "" || s.Min == 0, "zero is no value")
		}
		require.False(t, s.ZeroCounts && s.Min > 0, "zero is no value")
	case Choice:
		require.NotEmpty(t, s.Reason)
		text, _ := s.Default.(string)
		require.True(t, slices.Contains(s.Choices, text), "one of the words is the default")
	case Switch:
		require.Contains(t, []any{nil, true}, s.Default)
		require.Equal(t, s.Default == true, s.ZeroCounts, "what is not given would be false")
	case Text, File:
		require.Equal(t, s.Fixed, s.Valid == "", "who says which texts can be?")
		require.Equal(t, s.Fixed, s.Reason == "")
	case List:
		require.Equal(t, s.Act, s.Valid == "" && s.Choices == nil, "who says which entries can be?")
		require.Equal(t, s.Act, s.Reason == "")
		require.Positive(t, s.Max)
	default:
		require.Empty(t, s.Reason, "it is checked by hand")
	}
}
