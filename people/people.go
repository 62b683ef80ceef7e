// SPDX-License-Identifier: AGPL-3.0-or-later

// Package people knows who the users are and what they may do: users, groups, projects, tokens, the server key, and the
// one permission check that every way into ADIT asks.
package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
)

// Permissions of a group (product.md: People and rights).
const (
	SelectiveTransfer       = "selective_transfer"
	BatchQuery              = "batch_query"
	BatchTransfer           = "batch_transfer"
	MassTransfer            = "mass_transfer"
	Explorer                = "explorer"
	Upload                  = "upload"
	DirectDownload          = "direct_download"
	DICOMwebQuery           = "dicomweb_query"
	DICOMwebRetrieve        = "dicomweb_retrieve"
	DICOMwebStore           = "dicomweb_store"
	Urgent                  = "urgent"
	UrgentOutsideWindows    = "urgent_outside_windows"
	TransferUnpseudonymized = "transfer_unpseudonymized"
	Tokens                  = "tokens"
	TokensWithoutExpiry     = "tokens_without_expiry"
	Linkage                 = "linkage" // see and fill the tables that tell who is behind a pseudonym
)

var allPermissions = []string{
	SelectiveTransfer, BatchQuery, BatchTransfer, MassTransfer, Explorer, Upload, DirectDownload, DICOMwebQuery,
	DICOMwebRetrieve, DICOMwebStore, Urgent, UrgentOutsideWindows, TransferUnpseudonymized, Tokens, TokensWithoutExpiry, Linkage,
}

// ErrUnauthenticated is returned for a token that is unknown, expired or belongs to a disabled user.
var ErrUnauthenticated = errors.New("the token is missing, unknown or expired; get a new one from your administrator")

// User is who is calling.
type User struct {
	ID            int64
	Username      string
	IsStaff       bool
	IsSuperuser   bool
	ActiveGroupID *int64
}

// Service answers questions about people from the database.
type Service struct {
	pool *pgxpool.Pool
	q    *db.Queries
	key  Key
	site siteCopy
}

// New gives a service on a migrated database.
func New(pool *pgxpool.Pool, key Key) *Service {
	return &Service{pool: pool, q: db.New(pool), key: key}
}

// Seal encrypts a secret that the database keeps, for one purpose.
func (s *Service) Seal(purpose string, plain []byte) []byte { return s.key.Seal(purpose, plain) }

// Open decrypts what Seal made for the same purpose.
func (s *Service) Open(purpose string, sealed []byte) ([]byte, error) {
	return s.key.Open(purpose, sealed)
}

const fingerprintSetting = "server_key_fingerprint"

// CheckKey refuses a database whose secrets were sealed with another key, and leaves this key's fingerprint in a new one.
func (s *Service) CheckKey(ctx context.Context) error {
	stored, err := s.q.GetSetting(ctx, fingerprintSetting)
	if errors.Is(err, pgx.ErrNoRows) {
		value, err := json.Marshal(s.key.Fingerprint())
		if err != nil {
			return err
		}
		return s.q.PutSetting(ctx, db.PutSettingParams{Key: fingerprintSetting, Value: value})
	}
	if err != nil {
		return err
	}
	var fingerprint string
	if err := json.Unmarshal(stored, &fingerprint); err != nil {
		return fmt.Errorf("the setting %s is damaged: %w", fingerprintSetting, err)
	}
	if fingerprint != s.key.Fingerprint() {
		return fmt.Errorf("this server key (fingerprint %s) is not the one that the database belongs to (%s); start with the right secret.key or ADIT_SECRET_KEY_FILE",
			s.key.Fingerprint(), fingerprint)
	}
	return nil
}

// Bootstrap makes the first administrator, group, project and token, if there are no users yet. save is given the token,
// which is kept nowhere else, before anything is committed: a token that could not be saved does not exist.
func (s *Service) Bootstrap(ctx context.Context, save func(token string) error) error {
	return db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.q.WithTx(tx)
		if err := q.LockSlots(ctx); err != nil { // two processes may start at once
			return err
		}
		n, err := q.CountUsers(ctx)
		if err != nil || n > 0 {
			return err
		}
		user, err := q.InsertUser(ctx, db.InsertUserParams{Username: "admin", IsStaff: true, IsSuperuser: true})
		if err != nil {
			return err
		}
		if err := s.bootstrapGroup(ctx, q, user.ID); err != nil {
			return err
		}
		token, err := newToken(ctx, q, user.ID, "made at the first start")
		if err != nil {
			return err
		}
		return save(token)
	})
}

// bootstrapGroup makes the first group, with every permission and a default project, and its first member.
func (s *Service) bootstrapGroup(ctx context.Context, q *db.Queries, userID int64) error {
	group, err := q.InsertGroup(ctx, "Radiology")
	if err != nil {
		return err
	}
	if err := q.AddGroupMember(ctx, db.AddGroupMemberParams{GroupID: group, UserID: userID}); err != nil {
		return err
	}
	if err := q.SetActiveGroup(ctx, db.SetActiveGroupParams{ID: userID, ActiveGroupID: &group}); err != nil {
		return err
	}
	for _, p := range allPermissions {
		if err := q.GrantPermission(ctx, db.GrantPermissionParams{GroupID: group, Permission: p}); err != nil {
			return err
		}
	}
	projectKey := NewKey()
	_, err = q.InsertProject(ctx, db.InsertProjectParams{
		Name: "Default", GroupID: group, IsDefault: true, SealedKey: s.key.Seal("project", projectKey.secret[:]), // engine.ProjectKeyPurpose
	})
	return err
}

// tokenBytes makes 40 hexadecimal characters.
const tokenBytes = 20

func newToken(ctx context.Context, q *db.Queries, userID int64, description string) (string, error) {
	var raw [tokenBytes]byte
	_, _ = rand.Read(raw[:])
	token := hex.EncodeToString(raw[:])
	hash := sha256.Sum256([]byte(token))
	return token, q.InsertToken(ctx, db.InsertTokenParams{UserID: userID, Description: description, Sha256: hash[:]})
}

// UserOfToken gives the user whom a token of 40 hexadecimal characters belongs to, or ErrUnauthenticated.
func (s *Service) UserOfToken(ctx context.Context, token string) (User, error) {
	if len(token) != 2*tokenBytes {
		return User{}, ErrUnauthenticated
	}
	hash := sha256.Sum256([]byte(token))
	u, err := s.q.UserOfToken(ctx, hash[:])
	if errors.Is(err, pgx.ErrNoRows) {
		return User{}, ErrUnauthenticated
	}
	if err != nil {
		return User{}, err
	}
	return User{ID: u.ID, Username: u.Username, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser, ActiveGroupID: u.ActiveGroupID}, nil
}

// Action is what somebody wants to do.
type Action struct {
	Superuser   bool     // it is reserved to superusers
	Staff       bool     // it is reserved to staff, whom superusers are of
	Permissions []string // all of them are needed
	Source      int64    // DICOM node to read from; 0 = none
	Destination int64    // DICOM node to write to; 0 = none
	Project     int64    // project to work in; 0 = none
	Section     string   // a permission whose use begins with this, and which staff may have locked; empty = none
}

// Check is the permission check: nil if the user may do it, a *Denied that says what is missing if not.
func (s *Service) Check(ctx context.Context, userID int64, a Action) error {
	if a.Staff || a.Superuser {
		u, err := s.q.GetUser(ctx, userID)
		if err != nil {
			return err
		}
		switch {
		case !u.IsActive:
			return &Denied{Reason: "this account is disabled; ask your administrator"}
		case a.Superuser && !u.IsSuperuser:
			return &Denied{Reason: "only superusers may do this; ask your administrator"}
		case !u.IsStaff && !u.IsSuperuser:
			return &Denied{Reason: "only staff may do this; ask your administrator"}
		}
	}
	for _, p := range a.Permissions {
		ok, err := s.q.HasPermission(ctx, db.HasPermissionParams{UserID: userID, Permission: p})
		if err != nil {
			return err
		}
		if !ok {
			return &Denied{Reason: fmt.Sprintf("your groups lack the permission %q; ask your administrator for it", p)}
		}
	}
	if a.Source != 0 {
		if err := s.checkNode(ctx, db.HasNodeAccessParams{UserID: userID, NodeID: a.Source, AsSource: true}, "source"); err != nil {
			return err
		}
	}
	if a.Destination != 0 {
		if err := s.checkNode(ctx, db.HasNodeAccessParams{UserID: userID, NodeID: a.Destination, AsDestination: true}, "destination"); err != nil {
			return err
		}
	}
	if a.Project != 0 {
		ok, err := s.q.HasProjectAccess(ctx, db.HasProjectAccessParams{UserID: userID, ProjectID: a.Project})
		if err != nil {
			return err
		}
		if !ok {
			return &Denied{Reason: "you belong neither to this project nor to its group; ask your administrator"}
		}
	}
	if a.Section != "" {
		return s.checkSection(ctx, userID, a.Section)
	}
	return nil
}

func (s *Service) checkNode(ctx context.Context, p db.HasNodeAccessParams, use string) error {
	ok, err := s.q.HasNodeAccess(ctx, p)
	if err != nil {
		return err
	}
	if !ok {
		return &Denied{Reason: "none of your groups may use this DICOM node as a " + use + "; ask your administrator for access"}
	}
	return nil
}
