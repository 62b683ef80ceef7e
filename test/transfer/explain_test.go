// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/test/harness"
)

// explainClaim runs the claim under EXPLAIN in a transaction that is rolled back, and gives its plan and the buffers
// that it touched.
func explainClaim(t *testing.T, n *harness.Member) (plan string, buffers int) {
	t.Helper()
	return explainClaimOf(t, n, 1)
}

// explainClaimOf is explainClaim of one that finds so many tasks.
func explainClaimOf(t *testing.T, n *harness.Member, tasks int) (plan string, buffers int) {
	t.Helper()
	tx, err := n.Pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	member := uuid.New()
	_, err = tx.Exec(t.Context(),
		"INSERT INTO members (id, data_dir_id, name, version, schema_min, schema_max) VALUES ($1, $1, 'test', 'test', 0, 0)",
		member,
	)
	require.NoError(t, err)
	var raw []byte
	require.NoError(t, tx.QueryRow(
		t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+db.ClaimSQL, member, 90.0,
	).Scan(&raw))
	var parsed []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		} `json:"Plan"`
	}
	require.NoError(t, json.Unmarshal(raw, &parsed))
	var claimed int
	require.NoError(
		t, tx.QueryRow(t.Context(), "SELECT count(*) FROM tasks WHERE lease_member = $1", member).Scan(&claimed),
	)
	require.Equal(t, tasks, claimed)
	var nodes []string
	for line := range strings.Lines(string(raw)) {
		if strings.Contains(line, `"Node Type"`) || strings.Contains(line, `"Relation Name"`) {
			nodes = append(nodes, strings.Trim(strings.TrimSpace(line), ","))
		}
	}
	plan = strings.NewReplacer(
		`"Node Type": "`, "", `"`, "", "\nRelation Name: ", " on ",
	).Replace(strings.Join(nodes, "\n"))
	return plan, parsed[0].Plan.Hit + parsed[0].Plan.Read
}
