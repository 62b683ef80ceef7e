// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestPreferences: what an interface keeps about somebody is of a known kind, and two of its pages don't undo each
// other's changes.
func TestPreferences(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addServer("PACS", "PACS", nil)
	s.addServer("research", "RESEARCH", nil)
	me, err := s.client.Account.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, client.Preferences{}, me.Preferences)
	var pages sync.WaitGroup
	for _, p := range []client.Preferences{
		{Theme: new("dark"), Density: new("compact")},
		{Rail: new(true), SingleKeys: new(false)},
		{DateFormat: new("DD.MM.YYYY"), MailWhenFinished: new(true), Notifications: new(false)},
		{LastSource: new("PACS")},
		{LastDestination: new("research")},
	} {
		pages.Go(func() {
			if _, err := s.client.Account.Change(ctx, client.MeChange{Preferences: &p}); err != nil {
				t.Error(err)
			}
		})
	}
	pages.Wait()
	all := client.Preferences{
		Theme: new("dark"), Density: new("compact"), Rail: new(true), DateFormat: new("DD.MM.YYYY"),
		SingleKeys: new(false), LastSource: new("PACS"), LastDestination: new("research"),
		MailWhenFinished: new(true), Notifications: new(false),
	}
	me, err = s.client.Account.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, all, me.Preferences)
	me, err = s.client.Account.Change(ctx, client.MeChange{Preferences: &client.Preferences{
		LastSource: new(""), Theme: new("auto"),
	}})
	require.NoError(t, err)
	all.LastSource, all.Theme = new(""), new("auto")
	require.Equal(t, all, me.Preferences)

	for body, field := range map[string]string{
		`{"theme":"` + secret + `"}`: "preferences.theme", `{"rail":"yes"}`: "preferences.rail",
		`{"date_format":"` + secret + `"}`: "preferences.date_format",
		`{"last_source":"` + secret + `"}`: "preferences.last_source", `{"last_destination":"x"}`: "preferences.last_destination",
		`{"notes":"` + secret + `"}`: "preferences.notes", `{"theme":null}`: "theme",
	} {
		r := s.send("PATCH", "/api/v1/me", `{"preferences":`+body+`}`)
		require.Equal(t, 422, r.StatusCode, body)
		require.Equal(t, field, r.problem(t).Errors[0].Field, body)
		require.NotContains(t, r.body, secret)
	}

	// what an earlier version had kept is neither shown nor in the way
	_, err = s.pool.Exec(ctx, `UPDATE users SET preferences = preferences || '{"rail": 7, "old": [1]}'`)
	require.NoError(t, err)
	all.Rail = nil
	me, err = s.client.Account.Change(ctx, client.MeChange{Preferences: &client.Preferences{Density: new("compact")}})
	require.NoError(t, err)
	require.Equal(t, all, me.Preferences)
}
