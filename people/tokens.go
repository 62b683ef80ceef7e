// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
)

// APITokens are for programs.
type APITokens struct{ svc *Service }

// ErrUnauthenticated is returned for a token or a session that is unknown, expired or belongs to a disabled user.
var ErrUnauthenticated = errors.New(
	"the token or session is missing, unknown or expired; log in, or get a new token from your administrator",
)

// TokenLifetimes are what a token can be made for, by their names. "never" takes the permission TokensWithoutExpiry.
var TokenLifetimes = map[string]time.Duration{
	"24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour, "90d": 90 * 24 * time.Hour, "never": 0,
}

const (
	tokenBytes     = 20 // 40 hexadecimal characters
	maxTokens      = 100
	maxDescription = 200
)

// Token is an API token, without its secret.
type Token struct {
	ID          int64
	Username    string // whose it is
	Description string
	CreatedAt   time.Time
	ExpiresAt   *time.Time // nil: never
}

// secret makes 40 hexadecimal characters, and the hash of them that is kept.
func secret() (text string, hash []byte) {
	var raw [tokenBytes]byte
	_, _ = rand.Read(raw[:]) // never fails
	text = hex.EncodeToString(raw[:])
	return text, hashOf(text)
}

func hashOf(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

func newToken(
	ctx context.Context, q *db.Queries, userID int64, description string, seconds *float64,
) (string, db.ApiToken, error) {
	text, hash := secret()
	row, err := q.AddToken(ctx, db.AddTokenParams{
		UserID: userID, Description: description, Sha256: hash, Seconds: seconds,
	})
	return text, row, err
}

// UserOf gives the user whom a token of 40 hexadecimal characters belongs to, or ErrUnauthenticated. It is one
// indexed look-up.
func (s *APITokens) UserOf(ctx context.Context, token string) (User, error) {
	u, _, err := s.Holder(ctx, token)
	return u, err
}

// Holder is UserOf, with the ID of the token.
func (s *APITokens) Holder(ctx context.Context, token string) (u User, id int64, err error) {
	if len(token) != 2*tokenBytes {
		return User{}, 0, ErrUnauthenticated
	}
	row, err := s.svc.q.UserOfToken(ctx, hashOf(token))
	if errors.Is(err, pgx.ErrNoRows) {
		return User{}, 0, ErrUnauthenticated
	}
	if err != nil {
		return User{}, 0, err
	}
	return User{
		ID: row.ID, Username: row.Username, IsStaff: row.IsStaff, IsSuperuser: row.IsSuperuser,
		ActiveGroupID: row.ActiveGroupID,
	}, row.TokenID, nil
}

// Create makes a token for oneself, for one of TokenLifetimes. The secret is shown this once. It takes the
// password: no token makes another one.
func (s *APITokens) Create(ctx context.Context, user User, description, lifetime string) (
	shown string, t Token, err error,
) {
	d, ok := TokenLifetimes[lifetime]
	if !ok {
		return "", Token{}, &refusal.Invalid{Field: "lifetime", Reason: "it is 24h, 7d, 30d, 90d or never"}
	}
	if utf8.RuneCountInString(description) > maxDescription || !text.Plain(description) {
		return "", Token{}, &refusal.Invalid{Field: "description", Reason: fmt.Sprintf(
			"at most %d characters, without control characters", maxDescription,
		)}
	}
	needs := TokenRight()
	var seconds *float64
	if d == 0 {
		needs.Permissions = append(needs.Permissions, TokensWithoutExpiry)
	} else {
		n := d.Seconds()
		seconds = &n
	}
	if err := s.svc.Check(ctx, user.ID, needs); err != nil {
		return "", Token{}, err
	}
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		if _, err := q.LockUserID(ctx, user.ID); err != nil {
			return err
		}
		n, err := q.CountTokens(ctx, user.ID)
		if err != nil {
			return err
		}
		if n >= maxTokens {
			return &refusal.Conflict{
				Reason: fmt.Sprintf("you already have %d tokens; revoke those that you don't use", n),
			}
		}
		var row db.ApiToken
		if shown, row, err = newToken(ctx, q, user.ID, description, seconds); err != nil {
			return err
		}
		t = Token{
			ID: row.ID, Username: user.Username, Description: row.Description,
			CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "token.create", Object: tokenName(t.ID), Detail: map[string]any{"lifetime": lifetime},
		})
	})
	return shown, t, err
}

func tokenName(id int64) string { return fmt.Sprintf("token %d", id) }

// List gives at most limit tokens with an ID above the one given: one's own, or those of another user, for staff.
func (s *APITokens) List(ctx context.Context, user User, of string, above int64, limit int) ([]Token, error) {
	p := db.ListTokensParams{Above: above, UserID: user.ID, Max: int32(limit)}
	if of != "" && !strings.EqualFold(of, user.Username) {
		if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
			return nil, err
		}
		other, err := s.svc.q.UserByName(ctx, of)
		if err != nil {
			return nil, refusal.NotFound(err, "user", quote(of))
		}
		p.UserID = other.ID
	}
	rows, err := s.svc.q.ListTokens(ctx, p)
	out := make([]Token, len(rows))
	for i, row := range rows {
		out[i] = Token{
			ID: row.ID, Username: row.Username, Description: row.Description,
			CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
		}
	}
	return out, err
}

// Get gives a token without its secret: one's own, or another's, for staff. Another's is refusal.ErrNotFound to all
// others.
func (s *APITokens) Get(ctx context.Context, user User, id int64) (Token, error) {
	row, err := s.svc.q.GetToken(ctx, id)
	if err != nil {
		return Token{}, refusal.NotFound(err, "token", id)
	}
	if row.UserID != user.ID && !user.IsStaff {
		return Token{}, fmt.Errorf("token %d: %w", id, refusal.ErrNotFound)
	}
	return Token{
		ID: row.ID, Username: row.Username, Description: row.Description,
		CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
	}, nil
}

// Revoke ends a token at once: one's own, or another's, for staff (of staff: for superusers). Another's is
// refusal.ErrNotFound to all others.
func (s *APITokens) Revoke(ctx context.Context, user User, id int64) error {
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		row, err := q.GetToken(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "token", id)
		}
		if row.UserID != user.ID {
			if !user.IsStaff {
				return fmt.Errorf("token %d: %w", id, refusal.ErrNotFound)
			}
			if row.IsStaff && !user.IsSuperuser {
				return &Denied{Reason: onlySuperusers}
			}
		}
		n, err := q.DeleteToken(ctx, id)
		if err != nil || n == 0 { // 0: somebody was faster
			return errors.Join(err, notFoundIf(n == 0, tokenName(id)))
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "token.revoke", Object: tokenName(id), Detail: map[string]any{"user": row.Username},
		})
	})
}
