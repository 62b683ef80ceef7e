// SPDX-License-Identifier: AGPL-3.0-or-later

package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/refusal"
)

// TestRefusals: only a row that is absent is not found, and each refusal is a sentence.
func TestRefusals(t *testing.T) {
	err := refusal.NotFound(fmt.Errorf("reading: %w", pgx.ErrNoRows), "job", 12)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.EqualError(t, err, "job 12: not found")
	other := errors.New("the database doesn't answer")
	require.Equal(t, other, refusal.NotFound(other, "job", 12))
	require.NoError(t, refusal.NotFound(nil, "job", 12))

	require.EqualError(t, &refusal.Invalid{Field: "mail", Reason: "give an address"}, "mail: give an address")
	require.EqualError(t, &refusal.Invalid{Reason: "give an address"}, "give an address")
	require.EqualError(t, &refusal.Conflict{Reason: "it has ended"}, "it has ended")
}
