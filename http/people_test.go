// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// password is everybody's.
const password = "a long secret of ours"

var passwordHash struct {
	sync.Once
	hash string
}

// passwords gives everybody the password, until the row is done: with one, a token does less.
func passwords(m *matrix, _ person) []string {
	m.t.Helper()
	m.exec(`UPDATE users SET password_hash = $1`, m.passwordHash())
	t := m.t
	t.Cleanup(func() {
		_, err := m.pool.Exec(context.WithoutCancel(t.Context()), `UPDATE users SET password_hash = NULL`)
		require.NoError(t, err)
	})
	return nil
}

// passwordHash is made once: it costs.
func (m *matrix) passwordHash() string {
	m.t.Helper()
	passwordHash.Do(func() {
		u, err := m.client.Users.Add(m.t.Context(), client.NewUser{Username: "hashed", Password: password})
		require.NoError(m.t, err)
		require.NoError(m.t, m.pool.QueryRow(
			m.t.Context(), `SELECT password_hash FROM users WHERE id = $1`, u.ID,
		).Scan(&passwordHash.hash))
	})
	return passwordHash.hash
}

func newUser(m *matrix, _ person) []string {
	m.t.Helper()
	name := fmt.Sprintf("person%d", m.number())
	m.exec(
		`INSERT INTO users (username, mail, password_hash) VALUES ($1, $1 || '@example.org', $2)`,
		name, m.passwordHash(),
	)
	return []string{name}
}

func newReset(m *matrix, _ person) []string {
	m.t.Helper()
	code := rand.Text()
	sum := sha256.Sum256([]byte(code))
	m.exec(
		`INSERT INTO password_resets (sha256, user_id, expires_at) SELECT $1, id, now() + interval '1 hour' FROM users WHERE username = $2`,
		sum[:], newUser(m, person{})[0],
	)
	return []string{code}
}

func newToken(m *matrix, owner person) []string {
	sum := sha256.Sum256([]byte(rand.Text()))
	id := m.one(`INSERT INTO api_tokens (user_id, sha256) VALUES ($1, $2) RETURNING id`, owner.id, sum[:])
	return []string{strconv.FormatInt(id, 10)}
}

func newGroup(m *matrix, _ person) []string {
	m.t.Helper()
	name := fmt.Sprintf("group%d", m.number())
	_, err := m.client.Groups.Add(m.t.Context(), client.NewGroup{Name: name, Permissions: []string{"upload"}})
	require.NoError(m.t, err)
	return []string{name}
}

func newMember(m *matrix, owner person) []string {
	m.t.Helper()
	group, user := newGroup(m, owner)[0], newUser(m, owner)[0]
	require.NoError(m.t, m.client.Groups.AddMember(m.t.Context(), group, user))
	return []string{group, user}
}

func newRegistration(m *matrix, _ person) []string {
	name := fmt.Sprintf("wish%d", m.number())
	id := m.one(`INSERT INTO registrations (username, mail) VALUES ($1, $1 || '@example.org') RETURNING id`, name)
	return []string{strconv.FormatInt(id, 10)}
}
