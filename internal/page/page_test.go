// SPDX-License-Identifier: AGPL-3.0-or-later

package page_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
)

// TestCursors: what Next gives is read again, and anything else is refused.
func TestCursors(t *testing.T) {
	o, err := page.Parse("-created_at", "")
	require.NoError(t, err)
	require.Equal(t, page.Order{By: "created_at", Down: true}, o)
	now := time.Now()
	cursor := o.Next(page.Time(&now), 1<<40)
	again, err := page.Parse("-created_at", cursor)
	require.NoError(t, err)
	require.Equal(t, page.Order{By: "created_at", Down: true, Value: page.Time(&now), After: 1 << 40}, again)
	require.True(t, page.IsTime(again.Value))
	require.True(t, page.IsTime(page.Time(nil)))
	require.False(t, page.IsTime("tomorrow"))

	coded := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for name, bad := range map[string]string{
		"no code": "?", "no JSON": coded("x"), "a number": "4294967296", "a key of 0": coded(`{"s":"-created_at","k":0}`),
		"a negative key": coded(`{"s":"-created_at","k":-1}`), "a key beyond numbers": coded(`{"s":"-created_at","k":9223372036854775808}`),
		"another order":       coded(`{"s":"created_at","k":1}`),
		"a value with a NUL":  coded("{\"s\":\"-created_at\",\"k\":1,\"v\":\"a\\u0000\"}"),
		"a value of no UTF-8": coded("{\"s\":\"-created_at\",\"k\":1,\"v\":\"\xff\\u0000\"}"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := page.Parse("-created_at", bad)
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "cursor", invalid.Field)
		})
	}
}

// TestIsTime: what Time did not write is refused before the database sees it.
func TestIsTime(t *testing.T) {
	now := time.Date(2026, 11, 30, 8, 0, 0, 120, time.UTC)
	for value, want := range map[string]bool{
		page.Time(&now): true, page.Time(nil): true,
		"0000-01-01T00:00:00Z": false, "2026-01-01T00:00:00+23:59": false, "2026-01-01T00:00:00,5Z": false,
		"": false, "now": false,
	} {
		require.Equal(t, want, page.IsTime(value), value)
	}
}
